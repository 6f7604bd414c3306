"""Long work across servers: what a new server finds again, the worker that waits for work, and how ends are noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from workbench.jobs import JobNotFound, JobRefused

# -- restart ----------------------------------------------------------------------------------------------------------


def test_two_servers_on_one_folder_are_refused(jobs, managers):
    with pytest.raises(JobRefused, match="Another server"):
        managers()


def test_a_new_server_finds_everything_again(managers, start, follow, wait_for):
    first = managers(max_running=1)
    done, _ = follow(first, start(first, "writes"))
    running, queued = start(first, "forever"), start(first, "count", {"n": 2}, owner="bob")
    wait_for(lambda: first.events(running.id).events)
    first.close()
    second = managers(max_running=1)
    assert [second.get(job.id).state for job in (done, running, queued)] == ["done", "running", "queued"]
    assert list(second.result(done.id)) == ["curves.csv", "weights/a.bin"]
    seen = len(second.events(running.id).events)
    wait_for(lambda: len(second.events(running.id).events) > seen)
    second.stop(running.id)
    assert follow(second, running)[0].state == "stopped"
    assert follow(second, queued)[0].state == "done"


def test_what_was_cut_off_is_told_and_half_results_are_gone(managers, start, follow, on_disk):
    first = managers()
    gone, never_begun = (follow(first, start(first, "count"))[0] for _ in range(2))
    first.close()
    for job in (gone, never_begun):
        folder = on_disk(job)
        record = json.loads((folder.path / "job.json").read_text())
        # the id of a process that lives, but is another one: this very test
        (folder.path / "job.json").write_text(json.dumps({**record, "state": "running", "ended": None, "pid": os.getpid()}))
        folder.partial.mkdir()
        (folder.partial / "half.txt").write_text("half")
    on_disk(never_begun).log.unlink()
    folder = on_disk(gone)
    second = managers()
    assert second.get(gone.id).state == "interrupted"
    assert "restarted" in second.get(gone.id).error
    assert second.result(gone.id) == {}
    assert not folder.partial.exists()
    assert follow(second, never_begun)[0].state == "done"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id":"../../x"}', '{"unknown":1}', "null"])
def test_a_damaged_record_does_not_keep_the_server_from_starting(managers, tmp_path, text, start, follow):
    folder = tmp_path / "jobs" / ("0" * 32) / ("a" * 22)
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(text)
    jobs = managers()
    with pytest.raises(JobNotFound):
        jobs.get("a" * 22)
    assert follow(jobs, start(jobs, "count"))[0].state == "done"


# -- the waiting worker, and ends -------------------------------------------------------------------------------------


def test_the_next_worker_is_waiting_and_goes_with_the_server(managers, start, follow, wait_for):
    before = {child.pid for child in psutil.Process().children()}
    jobs = managers(warm=True, warm_delay_s=0.0, ahead=("json",))
    (standby,) = wait_for(lambda: [child for child in psutil.Process().children() if child.pid not in before])
    job = start(jobs, "count")
    assert job.pid == standby.pid
    assert follow(jobs, job)[0].state == "done"
    (following,) = wait_for(
        lambda: [child for child in psutil.Process().children() if child.pid not in before | {standby.pid}],
    )
    wait_for(lambda: jobs.snapshot()["running"] == 0)
    jobs.close()
    assert not psutil.pid_exists(following.pid)


def test_a_module_that_cannot_be_loaded_ahead_keeps_nobody_from_working(managers, capfd, start, follow, wait_for):
    jobs = managers(warm=True, warm_delay_s=0.0, ahead=("no_such_module",))
    wait_for(lambda: "no_such_module could not be loaded ahead" in capfd.readouterr().err)
    assert follow(jobs, start(jobs, "count"))[0].state == "done"


@pytest.mark.slow
def test_an_idle_server_sleeps(managers, monkeypatch, start, wait_for):
    rounds = []
    jobs = managers()
    look = jobs._supervisor._round
    monkeypatch.setattr(jobs._supervisor, "_round", lambda: rounds.append(1) or look())
    job = start(jobs, "forever")
    wait_for(lambda: jobs.events(job.id).events)
    rounds.clear()
    time.sleep(1.0)
    assert len(rounds) <= 5


def test_ends_are_noticed_where_the_system_does_not_announce_them(managers, monkeypatch, start, follow):
    monkeypatch.setattr("workbench.jobs.processes._pidfd", lambda pid: None)
    jobs = managers(max_running=1)
    first, second = start(jobs, "count"), start(jobs, "dies")
    assert follow(jobs, first)[0].state == "done"
    assert follow(jobs, second)[0].state == "failed"


def test_the_servers_start_loads_nothing_heavy():
    code = "import sys, workbench.jobs; print([name for name in ('torch', 'numpy', 'gradio', 'pydantic') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "[]"
