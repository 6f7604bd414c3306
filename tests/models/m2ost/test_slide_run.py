"""The job: what is in sight comes first, a new window is heeded, a stop stops, and the second time costs nothing."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.m2ost import slide_run
from models.m2ost.wrapper import Predictor
from models.shared.data.histology import Section
from tests.models.m2ost.conftest import Inbox


@pytest.fixture
def slide(section: Section, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, predictor: Predictor) -> Path:
    path = tmp_path / "slide.png"
    Image.fromarray(section.pixels).save(path)
    monkeypatch.setattr(slide_run, "load_predictor", lambda *_, **__: predictor)
    return path


def _run(slide: Path, out: Path, inbox: Inbox | None = None, **more: object) -> list[dict]:
    out.mkdir(exist_ok=True)
    return list(slide_run.predict_slide({"path": str(slide), "mpp": 1.0, "pitch_um": 60.0} | more, inbox or Inbox(out)))


def _numbers(event: dict, genes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    index = np.frombuffer(base64.b64decode(event["index"]), "<u4")
    return index, np.frombuffer(base64.b64decode(event["values"]), "<i2").reshape(len(index), genes) / slide_run.SCALE


def _xy(layout: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(layout["xy"]), "<f4").reshape(-1, 2)


def test_every_spot_is_told_once_and_files_are_left(slide: Path, tmp_path: Path) -> None:
    events = _run(slide, tmp_path / "out")
    layout, spots = events[0], [event for event in events if event["kind"] == "spots"]
    told = np.concatenate([_numbers(event)[0] for event in spots])
    assert layout["kind"] == "layout"
    assert sorted(told) == list(range(layout["spots"]))
    assert all(len(str(event)) < 200_000 for event in events)
    assert events[-1]["kind"] == "result"
    assert set(events[-1]["files"]) == {"csv", "h5ad"}

    import anndata
    import pandas as pd

    table, frame = anndata.read_h5ad(tmp_path / "out" / "predictions.h5ad"), pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert table.shape == (layout["spots"], 7)
    assert "not measured" in table.uns["lightbox"]["what"]
    assert np.allclose(table.obsm["spatial"], _xy(layout), atol=0.01)
    assert np.allclose(frame["made-up 3"], table.X[:, 3], atol=1e-3)
    index, values = _numbers(spots[0])
    assert np.abs(values - table.X[index]).max() < 1e-3


def test_what_is_in_sight_comes_first(slide: Path, tmp_path: Path) -> None:
    window = [700, 500, 300, 250]
    events = _run(slide, tmp_path / "out", window=window)
    xy = _xy(events[0])
    inside = ((xy >= window[:2]) & (xy <= np.add(window[:2], window[2:]))).all(1)
    told = np.concatenate([_numbers(event)[0] for event in events if event["kind"] == "spots"])
    assert inside.sum() > 5
    assert inside[told[: inside.sum()]].all()
    stages = [event["stage"] for event in events if event["kind"] == "progress"]
    assert stages[0] == "visible window"
    assert stages[-1] == "whole slide"


def test_a_new_window_is_served_before_the_rest(slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slide_run, "TELL_EVERY_S", 0.0)
    later = [200, 150, 300, 250]
    inbox = Inbox(tmp_path / "out", orders=[[{"window": later}]])
    events = _run(slide, tmp_path / "out", inbox, window=[1000, 700, 200, 200])
    xy = _xy(events[0])
    told = np.concatenate([_numbers(event)[0] for event in events if event["kind"] == "spots"])
    wanted = np.flatnonzero(((xy >= later[:2]) & (xy <= np.add(later[:2], later[2:]))).all(1))
    places = {int(spot): place for place, spot in enumerate(told)}
    first = 64 + len(wanted)  # one batch was under way
    assert np.mean([places[int(spot)] < first for spot in wanted]) > 0.95


def test_a_stop_ends_it_between_batches_and_nothing_is_kept(slide: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    events = _run(slide, tmp_path / "out", Inbox(tmp_path / "out", stop_after=2), cache=str(cache))
    assert events[-1] == {"kind": "result", "files": {}, "stopped": True, "spots": events[-1]["spots"]}
    assert 0 < events[-1]["spots"] < events[0]["spots"]
    assert not list(cache.glob("*"))
    assert not list((tmp_path / "out").glob("*"))


def test_the_second_time_comes_from_the_cache_and_is_the_same(
    slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, predictor: Predictor
) -> None:
    cache = str(tmp_path / "cache")
    first = _run(slide, tmp_path / "one", cache=cache)
    monkeypatch.setattr(predictor, "predict", lambda *_, **__: pytest.fail("it was computed again"))
    second = _run(slide, tmp_path / "two", cache=cache)
    assert [event["stage"] for event in second if event["kind"] == "progress"] == ["from the cache"]
    assert (tmp_path / "one" / "predictions.csv").read_bytes() == (tmp_path / "two" / "predictions.csv").read_bytes()
    assert first[0] == second[0]


def test_another_question_is_not_answered_from_the_cache(slide: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    _run(slide, tmp_path / "one", cache=str(cache))
    _run(slide, tmp_path / "two", cache=str(cache), levels=[0, 1])
    _run(slide, tmp_path / "three", cache=str(cache), pitch_um=90.0)
    assert len(list(cache.glob("*.npz"))) == 3


def test_too_many_spots_and_unknown_scale_are_one_sentence_each(slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="µm a pixel"):
        _run(slide, tmp_path / "out", mpp=None)
    monkeypatch.setattr(slide_run, "MAX_SPOTS", 10)
    with pytest.raises(ValueError, match=r"workbench\.batch"):
        _run(slide, tmp_path / "out")
