"""HSVLT as a visitor uses it: a finding is picked and looked at at every scale, a piece is taken away, findings are left out, the numbers taken along."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from models.hsvlt.record import METHOD
from tests.browser.conftest import choose_room

pytestmark = pytest.mark.skipif(not METHOD.card.is_file(), reason="this room's weights are not trained yet")
SLOW_MS = 120_000
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
DRAWERS = {
    "Explore": "#hsvlt_looks canvas",
    "Compare": "#hsvlt_rates table",
    "Evidence": "#hsvlt_found li",
    "Train": "#hsvlt_preset_run_start",
    "Learn": "#hsvlt_checks_run",
}


def room(page: Page) -> Page:
    choose_room(page, "HSVLT")
    page.wait_for_function("() => /truly has/.test(document.querySelector('#hsvlt_verdict')?.innerText)", timeout=SLOW_MS)
    page.wait_for_function("() => document.querySelectorAll('#hsvlt_looks figure').length === 4", timeout=SLOW_MS)
    return page


def test_a_finding_is_picked_and_its_attention_seen_at_every_scale_and_block_and_a_piece_taken_away(open_page) -> None:
    page = room(open_page())
    page.click("#hsvlt_finding input")
    page.get_by_role("option", name="enlarged heart").first.click()
    expect(page.locator("#hsvlt_shares")).to_contain_text("Which scale decided on “enlarged heart”", timeout=SLOW_MS)
    titles = page.locator("#hsvlt_looks figcaption b").all_inner_texts()
    assert [title.split(",")[0] for title in titles] == ["Scale 1", "Scale 2", "Scale 3", "Scale 4"]
    page.locator("#hsvlt_every_block label", has_text="Every block").click()
    expect(page.locator("#hsvlt_looks figure")).to_have_count(5, timeout=SLOW_MS)
    stage = page.locator("#hsvlt_probe .lb-probe-stage")
    expect(page.locator("#hsvlt_probe")).to_contain_text("“enlarged heart” with this piece blurred", timeout=SLOW_MS)
    asked = stage.get_attribute("data-answered")
    stage.focus()
    page.keyboard.press("Shift+ArrowDown")
    expect(stage).not_to_have_attribute("data-answered", asked, timeout=SLOW_MS)
    page.click("#hsvlt_occlude")
    expect(page.locator("#hsvlt_occluded figure")).to_have_count(3, timeout=SLOW_MS)


def test_findings_left_out_move_nothing_own_words_are_asked_and_the_numbers_taken_along(open_page) -> None:
    page = room(open_page())
    page.locator("#hsvlt_asked input").first.focus()
    page.keyboard.press("Space")
    expect(page.locator("#hsvlt_verdict")).to_contain_text("Asked for 7 of 8 findings", timeout=SLOW_MS)
    expect(page.locator("#hsvlt_verdict")).to_contain_text("0.0000 %", timeout=SLOW_MS)
    page.click("#hsvlt_ask_words")
    expect(page.get_by_text("Write a few words for this finding").first).to_be_visible(timeout=SLOW_MS)
    words = page.locator("#hsvlt_words input, #hsvlt_words textarea")
    words.fill("a round spot")
    words.press("Enter")
    expect(page.locator("#hsvlt_worded")).to_contain_text("In your words", timeout=SLOW_MS)
    page.click("#hsvlt_take")
    page.wait_for_selector("#hsvlt_json", timeout=SLOW_MS)
    with page.expect_download() as taken:
        page.click("#hsvlt_json")
    told = json.loads(Path(taken.value.path()).read_text(encoding="utf-8"))
    assert len(told["findings"]) == 7
    assert set(told["findings"][0]["by_scale"]) == {"1", "2", "3", "4"}


@pytest.mark.parametrize(("width", "dark"), [(390, True)])
def test_every_drawer_fits_and_axe_finds_nothing_serious(open_page, shot, width: int, dark: bool) -> None:
    page = room(open_page(width=width, dark=dark))
    for drawer, first in DRAWERS.items():
        page.locator("#hsvlt_drawers").get_by_role("tab", name=drawer, exact=True).click()
        page.wait_for_selector(first, timeout=SLOW_MS)
        page.wait_for_timeout(600)
        assert page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth") <= 1
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        assert not [(v["id"], [n["html"][:160] for n in v["nodes"]][:4]) for v in found if v["impact"] in {"serious", "critical"}], drawer
        shot(page, f"hsvlt-{drawer.lower()}-{width}-{'dark' if dark else 'light'}")
