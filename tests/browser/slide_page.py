"""What the tests of the slide viewer share: the small app around one viewer, and words for what people do with a slide."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, App, _wait_until_up
from tests.models.slides import made

HERE = Path(__file__).parent
SLIDE, PLAIN = "pyramid.tif", "plain.png"
WIDTH, HEIGHT, MPP = 1500, 1100, 0.5
VIEW = "Lightbox.slide.views[0]"


@contextmanager
def running_app(folder: Path) -> Iterator[App]:
    """A page with one viewer, over two drawn slides: a pyramid of 0.5 µm a pixel, and a picture that does not say."""
    home, slides = folder / "home", folder / "slides"
    for place in (home, slides):
        place.mkdir()
    levels = [made.picture(WIDTH, HEIGHT), made.picture(WIDTH // 4, HEIGHT // 4)]
    made.write_pyramid(slides / SLIDE, levels, resolution=(20_000, 20_000))
    Image.fromarray(made.picture(900, 700)).save(slides / PLAIN)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = os.environ | {"WORKBENCH_PORT": str(port), "WORKBENCH_HOME": str(home), "WORKBENCH_SLIDES": str(slides), "WORKBENCH_WARM": "0"}
    env |= {"PYTHONPATH": str(ROOT), "WORKBENCH_HOST": "127.0.0.1"}
    with (home / "app.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, str(HERE / "slide_app.py")], cwd=ROOT, env=env, stdout=log, stderr=log)
        app = App(port)
        try:
            _wait_until_up(app, process, home / "app.log")
            yield app
        finally:
            process.terminate()
            process.wait(timeout=20)


def open_slide(page: Page, title: str = SLIDE) -> Page:
    """The tab with the viewer, and in it a slide with all its tiles."""
    page.get_by_role("tab", name="Slide", exact=True).click()
    page.get_by_label(title, exact=True).check()
    page.wait_for_function(f"() => window.OpenSeadragon && {VIEW} && ({VIEW}.slide || {{title: ''}}).title === '{title}'")
    here(page)
    return page


def anew(page: Page) -> Page:
    """The same page as if just opened: the pyramid, whole, no regions, nothing laid over it."""
    page.unroute_all()
    again = page.get_by_role("button", name="Load again")
    if again.is_visible():
        again.click()
    open_slide(page)
    page.evaluate(
        f"() => {{ {VIEW}.chooseTool('hand'); {VIEW}.viewer.viewport.setRotation(0, true); {VIEW}.viewer.viewport.goHome(true); }}"
    )
    remove = page.get_by_role("button", name="Remove all")
    if remove.is_enabled():
        remove.click()
    settled(page)
    return page


def here(page: Page) -> None:
    """All tiles of the view are there."""
    page.wait_for_selector("#viewer .lb-slide[data-tiles=here]")
    page.wait_for_function(f"() => {VIEW}.v() !== null")


def look(page: Page, expression: str) -> object:
    """`expression` over `v`, the geometry now, and `view`."""
    return page.evaluate(f"() => {{ const view = {VIEW}, v = view.v(); return {expression}; }}")


def settled(page: Page) -> None:
    """The view has come to rest."""
    page.wait_for_function(
        f"""() => {{ const p = {VIEW}.viewer.viewport, near = (a, b) => Math.abs(a - b) < 1e-6, a = p.getCenter(true), b = p.getCenter();
        return near(p.getZoom(true) / p.getZoom(), 1) && near(p.getRotation(true), p.getRotation()) && near(a.x, b.x) && near(a.y, b.y); }}"""
    )


def shows(page: Page, x: float, y: float, width: float) -> None:
    """Waits until the centre and the width of the view are these."""
    page.wait_for_function(
        f"""() => {{ const v = {VIEW}.v(), [x, y] = v ? v.toSlide(v.width / 2, v.height / 2) : [-1, -1];
        return v && Math.abs(x - {x}) < 2 && Math.abs(y - {y}) < 2 && Math.abs(v.width / v.scale - {width}) < 2; }}"""
    )


def at(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a level-0 pixel lies on the screen, brought into sight."""
    page.locator(".lb-slide-stage").scroll_into_view_if_needed()
    box = page.locator(".lb-slide-osd").bounding_box()
    px, py = look(page, f"v.toScreen({x}, {y})")
    return box["x"] + px, box["y"] + py


def drag(page: Page, a: tuple[float, float], b: tuple[float, float]) -> None:
    """From one level-0 pixel to another, with the button held."""
    start, end = at(page, *a), at(page, *b)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=6)
    page.mouse.up()


def told(page: Page, event: str) -> dict:
    """What Python heard last, once it is this event."""
    field = page.locator("#answer :is(textarea, input)")
    expect(field).to_have_value(re.compile(rf'"event": "{event}"'))
    return json.loads(field.input_value())
