"""The M2OST tab as a visitor uses it: pan a slide, lay genes over it, look into a spot, draw a region, take away, come back by a link, stop."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from playwright.sync_api import Page

from models.shared.method import get
from tests.browser.conftest import choose_room

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
VIEWER, MAP = "#m2ost_viewer", "Lightbox.slide.views[0].map"
CANVAS = f"{VIEWER} .lb-slide-canvas"
pytestmark = pytest.mark.skipif(not get("m2ost").checkpoint.is_file(), reason="the trained networks are not in this copy")
PROOF = {
    "Explore": f"{VIEWER} .lb-slide[data-state=open]",
    "Compare": "#m2ost_compare_maps .lb-heats figure",
    "Evidence": "#m2ost_paper",
    "Train": "#m2ost_own_start",
    "Learn": "#m2ost_checks_run",
}


@pytest.fixture
def room(open_page):
    def opened(drawer: str = "Explore", **options) -> Page:
        page = open_page(**options)
        page.set_default_timeout(120_000)
        choose_room(page, "M2OST")
        page.wait_for_selector(PROOF["Explore"], timeout=120_000)
        if drawer != "Explore":
            page.locator("#m2ost_drawers").get_by_role("tab", name=drawer, exact=True).click()
        page.wait_for_selector(PROOF[drawer], state="visible", timeout=120_000)
        return page

    return opened


def predicted(page: Page, *, whole: bool = True) -> int:
    """How many spots are on the page once there are some, or all."""
    page.wait_for_function(f"() => {MAP} && {MAP}.n > 0 && {MAP}.count() {f'=== {MAP}.n' if whole else '> 0'}", timeout=180_000)
    return page.evaluate(f"() => {MAP}.count()")


def at(page: Page, index: int) -> tuple[float, float]:
    """Where spot `index` is on the screen."""
    page.locator(CANVAS).scroll_into_view_if_needed()
    box = page.locator(CANVAS).bounding_box()
    x, y = page.evaluate(f"i => Lightbox.slide.views[0].v().toScreen({MAP}.xy[2 * i], {MAP}.xy[2 * i + 1])", index)
    return box["x"] + x, box["y"] + y


def middle(page: Page) -> int:
    """A predicted spot near the middle of what is in view."""
    return page.evaluate(
        f"() => {{ const r = Lightbox.slide.views[0].v().rect; return {MAP}.nearest(r.x + r.width / 2, r.y + r.height / 2, 1e9); }}"
    )


def settled(page: Page) -> None:
    page.wait_for_function(
        "() => { const v = Lightbox.slide.views[0], now = JSON.stringify(v.v().rect), same = window.__rect === now; window.__rect = now; return same; }",
        polling=400,
    )


def test_the_example_is_predicted_and_zooms_to_its_own_pixels(room, app) -> None:
    page = room()
    assert predicted(page) > 500
    assert "937" in page.inner_text(f"{VIEWER} .lb-genes") or "spots" in page.inner_text(f"{VIEWER} .lb-genes")
    page.click(f"{VIEWER} [data-jump='20']")  # at 0.5 µm a pixel, one of the slide's pixels on one of the screen's
    settled(page)
    assert page.evaluate("() => Lightbox.slide.views[0].v().scale") == pytest.approx(1, abs=0.02)
    page.wait_for_function("() => Lightbox.slide.views[0].viewer.world.getItemAt(0).getFullyLoaded()")
    tiles = [url for url in page.requests_seen if "/lightbox/slides/" in url and url.endswith(".jpeg") and "thumb" not in url]
    assert any(f"/{page.evaluate('() => Lightbox.slide.views[0].props.slide.levels.length') - 1}/" in url for url in tiles), (
        "no tile of the finest level was asked for"
    )
    assert all(url.startswith(app.url) for url in page.requests_seen if url.startswith("http"))
    assert "not a measurement" in page.inner_text(f"{VIEWER} .lb-slide-note")


def test_five_genes_are_switched_without_a_request(room) -> None:
    page = room()
    predicted(page)
    page.wait_for_timeout(1500)
    before = len(page.requests_seen)
    names, pictures = [], set()
    page.locator(f"{VIEWER} .lb-genes-list").focus()
    for _ in range(5):
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(200)
        names.append(page.inner_text(f"{VIEWER} .lb-genes h4"))
        pictures.add(page.evaluate("() => document.querySelector('#m2ost_viewer [data-layer=expression]').toDataURL().length"))
    assert len(set(names)) == 5
    assert len(pictures) > 1
    assert [url for url in page.requests_seen[before:] if "heartbeat" not in url] == []
    spent = page.evaluate(
        f"() => {{ const m = {MAP}, t = performance.now(); for (let g = 0; g < 10; g += 1) {{ m.choose(g); Lightbox.slide.views[0].layers.all(); }} return (performance.now() - t) / 10; }}"
    )
    assert spent > 0  # kept in benchmarks; here only that it was drawn


def test_a_gene_is_found_by_name_and_its_limits_can_be_set(room) -> None:
    page = room()
    predicted(page)
    page.fill(f"{VIEWER} .lb-genes input[type=search]", "glands around")
    assert page.locator(f"{VIEWER} [role=option]").count() == 6
    page.keyboard.press("Enter")
    assert "glands around" in page.inner_text(f"{VIEWER} .lb-genes h4")
    low = page.get_by_label("Lower limit of the colours")
    low.fill("3")
    low.press("Tab")
    assert page.evaluate(f"() => {MAP}.limits()[0]") == 3
    page.get_by_role("button", name="Reset", exact=True).click()
    assert page.evaluate(f"() => {MAP}.limits()[0]") != 3
    page.get_by_role("button", name="Planted", exact=True).click()
    assert page.evaluate(f"() => {MAP}.layer") == "measured"
    page.get_by_role("button", name="Predicted − planted").click()
    assert page.evaluate(f"() => {MAP}.layer") == "difference"


def test_a_spot_is_looked_into(room, shot) -> None:
    page = room()
    predicted(page)
    page.mouse.click(*at(page, middle(page)))
    page.wait_for_selector("#m2ost_spot .lb-spot-views figure")
    assert page.locator("#m2ost_spot .lb-spot-views figure").count() == 3
    assert "112 µm across" in page.inner_text("#m2ost_spot")
    rows = page.locator("#m2ost_spot tbody tr")
    assert rows.count() == 3
    assert page.locator(f"{VIEWER} .lb-slide-boxes li").count() == 3
    page.wait_for_selector("#m2ost_profile canvas, #m2ost_profile svg")
    assert "planted profile" in page.inner_text("#m2ost_profile")
    drawn = "() => document.querySelector('#m2ost_spot canvas').toDataURL()"
    attention = page.evaluate(drawn)
    page.locator("#m2ost_spot").get_by_role("button", name="Patches").click()
    assert page.evaluate(drawn) != attention
    shot(page, "m2ost_spot")


def test_a_region_is_compared_and_everything_can_be_taken_away(room) -> None:
    page = room()
    predicted(page)
    x, y = at(page, middle(page))
    page.click(f"{VIEWER} [data-tool=rectangle]")
    page.mouse.move(x - 90, y - 70)
    page.mouse.down()
    page.mouse.move(x, y, steps=4)
    page.mouse.move(x + 60, y + 60, steps=4)
    page.mouse.up()
    page.wait_for_function("() => Lightbox.slide.views[0].regions.length === 1")
    page.click(f"{VIEWER} .lb-profiles summary")
    page.wait_for_selector(f"{VIEWER} .lb-profiles tbody tr")
    assert int(page.get_attribute(f"{VIEWER} .lb-profiles", "data-spots")) >= 5
    with page.expect_download() as got:
        page.get_by_role("button", name="Profiles as CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(got.value.path()).read_text(encoding="utf-8"))))
    assert len(rows) == 1
    assert len(rows[0]) == 3 + 48
    with page.expect_download() as got:
        page.get_by_role("button", name="Save GeoJSON").click()
    shapes = json.loads(Path(got.value.path()).read_text(encoding="utf-8"))
    assert shapes["features"][0]["properties"]["objectType"] == "annotation"
    with page.expect_download() as got:
        page.get_by_role("link", name="CSV table").click()
    table = list(csv.DictReader(io.StringIO(Path(got.value.path()).read_text(encoding="utf-8"))))
    assert len(table) == page.evaluate(f"() => {MAP}.n")
    with page.expect_download() as got:
        page.get_by_role("link", name="h5ad file").click()
    assert Path(got.value.path()).read_bytes().startswith(b"\x89HDF")


def test_a_link_brings_the_same_view_and_gene_back(room, open_page) -> None:
    page = room()
    predicted(page)
    page.fill(f"{VIEWER} .lb-genes input[type=search]", "stroma +2")
    page.keyboard.press("Enter")
    page.click(f"{VIEWER} [data-jump='10']")
    settled(page)
    page.wait_for_timeout(700)
    rect = page.evaluate("() => Lightbox.slide.views[0].v().rect")
    hash_ = page.evaluate("() => location.hash")
    assert "slide=" in hash_
    assert "room=m2ost" in hash_
    other = open_page(path=hash_)
    other.set_default_timeout(120_000)
    other.wait_for_selector(PROOF["Explore"], timeout=120_000)
    predicted(other, whole=False)
    settled(other)
    again = other.evaluate("() => Lightbox.slide.views[0].v().rect")
    assert again["x"] == pytest.approx(rect["x"], abs=3)
    assert again["width"] == pytest.approx(rect["width"], rel=0.01)
    assert other.inner_text(f"{VIEWER} .lb-genes h4") == "stroma +2"


def test_a_stop_in_the_middle_frees_the_worker(room, app) -> None:
    page = room()
    predicted(page, whole=False)
    page.locator("#m2ost_pitch").get_by_label("56 µm", exact=False).check()
    page.locator("#m2ost_truth input").uncheck()
    page.locator("#m2ost_flips input").check()
    page.wait_for_function(f"() => {MAP}.n > 2000 && {MAP}.count() > 0 && {MAP}.count() < {MAP}.n", timeout=180_000)
    page.click("#m2ost_stop")
    page.wait_for_selector(f"{VIEWER} .lb-genes[data-state=stopped]")
    app.wait(lambda seen: seen["queue"]["running"] == 0)
    assert 0 < page.evaluate(f"() => {MAP}.count()") < page.evaluate(f"() => {MAP}.n")
    assert "Stopped" in page.inner_text(f"{VIEWER} .lb-genes")


def test_views_are_switched_off_and_the_map_follows(room) -> None:
    page = room()
    predicted(page)
    before = page.evaluate(f"() => Array.from({{length: 30}}, (_, i) => {MAP}.value('predicted', 30, i))")
    job = page.evaluate(f"() => {MAP}.job")
    page.locator("#m2ost_levels").get_by_label("4 × as wide").uncheck()
    page.wait_for_function("job => Lightbox.slide.views[0].map.job && Lightbox.slide.views[0].map.job !== job", arg=job)
    predicted(page)
    after = page.evaluate(f"() => Array.from({{length: 30}}, (_, i) => {MAP}.value('predicted', 30, i))")
    assert max(abs(a - b) for a, b in zip(before, after, strict=True)) > 0.05


@pytest.mark.parametrize("drawer", list(PROOF))
@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
def test_each_drawer_fits_and_axe_finds_nothing_serious(room, shot, drawer: str, width: int, dark: bool) -> None:
    page = room(drawer, width=width, dark=dark)
    if drawer == "Explore":
        predicted(page)
        page.mouse.click(*at(page, middle(page)))
        page.wait_for_selector("#m2ost_spot .lb-spot-views figure")
    shot(page, f"m2ost_{drawer.lower()}_{width}{'_dark' if dark else ''}")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    serious = [(one["id"], [node["html"][:160] for node in one["nodes"]][:3]) for one in found if one["impact"] in ("serious", "critical")]
    assert serious == []
