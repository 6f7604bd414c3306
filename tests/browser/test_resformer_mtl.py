"""ResFormer-MTL as a visitor uses it: an example is outlined and named, a part is taken out, the outline mended by brush, files taken along, a training run."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import choose_room

CANVAS = "#resformer_mtl_canvas canvas"
TABLE = "#resformer_mtl_measures table"
"""Without the progress that stands beside it while an answer is worked out."""
SLOW_MS = 120_000
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
DRAWERS = {
    "Explore": "#resformer_mtl_bars td",
    "Compare": "#resformer_mtl_compare_table img",
    "Evidence": "#resformer_mtl_found li",
    "Train": "#resformer_mtl_train_start",
    "Learn": "#resformer_mtl_checks_run",
}


def room(page: Page) -> Page:
    choose_room(page, "ResFormer-MTL")
    page.wait_for_selector("#resformer_mtl_bars td", timeout=SLOW_MS)
    return page


def go(page: Page, drawer: str) -> None:
    page.locator("#resformer_mtl_drawers").get_by_role("tab", name=drawer, exact=True).click()
    page.wait_for_selector(DRAWERS[drawer], timeout=SLOW_MS)


def until(page: Page, condition: str) -> None:
    page.wait_for_function(
        f"() => {{ const d = document.querySelector('{CANVAS}')?.dataset; return d && ({condition}); }}", timeout=SLOW_MS
    )


def oct_phantom(page: Page) -> None:
    """The first OCT-like phantom with its outline."""
    page.locator("#resformer_mtl_input_examples button", has_text="OCT").first.click()
    page.wait_for_function("() => /mm/.test(document.querySelector('#resformer_mtl_measures table')?.innerText)", timeout=SLOW_MS)


def chosen(page: Page, dropdown: str, words: str) -> None:
    page.locator(f"#{dropdown} input").click()
    page.get_by_role("option", name=words, exact=True).click()


def test_a_scan_is_outlined_measured_and_named_and_a_part_can_be_taken_out(open_page) -> None:
    page = room(open_page())
    oct_phantom(page)
    expect(page.locator("#resformer_mtl_measures")).to_contain_text("Dice")
    before = page.inner_text("#resformer_mtl_measures"), page.inner_text("#resformer_mtl_bars")
    chosen(page, "resformer_mtl_arm", "No ResFormer block")
    page.wait_for_function("(old) => document.querySelector('#resformer_mtl_bars').innerText !== old", arg=before[1], timeout=SLOW_MS)
    page.wait_for_function("(old) => document.querySelector('#resformer_mtl_measures').innerText !== old", arg=before[0], timeout=SLOW_MS)
    chosen(page, "resformer_mtl_arm", "Diagnosis only")
    expect(page.locator("#resformer_mtl_verdict")).to_contain_text("learned no outlines", timeout=SLOW_MS)
    expect(page.locator("#resformer_mtl_measures")).to_contain_text("Nothing is outlined", timeout=SLOW_MS)


def test_the_outline_is_mended_by_brush_undone_and_taken_along_as_dicom_seg(open_page) -> None:
    page = room(open_page())
    oct_phantom(page)
    start = page.inner_text(TABLE)
    page.locator("#resformer_mtl_canvas button", has_text="New segment").click()
    page.evaluate(f"() => document.querySelector('{CANVAS}').scrollIntoView({{block: 'center'}})")
    box = page.locator(CANVAS).bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.1)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.1, steps=8)
    page.mouse.up()
    page.wait_for_function(
        "(old) => document.querySelector('#resformer_mtl_measures table')?.innerText !== old", arg=start, timeout=SLOW_MS
    )
    page.click("#resformer_mtl_files_make")
    page.wait_for_selector("#resformer_mtl_file_dicom", timeout=SLOW_MS)
    with page.expect_download() as taken:
        page.click("#resformer_mtl_file_dicom")
    seg = pydicom.dcmread(io.BytesIO(Path(taken.value.path()).read_bytes()))
    assert seg.SOPClassUID.name == "Segmentation Storage"
    assert str(seg.PatientName) == ""
    frames = seg.pixel_array.reshape(-1, 256, 256)
    assert np.logical_or.reduce(frames.astype(bool))[:60, 90:170].any()  # what was brushed is in it
    page.locator("#resformer_mtl_canvas button", has_text="Undo").first.click()
    page.wait_for_function(
        "(old) => document.querySelector('#resformer_mtl_measures table')?.innerText === old", arg=start, timeout=SLOW_MS
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
        shot(page, f"resformer-{drawer.lower()}-{width}-{'dark' if dark else 'light'}")


def test_a_training_on_masked_pictures_answers_in_explore(open_page) -> None:
    page = room(open_page())
    go(page, "Train")
    _choose(page)
    expect(page.locator("#resformer_mtl_zip_facts")).to_contain_text("72 pictures and masks", timeout=SLOW_MS)
    page.locator("#resformer_mtl_train_steps input[type=number]").fill("20")
    page.locator("#resformer_mtl_train_steps input[type=number]").press("Tab")
    page.click("#resformer_mtl_train_start")
    board = page.locator("#resformer_mtl_train_board")
    expect(board).to_contain_text("Finished", timeout=SLOW_MS)
    said = board.inner_text()
    assert "NaN" not in said
    assert "undefined" not in said
    assert "held out" in said
    rows = board.locator("tr[data-arm]")
    expect(rows).to_have_count(2)
    assert "%" in rows.first.inner_text()
    expect(board.locator("th", has_text="Dice")).to_be_visible()
    dots = board.locator(".lb-keys .lb-dot").evaluate_all("(all) => all.map((one) => one.style.background)")
    assert len(set(dots)) == 2
    go(page, "Explore")
    page.locator("#resformer_mtl_task input").click()
    page.get_by_role("option", name="Your own training").first.click()
    expect(page.locator("#resformer_mtl_bars")).to_contain_text("malignant", timeout=SLOW_MS)


def _choose(page: Page) -> None:
    with page.expect_file_chooser() as chooser:
        page.click("#resformer_mtl_zip")
    chooser.value.set_files("assets/examples/breast_phantoms_masks.zip")
