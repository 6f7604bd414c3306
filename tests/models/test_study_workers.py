"""Runs shared among worker processes: each is done once, by whoever's turn it is, and what is there is left alone."""

from __future__ import annotations

import pytest

from models.epic import workers as epic
from models.hsvlt import workers as hsvlt
from models.lsms import workers as lsms
from models.mitp import workers as mitp
from models.resformer_mtl import workers as resformer
from models.self_cleansing import workers as self_cleansing
from models.semsim import workers as semsim
from models.shared.study_runs import StudyRuns, short
from models.shared.study_workers import Study, main


def test_every_run_is_done_once_and_finished_ones_are_left_alone(capsys):
    done: list[int] = []

    def opened(_config, _seed, _device):
        return Study(range(7), lambda run: run == 3, lambda run: iter([done.append(run)]))

    for number in range(2):
        assert main("nobody", lsms.METHOD, opened, ["--workers", "2", "--one", str(number), "--device", "cpu"]) == 0
    assert sorted(done) == [0, 1, 2, 4, 5, 6]
    assert "worker 1: 5 done" in capsys.readouterr().out


@pytest.mark.parametrize("room", [lsms, hsvlt, resformer, semsim, self_cleansing, epic, mitp], ids=lambda room: room.METHOD.id)
def test_the_rooms_open_their_studies(room, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    study = room.opened(room.METHOD.preset("quick").config, 0, "cpu")
    assert len(study.runs) >= 2
    assert not any(study.finished(run) for run in study.runs)


def test_runs_are_kept_with_their_weights(tmp_path, monkeypatch):
    import torch

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    runs = StudyRuns("a-study", {"steps": 3})
    assert runs.pending(["one", "two"]) == ["one", "two"]
    runs.keep("one", {"score": 0.5}, {"w": torch.ones(2)})
    assert runs.pending(["one", "two"]) == ["two"]
    assert runs.values("one") == {"score": 0.5}
    assert runs.tensors("one")["w"].tolist() == [1, 1]
    with pytest.raises(FileNotFoundError):
        runs.values("two")
    assert StudyRuns("a-study", {"steps": 4}).folder != runs.folder
    assert len(short({"a": 1})) == 8
