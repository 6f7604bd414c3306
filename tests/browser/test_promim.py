"""The ProMIM tab as a visitor uses it: hide patches by click, drag and keys and see the bars move; other classes; take away; train on a ZIP."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from models.shared.method import get
from models.shared.paths import assets_dir
from tests.browser.conftest import choose_room

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
EXAMPLE = Path(__file__).resolve().parents[2] / "assets" / "examples" / "brain_phantoms.zip"
GRID, BARS = "#promim_grid .lb-patches", "#promim_bars .lb-chart"
pytestmark = pytest.mark.skipif(
    not (assets_dir() / "checkpoints" / "clip_small.safetensors").is_file(), reason="the small CLIP is not in this copy"
)
LEARNED = pytest.mark.skipif(not get("promim").checkpoint.is_file(), reason="the learned prompts are not in this copy")
PROOF = {
    "Explore": "#promim_words .lb-card",
    "Compare": "#promim_compare_parts .lb-chart",
    "Evidence": "#promim_paper",
    "Train": "#promim_train_start",
    "Learn": "#promim_checks_run",
}


@pytest.fixture
def room(open_page):
    def opened(drawer: str = "Explore", **options) -> Page:
        page = open_page(**options)
        page.set_default_timeout(120_000)
        choose_room(page, "ProMIM")
        page.wait_for_selector(f"{BARS} td", timeout=120_000)
        if drawer != "Explore":
            page.locator("#promim_drawers").get_by_role("tab", name=drawer, exact=True).click()
        page.wait_for_selector(PROOF[drawer], state="visible", timeout=120_000)
        return page

    return opened


def kept(page: Page) -> int:
    return int(page.get_attribute(GRID, "data-kept"))


def answered(page: Page) -> dict[str, float]:
    """The bars once they answer the newest mask: "row,column" → share."""
    page.wait_for_function(f"() => document.querySelector('{BARS}').dataset.seq === document.querySelector('{GRID}').dataset.seq")
    return page.eval_on_selector_all(f"{BARS} td", "cells => Object.fromEntries(cells.map(c => [c.dataset.at, +c.dataset.value]))")


def cell(page: Page, row: int, column: int):
    return page.locator(f"#promim_grid [aria-label='row {row}, column {column}']")


def serious(page: Page) -> list:
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [(v["id"], v["help"], [n["html"][:160] for n in v["nodes"]][:4]) for v in found if v["impact"] in {"serious", "critical"}]


def promim_column(page: Page, found: dict[str, float]) -> dict[str, float]:
    heads = page.locator(f"{BARS} thead th").all_inner_texts()
    column = next(number for number, text in enumerate(heads) if "ProMIM" in text) - 1
    return {at: value for at, value in found.items() if at.endswith(f",{column}")}


@LEARNED
def test_an_example_is_loaded_and_everything_is_drawn_on_first_open(room, shot) -> None:
    page = room()
    assert kept(page) == 16
    expect(page.locator(f"{BARS} thead th")).to_have_count(6)
    expect(page.locator("#promim_bars .lb-digest")).to_contain_text("Drawn was:")
    for view in ("#promim_stability .lb-boxes", "#promim_drift .lb-gauge", "#promim_leakage canvas", "#promim_map svg"):
        page.wait_for_selector(view)
    expect(page.locator("#promim_words")).to_contain_text("usually not readable")
    shot(page, "promim-explore-1440")


@LEARNED
def test_a_click_hides_a_patch_and_promims_bars_move_while_the_others_stay(room) -> None:
    page = room()
    page.get_by_role("button", name="Show all").click()
    before = answered(page)
    assert kept(page) == 64
    for column in range(1, 9):
        cell(page, 4, column).click()
    after = answered(page)
    assert kept(page) == 56
    own = promim_column(page, before)
    assert any(abs(after[at] - before[at]) > 1e-5 for at in own)
    assert all(after[at] == before[at] for at in before if at not in own)


def test_a_drag_paints_without_gaps_and_undo_takes_it_back(room) -> None:
    page = room()
    page.get_by_role("button", name="Show all").click()
    first, last = cell(page, 2, 1).bounding_box(), cell(page, 2, 8).bounding_box()
    page.mouse.move(first["x"] + 8, first["y"] + 8)
    page.mouse.down()
    page.mouse.move(last["x"] + 8, last["y"] + 8, steps=2)  # faster than the patches are wide
    page.mouse.up()
    assert kept(page) == 56
    assert all(cell(page, 2, column).get_attribute("aria-selected") == "false" for column in range(1, 9))
    page.get_by_role("button", name="Undo").click()
    assert kept(page) == 64
    page.get_by_role("button", name="Redo").click()
    assert kept(page) == 56
    answered(page)


def test_the_keyboard_alone_hides_rolls_and_undoes(room) -> None:
    page = room()
    page.get_by_role("button", name="Show all").focus()
    page.keyboard.press("Enter")
    page.locator("#promim_grid [role=gridcell][tabindex='0']").focus()
    for key in ("ArrowRight", "ArrowDown", " "):
        page.keyboard.press(key)
    assert cell(page, 2, 2).get_attribute("aria-selected") == "false"
    page.keyboard.press("Shift+ArrowRight")
    assert cell(page, 2, 3).get_attribute("aria-selected") == "false"
    assert kept(page) == 62
    for key in ("u", "u"):
        page.keyboard.press(key)
    assert kept(page) == 64
    page.keyboard.press("i")
    assert kept(page) == 0
    answered(page)


def test_the_share_is_drawn_and_block_hides_the_same_number(room) -> None:
    page = room()
    page.locator("#promim_grid input[type=range]").fill("32")
    assert kept(page) == 32
    page.get_by_role("button", name="Block", exact=True).click()
    assert kept(page) == 32
    before = page.eval_on_selector_all("#promim_grid [role=gridcell]", "cells => cells.map(c => c.ariaSelected).join()")
    page.get_by_role("button", name="Roll again").click()
    assert kept(page) == 32
    assert page.eval_on_selector_all("#promim_grid [role=gridcell]", "cells => cells.map(c => c.ariaSelected).join()") != before
    answered(page)


@LEARNED
def test_another_trained_share_hides_as_much_and_own_class_names_are_compared(room) -> None:
    page = room()
    page.locator("#promim_ratio").get_by_label("50 %").check()
    page.wait_for_function(f"() => document.querySelector('{GRID}').dataset.kept === '32'")
    answered(page)
    page.locator("#promim_group").get_by_label("Your own words").check()
    page.locator("#promim_own textarea").fill("bright tumour\n<b>`${1}")
    page.locator("#promim_own textarea").blur()
    expect(page.locator(f"{BARS} tbody th").last).to_have_text("<b>`${1}")
    expect(page.locator(f"{BARS} tbody tr")).to_have_count(2)
    page.locator("#promim_own textarea").fill("only one")
    page.locator("#promim_own textarea").blur()
    expect(page.locator(BARS)).to_contain_text("at least two different class names")


def test_an_answer_to_an_older_question_that_comes_late_is_left_aside(open_page) -> None:
    shown = open_page().evaluate(
        """() => {
            const host = document.createElement("div"), seen = []; let changed;
            const data = (asked, name) => ({asked, classes: [name], series: [{label: "CLIP", colour: 0, values: [1], note: ""}]});
            const props = {data: data(2, "second")};
            const look = () => seen.push(host.querySelector("tbody th").textContent);
            Lightbox.probabilityBars(host, props, (_, draw) => { changed = draw; }, () => {}); look();
            for (const [asked, name] of [[1, "first"], [3, "third"]]) { props.data = data(asked, name); changed(); look(); }
            return seen;
        }"""
    )
    assert shown == ["second", "second", "third"]


def test_choosing_another_example_brings_its_set_of_classes(room) -> None:
    page = room()
    page.locator("#promim_input_examples .lb-thumb").nth(3).click()
    expect(page.locator("#promim_task input")).to_have_value("Chest masses (phantoms)")
    expect(page.locator("#promim_group").get_by_label("New classes")).to_be_checked()
    expect(page.locator(f"{BARS} tbody")).to_contain_text("zone")
    expect(page.locator("#promim_bars .lb-digest")).to_contain_text("Drawn was:")


def test_numbers_are_taken_away_with_what_made_them(room, tmp_path) -> None:
    page = room()
    page.click("#promim_take")
    page.wait_for_selector("#promim_json", state="visible")
    for name in ("promim_csv", "promim_json"):
        with page.expect_download() as download:
            page.click(f"#{name}")
        download.value.save_as(tmp_path / name)
    rows = list(csv.reader(io.StringIO((tmp_path / "promim_csv").read_text())))
    record = json.loads((tmp_path / "promim_json").read_text())
    assert rows[0][:2] == ["class", "CLIP, hand-written"]
    assert [row[0] for row in rows[1:]] == record["classes"]
    assert len(record["patches_seen"]) == kept(page)
    assert record["made_by"]["checkpoints"]["clip"]
    assert record["picture"]["phantom"] is True


@pytest.mark.parametrize("drawer", list(PROOF))
@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
def test_each_drawer_fits_and_axe_finds_nothing_serious(room, shot, drawer, width, dark) -> None:
    page = room(drawer, width=width, dark=dark)
    page.wait_for_timeout(500)
    shot(page, f"promim-{drawer.lower()}-{width}-{'dark' if dark else 'light'}")
    assert page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth") <= 1, "the page is wider than the screen"
    assert not serious(page)


@LEARNED
def test_compare_shows_the_same_picture_on_base_and_new_names_and_with_parts_off(room) -> None:
    page = room("Compare")
    for part, least in (("base", 6), ("new", 6), ("parts", 4)):
        page.wait_for_selector(f"#promim_compare_{part} td")
        assert page.locator(f"#promim_compare_{part} thead th").count() >= least


def test_the_live_checks_all_agree(room) -> None:
    page = room("Learn")
    page.click("#promim_checks_run")
    expect(page.locator("#promim_checks")).to_contain_text("checks agree", timeout=120_000)
    assert page.locator("#promim_checks .lb-bad").count() == 0


def test_a_small_zip_is_trained_on_to_the_end_and_its_prompts_answer_in_explore(room, shot, tmp_path) -> None:
    from models.shared.checkpoints import load

    page = room("Train")
    with page.expect_file_chooser() as chooser:
        page.click("#promim_zip")
    chooser.value.set_files(EXAMPLE)
    expect(page.locator("#promim_zip_facts")).to_contain_text("36 pictures in 3 folders")
    page.locator("#promim_zip_names textarea").fill(
        "no_tumour = no tumour\nglioma_like_tumour = ring-enhancing tumour\nmeningioma_like_tumour = smooth bright tumour"
    )
    page.fill("#promim_train_epochs input[type=number]", "3")
    page.fill("#promim_train_folds input[type=number]", "2")
    page.click("#promim_train_start")
    page.wait_for_selector("#promim_train_board .lb-train[data-state=done]", timeout=280_000)
    expect(page.locator("#promim_train_board tr[data-arm=promim] td").first).to_contain_text("%")
    assert page.locator("#promim_train_board tr[data-arm=clip] td").last.inner_text() == "36"
    shot(page, "promim-trained-1440")
    for kind, name in (("weights", "prompts.safetensors"), ("card", "prompts.json")):
        with page.expect_download() as download:
            page.click(f"#promim_train_board .lb-export a[data-kind={kind}]")
        download.value.save_as(tmp_path / name)
    _, card = load(tmp_path / "prompts.safetensors")
    assert card.metrics["own/accuracy"].n == 36

    page.locator("#promim_drawers").get_by_role("tab", name="Explore", exact=True).click()
    page.locator("#promim_prompts input").click()
    page.get_by_role("option", name="Yours of").click()
    expect(page.locator(f"{BARS} tbody")).to_contain_text("smooth bright tumour")
    answered(page)


def test_a_picture_that_calls_itself_a_zip_is_a_sentence(room, tmp_path) -> None:
    page = room("Train")
    path = tmp_path / "scan.zip"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    with page.expect_file_chooser() as chooser:
        page.click("#promim_zip")
    chooser.value.set_files(path)
    expect(page.locator("#promim_zip_facts")).to_contain_text("Not taken")
    page.click("#promim_train_start")
    expect(page.get_by_text("Upload a ZIP with one folder for each class first")).to_be_visible()
