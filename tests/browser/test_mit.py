"""MiT as a visitor uses it: the dial turned to nought, the picture swapped, a note edited and undone; a phrase outlined by keyboard; every drawer."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Page, expect

from models.mit.record import METHOD
from tests.browser.conftest import choose_room

pytestmark = pytest.mark.skipif(not METHOD.card.is_file(), reason="this room's weights are not trained yet")
SLOW_MS = 120_000
NOTE, DIAL, DIGEST = "#mit_note textarea", "#mit_dial input[type=number]", "#mit_bars .lb-digest"
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
DRAWERS = {
    "Explore": "#mit_words .lb-words",
    "Compare": "#mit_compare_outlines img",
    "Evidence": "#mit_found li",
    "Train": "#mit_preset_run_start",
    "Learn": "#mit_checks_run",
}


def room(page: Page) -> Page:
    choose_room(page, "MiT")
    expect(page.locator("#mit_verdict")).to_contain_text("says the network", timeout=SLOW_MS)
    expect(page.locator("#mit_outline")).to_contain_text("Weights that answer", timeout=SLOW_MS)
    return page


def shares(page: Page) -> list[list[str]]:
    """The bars' values, one row a verdict."""
    return page.eval_on_selector_all("#mit_bars tbody tr", "rows => rows.map(r => [...r.querySelectorAll('td')].map(c => c.dataset.value))")


def turn(page: Page, to: str, told: str) -> None:
    page.fill(DIAL, to)
    page.keyboard.press("Tab")
    expect(page.locator(DIGEST)).to_contain_text(told, timeout=SLOW_MS)


def test_the_dial_at_nought_is_the_language_model_and_a_swapped_picture_and_an_edited_note_move_the_answer(open_page) -> None:
    page = room(open_page())
    assert all(row[0] != row[1] for row in shares(page))
    turn(page, "0", "exactly the answer of the language model alone")
    assert all(row[0] == row[1] for row in shares(page))
    turn(page, "1", "Dial at 1")
    page.click("#mit_swap")
    expect(page.locator("#mit_verdict")).to_contain_text("Told of the other picture", timeout=SLOW_MS)
    assert any(own != other for own, other, _ in shares(page))
    first = page.input_value(NOTE)
    page.click("#mit_swap_back")
    expect(page.locator("#mit_verdict")).not_to_contain_text("Told of the other picture", timeout=SLOW_MS)
    assert page.input_value(NOTE) == first
    before = page.inner_text("#mit_bars")
    page.fill(NOTE, first + " with a purple glow")
    expect(page.locator("#mit_verdict mark").first).to_have_text("with", timeout=SLOW_MS)
    assert page.inner_text("#mit_bars") != before
    page.click("#mit_note_undo")
    expect(page.locator(NOTE)).to_have_value(first, timeout=SLOW_MS)
    page.click("#mit_take")
    page.wait_for_selector("#mit_json", timeout=SLOW_MS)
    with page.expect_download() as taken:
        page.click("#mit_json")
    assert json.loads(Path(taken.value.path()).read_text(encoding="utf-8"))["text"] == first


def test_a_head_and_a_phrase_are_chosen_by_keyboard_and_the_outline_goes_along_as_dicom_seg(open_page) -> None:
    page = room(open_page())
    page.locator("#mit_input_examples button", has_text="two lesions").first.click()
    expect(page.locator("#mit_verdict")).to_contain_text("2 lesions", timeout=SLOW_MS)
    page.wait_for_selector("#mit_head input", timeout=SLOW_MS)
    told = page.inner_text("#mit_words")
    page.locator("#mit_head input:not(:checked)").first.focus()
    page.keyboard.press("Space")
    page.wait_for_function("(old) => document.querySelector('#mit_words').innerText !== old", arg=told, timeout=SLOW_MS)
    page.locator("#mit_phrases input").nth(1).focus()
    page.keyboard.press("Space")
    expect(page.locator("#mit_phrase textarea, #mit_phrase input")).to_have_value("the dark lesion", timeout=SLOW_MS)
    page.fill("#mit_threshold input[type=number]", "0.05")
    page.keyboard.press("Tab")
    expect(page.locator("#mit_outline")).to_contain_text("Outlined", timeout=SLOW_MS)
    expect(page.locator("#mit_measures")).to_contain_text("mm²", timeout=SLOW_MS)
    page.click("#mit_files_make")
    page.wait_for_selector("#mit_file_dicom", timeout=SLOW_MS)
    with page.expect_download() as taken:
        page.click("#mit_file_dicom")
    seg = pydicom.dcmread(io.BytesIO(Path(taken.value.path()).read_bytes()))
    assert seg.SOPClassUID.name == "Segmentation Storage"
    assert seg.pixel_array.any()


@pytest.mark.parametrize(("width", "dark"), [(390, True)])
def test_every_drawer_fits_and_axe_finds_nothing_serious(open_page, shot, width: int, dark: bool) -> None:
    page = room(open_page(width=width, dark=dark))
    for drawer, first in DRAWERS.items():
        page.locator("#mit_drawers").get_by_role("tab", name=drawer, exact=True).click()
        page.wait_for_selector(first, timeout=SLOW_MS)
        page.wait_for_timeout(600)
        assert page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth") <= 1
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        assert not [(v["id"], [n["html"][:160] for n in v["nodes"]][:4]) for v in found if v["impact"] in {"serious", "critical"}], drawer
        shot(page, f"mit-{drawer.lower()}-{width}-{'dark' if dark else 'light'}")
