"""Train a network in the page, then ask it in Explore; fill the map; walk a hill. What a teacher does in five minutes."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect


def open_drawer(page, name: str, proof: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    page.wait_for_selector(proof, state="visible")


def test_a_training_ends_in_weights_to_take_away_and_is_asked_in_explore(open_page, tmp_path) -> None:
    from models.shared.checkpoints import load

    page = open_page()
    open_drawer(page, "Train", "#sofim_train_start")
    page.click("#sofim_train_start")
    page.wait_for_selector("#sofim_train_board .lb-race[data-state=done]", timeout=60_000)
    for kind, name in (("weights", "weights.safetensors"), ("card", "weights.json")):
        with page.expect_download() as download:
            page.click(f"#sofim_train_board .lb-export a[data-kind={kind}]")
        download.value.save_as(tmp_path / name)
    tensors, card = load(Path(tmp_path / "weights.safetensors"))
    assert tensors
    assert card.metrics["digits_mlp/test_accuracy"].n == 359

    open_drawer(page, "Explore", "#sofim_case_next")
    page.click("#sofim_case_next")
    expect(page.locator("#sofim_case")).to_contain_text("Your own training")
    expect(page.locator("#sofim_case")).to_contain_text("test case 1 of 359")


def test_the_walk_to_a_case_they_disagree_on(open_page) -> None:
    page = open_page()
    expect(page.locator("#sofim_case")).to_contain_text("test case 0 of 359", timeout=60_000)
    page.click("#sofim_case_split")
    expect(page.locator("#sofim_case .lb-bad").first).to_be_visible()


def test_the_map_over_rates_fills_and_can_be_read_and_taken_away(open_page, shot) -> None:
    page = open_page()
    open_drawer(page, "Compare", "#sofim_sweep_start")
    page.click("#sofim_sweep_start")
    page.wait_for_selector("#sofim_heat .lb-heat[data-state=done]", timeout=90_000)
    canvas = page.locator("#sofim_heat canvas")
    assert canvas.get_attribute("data-cells") == "49"
    canvas.focus()
    for key in ("ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
    expect(page.locator("#sofim_heat .lb-hint")).to_contain_text("validation accuracy")
    shot(page, "compare-filled-1440")
    with page.expect_download() as download:
        page.click("#sofim_heat .lb-export a")
    assert download.value.suggested_filename == "cells.csv"


def test_a_hill_is_walked_again_when_the_start_is_moved_or_a_part_is_switched_off(open_page) -> None:
    page = open_page()
    open_drawer(page, "Compare", "#sofim_landscape canvas")
    label = "() => document.querySelector('#sofim_landscape .lb-map').getAttribute('aria-label')"
    page.wait_for_function(label + ".includes('ends at height')", timeout=60_000)
    first = page.evaluate(label)
    page.click("#sofim_landscape .lb-map", position={"x": 300, "y": 120})
    page.wait_for_function("before => document.querySelector('#sofim_landscape .lb-map').getAttribute('aria-label') !== before", arg=first)
    moved = page.evaluate(label)
    page.click("text=Switch parts of SOFIM off")
    page.get_by_label("Use the Fisher matrix").uncheck()
    page.wait_for_function("before => document.querySelector('#sofim_landscape .lb-map').getAttribute('aria-label') !== before", arg=moved)
    page.click("#sofim_landscape .lb-small")
    page.wait_for_function("() => document.querySelector('#sofim_landscape output').textContent !== 'step 300 of 300'")
