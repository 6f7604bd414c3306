"""What the LSMS tab works out itself: from a slice and a phrase to an outline, a verdict, a turned word, maps, a comparison, files; and what is refused."""

from __future__ import annotations

import csv
import io
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pydicom
import pytest

from models.lsms.phrases import every_phrase
from models.lsms.record import METHOD
from workbench.context import Context
from workbench.parts.events import Late
from workbench.parts.outline_files import contents
from workbench.parts.segments import Segment
from workbench.pictures import Shown
from workbench.tabs.lsms import results
from workbench.tabs.lsms.compare import compared
from workbench.tabs.lsms.desk import Desk
from workbench.tabs.lsms.evidence import real
from workbench.tabs.lsms.explore import MEASURES, answered, outlined, turned
from workbench.tabs.lsms.names import arm_choices, labels
from workbench.tabs.lsms.scan import ANYWHERE, examples, known_slice, suggestions, truth_of
from workbench.visitors import COOKIE
from workbench.working_scan import scan

pytestmark = pytest.mark.skipif(not METHOD.card.is_file(), reason="this room's weights are not trained yet")
RICH, BARE = "asset:abdomen_phantom_3.dcm", "asset:abdomen_phantom_9.dcm"
LARGE, OTHER = (
    "the large hyperdense lesion in the upper part of the left lobe",
    "the large hyperdense lesion in the lower part of the right lobe",
)
ANN = SimpleNamespace(cookies={COOKIE: "a" * 32})


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    from workbench.jobs import JobManager
    from workbench.settings import Settings

    home = tmp_path_factory.mktemp("home")
    context = Context(Settings(home=home, warm=False), JobManager(home / "workspace", warm=False))
    for example in examples():
        context.pictures.offer(example)
    yield Desk(context, *[None] * 7)
    context.close()


def values(id=RICH, phrase=LARGE, arm="full", threshold=0.5, abstain=0.5):
    return Shown(id), phrase, arm, threshold, abstain


def marked(made, masks):
    """What the canvas would send."""
    found = [Segment(number, f"s{number}", mask).for_browser() for number, mask in enumerate(masks)]
    return {"picture": made.id, "size": list(made.pixels.shape[:2]), "segments": found}


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def test_two_phrases_outline_two_lesions_close_to_what_they_mean(desk):
    masks = []
    for phrase in (LARGE, OTHER):
        work = desk.work(ANN, values(phrase=phrase))
        meant, _ = truth_of(phrase)(work.scan)
        assert iou(work.mask, meant) > 0.6
        assert work.scan.spacing_mm == pytest.approx((1, 1))
        masks.append(work.mask)
    assert not (masks[0] & masks[1]).any()


def test_a_phrase_of_what_is_not_there_outlines_nothing_and_says_so(desk):
    for id in (RICH, BARE):
        work = desk.work(ANN, values(id, "the small hyperdense lesion in the upper part of the right lobe"))
        assert not work.mask.any()
        assert "No matching lesion" in results.verdict(work)
    assert known_slice(Shown(BARE)).lesions == ()


def test_phrases_written_beside_the_examples_are_what_may_be_said_of_them():
    made = [one for one in examples() if one.id.startswith("asset:")]
    assert len(made) == 5
    for one in made:
        assert suggestions(Shown(one.id)) == [phrase.text for phrase in every_phrase(known_slice(Shown(one.id)))]


def test_every_answer_reaches_canvas_gauges_verdict_turns_and_maps(desk):
    canvas, gauges, verdict, turns, said, button, maps = answered(desk, ANN, (True, "words", 3, *values()))
    assert canvas.props["given"]["segments"]
    assert canvas.props["heat"]["rows"] <= 86
    assert len(gauges.props["data"]["items"]) == 2
    assert "Outlined: 1 region" in verdict
    assert "leaves out" in verdict
    assert [label for label, _ in turns.choices] == ["large → small", "hyperdense → hypodense", "upper → lower", "left → right"]
    assert said == ""
    assert not button.visible
    assert len(maps.props["data"]["panels"]) == len(LARGE.split())
    waiting = answered(desk, ANN, (False, "words", 3, *values(phrase="  ")))
    assert waiting[0].props["given"]["segments"] == []
    assert "Write what" in waiting[2]


def test_a_turned_word_draws_the_change_and_offers_to_ask_it(desk):
    markup, button = turned(desk, ANN, LARGE.replace("left", "right").replace("upper", "lower"), values())
    assert "share 0 %" in markup
    assert button.visible
    assert turned(desk, ANN, None, values())[0] == ""
    text = "the small <b>lesion</b>"
    assert "<b>lesion" not in turned(desk, ANN, text, values(phrase=text))[0]


def test_unknown_words_are_marked_and_a_doubtful_answer_is_withheld(desk):
    work = desk.work(ANN, values(phrase="the purple <i>lesion</i>"))
    assert work.answer.unknown[0] == "purple"
    assert "<mark>purple</mark>" in results.verdict(work)
    withheld = desk.work(ANN, values(abstain=-1))
    assert withheld.withheld
    assert not withheld.mask.any()
    assert "Withheld" in results.verdict(withheld)


def test_the_threshold_moves_the_outline(desk):
    sizes = [int(desk.work(ANN, values(threshold=t)).mask.sum()) for t in (0.1, 0.5, 0.9)]
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize(("what", "panels"), [("words", 12), ("kernels", 5), ("scales", 4), ("similarity", 1)])
def test_every_view_inside_has_its_maps(desk, what, panels):
    data = results.inside(desk.work(ANN, values()), what, 2)
    assert len(data["panels"]) == panels
    assert data["picture"]["url"]


def test_a_network_without_language_is_called_deaf(desk):
    work = desk.work(ANN, values(arm="no_language"))
    assert results.DEAF in results.verdict(work)
    assert results.inside(work, "words", 1)["empty"] == results.DEAF
    other = desk.work(ANN, values(arm="no_language", phrase=OTHER))
    assert np.array_equal(work.answer.probability, other.answer.probability)


def test_what_is_brushed_by_hand_is_what_is_measured_and_written(desk):
    made = scan(desk.context, ANN, Shown(RICH))
    mask = np.zeros(made.pixels.shape[:2], bool)
    mask[10:30, 40:90] = True
    assert "Dice" in MEASURES.now(desk, ANN, (Shown(RICH), marked(made, [mask]), None, LARGE))
    assert "Dice" not in MEASURES.now(desk, ANN, (Shown(RICH), marked(made, [mask]), None, "the purple lesion"))
    files = dict(contents(desk.context, ANN, outlined(desk, ANN, (marked(made, [mask]), *values())), "lsms"))
    seg = pydicom.dcmread(io.BytesIO(files["lsms-segmentation.dcm"]))
    assert np.array_equal(seg.pixel_array.reshape(-1, *mask.shape)[0].astype(bool), mask)
    rows = list(csv.reader(io.StringIO(files["lsms-measures.csv"].decode())))
    assert float(rows[1][2]) == pytest.approx(1000)
    assert LARGE.encode() in files["lsms.json"]
    with pytest.raises(Late):
        desk.marks(ANN, Shown(BARE), marked(made, []))


def test_compare_asks_every_shipped_network_and_turns_a_word(desk):
    chart, table = compared(desk, ANN, None, values())
    assert len(chart.props["data"]["items"]) == len(arm_choices()) == table.count("<img")
    assert table.count("large → small") == len(arm_choices())
    assert "Dice 0." in table
    assert (
        "nothing fits" in compared(desk, ANN, None, values(BARE, "all lesions"))[1]
        or "rightly nothing" in compared(desk, ANN, None, values(BARE, "all lesions"))[1]
    )


def test_pictures_of_other_kinds_are_called_so_and_offered_plain_phrases(desk, tmp_path):
    from pydicom.data import get_testdata_file

    assert results.foreign(desk.work(ANN, values())) == []
    shown = desk.context.pictures.add(ANN, get_testdata_file("MR_small.dcm"))
    assert suggestions(shown) == list(ANYWHERE)
    assert "this is a MR picture" in results.foreign(desk.work(ANN, (shown, "all lesions", "full", 0.5, 0.5)))[0]
    ct = desk.context.pictures.add(ANN, get_testdata_file("CT_small.dcm"))
    assert "made-up slices alone" in results.foreign(desk.work(ANN, (ct, "all lesions", "full", 0.5, 0.5)))[0]


def test_refusals_are_sentences_and_names_are_known():
    assert set(labels()) >= {"phrases", "", "no_language", "miou", "dice"}
    assert real(None) == ""
    assert METHOD.id == "lsms"


def test_a_phrase_without_words_is_refused_with_a_sentence(desk):
    with pytest.raises(gr.Error, match="Write what"):
        turned(desk, ANN, "the small lesion", values(phrase="…"))
