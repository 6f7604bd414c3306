"""EPIC as a visitor uses it (MITP is the same room with other words): a word turned and undone, own notes trained and asked, every drawer looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from models.epic.record import METHOD
from tests.browser.conftest import choose_room

pytestmark = pytest.mark.skipif(not METHOD.card.is_file(), reason="this room's weights are not trained yet")
SLOW_MS = 120_000
NOTE = "#epic_note textarea"
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
DRAWERS = {
    "Explore": "#epic_ladder .lb-rung",
    "Compare": "#epic_compare_turned table",
    "Evidence": "#epic_found li",
    "Train": "#epic_preset_run_start",
    "Learn": "#epic_checks_run",
}


def room(page: Page) -> Page:
    choose_room(page, "EPIC")
    page.wait_for_function("() => /says the network/.test(document.querySelector('#epic_verdict')?.innerText)", timeout=SLOW_MS)
    return page


def test_a_word_is_turned_by_keyboard_asked_undone_and_the_numbers_taken_along(open_page) -> None:
    page = room(open_page())
    first = page.input_value(NOTE)
    page.locator("#epic_turns input").first.focus()
    page.keyboard.press("Space")
    expect(page.locator("#epic_change table")).to_be_visible(timeout=SLOW_MS)
    page.click("#epic_ask_changed")
    expect(page.locator(NOTE)).not_to_have_value(first, timeout=SLOW_MS)
    expect(page.locator("#epic_change table")).to_have_count(0, timeout=SLOW_MS)
    page.click("#epic_undo")
    expect(page.locator(NOTE)).to_have_value(first, timeout=SLOW_MS)
    page.fill(NOTE, first + " with a purple glow")
    expect(page.locator("#epic_verdict mark").first).to_have_text("with", timeout=SLOW_MS)
    page.click("#epic_take")
    page.wait_for_selector("#epic_json", timeout=SLOW_MS)
    with page.expect_download() as taken:
        page.click("#epic_json")
    told = json.loads(Path(taken.value.path()).read_text(encoding="utf-8"))
    assert told["note"].endswith("purple glow")
    assert len(told["rungs"]) == 3


def test_own_notes_are_trained_on_and_answer_in_explore(open_page, tmp_path) -> None:
    page = room(open_page())
    page.locator("#epic_drawers").get_by_role("tab", name="Train", exact=True).click()
    page.click("#epic_train_start")
    expect(page.get_by_text("Upload a ZIP with pictures and a table").first).to_be_visible(timeout=SLOW_MS)
    page.click("#epic_zip_make")
    page.wait_for_selector("#epic_zip_example", timeout=SLOW_MS)
    with page.expect_download() as taken:
        page.click("#epic_zip_example")
    taken.value.save_as(tmp_path / "notes.zip")
    with page.expect_file_chooser() as chooser:
        page.click("#epic_zip")
    chooser.value.set_files(tmp_path / "notes.zip")
    expect(page.locator("#epic_zip_facts")).to_contain_text("24 pictures, 72 notes", timeout=SLOW_MS)
    page.fill("#epic_train_steps input[type=number]", "20")
    page.click("#epic_train_start")
    expect(page.locator("#epic_train_board")).to_contain_text("Held-out accuracy", timeout=SLOW_MS)
    expect(page.locator("#epic_train_board")).to_contain_text("Finished", timeout=SLOW_MS)
    page.locator("#epic_drawers").get_by_role("tab", name="Explore", exact=True).click()
    before = page.inner_text("#epic_gauges")
    page.click("#epic_network input")
    page.get_by_role("option", name="Your own training").first.click()
    page.wait_for_function("(old) => document.querySelector('#epic_gauges').innerText !== old", arg=before, timeout=SLOW_MS)


@pytest.mark.parametrize(("width", "dark"), [(390, True)])
def test_every_drawer_fits_and_axe_finds_nothing_serious(open_page, shot, width: int, dark: bool) -> None:
    page = room(open_page(width=width, dark=dark))
    for drawer, first in DRAWERS.items():
        page.locator("#epic_drawers").get_by_role("tab", name=drawer, exact=True).click()
        page.wait_for_selector(first, timeout=SLOW_MS)
        page.wait_for_timeout(600)
        assert page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth") <= 1
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        assert not [(v["id"], [n["html"][:160] for n in v["nodes"]][:4]) for v in found if v["impact"] in {"serious", "critical"}], drawer
        shot(page, f"epic-{drawer.lower()}-{width}-{'dark' if dark else 'light'}")
