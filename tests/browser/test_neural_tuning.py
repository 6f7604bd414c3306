"""Neural Tuning as a visitor uses it: two tasks whose rasters differ, a neuron silenced by keyboard, four requests at once; every drawer."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Page, expect

from models.neural_tuning.record import METHOD
from tests.browser.conftest import choose_room

pytestmark = pytest.mark.skipif(not METHOD.card.is_file(), reason="this room's weights are not trained yet")
SLOW_MS = 120_000
REQUEST, TOLD, ABOUT = "#neural_tuning_request textarea", "#neural_tuning_told", "#neural_tuning_about"
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
DRAWERS = {
    "Explore": "#neural_tuning_neuron label",
    "Compare": "#neural_tuning_shared table",
    "Evidence": "#neural_tuning_found li",
    "Train": "#neural_tuning_preset_run_start",
    "Learn": "#neural_tuning_checks_run",
}


def room(page: Page) -> Page:
    choose_room(page, "Neural Tuning")
    expect(page.locator(TOLD)).to_contain_text("Weights that answer", timeout=SLOW_MS)
    page.wait_for_selector("#neural_tuning_neuron label", timeout=SLOW_MS)
    return page


def cells(page: Page) -> list[str]:
    """Every neuron with its share."""
    return page.locator("#neural_tuning_neuron label").all_inner_texts()


def test_two_tasks_have_rasters_that_differ_and_the_request_is_undone_and_taken_along(open_page) -> None:
    page = room(open_page())
    first, outlining = page.input_value(REQUEST), cells(page)
    assert len(outlining) == 64
    page.locator("#neural_tuning_requests label", has_text="Draw:").first.click()
    expect(page.locator(TOLD)).to_contain_text("not shown the picture", timeout=SLOW_MS)
    expect(page.locator(ABOUT)).to_contain_text("Against the answer before", timeout=SLOW_MS)
    assert cells(page) != outlining
    page.locator("#neural_tuning_view label", has_text="the one before").click()
    expect(page.locator(ABOUT)).to_contain_text("orange", timeout=SLOW_MS)
    page.fill(REQUEST, "outline the purple lesion")
    expect(page.locator(f"{TOLD} mark").first).to_have_text("purple", timeout=SLOW_MS)
    for _ in range(2):
        page.click("#neural_tuning_undo")
    expect(page.locator(REQUEST)).to_have_value(first, timeout=SLOW_MS)
    page.click("#neural_tuning_take")
    page.wait_for_selector("#neural_tuning_json", timeout=SLOW_MS)
    with page.expect_download() as taken:
        page.click("#neural_tuning_json")
    assert json.loads(Path(taken.value.path()).read_text(encoding="utf-8"))["request"] == first


def test_a_neuron_is_silenced_by_keyboard_four_requests_stand_side_by_side_and_the_outline_goes_along(open_page) -> None:
    page = room(open_page())
    page.locator("#neural_tuning_input_examples button", has_text="Liver").first.click()
    expect(page.locator("#neural_tuning_requests")).to_contain_text("liver", ignore_case=True, timeout=SLOW_MS)
    expect(page.locator("#neural_tuning_measures")).to_contain_text(
        "mm²", timeout=SLOW_MS
    )  # the first example says nothing of its pixels' size
    page.locator("#neural_tuning_neuron input").nth(5).focus()
    page.keyboard.press("Space")
    expect(page.locator("#neural_tuning_driven")).to_contain_text("Layer 3, neuron 6", timeout=SLOW_MS)
    page.locator("#neural_tuning_silence").focus()
    page.keyboard.press("Enter")
    expect(page.locator(TOLD)).to_contain_text("silenced: layer 3, neuron 6", timeout=SLOW_MS)
    expect(page.locator("#neural_tuning_neuron label").nth(5)).to_have_text("3·6 0", timeout=SLOW_MS)
    page.click("#neural_tuning_release")
    expect(page.locator(TOLD)).to_contain_text("as trained", timeout=SLOW_MS)
    page.wait_for_timeout(2000)  # the outline's measures follow the answer, and files made before would be hidden again
    page.click("#neural_tuning_files_make")
    page.wait_for_selector("#neural_tuning_file_dicom", timeout=SLOW_MS)
    with page.expect_download() as taken:
        page.click("#neural_tuning_file_dicom")
    assert pydicom.dcmread(io.BytesIO(Path(taken.value.path()).read_bytes())).pixel_array.any()
    page.click("#neural_tuning_four")
    expect(page.locator("#neural_tuning_board h3")).to_have_count(4, timeout=SLOW_MS)


@pytest.mark.parametrize(("width", "dark"), [(390, True)])
def test_every_drawer_fits_and_axe_finds_nothing_serious(open_page, shot, width: int, dark: bool) -> None:
    page = room(open_page(width=width, dark=dark))
    for drawer, first in DRAWERS.items():
        page.locator("#neural_tuning_drawers").get_by_role("tab", name=drawer, exact=True).click()
        page.wait_for_selector(first, timeout=SLOW_MS)
        page.wait_for_timeout(600)
        assert page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth") <= 1
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        assert not [(v["id"], [n["html"][:160] for n in v["nodes"]][:4]) for v in found if v["impact"] in {"serious", "critical"}], drawer
        shot(page, f"neural_tuning-{drawer.lower()}-{width}-{'dark' if dark else 'light'}")
