"""What the self-cleansing tab works out itself: recorded trainings, labels under the microscope, decisions, outlines, measures, files; and what is refused."""

from __future__ import annotations

import csv
import io
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pydicom
import pytest

from models.self_cleansing.live import STRUCTURES, read_config
from models.self_cleansing.noise_lab import pack_label, run, unpack_label
from models.self_cleansing.record import METHOD
from workbench.context import Context
from workbench.parts.events import Late
from workbench.parts.outline_files import contents
from workbench.parts.segments import Segment
from workbench.pictures import Shown
from workbench.tabs.self_cleansing import lab, microscope, names
from workbench.tabs.self_cleansing.api import read_pixels
from workbench.tabs.self_cleansing.compare import compared, memorised
from workbench.tabs.self_cleansing.desk import Desk
from workbench.tabs.self_cleansing.evidence import bars, paper, real
from workbench.tabs.self_cleansing.outline import MEASURES, answered, foreign, outlined
from workbench.tabs.self_cleansing.scan import examples, task_of, truth
from workbench.tabs.self_cleansing.train import EXAMPLE, look
from workbench.visitors import COOKIE
from workbench.working_scan import scan

pytestmark = pytest.mark.skipif(not METHOD.card.is_file(), reason="this room's weights are not trained yet")
SLICE, BREAST = "asset:liver_slice_3.dcm", examples()[-1].id
ANN = SimpleNamespace(cookies={COOKIE: "a" * 32})
KNOBS = ["missing", 0.3, 0.5, 0, True, False, "both", "prediction", 0.5, 0.8, 32, 4, 2]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    from workbench.jobs import JobManager
    from workbench.settings import Settings

    home = tmp_path_factory.mktemp("home")
    context = Context(Settings(home=home, warm=False), JobManager(home / "workspace", warm=False))
    for example in examples():
        context.pictures.offer(example)
    yield Desk(context, None, None, None, METHOD, *[None] * 5)
    context.close()


def values(id=SLICE, task="plain", setting="missing-30", arm="cleansed", model="last", smallest=1):
    return Shown(id), task, setting, arm, model, smallest


def watching(source, decisions=(), job=""):
    return source, job, "plain/missing-30", "cleansed", *KNOBS, list(decisions)


def marked(made, masks):
    """What the canvas would send."""
    found = [Segment(number, f"s{number}", mask).for_browser() for number, mask in enumerate(masks)]
    return {"picture": made.id, "size": list(made.pixels.shape[:2]), "segments": found}


# ---------------------------------------------------------------------- noise lab
def test_a_recorded_training_has_its_epochs_and_its_suspects():
    data = lab.recorded(METHOD, "plain/missing-30", "cleansed")
    assert len(data["epochs"][-1]["pixels"]) == len(STRUCTURES) + 1
    assert all("pictures" in one for one in data["epochs"])
    assert data["ranked"][0]["corrupted"] in (True, False)
    with pytest.raises(ValueError, match="keeps no epochs"):
        lab.recorded(METHOD, "plain/missing-30", "magic")


def test_the_microscope_shows_a_recorded_label_in_all_its_versions(desk):
    number, canvas, figures, facts, decided = microscope.at(METHOD, desk.context, ANN, None, watching("recorded"))
    assert [one["name"] for one in canvas.props["given"]["segments"]] == ["tumour", "cyst"]
    assert figures.count("<img") == 7
    assert f"Picture {number}" in facts
    assert decided == ""
    with pytest.raises(gr.Error, match="none with the number"):
        microscope.at(METHOD, desk.context, ANN, 10_000, watching("recorded"))
    with pytest.raises(ValueError, match="A recorded training is over"):
        microscope.decision(METHOD, desk.context, ANN, "accept", 0, None, watching("recorded"))


def test_painted_labels_count_in_the_next_training(desk):
    first = microscope.at(METHOD, desk.context, ANN, None, watching("own"))
    assert "Not trained yet" in first[3]
    mask = np.zeros((64, 64), bool)
    mask[20:30, 20:40] = True
    canvas = {"picture": "x", "size": [64, 64], "segments": [Segment(1, "cyst", mask).for_browser()]}
    made = microscope.decision(METHOD, desk.context, ANN, "edit", first[0], canvas, watching("own"))
    assert np.array_equal(unpack_label(made["label"], 64), 2 * mask)
    again = microscope.at(METHOD, desk.context, ANN, first[0], watching("own", [made]))
    assert "label painted" in again[4]
    assert sum(again[1].props["given"]["segments"][1]["runs"][1::2]) == 200
    other = made | {"label": pack_label(np.zeros((64, 64)))}
    assert lab.labels_of([made, other]) == {str(first[0]): other["label"]}
    with pytest.raises(ValueError, match="no proposal yet"):
        microscope.decision(METHOD, desk.context, ANN, "accept", 0, None, watching("own"))
    with pytest.raises(ValueError, match="changed meanwhile"):
        microscope.decision(METHOD, desk.context, ANN, "edit", 0, canvas | {"size": [32, 32], "segments": []}, watching("own"))
    assert "1 labels are yours" in microscope.previewed(lab.config(KNOBS), [made])


def test_a_finished_run_can_be_judged(desk, tmp_path, monkeypatch):
    config = lab.config([*KNOBS[:10], 24, 3, 1]) | {"tests": 4}
    list(run(config, SimpleNamespace(out=tmp_path, stopping=False)))
    job = SimpleNamespace(id="j", owner="page:x")
    monkeypatch.setattr(desk.context.jobs, "get", lambda _id: job)
    monkeypatch.setattr(desk.context.jobs, "result", lambda _id: {"cases.npz": tmp_path / "cases.npz"})
    shown = microscope.at(METHOD, desk.context, ANN, None, watching("own", job="j"))
    assert shown[2].count("<img") == 7
    made = microscope.decision(METHOD, desk.context, ANN, "accept", shown[0], None, watching("own", job="j"))
    cases = lab.finished(desk.context, ANN, "j")
    assert np.array_equal(unpack_label(made["label"], 64), cases.proposed[shown[0]])
    assert lab.finished(desk.context, ANN, "") is None


def test_the_knobs_as_they_open_can_be_run():
    assert read_config(lab.config(KNOBS)).pictures == 32
    assert microscope.agreement(np.zeros((4, 4)), np.zeros((4, 4))) == 1.0
    assert microscope.agreement(np.array([[1, 2]]), np.array([[1, 1]])) == 0.5


# ---------------------------------------------------------------------- outlining
def test_a_slice_is_outlined_measured_and_written_as_dicom_seg(desk):
    canvas, said, heat = answered(desk, ANN, values())
    assert "segments" in canvas.props["given"]
    assert "Cleansed while training" in said
    assert len(heat.props["data"]["panels"]) == 2
    made = scan(desk.context, ANN, Shown(SLICE))
    assert made.spacing_mm == pytest.approx((0.625, 0.625))
    assert truth(made)[0].any()
    mask = np.zeros(made.size, bool)
    mask[10:30, 40:90] = True
    table = MEASURES.now(desk, ANN, (Shown(SLICE), marked(made, [mask]), None))
    assert "mm" in table
    assert "One of outline" in table or "Dice" in table
    files = dict(contents(desk.context, ANN, outlined(desk, ANN, (marked(made, [mask]), *values())), "self_cleansing"))
    assert all(files.values())
    seg = pydicom.dcmread(io.BytesIO(files["self_cleansing-segmentation.dcm"]))
    assert np.array_equal(seg.pixel_array.reshape(-1, *mask.shape)[0].astype(bool), mask)
    rows = list(csv.reader(io.StringIO(files["self_cleansing-measures.csv"].decode())))
    assert float(rows[1][2]) == pytest.approx(20 * 50 * 0.625**2, rel=1e-3)


def test_a_model_that_was_not_kept_is_answered_by_the_last_epoch(desk):
    work = desk.work(ANN, values(arm="noisy", model="teacher"))
    assert work.predictor.name.endswith("noisy|last")
    with pytest.raises(ValueError, match="not kept on the server"):
        desk.work(ANN, values(task="job:nobodys"))
    with pytest.raises(Late):
        desk.marks(ANN, Shown(SLICE), marked(scan(desk.context, ANN, Shown(BREAST)), []))


def test_a_picture_of_another_kind_is_called_so(desk):
    assert task_of(Shown(SLICE), ("plain", "busi")) == "plain"
    assert task_of(Shown(BREAST), ("plain", "busi")) == "busi"
    assert task_of(Shown(BREAST), ("plain",)) == ""
    assert foreign(desk.work(ANN, values())) == []
    assert "means nothing" in foreign(desk.work(ANN, values(BREAST)))[0]
    assert "foreign to it" in foreign(desk.work(ANN, values(BREAST, "busi", "asymmetric-50")))[0]


def test_compare_asks_true_wrong_and_cleansed_labels(desk):
    table = compared(desk, ANN, None, values())
    assert table.count("<img") >= 3
    assert table.count("Dice ") >= 3
    for words in ("True labels", "Labels with errors", "Cleansed while training"):
        assert words in table
    data = memorised(METHOD, "plain", "missing-30")
    assert [one["label"] for one in data["lines"]] == [names.SHORT[arm] for arm in ("clean", "noisy", "cleansed")]
    assert memorised(METHOD, "busi", "asymmetric-50")["lines"] == []


# ---------------------------------------------------------------------- evidence, own data, programs
def test_the_bars_and_the_real_data_are_told_with_intervals():
    card = names.card_of(METHOD)
    told = bars(card)
    assert told.count("reached</span>") + told.count("missed</span>") >= len(card.extra["detection"])
    assert "95 % interval" in told
    section = real(card.extra["real"][0], card)
    assert "Licence: CC BY 4.0" in section
    assert "test pictures" in section
    assert "+7.31 %" in paper(card)
    assert {name.partition("/")[0] for name in card.metrics} <= set(names.labels())


def test_an_uploaded_zip_is_looked_at_and_a_bad_one_refused(tmp_path):
    markup, path = look(str(EXAMPLE))
    assert "120 pictures and masks" in markup
    assert path
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    markup, path = look(str(tmp_path / "bad.zip"))
    assert "Not taken" in markup
    assert path == ""
    assert look(str(tmp_path))[1] == ""


@pytest.mark.parametrize("pixels", [[[1, 2], [3]], [[300]], [], "x", [[float("nan")]]])
def test_pixels_of_a_program_are_checked(pixels):
    with pytest.raises(ValueError, match="rows of equal length"):
        read_pixels(pixels)
