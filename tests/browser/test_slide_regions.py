"""Regions on the slide in a real browser: drawing, changing, naming, QuPath's files out and in, and what is said about files that do not do."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from shapely.geometry import Point, shape

from tests.browser.conftest import App
from tests.browser.slide_page import HEIGHT, MPP, PLAIN, WIDTH, anew, at, drag, look, open_slide, running_app, settled, told

QUPATH = {"objectType": "annotation", "name": "Tumour", "classification": {"name": "Tumor", "color": [200, 0, 0]}}


def square(x: float, y: float, side: float) -> list[list[float]]:
    return [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]


def feature(coordinates: object, kind: str = "Polygon", **properties: object) -> dict:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": QUPATH | properties}


def collection(*features: dict) -> str:
    return json.dumps({"type": "FeatureCollection", "features": list(features)})


HOLED = feature([square(100, 100, 400), square(200, 200, 100)], name="Ring")
PARTS = feature([[square(600, 100, 100)], [square(800, 100, 200), square(850, 150, 50)]], "MultiPolygon", name="Two")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with running_app(tmp_path_factory.mktemp("app")) as running:
        yield running


@pytest.fixture(scope="module")
def desk(app: App, chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.goto(app.url)
    page.wait_for_selector("#rooms [role=tab]")
    yield page
    context.close()


@pytest.fixture
def page(desk: Page) -> Page:
    """The pyramid, whole, without regions."""
    return anew(desk)


def regions(page: Page) -> list[dict]:
    return look(page, "view.regions")


def ring(page: Page, i: int = 0) -> list:
    """Corners of the outline of one region, the first one once."""
    return regions(page)[i]["geometry"]["coordinates"][0][:-1]


def said(page: Page) -> str:
    return page.inner_text(".lb-slide-say")


def tool(page: Page, name: str) -> None:
    page.click(f"button[data-tool={name}]")


def give(page: Page, content: str) -> None:
    page.set_input_files(".lb-slide input[type=file]", {"name": "a.geojson", "mimeType": "application/json", "buffer": content.encode()})


def near(expected: list, within: float = 3) -> object:
    return [pytest.approx(pair, abs=within) for pair in expected]


# -- drawing ----------------------------------------------------------------------------------------------------------------------------


def test_a_rectangle_is_dragged_and_the_slide_stays(page) -> None:
    before = look(page, "v.rect")
    tool(page, "rectangle")
    drag(page, (300, 200), (700, 600))
    settled(page)
    assert ring(page) == near([[300, 200], [700, 200], [700, 600], [300, 600]])
    assert look(page, "v.rect") == pytest.approx(before, abs=1)
    event = told(page, "regions_changed")
    assert event["regions"] == [["Region 1", [[5]]]]
    area = (400 * MPP) ** 2
    assert float(page.inner_text(".lb-slide-regions span").split()[0].replace(",", "")) == pytest.approx(area, rel=0.02)
    drag(page, (900, 200), (2500, 3000))
    assert ring(page, 1)[2] == pytest.approx([WIDTH, HEIGHT], abs=0.01), "what reaches over the slide's edge ends there"
    page.mouse.click(*at(page, 100, 100))
    assert len(regions(page)) == 2, "a click draws nothing"


def test_a_polygon_is_clicked_and_its_first_corner_closes_it(page) -> None:
    tool(page, "polygon")
    corners = [[300, 200], [700, 250], [650, 700], [350, 600]]
    for corner in corners:
        page.mouse.click(*at(page, *corner))
        page.wait_for_timeout(330)
    expect(page.locator(".lb-slide-drawbar span")).to_have_text("4 corners")
    page.get_by_role("button", name="Back: remove the last corner").click()
    expect(page.locator(".lb-slide-drawbar span")).to_have_text("3 corners")
    page.mouse.click(*at(page, *corners[3]))
    page.wait_for_timeout(330)
    page.mouse.click(*at(page, *corners[0]))
    assert ring(page) == near(corners)
    page.mouse.click(*at(page, 900, 300))
    page.keyboard.press("Escape")
    expect(page.locator(".lb-slide-drawbar")).to_be_hidden()
    assert len(regions(page)) == 1


def test_both_shapes_are_drawn_by_keyboard(page) -> None:
    page.get_by_role("button", name="20×", exact=True).click()
    settled(page)
    page.focus(".lb-slide-canvas")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    start = look(page, "v.toSlide(v.width / 2, v.height / 2)")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
        settled(page)
    page.keyboard.press("Enter")
    assert ring(page)[0] == pytest.approx(start, abs=1)
    assert ring(page)[2] == pytest.approx([start[0] + 120, start[1] + 60], abs=2)
    page.keyboard.press("p")
    for key in ("ArrowLeft", "ArrowUp", "ArrowRight"):
        page.keyboard.press("Enter")
        page.keyboard.press(key)
        settled(page)
    page.keyboard.press("Shift+Enter")
    assert len(ring(page, 1)) == 3
    page.keyboard.press("v")
    rect = look(page, "v.rect")
    assert ring(page, 2)[2] == pytest.approx([rect["x"] + rect["width"], rect["y"] + rect["height"]], abs=1)
    page.keyboard.press("z")
    page.keyboard.press("z")
    assert len(regions(page)) == 1
    page.keyboard.press("y")
    assert len(regions(page)) == 2


def test_corners_and_wholes_are_moved_added_and_removed(page) -> None:
    give(page, collection(feature([square(400, 300, 300)])))
    expect(page.locator(".lb-slide-regions li")).to_have_count(1)
    tool(page, "edit")
    page.mouse.click(*at(page, 450, 350))
    drag(page, (700, 600), (800, 700))
    assert ring(page)[2] == pytest.approx([800, 700], abs=3)
    drag(page, (500, 450), (550, 480))
    assert ring(page)[0] == pytest.approx([450, 330], abs=4)
    drag(page, (600, 330), (600, 250))
    assert len(ring(page)) == 5, "the dot between two corners becomes a corner"
    page.keyboard.press("Delete")
    assert len(ring(page)) == 4
    page.keyboard.press("Escape")
    page.focus(".lb-slide-canvas")
    page.keyboard.press("e")
    corner = ring(page)
    page.keyboard.press("c")
    page.keyboard.press("Shift+ArrowRight")
    assert ring(page)[0][0] > corner[0][0] + 10
    assert ring(page)[1:] == corner[1:]
    page.keyboard.press("Escape")
    for _ in range(6):  # read, corner, whole, new corner, removed corner, nudge
        page.keyboard.press("z")
    assert regions(page) == []
    page.keyboard.press("y")
    assert ring(page) == near(square(400, 300, 300)[:-1], 0.01)


def test_names_colours_showing_and_removing(page) -> None:
    give(page, collection(feature([square(400, 300, 100)], name="<img src=x onerror=alert(1)>"), PARTS))
    rows = page.locator(".lb-slide-regions li")
    expect(rows).to_have_count(2)
    assert page.locator(".lb-slide-regions img").count() == 0
    expect(rows.nth(1)).to_contain_text("2 parts, 1 hole")
    name = rows.nth(0).locator("input[type=text]")
    name.fill("Stroma")
    name.press("Enter")
    rows.nth(0).locator("input[type=color]").fill("#00ff7f")
    properties = regions(page)[0]["properties"]
    assert (properties["name"], properties["classification"]) == ("Stroma", {"name": "Tumor", "color": [0, 255, 127]})
    page.get_by_role("button", name="Show Stroma").click()
    settled(page)
    assert look(page, "v.toSlide(v.width / 2, v.height / 2)") == pytest.approx([450, 350], abs=2)
    page.get_by_role("button", name="Remove Stroma").click()
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(rows).to_have_count(2)


def test_regions_stay_with_their_slide(page) -> None:
    give(page, collection(HOLED))
    expect(page.locator(".lb-slide-regions li")).to_have_count(1)
    open_slide(page, PLAIN)
    assert regions(page) == []
    open_slide(page)
    assert [region["properties"]["name"] for region in regions(page)] == ["Ring"]


# -- QuPath's files ---------------------------------------------------------------------------------------------------------------------


def test_what_is_saved_is_qupaths_dialect_and_comes_back_the_same(page, tmp_path) -> None:
    give(page, collection(HOLED, PARTS, feature([square(10.26, 20.13, 30.5)], isLocked=True, measurements={"a": 1})))
    tool(page, "rectangle")
    drag(page, (300, 600), (500, 800))
    expect(page.locator(".lb-slide-regions li")).to_have_count(4)
    before = regions(page)
    with page.expect_download() as taken:
        page.get_by_role("button", name="Save GeoJSON").click()
    assert taken.value.suggested_filename == "pyramid_regions.geojson"
    taken.value.save_as(tmp_path / "r.geojson")
    written = json.loads((tmp_path / "r.geojson").read_text(encoding="utf-8"))
    assert written["type"] == "FeatureCollection"
    for one in written["features"]:
        assert one["type"] == "Feature"
        assert len(one["id"]) == 36
        assert one["properties"]["objectType"] == "annotation"
        assert set(one["properties"]["classification"]) == {"name", "color"}
        assert shape(one["geometry"]).is_valid
    assert written["features"][2]["properties"]["measurements"] == {"a": 1}
    assert written["features"][3]["properties"]["classification"]["name"] == "Region 1"
    page.get_by_role("button", name="Remove all").click()
    give(page, (tmp_path / "r.geojson").read_text(encoding="utf-8"))
    expect(page.locator(".lb-slide-regions li")).to_have_count(4)
    assert regions(page) == before
    give(page, (tmp_path / "r.geojson").read_text(encoding="utf-8"))
    expect(page.locator(".lb-slide-regions li")).to_have_count(8)
    assert len({region["id"] for region in regions(page)}) == 8


def test_inside_area_and_bounds_agree_with_shapely(desk) -> None:
    rng = np.random.default_rng(4)
    for one in (HOLED, PARTS, feature([[[0, 0], [500, 40], [300, 300], [420, 480], [60, 400], [0, 0]]])):
        figure, points = shape(one["geometry"]), (rng.random((300, 2)) * [1100, 600]).tolist()
        inside, area, box = desk.evaluate(
            "([f, points]) => { const S = Lightbox.slide, b = S.bounds(f); return [points.map((p) => S.inside(f, ...p)), S.area(f), [b.x, b.y, b.x + b.width, b.y + b.height]]; }",
            [one, points],
        )
        assert inside == [figure.contains(Point(*point)) for point in points]
        assert area == pytest.approx(figure.area)
        assert box == pytest.approx(list(figure.bounds))


def test_other_forms_of_qupaths_files_are_read(page) -> None:
    older = {"type": "Feature", "id": "PathAnnotationObject", "geometry": {"type": "Polygon", "coordinates": [square(1, 1, 9)]}}
    older["properties"] = {"object_type": "annotation", "classification": {"name": "Stroma", "colorRGB": -3140401}}
    bare = feature([square(50, 50, 20)])
    bare["properties"] = None
    cells = [feature([square(i, 300, 1)], objectType="detection") for i in range(300)]
    points = feature([5, 5], "Point")
    give(page, json.dumps([older, feature([square(90, 90, 9)]), *cells, points]))
    expect(page.locator(".lb-slide-say")).to_have_text("2 regions read. 301 others in the file (points, lines, detections) were left out.")
    assert [(r["properties"]["name"], r["properties"]["classification"]["color"]) for r in regions(page)] == [
        ("Stroma", [208, 20, 207]),
        ("Tumour", [200, 0, 0]),
    ]
    give(page, json.dumps(bare))
    expect(page.locator(".lb-slide-regions li")).to_have_count(3)
    assert regions(page)[2]["properties"]["name"] == "Region 3"


BAD = {
    "not json": ("{", "it cannot be read as JSON"),
    "another json": ('{"a": 1}', "a GeoJSON FeatureCollection is expected"),
    "null": ("null", "a GeoJSON FeatureCollection is expected"),
    "nothing": (collection(), "The file holds no regions."),
    "points only": (collection(feature([1, 2], "Point")), "no regions with an area"),
    "two corners": (collection(HOLED, feature([[[0, 0], [5, 5], [0, 0]]], name="Line")), "Region “Line” has fewer than three corners."),
    "words": (collection(feature([[["a", 0], [5, 5], [5, 0]]])), "Region “Tumour” has a corner that is not a pair of numbers."),
    "no corners": (collection(feature([])), "has no corners"),
    "no rings": (collection(feature([[]], "MultiPolygon")), "has a part without corners"),
    "not a list": (collection(feature([5])), "has no list of corners"),
    "elsewhere": (
        collection(feature([square(90_000, 90_000, 50)])),
        "lies outside this slide (1,500 × 1,100 px); the file belongs to another one.",
    ),
    "too many": (
        collection(*[feature([square(5, 5, 50)])] * 21),
        "The file has 21 regions and 19 of 20 places are free; nothing was taken.",
    ),
    "too fine": (collection(feature([[[i % 977, i % 991] for i in range(210_000)]])), "more than 200,000 corners"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_does_not_do_is_answered_with_one_sentence_and_nothing_is_lost(page, case) -> None:
    content, sentence = BAD[case]
    give(page, collection(HOLED))
    expect(page.locator(".lb-slide-regions li")).to_have_count(1)
    before = regions(page)
    give(page, content)
    expect(page.locator(".lb-slide-say")).to_contain_text(sentence)
    assert said(page).startswith("Not taken: ")
    assert regions(page) == before


def test_twenty_is_the_most(page) -> None:
    give(page, collection(*[feature([square(5 + 40 * i, 5, 30)]) for i in range(20)]))
    expect(page.locator(".lb-slide-regions li")).to_have_count(20)
    page.get_by_role("button", name="Region of what is in view").click()
    expect(page.locator(".lb-slide-say")).to_have_text("There are 20 regions, and no room for more; remove one first.")
    tool(page, "rectangle")
    drag(page, (300, 600), (500, 800))
    assert len(regions(page)) == 20
