"""LSMS as a visitor uses it: a phrase and another outline two lesions, a word is turned round, the outline mended, the DICOM-SEG taken along."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Page, expect

from models.lsms.record import METHOD
from tests.browser.conftest import choose_room

pytestmark = pytest.mark.skipif(not METHOD.card.is_file(), reason="this room's weights are not trained yet")
SLOW_MS = 120_000
CANVAS = "#lsms_canvas canvas"
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
DRAWERS = {
    "Explore": "#lsms_inside img, #lsms_inside canvas",
    "Compare": "#lsms_compare_table img",
    "Evidence": "#lsms_found li",
    "Train": "#lsms_preset_run_start",
    "Learn": "#lsms_checks_run",
}


def room(page: Page) -> Page:
    choose_room(page, "LSMS")
    page.wait_for_function("() => /Outlined/.test(document.querySelector('#lsms_verdict')?.innerText)", timeout=SLOW_MS)
    page.wait_for_function("() => /px|mm/.test(document.querySelector('#lsms_measures table')?.innerText)", timeout=SLOW_MS)
    return page


def changed(page: Page, id: str, old: str) -> None:
    page.wait_for_function("([id, old]) => document.querySelector(id)?.innerText !== old", arg=[id, old], timeout=SLOW_MS)


def test_two_phrases_outline_two_lesions_and_a_phrase_of_nothing_outlines_none(open_page) -> None:
    page = room(open_page())
    expect(page.locator("#lsms_measures")).to_contain_text("Dice")
    before = page.inner_text("#lsms_measures")
    page.locator("#lsms_suggested label", has_text="the largest lesion").click()
    changed(page, "#lsms_measures", before)
    expect(page.locator("#lsms_phrase textarea, #lsms_phrase input")).to_have_value("the largest lesion")
    page.locator("#lsms_phrase textarea, #lsms_phrase input").fill("the small bright purple lesion in the upper part of the right lobe")
    expect(page.locator("#lsms_verdict mark")).to_have_text("purple", timeout=SLOW_MS)
    page.locator("#lsms_phrase textarea, #lsms_phrase input").fill("the small bright lesion in the upper part of the right lobe")
    expect(page.locator("#lsms_verdict")).to_contain_text("No matching lesion", timeout=SLOW_MS)
    expect(page.locator("#lsms_measures")).to_contain_text("Nothing is outlined", timeout=SLOW_MS)


def test_a_word_is_turned_round_by_keyboard_and_asked_that_way(open_page) -> None:
    page = room(open_page())
    page.locator("#lsms_turns input").first.focus()
    page.keyboard.press("Space")
    expect(page.locator("#lsms_change img")).to_be_visible(timeout=SLOW_MS)
    asked = page.locator("#lsms_phrase textarea, #lsms_phrase input").input_value()
    page.click("#lsms_ask_turned")
    page.wait_for_function(
        "(old) => document.querySelector('#lsms_phrase textarea, #lsms_phrase input').value !== old", arg=asked, timeout=SLOW_MS
    )
    expect(page.locator("#lsms_change img")).to_have_count(0, timeout=SLOW_MS)


def test_the_outline_is_mended_by_brush_undone_and_taken_along_as_dicom_seg(open_page) -> None:
    page = room(open_page())
    page.locator("#lsms_input_examples button", has_text="DICOM").first.click()
    page.wait_for_function("() => /mm²/.test(document.querySelector('#lsms_measures table')?.innerText)", timeout=SLOW_MS)
    start = page.inner_text("#lsms_measures table")
    page.locator("#lsms_canvas button", has_text="New segment").click()
    page.evaluate(f"() => document.querySelector('{CANVAS}').scrollIntoView({{block: 'center'}})")
    box = page.locator(CANVAS).bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.08)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.08, steps=6)
    page.mouse.up()
    changed(page, "#lsms_measures table", start)
    page.click("#lsms_files_make")
    page.wait_for_selector("#lsms_file_dicom", timeout=SLOW_MS)
    with page.expect_download() as taken:
        page.click("#lsms_file_dicom")
    seg = pydicom.dcmread(io.BytesIO(Path(taken.value.path()).read_bytes()))
    assert seg.SOPClassUID.name == "Segmentation Storage"
    assert seg.pixel_array.reshape(-1, 256, 256).any(axis=0)[:50, 100:156].any()  # what was brushed is in it
    page.locator("#lsms_canvas button", has_text="Undo").first.click()
    page.wait_for_function("(old) => document.querySelector('#lsms_measures table')?.innerText === old", arg=start, timeout=SLOW_MS)


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
def test_every_drawer_fits_and_axe_finds_nothing_serious(open_page, shot, width: int, dark: bool) -> None:
    page = room(open_page(width=width, dark=dark))
    for drawer, first in DRAWERS.items():
        page.locator("#lsms_drawers").get_by_role("tab", name=drawer, exact=True).click()
        page.wait_for_selector(first, timeout=SLOW_MS)
        page.wait_for_timeout(600)
        assert page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth") <= 1
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        assert not [(v["id"], [n["html"][:160] for n in v["nodes"]][:4]) for v in found if v["impact"] in {"serious", "critical"}], drawer
        shot(page, f"lsms-{drawer.lower()}-{width}-{'dark' if dark else 'light'}")
