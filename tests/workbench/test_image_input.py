"""The way a picture comes into a tab: what is there on first open, what each handler answers, and that a refusal changes nothing."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from workbench.examples import phantom
from workbench.parts import image_input as part
from workbench.pictures import Pictures, Shown
from workbench.visitors import COOKIE

CT = get_testdata_file("CT_small.dcm")
EXAMPLES = [phantom("brain_mr", 3), phantom("liver_ct", 5)]
FIRST, SECOND = (Shown(example.id) for example in EXAMPLES)
ANN, BOB = (SimpleNamespace(cookies={COOKIE: letter * 24}, session_hash=None, username=None) for letter in "ab")
SKIP = gr.skip()


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    """The part on a page of its own; the store in its context is a new one for each test."""
    context = SimpleNamespace(pictures=Pictures(tmp_path_factory.mktemp("home") / "pictures"))
    with gr.Blocks() as site:
        source = part.image_input(context, elem_id="t_input", examples=EXAMPLES)
    return SimpleNamespace(context=context, site=site, source=source)


@pytest.fixture
def page(layout, tmp_path):
    """`page.fire(control, event, request, *inputs)` gives the outputs of a handler by name."""
    layout.context.pictures = Pictures(tmp_path / "pictures")
    named = {block.elem_id: block for block in layout.site.blocks.values() if getattr(block, "elem_id", None)}
    names = {block._id: name.removeprefix("t_input_") for name, block in named.items()} | {layout.source.shown._id: "shown"}

    def fire(control, event, request, *inputs):
        target = named[f"t_input_{control}"]._id
        (found,) = [one for one in layout.site.fns.values() if (target, event) in [tuple(pair[:2]) for pair in one.targets]]
        answers = found.fn(request, *inputs)
        assert len(answers) == len(found.outputs)
        return SimpleNamespace(**{names.get(out._id, "own"): answer for out, answer in zip(found.outputs, answers, strict=True)})

    yield SimpleNamespace(fire=fire, source=layout.source, parts=named, pictures=layout.context.pictures)
    layout.context.pictures.close()


@pytest.fixture
def stack(tmp_path):
    frames = [Image.fromarray(np.full((8, 8), shade, np.uint8)) for shade in (10, 20, 30)]
    frames[0].save(tmp_path / "stack.tif", save_all=True, append_images=frames[1:])
    return str(tmp_path / "stack.tif")


def unchanged(*answers):
    return all(answer == SKIP for answer in answers)


# -- on first open ----------------------------------------------------------------------------------------------------


def test_the_first_example_is_there_and_its_facts_are_written(page):
    assert page.source.shown.value == page.source.first == FIRST
    facts = page.parts["t_input_facts"].value
    assert "Brain-MR-like phantom no. 20000003" in facts
    assert "made up, no patient" in facts
    assert "256 × 256 pixels" in facts
    assert not page.parts["t_input_frame"].visible
    assert not page.parts["t_input_window"].visible


def test_the_gallery_offers_every_example_by_an_address_and_not_by_its_pixels(page):
    strip = page.parts["t_input_examples"]
    assert [offer["label"] for offer in strip.props["examples"]] == ["Brain-MR-like phantom", "Liver-CT-like phantom"]
    assert all(offer["url"].startswith("lightbox/pictures/phantom%3A") for offer in strip.props["examples"])
    assert "is shown to you alone and is deleted within 2.5 hours of its last use" in strip.props["note"]
    assert (strip.props["current"], strip.props["upload"]) == (FIRST.id, "t_input_file")


def test_without_an_example_there_is_no_input():
    with pytest.raises(ValueError, match="at least one example"):
        part.image_input(SimpleNamespace(), elem_id="x", examples=[])


# -- a file of one's own ----------------------------------------------------------------------------------------------


def test_a_dicom_brings_its_windows_and_a_place_in_the_gallery(page):
    answer = page.fire("file", "upload", ANN, CT)
    assert answer.shown == answer.own
    assert page.pictures.get(ANN, answer.shown).modality == "CT"
    assert "CT (DICOM), 128 × 128 pixels, 0.661 mm a pixel" in answer.facts
    assert answer.examples.props["current"] == answer.shown.id == answer.examples.props["own"]["id"]
    assert answer.window.visible
    assert answer.preset.value == "CT soft tissue"
    assert ("CT lung", "CT lung") in answer.preset.choices
    assert (answer.centre, answer.width) == (40.0, 400.0)
    assert not answer.frame.visible


def test_no_name_of_a_person_reaches_the_page(page, tmp_path):
    data = pydicom.dcmread(CT)
    data.PatientName, data.PatientID, data.StudyDescription = "Beeblebrox^Zaphod", "HEART-OF-GOLD", "Zaphod again"
    data.save_as(tmp_path / "Zaphod Beeblebrox.dcm")
    answer = page.fire("file", "upload", ANN, str(tmp_path / "Zaphod Beeblebrox.dcm"))
    assert not {"zaphod", "beeblebrox", "heart-of-gold"} & set(str(vars(answer)).lower().replace("'", " ").replace("^", " ").split())
    assert "zaphod" not in str(vars(answer)).lower()


@pytest.mark.parametrize("content", [b"hello", b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 60, None])
def test_a_file_that_cannot_be_read_is_a_sentence_and_everything_stays(page, tmp_path, content):
    path = tmp_path / "x.png"
    if content is not None:
        path.write_bytes(content)
    answer = page.fire("file", "upload", ANN, str(path))
    assert "Not taken:</span>" in answer.facts
    assert "The picture before is still here." in answer.facts
    assert unchanged(answer.shown, answer.examples, answer.own, answer.frame, answer.window, answer.preset, answer.centre, answer.width)


def test_nothing_chosen_is_a_sentence_too(page):
    assert "Not taken" in page.fire("file", "upload", ANN, None).facts


# -- the gallery ------------------------------------------------------------------------------------------------------


def test_an_example_is_chosen(page):
    answer = page.fire("examples", "changed", ANN, {"id": SECOND.id, "seq": 1}, FIRST, None)
    assert answer.shown == SECOND
    assert answer.examples.props["current"] == SECOND.id
    assert "Liver-CT-like phantom" in answer.facts


def test_another_phantom_is_the_next_of_the_one_shown(page):
    answer = page.fire("examples", "changed", ANN, {"another": True, "id": FIRST.id, "seq": 1}, SECOND, None)
    assert answer.shown == Shown("phantom:liver_ct:20000006:256")


def test_ones_own_picture_is_come_back_to(page):
    mine = page.fire("file", "upload", ANN, CT).own
    assert page.fire("examples", "changed", ANN, {"id": mine.id, "seq": 2}, FIRST, mine).shown == mine


def test_another_visitors_picture_cannot_be_asked_for(page):
    foreign = page.fire("file", "upload", ANN, CT).own
    assert page.fire("examples", "changed", BOB, {"id": foreign.id, "seq": 1}, FIRST, None).shown == FIRST
    stolen = page.fire("examples", "changed", BOB, {"id": foreign.id, "seq": 1}, FIRST, foreign)  # his page's memory of hers
    assert "not kept on the server any more" in stolen.facts
    assert unchanged(stolen.shown, stolen.examples)


@pytest.mark.parametrize("asked", [None, "", 3, [], {}, {"id": None}, {"id": "data:../../etc/passwd"}, {"id": {"a": 1}}])
def test_what_the_page_cannot_have_meant_changes_nothing(page, asked):
    assert page.fire("examples", "changed", ANN, asked, SECOND, None).shown == SECOND


# -- frame and window -------------------------------------------------------------------------------------------------


def test_a_stack_has_a_slider_that_changes_the_frame(page, stack):
    taken = page.fire("file", "upload", ANN, stack)
    assert (taken.frame.visible, taken.frame.maximum, taken.frame.value) == (True, 3, 1)
    moved = page.fire("frame", "input", ANN, 3, taken.shown)
    assert moved.shown == Shown(taken.shown.id, 2)
    assert "frame 3 of 3" in moved.facts
    assert page.pictures.get(ANN, moved.shown).pixels[0, 0] == 30


def test_a_frame_that_is_not_there_is_a_sentence(page, stack):
    taken = page.fire("file", "upload", ANN, stack)
    answer = page.fire("frame", "input", ANN, 9, taken.shown)
    assert "There is no such frame" in answer.facts
    assert unchanged(answer.shown)


def test_a_preset_and_numbers_by_hand_change_the_window(page):
    taken = page.fire("file", "upload", ANN, CT).shown
    lung = page.fire("preset", "input", ANN, "CT lung", taken)
    assert lung.shown.window == (lung.centre, lung.width) == (-600.0, 1500.0)
    own = page.fire("centre", "submit", ANN, -500.0, 1500.0, lung.shown)
    assert own.shown.window == (-500.0, 1500.0)
    assert own.preset.value == part.BY_HAND
    assert page.fire("preset", "input", ANN, part.BY_HAND, own.shown).shown == own.shown


def test_leaving_a_number_as_it_was_changes_nothing(page):
    taken = page.fire("file", "upload", ANN, CT).shown
    assert page.fire("width", "blur", ANN, 40.0, 400.0, taken).shown == taken
    assert page.fire("width", "blur", ANN, None, 400.0, taken).shown == taken


def test_a_window_of_no_width_is_a_sentence(page):
    taken = page.fire("file", "upload", ANN, CT).shown
    answer = page.fire("width", "submit", ANN, 40.0, 0.0, taken)
    assert "width above 0" in answer.facts
    assert unchanged(answer.shown)
