"""MedFocusCLIP as a visitor uses it: an example is there, a lesion is clicked, a box drawn, a mask mended, by mouse and by keyboard alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import choose_room

CANVAS = "#medfocusclip_canvas canvas"
SIDE = 256  # of the example phantom, in picture pixels
SLOW_MS = 120_000  # the first question loads two networks
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
DRAWERS = {
    "Explore": "#medfocusclip_bars td",
    "Compare": "#medfocusclip_compare_look figure",
    "Evidence": "#medfocusclip_paper",
    "Train": "#medfocusclip_train_start",
    "Learn": "#medfocusclip_checks_run",
}


def state(page: Page) -> dict[str, int]:
    """What the canvas holds: segments outlined, counted in, clicks on and pixels of the chosen one."""
    seen = page.evaluate(f"() => ({{...document.querySelector('{CANVAS}').dataset}})")
    return {name: int(seen.get(name, 0)) for name in ("segments", "on", "points", "area")}


def until(page: Page, condition: str) -> None:
    """Wait until a condition on the canvas's data (`d`) holds."""
    page.wait_for_function(
        f"() => {{ const d = document.querySelector('{CANVAS}')?.dataset; return d && ({condition}); }}", timeout=SLOW_MS
    )


def at(page: Page, x: float, y: float) -> dict[str, float]:
    """Where a pixel of the picture lies on the canvas."""
    box = page.locator(CANVAS).bounding_box()
    scale = min(box["width"], box["height"]) / SIDE
    return {"x": box["width"] / 2 + (x + 0.5 - SIDE / 2) * scale, "y": box["height"] / 2 + (y + 0.5 - SIDE / 2) * scale}


def drag(page: Page, *corners: tuple[float, float]) -> None:
    """Press at the first corner, move through the others, let go."""
    page.locator(CANVAS).scroll_into_view_if_needed()
    box = page.locator(CANVAS).bounding_box()
    places = [at(page, *corner) for corner in corners]
    page.mouse.move(box["x"] + places[0]["x"], box["y"] + places[0]["y"])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(box["x"] + place["x"], box["y"] + place["y"], steps=6)
    page.mouse.up()


def tool(page: Page, name: str) -> None:
    page.locator("#medfocusclip_canvas .lb-segment button", has_text=name).click()


def drawer(page: Page, name: str) -> None:
    page.locator("#medfocusclip_drawers").get_by_role("tab", name=name, exact=True).click()
    page.wait_for_selector(DRAWERS[name], state="visible", timeout=SLOW_MS)


@pytest.fixture(scope="session")
def lesion() -> tuple[int, int]:
    """(x, y) in the middle of the example's lesion."""
    from models.shared.data import phantoms
    from workbench.tabs.medfocusclip.scan import examples

    _, family, seed, side = examples()[0].id.split(":")
    row, column = phantoms.sample(family, int(seed), size=int(side)).lesions[0].centre
    return round(column), round(row)


@pytest.fixture
def room(open_page) -> Callable[..., Page]:
    """Open the tab and wait until its example is outlined and answered."""

    def opened(**view) -> Page:
        page = open_page(**view)
        choose_room(page, "MedFocusCLIP")
        until(page, "+d.area > 0")
        page.wait_for_selector("#medfocusclip_bars td", timeout=SLOW_MS)
        return page

    return opened


def test_an_example_is_there_with_a_segment_answers_and_the_warning(room) -> None:
    page = room()
    assert state(page)["segments"] == 1
    assert page.locator("#medfocusclip_bars thead th").count() == 5
    expect(page.locator("#medfocusclip_warning")).to_contain_text("not a medical device")
    expect(page.locator("#medfocusclip_changes")).to_contain_text("Guided attention (ours)")
    assert page.locator("#medfocusclip_look figure").count() == 4
    assert page.evaluate("() => document.querySelector('#medfocusclip_bars .lb-true') !== null"), "a phantom's own class is known"


def test_a_lesion_is_clicked_then_a_part_taken_away_then_undone(room, lesion) -> None:
    page = room()
    page.click("#medfocusclip_canvas button:has-text('Clear')")
    until(page, "+d.segments === 0")
    expect(page.locator("#medfocusclip_changes")).to_contain_text("No segment is counted in", timeout=SLOW_MS)
    page.locator(CANVAS).click(position=at(page, *lesion))
    until(page, "+d.area > 0")
    first = state(page)
    assert (first["segments"], first["points"]) == (1, 1)
    page.locator(CANVAS).click(position=at(page, lesion[0] + 60, lesion[1] + 60), modifiers=["Shift"])
    until(page, "+d.points === 2")
    expect(page.locator("#medfocusclip_canvas .lb-prompt-say")).to_contain_text("of the picture", timeout=SLOW_MS)
    page.click("#medfocusclip_canvas button:has-text('Undo')")
    until(page, "+d.points === 1")
    assert state(page) == first
    page.click("#medfocusclip_canvas button:has-text('Redo')")
    until(page, "+d.points === 2")


def test_a_box_makes_a_segment_of_its_own_and_a_click_in_the_picture_counts_it_out(room, lesion) -> None:
    page = room()
    tool(page, "Box")
    x, y = lesion
    drag(page, (x - 34, y - 34), (x + 34, y + 34))
    until(page, "+d.segments === 2 && +d.area > 0")
    before = page.inner_text("#medfocusclip_changes")
    assert state(page)["on"] == 2
    tool(page, "In / out")
    page.locator(CANVAS).click(position=at(page, *lesion))
    until(page, "+d.on === 1")
    page.wait_for_function("before => document.querySelector('#medfocusclip_changes').innerText !== before", arg=before, timeout=SLOW_MS)


def test_the_brush_adds_and_the_eraser_takes_away(room, lesion) -> None:
    page = room()
    start = state(page)["area"]
    tool(page, "Brush")
    drag(page, lesion, (lesion[0] - 80, lesion[1]))
    until(page, f"+d.area > {start}")
    larger = state(page)["area"]
    tool(page, "Erase")
    drag(page, (lesion[0] - 80, lesion[1]), (lesion[0] - 40, lesion[1]))
    until(page, f"+d.area < {larger}")
    page.click("#medfocusclip_canvas button:has-text('Undo')")
    until(page, f"+d.area === {larger}")


def test_everything_can_be_done_by_keyboard(room) -> None:
    page = room()
    page.click("#medfocusclip_canvas button:has-text('Clear')")
    page.locator(CANVAS).focus()
    for key in ("Shift+ArrowRight", "Shift+ArrowDown", "Enter"):
        page.keyboard.press(key)
    until(page, "+d.area > 0 && +d.points === 1")
    for key in ("Shift+ArrowLeft", "Shift+ArrowLeft", "Shift+Enter"):
        page.keyboard.press(key)
    until(page, "+d.points === 2")
    page.keyboard.press("z")
    until(page, "+d.points === 1")
    for key in ("b", "Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowDown", "b"):
        page.keyboard.press(key)
    until(page, "+d.segments === 2")
    page.keyboard.press("Delete")
    until(page, "+d.segments === 1")
    expect(page.locator("#medfocusclip_canvas .lb-prompt-say")).to_contain_text("removed")
    label = page.get_attribute(CANVAS, "aria-label")
    assert label.startswith("Scan. Segment"), label


def test_segments_are_found_by_themselves_ranked_and_repainted(room, shot) -> None:
    page = room()
    page.click("#medfocusclip_find")
    page.wait_for_selector("#medfocusclip_canvas .lb-prompt-busy:visible")
    expect(page.locator("#medfocusclip_canvas .lb-prompt-say")).to_contain_text("added", timeout=SLOW_MS)
    assert state(page)["segments"] >= 1
    page.click("text=What if a segment were not there?")
    page.click("#medfocusclip_removal")
    page.wait_for_selector("#medfocusclip_removals tbody tr", timeout=SLOW_MS)
    page.click("text=Do the colours matter?")
    page.click("#medfocusclip_palettes")
    page.wait_for_selector("#medfocusclip_boxes .lb-box-row", timeout=SLOW_MS)
    expect(page.locator("#medfocusclip_boxes")).to_contain_text("20 random palettes")
    shot(page, "medfocusclip-what-if-1440")


def test_opacity_turns_the_painted_answer_and_numbers_can_be_taken_away(room) -> None:
    page = room()
    before = page.inner_text("#medfocusclip_changes")
    page.locator("#medfocusclip_alpha input[type=number]").fill("1")
    page.locator("#medfocusclip_alpha input[type=range]").focus()
    page.keyboard.press("ArrowLeft")
    page.locator("#medfocusclip_alpha input[type=range]").dispatch_event("pointerup")
    page.wait_for_function("before => document.querySelector('#medfocusclip_changes').innerText !== before", arg=before, timeout=SLOW_MS)
    page.click("#medfocusclip_files_make")
    page.wait_for_selector("#medfocusclip_file_table", timeout=SLOW_MS)
    with page.expect_download() as download:
        page.click("#medfocusclip_file_table")
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert {row["way"] for row in rows} == {"Plain CLIP", "Painted", "White mask", "Guided attention"}


def test_layers_and_heads_are_turned_in_the_page(room) -> None:
    page = room()
    shares = "() => [...document.querySelectorAll('#medfocusclip_look figure')].map((f) => f.dataset.mass)"
    rollout = page.evaluate(shares)
    page.select_option("#medfocusclip_look select[aria-label=Layer]", "5")
    assert page.evaluate(shares) != rollout
    mean = page.evaluate(shares)
    page.select_option("#medfocusclip_look select[aria-label=Head]", "0")
    assert page.evaluate(shares) != mean


def test_another_example_brings_its_own_words_and_segment(room) -> None:
    page = room()
    page.locator("#medfocusclip_input_examples button", has_text="Liver").first.click()
    page.wait_for_function("() => document.querySelector('#medfocusclip_classes textarea').value.startsWith('liver')", timeout=SLOW_MS)
    until(page, "+d.area > 0 && +d.segments === 1")
    expect(page.locator("#medfocusclip_bars")).to_contain_text("liver without lesion", timeout=SLOW_MS)


def test_two_ways_train_with_live_curves_and_answer_in_explore(room, shot) -> None:
    page = room()
    drawer(page, "Train")
    page.locator("#medfocusclip_ways_pictures input[type=number]").fill("20")
    page.locator("#medfocusclip_ways_epochs input[type=number]").fill("1")
    page.locator("#medfocusclip_ways_epochs input[type=number]").press("Tab")
    page.click("#medfocusclip_train_start")
    page.wait_for_selector("#medfocusclip_train_board .lb-train[data-state=running]", timeout=SLOW_MS)
    page.wait_for_selector("#medfocusclip_train_board .lb-train[data-state=done]", timeout=5 * SLOW_MS)
    expect(page.locator("#medfocusclip_train_board")).to_contain_text("attention guided")
    shot(page, "medfocusclip-trained-1440")
    drawer(page, "Explore")
    page.click("#medfocusclip_head input")
    page.get_by_role("option", name="Your own training").first.click()
    expect(page.locator("#medfocusclip_changes")).to_contain_text("trained on", timeout=SLOW_MS)


@pytest.mark.parametrize("name", DRAWERS)
@pytest.mark.parametrize(("width", "dark"), [(1440, False), (1440, True), (390, False), (390, True)])
def test_each_drawer_opens_and_fits(room, shot, name: str, width: int, dark: bool) -> None:
    page = room(width=width, dark=dark)
    drawer(page, name)
    page.wait_for_timeout(500)
    shot(page, f"medfocusclip-{name.lower()}-{width}-{'dark' if dark else 'light'}")
    assert page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth") <= 1, "the page is wider than the screen"


@pytest.mark.parametrize("name", DRAWERS)
@pytest.mark.parametrize(("width", "dark"), [(1440, False), (1440, True), (390, True)])
def test_axe_finds_no_serious_violation(room, name: str, width: int, dark: bool) -> None:
    page = room(width=width, dark=dark)
    drawer(page, name)
    page.wait_for_timeout(500)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    serious = [(v["id"], v["help"], [n["html"][:160] for n in v["nodes"]][:4]) for v in found if v["impact"] in {"serious", "critical"}]
    assert not serious


def test_the_live_checks_all_agree(room) -> None:
    page = room()
    drawer(page, "Learn")
    page.click("#medfocusclip_checks_run")
    expect(page.locator("#medfocusclip_checks")).to_contain_text("checks agree", timeout=SLOW_MS)
    assert page.locator("#medfocusclip_checks .lb-bad").count() == 0
