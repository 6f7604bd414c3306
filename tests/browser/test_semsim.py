"""SemSim as a visitor uses it: a pixel is pointed at, labels are taken away, the printed temperature empties the mask, the outline is mended and taken along."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Page, expect

from models.semsim.record import METHOD
from tests.browser.conftest import choose_room

pytestmark = pytest.mark.skipif(not METHOD.card.is_file(), reason="nothing is shipped yet, so the room is not shown")

CANVAS = "#semsim_canvas canvas"
PROBE = "#semsim_probe .lb-probe-stage"
SLOW_MS = 120_000
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
DRAWERS = {
    "Explore": "#semsim_pseudo figure",
    "Compare": "#semsim_compare_table img",
    "Evidence": "#semsim_found td",
    "Train": "#semsim_train_start",
    "Learn": "#semsim_checks_run",
}


def room(page: Page) -> Page:
    choose_room(page, "SemSim")
    page.wait_for_selector("#semsim_pseudo figure", timeout=SLOW_MS)
    page.wait_for_function("() => /px|mm/.test(document.querySelector('#semsim_measures table')?.innerText)", timeout=SLOW_MS)
    page.wait_for_selector("#semsim_scatter svg", timeout=SLOW_MS)  # the last of what the opening draws
    return page


def go(page: Page, drawer: str) -> None:
    page.locator("#semsim_drawers").get_by_role("tab", name=drawer, exact=True).click()
    page.wait_for_selector(DRAWERS[drawer], timeout=SLOW_MS)


def changed(page: Page, place: str, old: str) -> None:
    page.wait_for_function("([place, old]) => document.querySelector(place)?.innerText !== old", arg=[place, old], timeout=SLOW_MS)


def slide(page: Page, slider: str, value: str) -> None:
    """Type a value beside a slider, as people who know what they want do."""
    box = page.locator(f"#{slider} input[type=number]")
    box.fill(value)
    box.press("Enter")
    box.blur()


def test_a_pixel_is_pointed_at_by_mouse_and_by_keys_and_labels_are_taken_away(open_page) -> None:
    page = room(open_page())
    stage = page.locator(PROBE)
    page.wait_for_function(f"() => +document.querySelector('{PROBE}').dataset.top > 0", timeout=SLOW_MS)
    before = page.inner_text("#semsim_pixel_bars")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    stage.click(position={"x": box["width"] * 0.12, "y": box["height"] * 0.12})
    changed(page, "#semsim_pixel_bars", before)
    expect(page.locator("#semsim_probe")).to_contain_text("listens most to", timeout=SLOW_MS)
    place = stage.get_attribute("data-place")
    stage.press("ArrowRight")
    assert stage.get_attribute("data-place") != place
    stage.press("z")
    assert stage.get_attribute("data-place") == place
    told, board = page.inner_text("#semsim_notice"), page.locator("#semsim_board figure").count()
    slide(page, "semsim_labelled", page.locator("#semsim_labelled input[type=range]").get_attribute("max"))
    changed(page, "#semsim_notice", told)
    page.wait_for_function("(n) => document.querySelectorAll('#semsim_board figure').length > n", arg=board, timeout=SLOW_MS)


def test_the_printed_temperature_empties_the_mask_and_a_warning_says_why(open_page) -> None:
    page = room(open_page())
    slide(page, "semsim_t_cr", "1")
    expect(page.locator("#semsim_pseudo")).to_contain_text("Nothing can be kept at this temperature", timeout=SLOW_MS)
    assert "Kept: 0 %" in page.locator("#semsim_pseudo figure").nth(2).inner_text()


def test_the_outline_is_mended_by_brush_undone_and_taken_along_as_dicom_seg(open_page) -> None:
    page = room(open_page())
    page.locator("#semsim_input_examples button", has_text="DICOM").first.click()
    page.wait_for_function("() => /mm/.test(document.querySelector('#semsim_measures table')?.innerText)", timeout=SLOW_MS)
    start = page.inner_text("#semsim_measures table")
    page.locator("#semsim_canvas button", has_text="New segment").click()
    page.evaluate(f"() => document.querySelector('{CANVAS}').scrollIntoView({{block: 'center'}})")
    box = page.locator(CANVAS).bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.06)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.06, steps=8)
    page.mouse.up()
    changed(page, "#semsim_measures table", start)
    page.click("#semsim_files_make")
    page.wait_for_selector("#semsim_file_dicom", timeout=SLOW_MS)
    with page.expect_download() as taken:
        page.click("#semsim_file_dicom")
    seg = pydicom.dcmread(io.BytesIO(Path(taken.value.path()).read_bytes()))
    assert seg.SOPClassUID.name == "Segmentation Storage"
    frames = seg.pixel_array.reshape(-1, 256, 256)
    assert np.logical_or.reduce(frames.astype(bool))[:30, 90:170].any()  # what was brushed is in it
    page.locator("#semsim_canvas button", has_text="Undo").first.click()
    page.wait_for_function("(old) => document.querySelector('#semsim_measures table')?.innerText === old", arg=start, timeout=SLOW_MS)


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
def test_every_drawer_fits_and_axe_finds_nothing_serious(open_page, shot, width: int, dark: bool) -> None:
    page = room(open_page(width=width, dark=dark))
    for drawer in DRAWERS:
        go(page, drawer)
        page.wait_for_timeout(600)
        assert page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth") <= 1
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        assert not [(v["id"], [n["html"][:160] for n in v["nodes"]][:4]) for v in found if v["impact"] in {"serious", "critical"}], drawer
        shot(page, f"semsim-{drawer.lower()}-{width}-{'dark' if dark else 'light'}")
