"""The self-cleansing room as a visitor uses it: a recorded training is explored, errors are planted and painted and found, an outline is mended and taken along."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Page, expect

from models.self_cleansing.record import METHOD
from tests.browser.conftest import choose_room

pytestmark = pytest.mark.skipif(not METHOD.card.is_file(), reason="this room's weights are not trained yet")
LABEL, CANVAS, LINE = "#self_cleansing_label canvas", "#self_cleansing_canvas canvas", "#self_cleansing_board canvas[role=slider]"
SLOW_MS = 120_000
TABLE = "#self_cleansing_measures table"
"""Without the progress that Gradio writes beside it."""
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
DRAWERS = {
    "Explore": "#self_cleansing_figures img",
    "Compare": "#self_cleansing_compare_table img",
    "Evidence": "#self_cleansing_bars td",
    "Train": "#self_cleansing_train_start",
    "Learn": "#self_cleansing_checks_run",
}


def room(page: Page) -> Page:
    choose_room(page, METHOD.title)
    page.wait_for_selector("#self_cleansing_figures img", timeout=SLOW_MS)
    return page


def go(page: Page, drawer: str) -> None:
    page.locator("#self_cleansing_drawers").get_by_role("tab", name=drawer, exact=True).click()
    page.wait_for_selector(DRAWERS[drawer], timeout=SLOW_MS)


def stroke(page: Page, canvas: str) -> None:
    page.evaluate(f"() => document.querySelector('{canvas}').scrollIntoView({{block: 'center'}})")
    box = page.locator(canvas).first.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.42, box["y"] + box["height"] * 0.12)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.58, box["y"] + box["height"] * 0.12, steps=8)
    page.mouse.up()


def test_a_recorded_training_is_stepped_through_and_its_line_moved(open_page) -> None:
    page = room(open_page())
    board, digest = page.locator("#self_cleansing_board .lb-noise"), page.locator("#self_cleansing_board .lb-digest")
    before = digest.inner_text()
    page.locator(LINE).focus()
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    expect(digest).to_contain_text("Above your line lie")
    assert digest.inner_text() != before
    page.get_by_role("button", name="Back to the method's line").click()
    expect(digest).to_have_text(before)
    page.locator("#self_cleansing_board input[type=range]").focus()
    page.keyboard.press("Home")
    expect(board).to_have_attribute("data-epoch", "1")
    page.locator("#self_cleansing_board [data-index]").nth(2).click()
    index = page.locator("#self_cleansing_board [data-index]").nth(2).get_attribute("data-index")
    expect(page.locator("#self_cleansing_facts")).to_contain_text(f"Picture {index} ", timeout=SLOW_MS)


def test_errors_are_planted_and_painted_and_a_training_looks_for_them(open_page) -> None:
    page = room(open_page())
    page.locator("#self_cleansing_source").get_by_text("A training of your own").click()
    page.wait_for_selector("#self_cleansing_preview img", timeout=SLOW_MS)
    expect(page.locator("#self_cleansing_facts")).to_contain_text("Not trained yet", timeout=SLOW_MS)
    stroke(page, LABEL)
    page.click("#self_cleansing_paint")
    expect(page.locator("#self_cleansing_decided")).to_contain_text("label painted", timeout=SLOW_MS)
    page.locator("#self_cleansing_own button", has_text="Method and training").click()
    for name, value in (("pictures", "32"), ("epochs", "4"), ("warmup", "1")):
        field = page.locator(f"#self_cleansing_{name} input[type=number]")
        field.fill(value)
        field.press("Tab")
    page.click("#self_cleansing_lab_run_start")
    board = page.locator("#self_cleansing_board")
    expect(board).to_contain_text("Finished.", timeout=SLOW_MS)
    expect(board).to_contain_text("1 labels painted")
    said = board.inner_text()
    assert "NaN" not in said
    assert "undefined" not in said
    expect(page.locator("#self_cleansing_facts")).to_contain_text("your training", timeout=SLOW_MS)
    page.click("#self_cleansing_accept")
    expect(page.locator("#self_cleansing_decided")).to_contain_text("proposal accepted", timeout=SLOW_MS)
    page.click("#self_cleansing_undo")
    expect(page.locator("#self_cleansing_decided")).not_to_contain_text("proposal accepted", timeout=SLOW_MS)


def test_the_outline_is_mended_by_brush_undone_and_taken_along_as_dicom_seg(open_page) -> None:
    page = room(open_page())
    page.locator("#self_cleansing_halves").get_by_role("tab", name="Outline a scan").click()
    page.locator("#self_cleansing_input_examples button", has_text="DICOM").first.click()
    # the network's own outline has to stand first: its answer is a step of the history, too
    page.wait_for_function("() => /mm²/.test(document.querySelector('#self_cleansing_measures')?.innerText)", timeout=SLOW_MS)
    start = page.inner_text(TABLE)
    page.locator("#self_cleansing_canvas button", has_text="New segment").click()
    stroke(page, CANVAS)
    page.wait_for_function(
        "(old) => document.querySelector('#self_cleansing_measures table')?.innerText !== old", arg=start, timeout=SLOW_MS
    )
    page.click("#self_cleansing_files_make")
    page.wait_for_selector("#self_cleansing_file_dicom", timeout=SLOW_MS)
    with page.expect_download() as taken:
        page.click("#self_cleansing_file_dicom")
    seg = pydicom.dcmread(io.BytesIO(Path(taken.value.path()).read_bytes()))
    assert str(seg.PatientName) == ""
    assert np.logical_or.reduce(seg.pixel_array.reshape(-1, 256, 256).astype(bool))[:60, 90:170].any()  # what was brushed is in it
    page.locator("#self_cleansing_canvas button", has_text="Undo").first.click()
    page.wait_for_function(
        "(old) => document.querySelector('#self_cleansing_measures table')?.innerText === old", arg=start, timeout=SLOW_MS
    )


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
        shot(page, f"self-cleansing-{drawer.lower()}-{width}-{'dark' if dark else 'light'}")
