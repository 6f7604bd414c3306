"""The small parts: safe markup, the compare strip, the height map as a picture, the rows of the Learn drawer."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from models.shared.method import Deviation
from models.sofim import METHOD
from workbench.parts import html
from workbench.parts.compare_strip import SIDE_PX, strip
from workbench.parts.heightmap import HIGH, LOW, as_data_url
from workbench.parts.lesson import _rows, deviations

FOREIGN = """<script>alert('1')</script> & "quoted" </td></table>"""


class Reader(HTMLParser):
    """Tags, attributes and texts of a piece of markup, read as a browser would."""

    def __init__(self, markup):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts = [], []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def names(self):
        return [tag for tag, _ in self.tags]

    def of(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def picture_of(url):
    head, _, body = url.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(body, validate=True)))


# -- html -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markup", "tags", "count"),
    [
        (html.badge(FOREIGN), ["span"], 1),
        (html.card(FOREIGN), ["section", "h3"], 1),
        (html.bullets([FOREIGN, FOREIGN]), ["ul", "li", "li"], 2),
        (html.pairs([(FOREIGN, FOREIGN)]), ["dl", "dt", "dd"], 2),
        (html.table([FOREIGN], []), ["div", "table", "thead", "tr", "th", "tbody"], 1),
    ],
    ids=["badge", "card", "bullets", "pairs", "table"],
)
def test_foreign_text_stays_text(markup, tags, count):
    page = Reader(markup)
    assert page.names() == tags
    assert page.texts.count(FOREIGN) == count


def test_a_badge_says_in_words_how_well_a_point_is_supported():
    page = Reader(html.badge("inferred"))
    assert (page.of("span"), page.texts) == ([{"class": "lb-badge", "data-evidence": "inferred"}], ["our own decision"])
    assert Reader(html.badge(FOREIGN)).of("span")[0]["data-evidence"] == FOREIGN


def test_a_table_has_headings_for_columns_and_rows_and_its_cells_are_markup():
    page = Reader(html.table(["Name", "Value"], [["a", "<b>1</b>"], ["b", "2"]], row_classes=["lb-own", ""]))
    assert [cell["scope"] for cell in page.of("th")] == ["col", "col", "row", "row"]
    assert page.of("tr") == [{}, {"class": "lb-own"}, {}]
    assert (page.names().count("td"), page.names().count("b")) == (2, 1)
    assert page.texts == ["Name", "Value", "a", "1", "b", "2"]


def test_braces_and_dollars_in_markup_are_no_template():
    shown = html.show("<p>${alert(1)} {{value}}</p>", elem_id="x")
    assert (shown.value, shown.html_template, shown.elem_id) == ("<p>${alert(1)} {{value}}</p>", "{{{value}}}", "x")


# -- the compare strip ------------------------------------------------------------------------------------------------


def test_every_text_of_the_strip_is_escaped():
    markup = strip(picture=np.zeros((4, 4)), values=None, caption=FOREIGN, truth=FOREIGN, rows=[(FOREIGN, FOREIGN, 0.5, True)])
    page = Reader(markup)
    assert "script" not in page.names()
    assert page.of("img")[0]["alt"] == FOREIGN
    assert page.texts.count(FOREIGN) == 3  # caption, network, answer; the truth stands inside a longer heading
    assert f"Probability given to the true class ({FOREIGN})" in page.texts


def test_the_strip_shows_answers_shares_and_verdicts():
    rows = [("SOFIM", "benign (88 %)", 0.876, True), ("Adam", "malignant (100 %)", 0.0, False)]
    page = Reader(strip(picture=None, values=None, caption="c", truth="benign", rows=rows))
    assert [style["style"] for style in page.of("i")] == ["width:87.6%", "width:0.0%"]
    assert [text for text in page.texts if text in ("right", "wrong")] == ["right", "wrong"]
    assert [cell["class"] for cell in page.of("span") if cell["class"] != "lb-meter"] == ["lb-good", "lb-bad"]
    assert {" 87.6 %", " 0.0 %"} <= set(page.texts)


def test_the_picture_of_a_case_stands_upright_and_is_not_smoothed():
    picture = np.array([[0.0, 1.0], [0.5, 7.0]])  # 7 lies outside the scale and is cut
    shown = np.asarray(picture_of(Reader(strip(picture=picture, values=None, caption="", truth="", rows=[])).of("img")[0]["src"]))
    half = SIDE_PX // 2
    assert shown.shape == (SIDE_PX, SIDE_PX)
    corners = (shown[:half, :half], shown[:half, half:], shown[half:, :half], shown[half:, half:])
    assert [set(np.unique(corner)) for corner in corners] == [{0}, {255}, {127}, {255}]


def test_a_table_row_is_drawn_as_bars_up_and_down_cut_at_three():
    page = Reader(strip(picture=None, values=np.array([3.0, -1.5, 0.0, 99.0], dtype=np.float32), caption="", truth="", rows=[]))
    middle = SIDE_PX / 2
    tops = [float(bar["y"]) for bar in page.of("rect")]
    heights = [float(bar["height"]) for bar in page.of("rect")]
    assert tops == [0, middle, middle, 0]
    assert heights == [middle, middle / 2, 0, middle]
    assert page.of("svg")[0]["aria-label"] == "4 measurements, standardised"


@pytest.mark.parametrize("count", [1, 30, 1000])
def test_bars_lie_side_by_side_inside_the_picture(count):
    page = Reader(strip(picture=None, values=np.ones(count), caption="", truth="", rows=[]))
    spans = [(float(bar["x"]), float(bar["x"]) + float(bar["width"])) for bar in page.of("rect")]
    assert len(spans) == count
    assert all(0 <= left < right <= SIDE_PX + 0.11 for left, right in spans)  # positions are rounded to a tenth
    assert all(right <= left + 0.11 for (_, right), (left, _) in pairwise(spans))


# -- the height map ---------------------------------------------------------------------------------------------------


def test_a_height_map_is_a_picture_with_high_y_on_top():
    heights = np.zeros((10, 20))
    heights[-5:, :10] = 1.0  # the last rows are those of the highest y, the first columns those of the lowest x
    shown = np.asarray(picture_of(as_data_url(heights)))
    assert shown.shape == (40, 80, 3)
    assert np.array_equal(shown[10, 20], HIGH)
    assert all(np.array_equal(shown[y, x], LOW) for y, x in [(10, 60), (30, 20), (30, 60)])


def test_shades_rise_with_the_height_whatever_its_range():
    shown = np.asarray(picture_of(as_data_url(np.tile(np.linspace(-300.0, 5.0, 60), (8, 1)))))[16, :, 0].astype(int)
    assert shown[0] == LOW[0]
    assert abs(shown[-1] - HIGH[0]) <= 2  # the smoothing overshoots a little at the edge of a band
    assert len(np.unique(shown[2:-2:4])) >= 15  # bands
    assert np.all(np.diff(shown[2::4]) >= -2)


def test_flat_ground_and_non_contiguous_maps_are_drawn():
    assert set(np.unique(np.asarray(picture_of(as_data_url(np.full((3, 3), 7.0)))))) == set(LOW)
    heights = np.arange(12.0).reshape(3, 4)
    assert as_data_url(heights.T) == as_data_url(np.ascontiguousarray(heights.T)) != as_data_url(heights)


# -- the Learn drawer -------------------------------------------------------------------------------------------------


def check(passed, **more):
    made = {"name": "Inverse", "oracle": 1, "meaning": "The closed form is the inverse.", "difference": 2.5e-7, "tolerance": 1e-6}
    return SimpleNamespace(**{**made, "passed": passed, **more})


def test_checks_that_agree_are_green():
    page = Reader(_rows([check(True), check(True, oracle=2)]))
    assert page.of("p") == [{"class": "lb-good"}]
    assert "2 of 2 checks agree." in page.texts
    assert {"1. Inverse", "2. Inverse", "2.5e-07", "1e-06", "The closed form is the inverse."} <= set(page.texts)
    assert (page.texts.count("agrees"), page.texts.count("differs")) == (2, 0)


@pytest.mark.parametrize("difference", [0.5, float("nan"), float("inf")])
def test_one_check_that_differs_is_red_and_so_is_the_verdict(difference):
    page = Reader(_rows([check(True), check(False, difference=difference)]))
    assert page.of("p") == [{"class": "lb-bad"}]
    assert "1 of 2 checks agree." in page.texts
    assert (page.texts.count("agrees"), page.texts.count("differs")) == (1, 1)
    assert page.of("span")[-1] == {"class": "lb-bad"}


def test_texts_of_checks_are_escaped():
    page = Reader(_rows([check(True, name=FOREIGN, meaning=FOREIGN, oracle="<b>")]))
    assert not {"script", "b"} & set(page.names())
    assert FOREIGN in page.texts


def test_open_points_are_listed_with_their_support_and_escaped():
    points = (Deviation(FOREIGN, "Adam's <i>way</i>", FOREIGN, "inferred"), Deviation("b", "c", "d", "verified"))
    with gr.Blocks() as page:
        deviations(replace(METHOD, deviations=points))
    (shown,) = [block for block in page.blocks.values() if isinstance(block, gr.HTML)]
    read = Reader(shown.value)
    assert not {"script", "i"} & set(read.names())
    assert read.texts.count(FOREIGN) == 2
    assert [badge["data-evidence"] for badge in read.of("span")] == ["inferred", "verified"]
    assert {"our own decision", "verified in a primary source", "Adam's <i>way</i>"} <= set(read.texts)
    assert all(cell["class"] == "lb-wrap" for cell in read.of("td"))
