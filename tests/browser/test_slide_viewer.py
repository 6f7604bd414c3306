"""The slide viewer in a real browser: moving, measuring, links, pictures, what is said when something is missing. Regions: test_slide_regions.py."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import App
from tests.browser.slide_page import (
    HEIGHT,
    HERE,
    MPP,
    PLAIN,
    SLIDE,
    VIEW,
    WIDTH,
    anew,
    at,
    drag,
    here,
    look,
    open_slide,
    running_app,
    settled,
    shows,
    told,
)

AXE = HERE / "vendor" / "axe.min.js"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with running_app(tmp_path_factory.mktemp("app")) as running:
        yield running


@pytest.fixture(scope="module")
def desk(app: App, chromium: Browser) -> Iterator[Page]:
    """One page for all that needs no page of its own."""
    context = chromium.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.goto(app.url)
    page.wait_for_selector("#rooms [role=tab]")
    yield page
    context.close()


@pytest.fixture
def page(desk: Page) -> Page:
    """The desk with the pyramid open, whole."""
    return anew(desk)


# -- loading ----------------------------------------------------------------------------------------------------------------------------


def test_the_script_comes_with_the_first_viewer_and_everything_from_here(open_page, app) -> None:
    page = open_page()
    page.wait_for_timeout(500)
    assert not [url for url in page.requests_seen if "openseadragon" in url]
    page.get_by_role("tab", name="Slide", exact=True).click()
    expect(page.locator(".lb-slide-state p")).to_have_text("Choose a slide.")
    page.get_by_label(SLIDE, exact=True).click()
    here(page)
    (script,) = [url for url in page.requests_seen if "openseadragon" in url]
    assert urlsplit(script).query == "14d587cd3ee7"
    tiles = [url for url in page.requests_seen if url.endswith(".jpeg")]
    assert tiles
    assert all("/lightbox/slides/" in url for url in tiles)
    assert not [
        url for url in page.requests_seen if urlsplit(url).scheme.startswith("http") and urlsplit(url).netloc != urlsplit(app.url).netloc
    ]
    assert page.evaluate("OpenSeadragon.version.major") == 6


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (1440, True), (390, False), (390, True)])
def test_it_fits_and_axe_finds_nothing_serious(open_page, shot, width: int, dark: bool) -> None:
    page = open_slide(open_page(width=width, dark=dark))
    page.click("#boxes")
    page.get_by_role("button", name="Region of what is in view").click()
    expect(page.locator(".lb-slide-boxes li")).to_have_count(3)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for _ in range(2):
        found = page.evaluate("async () => (await axe.run(document.querySelector('#viewer'), {resultTypes: ['violations']})).violations")
        assert not [(v["id"], [n["html"][:160] for n in v["nodes"]][:4]) for v in found if v["impact"] in {"serious", "critical"}]
        shot(page, f"slide-{width}-{'dark' if dark else 'light'}{'-help' if page.locator('.lb-slide-help').is_visible() else ''}")
        page.click("[aria-label='Keys and gestures (?)']")
    assert page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth") <= 1
    assert page.evaluate("() => document.body.classList.contains('dark')") is dark
    for text in ("Research use only: nothing here is a diagnosis.", "Native tiles", "All tiles of this view are here."):
        expect(page.locator("#viewer").get_by_text(text)).to_be_visible()


# -- moving and measuring ---------------------------------------------------------------------------------------------------------------


def test_magnification_scale_bar_and_coordinates_agree_with_the_size_of_a_pixel(page) -> None:
    page.get_by_role("button", name="20×", exact=True).click()
    settled(page)
    assert look(page, "v.scale") == pytest.approx(1, rel=0.01)
    expect(page.locator(".lb-slide-scale b")).to_have_text("20×")
    expect(page.get_by_role("button", name="20×", exact=True)).to_have_attribute("aria-pressed", "true")
    text, width = page.inner_text(".lb-slide-scale span"), page.locator(".lb-slide-scale i").bounding_box()["width"]
    assert text == "50 µm"  # the largest of 1, 2, 5 × 10ⁿ that is not above 180 screen pixels
    assert width == pytest.approx(50 / MPP, rel=0.02)
    page.mouse.move(*at(page, 700.6, 500.6))
    expect(page.locator(".lb-slide-place")).to_contain_text("Pointer x 350 · y 250 µm (70")
    page.get_by_role("button", name="Fit", exact=True).click()
    settled(page)
    assert look(page, "v.rect") == pytest.approx({"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT}, abs=1)


@pytest.mark.parametrize(
    ("mpp", "scale", "longest", "text"),
    [
        (0.5, 1, 180, "50 µm"),
        (0.25, 0.01, 180, "2 mm"),
        (0.5, 0.001, 180, "50 mm"),
        (0.5, 40, 180, "2 µm"),
        (None, 1, 180, "100 px"),
        (None, 0.01, 180, "10,000 px"),
    ],
)
def test_scale_bars_are_round(desk, mpp, scale, longest, text) -> None:
    bar = desk.evaluate("([m, s, l]) => Lightbox.slide.scaleBar(m, s, l)", [mpp, scale, longest])
    assert bar["text"] == text
    assert longest / 2.6 < bar["px"] <= longest


@pytest.mark.parametrize(
    ("mpp", "named", "objective"),
    [(0.499, 20, 20), (0.2527, None, 40), (0.2305, 40, 40), (0.35, None, 28.571), (0.5, 40, 20), (None, 20, 20), (None, None, None)],
)
def test_the_objective_is_the_scanners_word_where_it_fits(desk, mpp, named, objective) -> None:
    found = desk.evaluate("([m, s]) => Lightbox.slide.objective(m, s)", [mpp, named])
    assert found == (objective if objective is None else pytest.approx(objective, rel=1e-3))


def test_wheel_zooms_around_the_pointer_and_drag_follows_it(page) -> None:
    pointed = at(page, 900, 700)
    page.mouse.move(*pointed)
    page.wait_for_timeout(350)
    page.mouse.wheel(0, -600)
    page.wait_for_function(f"() => {VIEW}.v().scale > 1")
    settled(page)
    before = look(page, "v.scale")
    x, y = at(page, 900, 700)
    assert (x, y) == pytest.approx(pointed, abs=2)
    page.mouse.down()
    page.mouse.move(x - 120, y + 40, steps=5)
    page.wait_for_timeout(250)  # no flick
    page.mouse.up()
    settled(page)
    assert at(page, 900, 700) == pytest.approx((x - 120, y + 40), abs=3)
    assert look(page, "v.scale") == pytest.approx(before)
    deadline = time.monotonic() + 20  # Python hears of a view once it has come to rest
    while told(page, "view_changed")["data"]["scale"] != pytest.approx(before, rel=0.01) and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    assert told(page, "view_changed")["data"]["scale"] == pytest.approx(before, rel=0.01)


def test_a_click_tells_its_level_0_pixel_and_a_drag_does_not(page) -> None:
    page.evaluate(f"() => {{ window.clicks = []; {VIEW}.on('click', (c) => window.clicks.push(c)); }}")
    page.mouse.click(*at(page, 400, 300))
    drag(page, (600, 300), (700, 400))
    settled(page)
    page.keyboard.down("Shift")
    page.mouse.click(*at(page, 500, 350))
    page.keyboard.up("Shift")
    first, second = page.evaluate("window.clicks")
    assert (first["x"], first["y"], first["shift"]) == (pytest.approx(400, abs=2), pytest.approx(300, abs=2), False)
    assert (second["x"], second["y"], second["shift"]) == (pytest.approx(500, abs=2), pytest.approx(350, abs=2), True)


def test_everything_moves_by_keyboard(page) -> None:
    page.focus(".lb-slide-canvas")
    for key, changed in (
        ("+", "v.scale"),
        ("ArrowRight", "v.toScreen(0, 0)[0]"),
        ("Shift+ArrowDown", "v.toScreen(0, 0)[1]"),
        ("r", "v.rotation"),
        ("]", "v.rotation"),
    ):
        before = look(page, changed)
        page.keyboard.press(key)
        settled(page)
        assert look(page, changed) != before, key
    assert look(page, "v.rotation") == 95
    expect(page.locator("output")).to_have_text("95°")
    page.keyboard.press("Shift+R")
    page.keyboard.press("[")
    page.keyboard.press("0")
    settled(page)
    assert look(page, "v.rotation") == 0
    assert look(page, "view.viewer.viewport.getZoom() / view.viewer.viewport.getHomeZoom()") == pytest.approx(1)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys and gestures")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".lb-slide-help")).to_be_hidden()
    page.keyboard.press("n")
    expect(page.locator(".lb-slide .navigator")).to_be_hidden()


def test_full_screen_holds_slide_tools_and_note(page) -> None:
    page.focus(".lb-slide-canvas")
    page.keyboard.press("f")
    page.wait_for_selector(".lb-slide-whole")
    settled(page)
    stage = page.locator(".lb-slide-stage").bounding_box()
    assert stage["width"] > 1000
    assert stage["height"] > 700
    expect(page.locator(".lb-slide-note")).to_be_in_viewport()
    expect(page.locator(".lb-slide-bar")).to_be_in_viewport()
    page.focus(".lb-slide-canvas")
    page.keyboard.press("f")
    page.wait_for_selector(".lb-slide:not(.lb-slide-whole)")
    page.wait_for_function(f"() => Math.abs({VIEW}.v().rect.width - {WIDTH}) < 1")  # still the whole slide


# -- the address ------------------------------------------------------------------------------------------------------------------------


def test_a_link_reopens_slide_view_and_gene(page, open_page) -> None:
    page.evaluate(f"() => {VIEW}.tell({{gene: 'ERBB2'}})")
    page.evaluate(f"() => {VIEW}.flyTo({{x: 800, y: 600, width: 700}})")
    page.fill("input[aria-label='Rotation in degrees']", "30")
    page.wait_for_function("() => /w=700.*r=30.*gene=ERBB2/.test(location.hash)")
    page.get_by_role("button", name="Copy a link to this view").click()
    expect(page.locator(".lb-slide-say")).to_contain_text(
        "link to this view" if page.locator(".lb-slide-address").count() == 0 else "address"
    )
    other = open_page(path=page.url[page.url.index("#") :])
    here(other)
    shows(other, 800, 600, 700)
    assert look(other, "v.rotation") == pytest.approx(30)
    assert look(other, "view.extra") == {"gene": "ERBB2"}
    assert other.locator("#room_slides-button").get_attribute("aria-selected") == "true"
    settled(other)
    other.wait_for_function("() => /x=800.*gene=ERBB2/.test(location.hash)")
    other.wait_for_timeout(700)  # the page writes its own address a moment after it has come to rest
    other.evaluate("() => { location.hash = location.hash.replace('x=800', 'x=300').replace('ERBB2', 'CD74'); }")
    shows(other, 300, 600, 700)
    assert look(other, "view.extra.gene") == "CD74"


def test_a_link_to_a_slide_that_is_gone_is_answered_with_a_sentence(open_page) -> None:
    page = open_page(path="#slide=nothing&x=1&y=1&w=9&room=slides")
    expect(page.locator(".lb-slide-say")).to_contain_text("This slide is not kept on the server any more")
    page.get_by_label(SLIDE, exact=True).click()
    here(page)
    page.wait_for_function("() => !location.hash.includes('nothing')")


def test_a_tab_out_of_sight_leaves_the_address_alone_and_comes_back_as_it_was(page) -> None:
    page.evaluate(f"() => {VIEW}.flyTo({{x: 800, y: 600, width: 700}})")
    page.wait_for_function("() => location.hash.includes('w=700')")
    page.get_by_role("tab", name="First", exact=True).click()
    page.wait_for_function("() => location.hash === ''")
    page.get_by_role("tab", name="Slide", exact=True).click()
    page.wait_for_function("() => location.hash.includes('w=700')")
    shows(page, 800, 600, 700)


# -- what Python sends, and what is missing ---------------------------------------------------------------------------------------------


def test_fields_focus_and_closing(page) -> None:
    page.click("#boxes")
    expect(page.locator(".lb-slide-boxes li")).to_have_text(["Spot", "2 × as wide", "4 × as wide"])
    page.click("#fly")
    shows(page, 750, 550, 500)
    blue = page.evaluate(
        f"""() => {{ const v = {VIEW}.v(), c = document.querySelector('[data-layer=boxes]'), [x, y] = v.toScreen(700, 550);
        return [...c.getContext('2d').getImageData(Math.round(x * v.dpr), Math.round(y * v.dpr), 1, 1).data]; }}"""
    )
    assert blue == [0, 114, 178, 255]
    page.click("#closed")
    expect(page.locator(".lb-slide-state p")).to_have_text("Choose a slide.")
    expect(page.locator("[data-tool=rectangle][aria-pressed]")).to_be_disabled()


def test_who_knows_the_size_of_a_pixel_may_say_it(page) -> None:
    open_slide(page, PLAIN)
    expect(page.locator(".lb-slide-scale span")).to_contain_text(" px")
    expect(page.locator(".lb-slide-scale b")).to_contain_text("%")
    expect(page.locator(".lb-slide-path")).to_contain_text("Decoded tiles: the picture has no pyramid")
    field = page.get_by_label("Micrometres per pixel")
    field.fill("5000")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.locator(".lb-slide-say")).to_contain_text("between 0.01 and 100 µm")
    field.fill("0.25")
    field.press("Enter")
    expect(page.locator(".lb-slide-scale span")).to_contain_text("0 µm")
    open_slide(page)
    open_slide(page, PLAIN)
    page.wait_for_function(f"() => {VIEW}.mpp === 0.25")  # the server kept it


def test_tiles_that_do_not_arrive_are_told_and_can_be_asked_for_again(page) -> None:
    page.route("**/1/*.jpeg", lambda route: route.abort())
    page.evaluate(f"() => {VIEW}.viewer.world.resetItems()")
    page.get_by_role("button", name="40×", exact=True).click()
    expect(page.locator(".lb-slide-tiles")).to_contain_text("did not arrive; what lies under", timeout=20_000)
    page.unroute("**/1/*.jpeg")
    page.get_by_role("button", name="Load again").click()
    here(page)
    expect(page.locator(".lb-slide-tiles")).to_have_text("All tiles of this view are here.")


def test_a_slide_that_has_left_the_server_is_told_in_its_words(page) -> None:
    page.route("**/1/*.jpeg", lambda route: route.fulfill(status=404, body="There is no such tile."))
    page.route(
        "**/about",
        lambda route: route.fulfill(status=404, content_type="application/json", body='{"detail": "This slide is gone <b>now</b>."}'),
    )
    page.evaluate(f"() => {VIEW}.viewer.world.resetItems()")
    page.get_by_role("button", name="40×", exact=True).click()
    expect(page.locator(".lb-slide-say")).to_have_text("This slide is gone <b>now</b>.", timeout=20_000)


def test_the_viewers_script_can_be_tried_again(open_page) -> None:
    page = open_page()
    page.route("**/openseadragon.min.js*", lambda route: route.abort())
    page.get_by_role("tab", name="Slide", exact=True).click()
    expect(page.locator(".lb-slide-state p")).to_contain_text("did not arrive")
    page.unroute("**/openseadragon.min.js*")
    page.get_by_role("button", name="Try again").click()
    page.get_by_label(SLIDE, exact=True).click()
    here(page)


# -- layers and pictures ----------------------------------------------------------------------------------------------------------------

DOT = f"""() => {{ window.dot = {VIEW}.addLayer({{name: 'dot', draw: (ctx, v) => {{ const [x, y] = v.toScreen(500, 400); ctx.fillStyle = '#00ff00'; ctx.fillRect(x - 6, y - 6, 12, 12);
    ctx.save(); v.enter(ctx); ctx.fillStyle = '#0000ff'; ctx.fillRect(800, 600, 60, 40); ctx.restore(); }},
    legend: (ctx, at) => {{ ctx.fillStyle = '#ff00ff'; ctx.fillRect(at.x, at.y, 30, 14); return 20; }} }}); }}"""


def test_layers_stay_on_their_places_and_are_in_the_picture(page, tmp_path) -> None:
    page.evaluate(DOT)
    page.evaluate("() => Lightbox.slide.views[0].addLayer({name: 'broken', draw() { throw new Error('broken'); }})")
    page.evaluate(f"() => {VIEW}.flyTo({{x: 650, y: 500, width: 900}})")
    page.fill("input[aria-label='Rotation in degrees']", "-40")
    settled(page)
    back = look(page, "v.toSlide(...v.toScreen(123, 456))")
    assert back == pytest.approx([123, 456])
    with page.expect_download() as taken:
        page.get_by_role("button", name="Save this view as PNG").click()
    assert taken.value.suggested_filename == "pyramid_view.png"
    taken.value.save_as(tmp_path / "view.png")
    picture = np.asarray(Image.open(tmp_path / "view.png").convert("RGB")).astype(int)
    width, height = look(page, "[v.width, v.height]")
    assert picture.shape[1] == width
    assert picture.shape[0] > height + 60
    for place, colour in (((500, 400), (0, 255, 0)), ((830, 620), (0, 0, 255))):
        x, y = look(page, f"v.toScreen({place[0]}, {place[1]})")
        assert tuple(picture[round(y), round(x)]) == colour
    footer = picture[height:]
    assert ((footer == (255, 0, 255)).all(2)).sum() == 30 * 14
    bar = picture[height - 26 : height - 22, 30]
    assert (bar < 60).all(), "the scale bar"
    seen = picture[:height, :width].reshape(-1, 3)
    assert len(np.unique(seen, axis=0)) > 500, "the tissue"
    page.evaluate("() => window.dot.show(false)")
    page.wait_for_timeout(100)
    shown = page.evaluate(
        "() => { const c = document.querySelector('[data-layer=dot]'); return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(Boolean); }"
    )
    assert shown is False
