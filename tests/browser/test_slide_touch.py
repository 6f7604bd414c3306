"""The slide viewer under fingers, and for people who want no motion."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.conftest import App
from tests.browser.slide_page import (
    HEIGHT,
    VIEW,
    WIDTH,
    at,
    look,
    open_slide,
    running_app,
    settled,
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with running_app(tmp_path_factory.mktemp("app")) as running:
        yield running


def test_fingers_move_zoom_tap_and_draw(app, chromium) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(app.url)
    page.wait_for_selector("#rooms [role=tab]")
    open_slide(page)
    page.locator(".lb-slide-stage").scroll_into_view_if_needed()
    fingers = context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        fingers.send(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]}
        )

    def swipe(a: tuple[float, float], b: tuple[float, float]) -> None:
        touch("touchStart", a)
        for i in range(1, 7):
            touch("touchMove", (a[0] + (b[0] - a[0]) * i / 6, a[1] + (b[1] - a[1]) * i / 6))
        page.wait_for_timeout(250)  # no flick
        touch("touchEnd")

    page.evaluate(f"() => {{ window.clicks = []; {VIEW}.on('click', (c) => window.clicks.push([c.x, c.y])); }}")
    scrolled = page.evaluate("scrollY")
    middle = at(page, WIDTH / 2, HEIGHT / 2)
    before = look(page, "v.scale")
    touch("touchStart", (middle[0] - 20, middle[1]), (middle[0] + 20, middle[1]))
    for step in range(1, 9):
        touch("touchMove", (middle[0] - 20 - 8 * step, middle[1]), (middle[0] + 20 + 8 * step, middle[1]))
        page.wait_for_timeout(30)
    touch("touchEnd")
    settled(page)
    assert look(page, "v.scale") > 2 * before
    there = at(page, 800, 600)
    swipe(there, (there[0] - 60, there[1] + 50))
    settled(page)
    assert at(page, 800, 600) == pytest.approx((there[0] - 60, there[1] + 50), abs=6)
    touch("touchStart", at(page, 780, 580))
    touch("touchEnd")
    page.wait_for_function("() => window.clicks.length === 1")
    assert page.evaluate("window.clicks[0]") == pytest.approx([780, 580], abs=4)
    page.click("button[data-tool=rectangle]")
    swipe(at(page, 700, 500), at(page, 900, 620))
    (drawn,) = look(page, "view.regions")
    assert drawn["geometry"]["coordinates"][0][2] == pytest.approx([900, 620], abs=6)
    assert page.evaluate("scrollY") == scrolled, "the page stays where it is"
    context.close()


def test_who_wants_no_motion_gets_none(app, chromium) -> None:
    context = chromium.new_context(viewport={"width": 1200, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.goto(app.url)
    page.wait_for_selector("#rooms [role=tab]")
    open_slide(page)
    page.get_by_role("button", name="20×", exact=True).click()
    assert page.evaluate(
        f"() => new Promise((f) => requestAnimationFrame(() => requestAnimationFrame(() => f({VIEW}.v().scale))))"
    ) == pytest.approx(1, rel=0.01)
    context.close()
