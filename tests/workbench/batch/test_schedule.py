"""A batch loses nothing: not to a killed worker, here or on a Ray cluster, not to a stop in the middle, not to a slide that cannot be read."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workbench.batch import batch_works as works
from workbench.batch.schedule import TRIES, carry_out, folders
from workbench.batch.workers import Here, NoCluster, RayCluster, Workers

pytestmark = [pytest.mark.load, pytest.mark.timeout(180)]


@pytest.fixture(params=["here", "ray"])
def workers(request: pytest.FixtureRequest) -> Iterator[Workers]:
    if request.param == "ray":
        pytest.importorskip("ray")
    made = Here(2) if request.param == "here" else RayCluster("local", count=2)
    yield made
    made.close()


def _kill_one(folder: Path, killed: list[int]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for path in folder.glob("running-*"):
            pid = int(path.name.partition("-")[2])
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            return
        time.sleep(0.01)


def test_a_worker_killed_in_the_middle_costs_a_second_try_and_nothing_else(workers: Workers, tmp_path: Path) -> None:
    slides, killed = folders(["one.svs"], tmp_path), []
    killer = threading.Thread(target=_kill_one, args=(Path(slides[0].folder), killed))
    killer.start()
    events = list(carry_out(works, slides, works.Options(), workers, count=2))
    killer.join()
    assert killed
    assert any(event["kind"] == "lost" for event in events), events
    assert slides[0].done
    assert not slides[0].error
    log = (Path(slides[0].folder) / "log").read_text().split()
    assert {int(number) for number in log} == set(range(works.PIECES))
    assert events[-1]["kind"] == "joined"


def test_a_bad_slide_stops_only_itself_and_its_sentence_is_kept(tmp_path: Path) -> None:
    slides, workers = folders(["one.svs", "bad.svs", "two.svs"], tmp_path), Here(2)
    try:
        events = list(carry_out(works, slides, works.Options(pause_s=0), workers, count=2))
    finally:
        workers.close()
    assert [slide.done for slide in slides] == [True, False, True]
    assert slides[1].error == "This slide is bad; bring another one."
    assert sum(event["kind"] == "failed" for event in events) == 1


def test_what_dies_every_time_is_given_up_after_a_few_tries(tmp_path: Path) -> None:
    slides, workers = folders(["one.svs"], tmp_path), Here(1)
    try:
        events = list(carry_out(works, slides, works.Options(pause_s=0, always_dies=True), workers, count=1))
    finally:
        workers.close()
    assert not slides[0].done
    assert "died each time" in slides[0].error
    assert sum(event["kind"] == "lost" and event["number"] == 3 for event in events) == TRIES


def test_a_stopped_batch_goes_on_where_it_was_and_a_finished_one_does_nothing(tmp_path: Path) -> None:
    workers = Here(2)
    try:
        first = carry_out(works, folders(["one.svs"], tmp_path), works.Options(pause_s=0.05), workers, count=1)
        while next(first)["kind"] != "progress":
            pass
        first.close()
        time.sleep(0.5)  # what was handed out comes to its end
        folder = Path(folders(["one.svs"], tmp_path)[0].folder)
        begun = {path.name for path in folder.glob("piece-*")}
        events = list(carry_out(works, folders(["one.svs"], tmp_path), works.Options(pause_s=0), workers, count=1))
        assert events[0]["todo"] == works.PIECES - len(begun)
        assert len((folder / "log").read_text().split()) == works.PIECES, "a finished piece was made again"
        again = list(carry_out(works, folders(["one.svs"], tmp_path), works.Options(), workers, count=1))
        assert [event["kind"] for event in again] == ["planned"]
        assert again[0]["done"]
    finally:
        workers.close()


def test_slides_of_one_name_get_folders_of_their_own(tmp_path: Path) -> None:
    made = folders(["a/one.svs", "b/one.svs", "c/two.svs"], tmp_path)
    assert [Path(slide.folder).name for slide in made] == ["one", "one-2", "two"]


def test_a_cluster_that_is_not_there_is_one_sentence() -> None:
    pytest.importorskip("ray")
    with pytest.raises(NoCluster, match="cannot be reached"):
        RayCluster("127.0.0.1:1", count=1)
