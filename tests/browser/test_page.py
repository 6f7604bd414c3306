"""The page as a whole: every drawer opens, phones are served, nothing leaves the host, people with assistive technology are served."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

DRAWERS = ("Explore", "Compare", "Evidence", "Train", "Learn")
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
PROOF = {
    "Explore": "#sofim_board canvas",
    "Compare": "#sofim_landscape canvas",
    "Evidence": "#sofim_evidence",
    "Train": "#sofim_train_start",
    "Learn": "#sofim_checks_run",
}


def go(page: Page, drawer: str) -> None:
    page.get_by_role("tab", name=drawer, exact=True).click()
    page.wait_for_selector(PROOF[drawer], state="visible")
    page.wait_for_timeout(400)


@pytest.mark.parametrize("drawer", DRAWERS)
@pytest.mark.parametrize(("width", "dark"), [(1440, False), (1440, True), (390, False), (390, True)])
def test_each_drawer_opens_and_fits(open_page, shot, drawer: str, width: int, dark: bool) -> None:
    page = open_page(width=width, dark=dark)
    go(page, drawer)
    shot(page, f"{drawer.lower()}-{width}-{'dark' if dark else 'light'}")
    assert page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth") <= 1, "the page is wider than the screen"
    assert page.evaluate("() => document.body.classList.contains('dark')") is dark


@pytest.mark.parametrize("drawer", DRAWERS)
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_serious_violation(open_page, drawer: str, dark: bool) -> None:
    page = open_page(dark=dark)
    go(page, drawer)
    page.wait_for_function("() => document.fonts.status === 'loaded'")
    page.wait_for_timeout(500)  # formulas are measured once their letters are here
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    serious = [(v["id"], v["help"], [n["html"][:160] for n in v["nodes"]][:4]) for v in found if v["impact"] in {"serious", "critical"}]
    assert not serious


def test_no_request_leaves_the_host(open_page, app) -> None:
    page = open_page()
    for drawer in DRAWERS:
        go(page, drawer)
    go(page, "Explore")
    page.click("#sofim_race_start")
    page.wait_for_selector("#sofim_board .lb-race[data-state=running]")
    page.click("#sofim_race_stop")
    page.wait_for_selector("#sofim_board .lb-race[data-state=stopped]")
    own = urlsplit(app.url).netloc
    foreign = {url for url in page.requests_seen if urlsplit(url).scheme in {"http", "https", "ws", "wss"} and urlsplit(url).netloc != own}
    assert len(page.requests_seen) > 20
    assert not foreign


def test_the_choice_of_dark_or_light_is_kept(open_page) -> None:
    page = open_page()
    page.click("text=Dark / light")
    page.reload()
    page.wait_for_selector("#rooms [role=tab]")
    page.wait_for_function("() => document.body.classList.contains('dark')")


def test_research_use_only_is_in_sight_and_the_examples_are_loaded(open_page) -> None:
    page = open_page()
    expect(page.get_by_text("Research use only", exact=True)).to_be_visible()
    page.wait_for_selector("#sofim_board .lb-race[data-state=recorded]")
    assert page.eval_on_selector("#sofim_board .lb-plot canvas", "c => +c.dataset.total") > 50


def test_the_live_checks_all_agree(open_page) -> None:
    page = open_page()
    go(page, "Learn")
    page.click("#sofim_checks_run")
    expect(page.locator("#sofim_checks")).to_contain_text("checks agree", timeout=60_000)
    assert page.locator("#sofim_checks .lb-bad").count() == 0


def test_the_evidence_shows_the_cards_own_numbers(open_page) -> None:
    from models.shared.checkpoints import read_card
    from models.shared.method import get
    from workbench.parts.evidence import number

    page = open_page()
    go(page, "Evidence")
    text = page.inner_text("#room_sofim, body")
    card = read_card(get("sofim").card)
    for name in ("digits_mlp/test_accuracy", "digits_mlp/test_accuracy@sgd_momentum", "breast_cancer_mlp/test_loss"):
        assert number(card.metrics[name].value) in text
