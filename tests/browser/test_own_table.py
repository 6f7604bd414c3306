"""Somebody brings a table to the Train drawer: the example is downloaded, uploaded, trained on; a picture in disguise is refused."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

AXE = Path(__file__).parent / "vendor" / "axe.min.js"


@pytest.fixture
def drawer(open_page):
    def opened(**options) -> Page:
        page = open_page(**options)
        page.get_by_role("tab", name="Train", exact=True).click()
        page.wait_for_selector("#sofim_train_start", state="visible")
        return page

    return opened


@pytest.fixture
def picture(tmp_path):
    """A PNG picture that calls itself a table."""
    content = io.BytesIO()
    Image.new("RGB", (40, 40), (200, 30, 90)).save(content, "PNG")
    path = tmp_path / "scan.csv"
    path.write_bytes(content.getvalue())
    return path


def unfold(page: Page) -> None:
    page.get_by_role("button", name="Bring your own table").click()
    page.wait_for_selector("#sofim_own_example", state="visible")


def bring(page: Page, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.click("#sofim_own_file")
    chooser.value.set_files(path)


def example(page: Page, to: Path) -> Path:
    with page.expect_download() as download:
        page.click("#sofim_own_example")
    assert download.value.suggested_filename == "biopsy_table.csv"
    download.value.save_as(to)
    return to


def serious(page: Page) -> list:
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [(v["id"], v["help"], [n["html"][:160] for n in v["nodes"]][:4]) for v in found if v["impact"] in {"serious", "critical"}]


def test_the_example_is_downloaded_uploaded_and_trained_on_to_the_end(drawer, shot, tmp_path) -> None:
    from models.shared.checkpoints import load

    page = drawer()
    unfold(page)
    assert not serious(page)
    path = example(page, tmp_path / "biopsy_table.csv")
    bring(page, path)
    expect(page.locator("#sofim_own_facts")).to_contain_text("569 rows, 31 columns")
    expect(page.locator("#sofim_train_task input")).to_have_value("Your own table")
    expect(page.locator("#sofim_own_label input")).to_have_value("diagnosis")
    page.locator("#sofim_own_label input").click()
    page.get_by_role("option", name="diagnosis").click()
    assert not serious(page)
    page.click("#sofim_train_start")
    page.wait_for_selector("#sofim_train_board .lb-race[data-state=done]", timeout=90_000)
    shot(page, "own-table-1440")
    for kind, name in (("weights", "weights.safetensors"), ("card", "weights.json"), ("config", "config.json")):
        with page.expect_download() as download:
            page.click(f"#sofim_train_board .lb-export a[data-kind={kind}]")
        download.value.save_as(tmp_path / name)
    tensors, card = load(tmp_path / "weights.safetensors")
    assert tensors
    assert card.metrics["own_table/test_accuracy"].n == 114
    assert card.config["table"] == "biopsy_table.csv"
    assert '"table": "biopsy_table.csv"' in (tmp_path / "config.json").read_text()


@pytest.mark.parametrize("dark", [False, True])
def test_a_picture_in_disguise_is_a_sentence_and_nothing_else_changes(drawer, shot, picture, dark) -> None:
    page = drawer(width=390, dark=dark)
    unfold(page)
    page.fill("#sofim_train_steps input[type=number]", "120")
    bring(page, picture)
    expect(page.locator("#sofim_own_facts")).to_contain_text("This is no text table")
    expect(page.locator("#sofim_train_task input")).to_have_value("Handwritten digits, small network")
    assert page.input_value("#sofim_train_steps input[type=number]") == "120"
    assert not serious(page)
    shot(page, f"own-table-refused-390-{'dark' if dark else 'light'}")
    assert page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth") <= 1


def test_headers_are_shown_as_text_and_people_are_left_out(drawer, shot, tmp_path) -> None:
    page = drawer(width=390)
    unfold(page)
    header = "patient_id,<img src=x onerror=alert(1)>`${1}{{v}},size,finding"
    lines = [f"Anna {place},{place % 25}x,{place * 0.7 % 3},{'yes' if place % 3 else 'no'}" for place in range(90)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join([header, *lines]))
    bring(page, path)
    facts = page.locator("#sofim_own_facts")
    expect(facts).to_contain_text("90 rows, 4 columns")
    expect(facts).to_contain_text("points at a person: patient_id.")
    expect(facts).to_contain_text("<img src=x onerror=alert(1)>`${1}{{v}}")
    assert facts.locator("img").count() == 0
    assert "Anna" not in page.inner_text("body")
    assert not serious(page)
    shot(page, "own-table-390")


def test_starting_without_a_table_says_what_to_do(drawer) -> None:
    page = drawer()
    page.locator("#sofim_train_task input").click()
    page.get_by_role("option", name="Your own table").click()
    page.wait_for_selector("#sofim_own_example", state="visible")  # the upload unfolds by itself
    page.click("#sofim_train_start")
    expect(page.get_by_text("Upload your table first")).to_be_visible()
