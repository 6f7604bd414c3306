"""Bringing a picture, as a visitor does it: by the button, by dropping a file, from the gallery; a file that is none changes nothing."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from pydicom.data import get_testdata_file

from tests.browser.conftest import choose_room

FACTS, GALLERY = "#promim_input_facts", "#promim_input_examples"
DROP = """([url, to]) => fetch(url).then((answer) => answer.blob()).then((blob) => {
  const data = new DataTransfer(); data.items.add(new File([blob], "dropped.png", { type: "image/png" }));
  for (const kind of ["dragenter", "dragover", "drop"])
    document.querySelector(to).dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: data }));
})"""


@pytest.fixture
def room(open_page):
    def opened(**options) -> Page:
        page = open_page(**options)
        page.set_default_timeout(120_000)
        expect.set_options(timeout=120_000)
        choose_room(page, "ProMIM")
        page.wait_for_selector(f"{GALLERY} .lb-thumb", state="visible")
        return page

    yield opened
    expect.set_options(timeout=5_000)


def bring(page: Page, file) -> None:
    with page.expect_file_chooser() as chooser:
        page.click("#promim_input_file")
    chooser.value.set_files(file)


def pressed(page: Page):
    return page.locator(f"{GALLERY} .lb-thumb[aria-pressed=true]")


def test_an_example_is_there_at_once_and_is_called_a_phantom(room) -> None:
    page = room()
    expect(page.locator(FACTS)).to_contain_text("phantom")
    expect(page.locator(FACTS)).to_contain_text("made up, no patient")
    expect(pressed(page)).to_have_count(1)
    page.wait_for_function(f"() => [...document.querySelectorAll('{GALLERY} img')].every((one) => one.complete && one.naturalWidth > 0)")


def test_a_dicom_is_opened_with_its_windows_and_a_bad_file_leaves_it_there(room) -> None:
    page = room()
    bring(page, get_testdata_file("CT_small.dcm"))
    expect(page.locator(FACTS)).to_contain_text("Your picture: CT (DICOM), 128 × 128 pixels")
    expect(pressed(page)).to_have_text(re.compile("Your picture"))
    expect(page.locator("#promim_input_centre input")).to_have_value("40")
    page.locator("#promim_input_centre input").fill("-600")
    page.locator("#promim_input_centre input").press("Enter")
    expect(page.locator("#promim_input_preset input")).to_have_value("Set by hand")
    bring(page, {"name": "scan.png", "mimeType": "image/png", "buffer": b"no picture at all"})
    expect(page.locator(FACTS)).to_contain_text("Not taken: This file holds text, not a picture")
    expect(pressed(page)).to_have_text(re.compile("Your picture"))
    expect(page.locator("#promim_input_centre input")).to_have_value("-600")


def test_a_file_is_dropped_and_the_gallery_leads_away_and_back(room) -> None:
    page = room()
    stream = io.BytesIO()
    Image.fromarray(np.full((40, 60, 3), (200, 60, 60), np.uint8)).save(stream, "PNG")
    page.evaluate(DROP, ["data:image/png;base64," + base64.b64encode(stream.getvalue()).decode(), "#promim_grid"])
    expect(page.locator(FACTS)).to_contain_text("Your picture: colour picture (PNG), 60 × 40 pixels")
    page.locator(f"{GALLERY} .lb-thumb").first.click()
    expect(page.locator(FACTS)).to_contain_text("phantom")
    page.locator(f"{GALLERY} .lb-thumb", has_text="Your picture").press("Enter")
    expect(page.locator(FACTS)).to_contain_text("60 × 40 pixels")
