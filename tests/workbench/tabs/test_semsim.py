"""What the SemSim tab works out itself: from a slice and settings to an outline, pseudo-labels, one pixel's row, the board, a comparison, files.

Most of it is tested on untrained networks, so that nothing waits for a training; what the shipped ones reach is tested where they are.
"""

from __future__ import annotations

import csv
import importlib
import io
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pydicom
import pytest
from PIL import Image

from models.semsim.plan import ARMS, TASKS
from models.semsim.record import METHOD
from models.semsim.study_data import labelled_rows, material, to_bytes
from models.semsim.training import build
from models.semsim.weights import level_key, task_facts
from models.shared.checkpoints import Card, Metric, save
from models.shared.packing import pack
from workbench.context import Context
from workbench.parts.events import Late
from workbench.parts.outline_files import contents
from workbench.parts.outline_measures import read_reference
from workbench.parts.pixel_probe import read_place
from workbench.parts.segments import Segment
from workbench.pictures import Shown
from workbench.tabs.semsim import desk as desks
from workbench.tabs.semsim import inside, results
from workbench.tabs.semsim.compare import compared
from workbench.tabs.semsim.desk import Desk
from workbench.tabs.semsim.learn import bounds
from workbench.tabs.semsim.names import labels
from workbench.tabs.semsim.scan import HEARTS, examples, structures, truth
from workbench.tabs.semsim.train import EXAMPLE, config, look
from workbench.visitors import COOKIE
from workbench.working_scan import scan

# the package names the drawers' functions as their modules are called
evidence, explore = (importlib.import_module(f"workbench.tabs.semsim.{name}") for name in ("evidence", "explore"))
HEART = f"asset:heart_phantom_{HEARTS[0]}.dcm"
BREAST = examples()[-1].id
ANN = SimpleNamespace(cookies={COOKIE: "a" * 32})
COUNTS, WANTED = (2, 4), ("semsim", "fixmatch", "supervised")
SETTINGS = (0.95, 0.1, 0.1, 4, 1000, "logit")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A folder as `assets` with untrained networks of three arms at two numbers of labels."""
    task = replace(TASKS["cardiac"], labelled=COUNTS, arms=WANTED, ablations=("semsim_literal",), pool=8, tests=4)
    train = material(task).train.rows(labelled_rows(8, max(COUNTS), 0))
    tensors = {"cardiac.pictures": to_bytes(train.x), "cardiac.masks": train.masks}
    for count in COUNTS:
        for arm in task.arms_at(count):
            state = pack(build(task.config(ARMS[arm]), seed=count).state_dict())
            tensors |= {f"cardiac.{level_key(count)}.{arm}.{name}": tensor for name, tensor in state.items()}
    card = Card(
        method="semsim", title="test", config={}, datasets=(), recipe="none", seed=0, seconds=1, hardware="none", parameters=1,
        trained_parameters=1, metrics={}, extra={"tasks": {"cardiac": task_facts(task, 8, 2.0)}},
    )  # fmt: skip
    assets = tmp_path_factory.mktemp("assets")
    (assets / "checkpoints").mkdir()
    save(assets / "checkpoints" / "semsim.safetensors", tensors, card)
    return assets


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    from workbench.jobs import JobManager
    from workbench.settings import Settings

    home = tmp_path_factory.mktemp("home")
    made = Context(Settings(home=home, warm=False), JobManager(home / "workspace", warm=False))
    for example in examples():
        made.pictures.offer(example)
    yield made
    made.close()


@pytest.fixture
def desk(context, untrained, monkeypatch):
    monkeypatch.setattr("models.shared.method.assets_dir", lambda: untrained)
    return Desk(context, *[None] * 6, (None,) * 6)


def asked(id=HEART, arm="semsim", labelled=2):
    return Shown(id), "cardiac", arm, labelled


def values(id=HEART, arm="semsim", labelled=2, settings=SETTINGS):
    return *asked(id, arm, labelled), *settings


def marked(made, masks):
    """What the canvas would send."""
    found = [Segment(number, f"s{number}", mask).for_browser() for number, mask in enumerate(masks)]
    return {"picture": made.id, "size": list(made.pixels.shape[:2]), "segments": found}


def pointed(made, x, y, seq=1):
    return {"picture": made.id, "x": x, "y": y, "seq": seq}


def test_the_examples_are_hearts_with_their_truth_in_millimetres(desk):
    made = scan(desk.context, ANN, Shown(HEART))
    assert made.spacing_mm == pytest.approx((0.5, 0.5))
    assert set(np.unique(structures(made))) == {0, 1, 2, 3}
    assert np.array_equal(truth(made)[0], structures(made) > 0)
    other = scan(desk.context, ANN, Shown(BREAST))
    assert structures(other) is None
    assert truth(other)[0].any()


def test_every_answer_reaches_canvas_pseudo_labels_maps_and_the_pixel(desk):
    work = desk.work(ANN, values())
    canvas, notice, pseudo, maps, probe, bars, board = explore.answered(desk, ANN, pointed(work.scan, 90, 120), True, values())
    assert "given" in canvas.props
    assert "<b>2</b> labelled slices" in notice
    assert pseudo.count("<figure>") == 4
    assert pseudo.count("Kept: <b>") == 3
    assert len(maps.props["data"]["panels"]) == 5
    assert probe.props["answer"]["pixel"] == [7, 5]
    assert len(bars.props["data"]["series"]) == 3
    assert board.count("<svg") == 2
    assert explore.looked_at(desk, ANN, None, False, values())[0].count("<figure>") == 3


def test_fixmatch_has_no_features_and_says_so(desk):
    found = explore.answered(desk, ANN, None, True, values(arm="fixmatch"))
    assert found[2].count("Kept: <b>") == 1
    assert "no features that similarities could be taken of" in found[2]
    assert "empty" in found[3].props["data"]
    assert results.scatter(desk.work(ANN, values(arm="supervised")))["empty"] == results.NO_FEATURES


def test_the_printed_temperature_leaves_nothing_and_the_reason_is_said(desk):
    literal = desk.work(ANN, values(settings=(0.95, 1.0, 1.0, 4, 1000, "logit")))
    assert literal.result.pseudo[2].kept_fraction == 0
    said = results.literal(literal)
    assert "Nothing can be kept" in said
    assert "0.475" in said
    assert "as the paper prints it" in said
    assert "Nothing can be kept" not in results.literal(desk.work(ANN, values()))


def test_a_row_of_the_affinity_is_told_and_grows_even_with_temperature(desk):
    made = scan(desk.context, ANN, Shown(HEART))
    sharp, even = (
        inside.probed(desk.work(ANN, values(settings=(0.95, t, 0.1, 4, 1000, "logit"))), pointed(made, 10, 10))[0].props["answer"]["top"]
        for t in (0.05, 1.0)
    )
    assert sharp > even > 0
    assert read_place({}) is None
    with pytest.raises(ValueError, match="whole pixels"):
        read_place({"picture": "a", "x": 0.5, "y": 1, "seq": 1})
    bars = inside.probed(desk.work(ANN, values()), {"picture": "another", "x": 1, "y": 1, "seq": 1})[1]
    assert "row 3, column 3" in bars.props["data"]["about"], "a place on another picture is left aside: the middle is told"


def test_the_slider_of_labels_goes_to_what_was_trained(desk):
    facts = desks.facts_of(desk.context, ANN, "cardiac")
    assert desks.levels(facts) == [2, 4]
    assert [desks.nearest(wanted, [2, 4, 8]) for wanted in (1, 3, 5, 6, 7, 99)] == [2, 2, 4, 4, 8, 8]
    slider, arms = explore.settled(desk.context, ANN, "cardiac", 4, "semsim_literal")
    assert slider.value == 4
    assert arms.value == "semsim"
    assert explore.settled(desk.context, ANN, "cardiac", 2, "semsim_literal")[1].value == "semsim_literal"
    assert "2 (25.0 %), 4 (50.0 %) of 8" in explore.labels_info(facts)
    assert desk.work(ANN, values(labelled=3)).predictor.labelled == 2
    assert desk.work(ANN, values(arm="semsim_literal", labelled=4)).predictor.arm == "semsim"
    assert explore.chosen_network(desk.context, ANN, "cardiac")[1].value == "semsim"


def test_a_grid_that_does_not_fit_gives_way(desk):
    predictor = desk.work(ANN, values()).predictor
    assert desks.options_of((0.95, 0.1, 0.1, 7, 1000, "logit"), predictor).cells == 8
    assert desks.options_of((), predictor).cells == 4


def test_what_is_brushed_by_hand_is_what_is_measured_and_written(desk):
    made = scan(desk.context, ANN, Shown(HEART))
    mask = np.zeros(made.pixels.shape[:2], bool)
    mask[10:30, 40:90] = True
    table = explore.MEASURES.now(desk, ANN, (Shown(HEART), marked(made, [mask]), None))
    assert "Dice" in table
    assert "distance between the outlines" in table
    files = dict(contents(desk.context, ANN, explore.outlined(desk, ANN, (marked(made, [mask]), *values())), "semsim"))
    assert all(files.values())
    seg = pydicom.dcmread(io.BytesIO(files["semsim-segmentation.dcm"]))
    assert np.array_equal(seg.pixel_array.reshape(-1, *mask.shape)[0].astype(bool), mask)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(files["semsim-mask.png"]))) > 0, mask)
    rows = list(csv.reader(io.StringIO(files["semsim-measures.csv"].decode())))
    assert float(rows[1][2]) == pytest.approx(20 * 50 * 0.25, rel=1e-3)


def test_marks_of_another_picture_count_for_nothing(desk):
    other = scan(desk.context, ANN, Shown(BREAST))
    with pytest.raises(Late):
        desk.marks(ANN, Shown(HEART), marked(other, []))
    assert explore.outlined(desk, ANN, (marked(other, []), *values())) is None


def test_a_reference_of_ones_own_is_held_against_the_outline(desk, tmp_path):
    made = scan(desk.context, ANN, Shown(HEART))
    mask = np.zeros((256, 256), np.uint8)
    mask[10:30, 40:90] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    kept = read_reference(str(tmp_path / "mask.png"), made)
    assert "<b>1.000</b>" in explore.MEASURES.now(desk, ANN, (Shown(HEART), marked(made, [mask > 0]), kept))


def test_another_kind_of_picture_is_called_so(desk):
    assert "means nothing" in results.notice(desk.work(ANN, values(BREAST)))
    assert "means nothing" not in results.notice(desk.work(ANN, values()))
    assert results.pseudo_labels(desk.work(ANN, values(BREAST)), True).count("<figure>") == 3


def test_compare_asks_every_network_at_every_number_of_labels(desk):
    chart, table = compared(desk, ANN, None, asked())
    assert [one["label"] for one in chart.props["data"]["series"]] == ["SemSim", "FixMatch", "Labels alone"]
    assert table.count("<img") == 7  # the literal arm has the fewest labels alone
    assert table.count("Dice ") == 7
    assert "proves nothing" in table


def test_the_features_lie_in_two_directions(desk):
    made = results.scatter(desk.work(ANN, values()))
    assert 50 < len(made["points"]) <= results.MOST_POINTS
    assert "0 together, 1 apart" in made["about"]


def test_a_network_that_is_gone_is_a_sentence(desk):
    with pytest.raises(gr.Error, match="not kept"):
        explore.answered(desk, ANN, None, True, (Shown(HEART), "job:nobodys", "semsim", 2, *SETTINGS))


def test_an_uploaded_zip_is_looked_at_and_a_bad_one_refused(tmp_path):
    assert "72 pictures and masks" in look(str(EXAMPLE))[0]
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    markup, path = look(str(tmp_path / "bad.zip"))
    assert "Not taken" in markup
    assert path == ""
    made = config(str(EXAMPLE), ["semsim", "supervised"], 10, 200, 64, None)
    assert made["arms"] == ["supervised", "semsim"]
    assert made["share"] == pytest.approx(0.1)
    for bad, words in (
        (("", ["semsim"]), "Upload a ZIP"),
        ((str(tmp_path / "no.zip"), ["semsim"]), "no longer"),
        ((str(EXAMPLE), []), "at least one"),
    ):
        with pytest.raises(ValueError, match=words):
            config(*bad, 10, 200, 64, 0)


def test_the_bound_of_every_temperature_is_told():
    assert "0.475" in bounds()
    assert "0.731" in bounds()


# ---------------------------------------------------------------------- evidence
def _gain(arm, against, value, verdict, labelled=2):
    return {
        "task": "cardiac", "labelled": labelled, "arm": arm, "against": against, "label": against, "measure": "dice", "value": value,
        "low": value - 0.01, "high": value + 0.01, "n": 9, "seeds": {"values": [value] * 3, "low": value, "high": value, "n": 3}, "verdict": verdict,
    }  # fmt: skip


def _card(first, verdict):
    curve = {"step": [1, 2], "kept_u": [0.5, 0.9], "kept_intra": [0.6, 0.9], "kept_cross": [0.0, 0.0]}
    table = [{"arm": arm, "labelled": 2, "dice": {"LV": 0.5}, "curve": curve} for arm in ("semsim", "semsim_literal")]
    number = Metric(value=0.6, low=0.5, high=0.7, n=9, kind="real", interval="bootstrap").model_dump()
    real = {
        "isic": {
            "title": "Skin", "licence": "CC0", "note": "n.", "n_train": 100, "n_test": 9, "side": 64, "seeds": 3, "findings": ["f"],
            "metrics": {"isic3/dice": number, "isic3/dice@fixmatch": number, "isic3/hd95": number},
        }
    }  # fmt: skip
    gains = [_gain("semsim", "fixmatch", first, verdict), _gain("fixmatch", "supervised", 0.1, "better")]
    return SimpleNamespace(extra={"gains": gains, "table": table, "real": real})


def test_the_claim_is_said_as_the_numbers_have_it():
    assert "3 trainings are too few to show it" in evidence.claim(_card(0.02, "no difference shown"))
    assert "order that the paper reports holds here" in evidence.claim(_card(0.02, "better"))
    lost = evidence.claim(_card(-0.02, "worse"))
    assert "clearly below" in lost
    assert "does <b>not</b> hold" in lost
    assert "−0.020" in evidence.ladder(_card(-0.02, "worse"))


def test_the_empty_mask_and_real_pictures_are_told_from_the_card():
    assert "single pixel pass tau" in evidence.kept(_card(0, "worse"))
    shown = evidence.real(_card(0, "worse"))
    assert "3 of 100 labelled (3 %)" in shown
    assert "Licence: CC0" in shown
    assert "n = 9" in shown
    assert labels({"cardiac": [1]})["cardiac1"] == "Heart-slice phantoms, 1 labelled"


@pytest.mark.skipif(not METHOD.card.is_file(), reason="nothing is shipped yet")
def test_the_shipped_network_outlines_a_heart(context):
    shipped = Desk(context, *[None] * 6, (None,) * 6)
    work = shipped.work(ANN, values(labelled=99))
    known = structures(work.scan) > 0
    found = work.result.mask > 0
    assert 2 * (found & known).sum() / (found.sum() + known.sum()) > 0.5
    card = explore.card_of(METHOD)
    assert evidence.ladder(card).count("<tr>") >= 7
    assert evidence.paper_table(card).count("<tr>") == 8
