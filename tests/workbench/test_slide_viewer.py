"""The slide viewer's Python side: what is shipped of OpenSeadragon, what the page is handed, and how what it sends back is read."""

from __future__ import annotations

import hashlib
import json
import re

import gradio as gr
import pytest

from workbench.parts.slide_viewer import EVENTS, MOST_REGIONS, SCRIPT, VENDOR, Looked, read, script_url, slide_viewer, vendored
from workbench.server import STATIC
from workbench.site import bundle, head

SQUARE = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]
HOLE = [[2, 2], [4, 2], [4, 4], [2, 2]]


def feature(kind="Polygon", coordinates=None, **properties):
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": [SQUARE] if coordinates is None else coordinates},
        "properties": {"name": "a"} | properties,
    }


# -- what is shipped --------------------------------------------------------------------------------------------------------------------


def test_the_vendored_script_is_the_release_it_says_with_its_licence():
    about = vendored()
    files = {path.name for path in VENDOR.iterdir()}
    assert files == {"VERSION.json", *about["sha256"]}
    for name, sha256 in about["sha256"].items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == sha256, name
    assert re.fullmatch(r"6\.\d+\.\d+", about["version"])
    assert f"//! openseadragon {about['version']}" in (VENDOR / SCRIPT).read_text(encoding="utf-8")[:200]
    licence = (VENDOR / "LICENSE.txt").read_text(encoding="utf-8")
    assert about["license"] == "BSD-3-Clause"
    assert "OpenSeadragon contributors" in licence
    assert "Redistributions in binary form" in licence


def test_no_script_of_the_viewer_evaluates_text_or_names_another_host():
    ours = b"".join(path.read_bytes() for path in sorted(STATIC.glob("slide*.js"))).decode()
    for text in (ours, (VENDOR / SCRIPT).read_text(encoding="utf-8")):
        assert not re.search(r"\beval\(|new Function\(|document\.write\(", text)
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", ours)
    assert ".innerHTML" not in ours, "foreign text goes in as text"


def test_the_page_itself_does_not_load_the_vendored_script():
    assert b"slideViewer" in bundle(STATIC)
    assert b"openseadragon 6" not in bundle(STATIC)
    assert "openseadragon" not in head(STATIC)
    assert "slides.css" in head(STATIC)


def test_its_address_has_the_hash_and_no_leading_slash():
    assert script_url() == f"lightbox/static/vendor/openseadragon/{SCRIPT}?{vendored()['sha256'][SCRIPT][:12]}"
    assert (STATIC.parents[1] / "assets" / "static" / "vendor" / "openseadragon" / SCRIPT).is_file()


# -- the component ----------------------------------------------------------------------------------------------------------------------


def test_the_component_can_be_listened_to_and_updated_in_parts():
    with gr.Blocks():
        viewer = slide_viewer(elem_id="v", label="Section", boxes=[(1, 2, 3, 4, "Spot")], note="Not a measurement.")
        for name in EVENTS:
            getattr(viewer, name)(lambda: None)
    props = viewer.get_config()["props"]
    assert (props["boxes"], props["note"], props["slide"], props["linked"]) == ([[1, 2, 3, 4, "Spot"]], "Not a measurement.", {}, True)
    assert props["osd"] == script_url()
    json.dumps(props)


# -- what comes back --------------------------------------------------------------------------------------------------------------------


def test_a_sound_value_is_read():
    value = {
        "slide": "abc",
        "window": {"x": 10.7, "y": 0, "width": 500, "height": 300.2},
        "gene": "ERBB2",
        "regions": [feature(), feature("MultiPolygon", [[SQUARE, HOLE], [SQUARE]], name="b")],
    }
    looked = read(value)
    assert (looked.slide, looked.window, looked.gene) == ("abc", (10, 0, 500, 300), "ERBB2")
    assert [region.name for region in looked.regions] == ["a", "b"]
    assert [[len(part) for part in region.parts] for region in looked.regions] == [[1], [2, 1]]
    assert looked.regions[0].parts[0][0][1] == (10.0, 0.0)


@pytest.mark.parametrize(
    "value", [None, "", [], 3, {}, {"slide": 5, "window": [], "regions": "x", "gene": None}, {"regions": {"a": 1}, "window": {"x": 1}}]
)
def test_nothing_sound_is_nothing(value):
    assert read(value) == Looked()


@pytest.mark.parametrize(
    "bad",
    [
        None,
        5,
        {},
        {"geometry": None},
        feature("Point", [1, 2]),
        feature(coordinates=[]),
        feature(coordinates=[[]]),
        feature(coordinates=[SQUARE[:3]]),
        feature(coordinates=[[["1", 2]] * 5]),
        feature(coordinates=[[[1]] * 5]),
        feature(coordinates=[[[float("nan"), 2]] * 5]),
        feature(coordinates=[[[1e12, 2]] * 5]),
        feature(coordinates=[[[True, 2]] * 5]),
        feature("MultiPolygon", [SQUARE]),
        feature(coordinates="text"),
        feature(["Polygon"]),
    ],
)
def test_an_unsound_region_is_left_out_and_the_others_stay(bad):
    assert [region.name for region in read({"regions": [feature(), bad, feature(name="c")]}).regions] == ["a", "c"]


@pytest.mark.parametrize(
    "window",
    [
        {"x": 0, "y": 0, "width": 0, "height": 5},
        {"x": 0, "y": 0, "width": "9", "height": 5},
        {"x": float("inf"), "y": 0, "width": 1, "height": 5},
    ],
)
def test_a_window_without_a_size_is_none(window):
    assert read({"window": window}).window is None


def test_there_are_limits():
    assert len(read({"regions": [feature()] * 500}).regions) == MOST_REGIONS
    huge = [[[i % 977, i % 991] for i in range(60_000)]]
    assert len(read({"regions": [feature(coordinates=huge)] * 5}).regions) == 3
    assert len(read({"regions": [feature(name="x" * 500)]}).regions[0].name) == 80
