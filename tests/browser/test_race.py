"""The race as a visitor drives it: start, watch, turn, pause, step, stop, take away, come back."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

LOSS = "#sofim_board .lb-plot:nth-of-type(1) canvas"


@pytest.fixture
def race(open_page) -> Page:
    page = open_page()
    page.wait_for_selector("#sofim_race_start")
    return page


def start(page: Page) -> None:
    """A race that goes on until it is stopped: the example's own is over in five seconds, and a slow machine takes as long to load the page anew."""
    page.click("text=More settings")
    page.fill("#sofim_steps input[type=number]", "5000")
    page.press("#sofim_steps input[type=number]", "Tab")
    page.click("#sofim_race_start")
    page.wait_for_selector("#sofim_board .lb-race[data-state=running]")


def step(page: Page) -> int:
    return int(page.get_attribute("#sofim_board .lb-race", "data-step") or 0)


def drawn(page: Page) -> dict[str, int]:
    return page.eval_on_selector(LOSS, "c => ({frames: +c.dataset.frames, points: +c.dataset.points || 0, total: +c.dataset.total || 0})")


def test_three_optimisers_race_grow_stop_and_leave_a_csv(race: Page, app, shot) -> None:
    start(race)
    race.wait_for_function(
        "() => +document.querySelector('#sofim_board .lb-race').dataset.step > 5"
    )  # of the live race, not of the recorded one
    before = drawn(race)
    race.wait_for_timeout(3000)
    after = drawn(race)
    assert after["total"] >= before["total"] + 200, "three curves at up to 80 steps a second must have grown over three seconds"
    assert after["frames"] - before["frames"] >= 15, "fewer than five visible updates a second"
    assert after["points"] <= 2000
    shot(race, "explore-racing-1440")

    race.click("#sofim_race_stop")
    race.wait_for_selector("#sofim_board .lb-race[data-state=stopped]")
    app.wait(lambda seen: seen["queue"]["running"] == 0, within_s=5)
    with race.expect_download() as download:
        race.click("#sofim_board .lb-export a[data-kind=curves]")
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert {row["optimiser"] for row in rows} == {"sofim", "sgd_momentum", "adam"}
    assert {"step", "value", "unit", "quantity"} <= set(rows[0])
    assert max(int(row["step"]) for row in rows) == step(race)


def test_pause_holds_single_step_moves_by_one_and_go_on_goes_on(race: Page) -> None:
    start(race)
    race.wait_for_function("() => +document.querySelector('#sofim_board .lb-race').dataset.step > 3")
    race.click("#sofim_race_pause")
    race.wait_for_selector("#sofim_board .lb-race[data-state=paused]")
    race.wait_for_timeout(400)
    held = step(race)
    race.wait_for_timeout(600)
    assert step(race) == held
    race.click("#sofim_race_step")
    race.wait_for_function(f"() => +document.querySelector('#sofim_board .lb-race').dataset.step === {held + 1}")
    race.click("#sofim_race_pause")
    race.wait_for_function(f"() => +document.querySelector('#sofim_board .lb-race').dataset.step > {held + 3}")
    race.click("#sofim_race_stop")
    race.wait_for_selector("#sofim_board .lb-race[data-state=stopped]")


def test_a_rate_turned_while_it_runs_changes_that_race(race: Page) -> None:
    start(race)
    race.wait_for_function("() => +document.querySelector('#sofim_board .lb-race').dataset.step > 3")
    number = race.locator("#sofim_lr input[type=number]")
    number.fill("0.5")
    number.press("Enter")
    race.wait_for_selector("#sofim_board .lb-race[data-changes='1']")
    assert "0.5" in race.inner_text("#sofim_board .lb-changes")
    race.click("#sofim_race_stop")
    race.wait_for_selector("#sofim_board .lb-race[data-state=stopped]")


def test_a_race_runs_to_its_end_and_fills_its_table(race: Page) -> None:
    race.click("text=More settings")
    race.fill("#sofim_pace input[type=number]", "0")
    race.press("#sofim_pace input[type=number]", "Tab")
    race.click("#sofim_race_start")
    race.wait_for_selector("#sofim_board .lb-race[data-state=done]", timeout=60_000)
    table = race.locator("#sofim_board table")
    expect(table.locator("tbody tr")).to_have_count(3)
    accuracy = float(table.locator("tbody tr").first.locator("td").first.inner_text())
    assert 0.5 < accuracy <= 1.0
    race.click("#sofim_board .lb-segment button:has-text('Words moved')")
    assert "words" in race.evaluate("() => document.querySelector('#sofim_board .lb-race').dataset.axis")


def test_closing_the_page_stops_its_race(open_page, app) -> None:
    page = open_page()
    page.click("#sofim_race_start")
    app.wait(lambda seen: seen["queue"]["running"] == 1)
    page.close()
    app.wait(lambda seen: seen["queue"]["running"] == 0, within_s=10)


def test_a_race_told_to_go_on_survives_a_reload_and_is_found_again(race: Page, app) -> None:
    race.check("#sofim_race_keep input")
    start(race)
    race.reload()
    race.wait_for_selector("#sofim_board .lb-race[data-state=running]")
    assert app.health()["queue"]["running"] == 1
    race.click("#sofim_race_stop")
    race.wait_for_selector("#sofim_board .lb-race[data-state=stopped]")


def test_nothing_chosen_is_answered_with_a_sentence_and_nothing_is_lost(race: Page) -> None:
    for label in ("SOFIM", "SGD with momentum", "Adam"):
        race.get_by_label(label, exact=True).uncheck()
    race.click("#sofim_race_start")
    expect(race.locator(".toast-message-text").first).to_contain_text("Choose at least one optimiser")
    assert race.is_visible("#sofim_race_start")


def test_keyboard_alone_starts_and_stops_a_race(race: Page) -> None:
    race.focus("#sofim_race_start")
    race.keyboard.press("Enter")
    race.wait_for_selector("#sofim_board .lb-race[data-state=running]")
    for _ in range(3):
        race.keyboard.press("Tab")
    assert race.evaluate("() => document.activeElement.id") == "sofim_race_stop"
    race.keyboard.press("Enter")
    race.wait_for_selector("#sofim_board .lb-race[data-state=stopped]")
