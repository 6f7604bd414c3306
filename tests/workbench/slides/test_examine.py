"""How a slide is planned: what is passed on, what is packed, which levels are put in between and below, and that the tiles are the slide's."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from models.shared.slides import Level, SlideRefused, open_source
from tests.models.slides.made import picture, write_dicom, write_jpeg_pyramid, write_pyramid
from workbench.slides import drafts, limits
from workbench.slides.examine import examine
from workbench.slides.facts import Plan
from workbench.slides.pieces import cut
from workbench.slides.tiffindex import head, tile_pages
from workbench.slides.tilefile import BUILT_INDEX, INDEX, THUMB, TILES, TileFile, joined


@pytest.fixture
def folder(tmp_path):
    """Where what is made for a slide goes."""
    (tmp_path / "plan").mkdir()
    return tmp_path / "plan"


def shown(data):
    """A JPEG as a browser decodes it."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def all_native_tiles(plan, path, folder):
    """(level, column, row, bytes) of every tile that is passed on."""
    with_file = TileFile(path, folder / INDEX)
    for level in plan.levels:
        if level.kind == "native":
            yield from ((level, c, r, with_file.tile(level, c, r)) for r in range(level.ny) for c in range(level.nx))
    with_file.close()


def check_native_tiles(plan, path, folder):
    """Every tile passed on is the file's own bytes with a head, and shows what OpenSlide shows; the number of tiles."""
    count = 0
    content = path.read_bytes()
    with openslide.OpenSlide(path) as slide:
        for level, column, row, data in all_native_tiles(plan, path, folder):
            assert data[len(level.head) :] in content
            width, height = min(level.tw, level.w - column * level.tw), min(level.th, level.h - row * level.th)
            place = round(column * level.tw * level.scale), round(row * level.th * level.scale)
            wanted = np.asarray(slide.read_region(place, level.source, (width, height)).convert("RGB"))
            assert np.array_equal(shown(data)[:height, :width], wanted)
            count += 1
    return count


@pytest.mark.parametrize("colours", ["RGB", "YCBCR"])
@pytest.mark.parametrize("apart", [True, False])
def test_jpeg_tiles_are_passed_on_and_look_as_openslide_shows_them(tmp_path, folder, colours, apart):
    """Whatever the TIFF says outside its tiles: samples in RGB, tables kept apart."""
    levels = [picture(1100, 900), picture(275, 225)]
    path = write_jpeg_pyramid(tmp_path / "p.tif", levels, colours=colours, apart=apart)
    page = tile_pages(path)[0]
    assert page.head.startswith(b"\xff\xd8\xff\xee\x00\x0eAdobe") == (colours == "RGB")
    assert (len(page.head) > 300) == apart
    plan = examine(path, folder)
    assert (plan.path, plan.vendor, plan.width, plan.height) == ("native", "generic-tiff", 1100, 900)
    assert [(level.w, level.kind) for level in plan.levels] == [(275, "native"), (1100, "native")]
    assert check_native_tiles(plan, path, folder) == 2 + 5 * 4
    for level, column, row, data in all_native_tiles(plan, path, folder):
        wanted = levels[level.source][row * 256 : row * 256 + 256, column * 256 : column * 256 + 256].astype(int)
        assert np.abs(shown(data)[: wanted.shape[0], : wanted.shape[1]] - wanted).mean() < 3
    assert max(Image.open(folder / THUMB).size) == 512


def test_a_jfif_mark_does_not_outvote_the_tiff():
    tile = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(10) + b"\xff\xdbrest"
    assert joined(head(None, rgb=True), tile).endswith(b"\x00\xff\xdbrest")
    assert b"JFIF" not in joined(head(None, rgb=True), tile)
    assert joined(head(b"\xff\xd8TABLES\xff\xd9", rgb=False), b"\xff\xd8\xff\xdbrest") == b"\xff\xd8TABLES\xff\xdbrest"


def test_the_real_svs_is_passed_on(svs, folder):
    plan = examine(svs, folder)
    assert (plan.path, plan.vendor, plan.mpp, plan.magnification) == ("native", "aperio", 0.499, 20)
    assert [(level.w, level.tw, level.kind) for level in plan.levels] == [
        (278, 256, "built"),
        (555, 256, "built"),
        (1110, 256, "built"),
        (2220, 240, "native"),
    ]
    assert check_native_tiles(plan, svs, folder) == 130
    built = TileFile(folder / TILES, folder / BUILT_INDEX)
    lowest = plan.levels[0]
    with open_source(svs) as source:
        wanted = source.read(0, 0, 2048, 2048, out=(256, 256))
    assert np.abs(shown(built.tile(lowest, 0, 0)).astype(int) - wanted).mean() < 4
    built.close()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"compression": "lzw"}, "stores them as LZW"),
        ({"compression": "zlib"}, "stores them as Deflate"),
        ({"compression": "jpeg", "tile": (1152, 1152)}, "too large to be sent whole"),
    ],
)
def test_other_codings_are_packed_anew_and_the_reason_is_told(tmp_path, folder, options, reason):
    path = write_pyramid(tmp_path / "p.tif", [picture(2400, 1500), picture(600, 375)], **options)
    plan = examine(path, folder)
    assert plan.path == "decoded"
    assert reason in plan.reason
    assert [(level.w, level.h, level.scale) for level in plan.levels] == [(300, 188, 8), (600, 375, 4), (1200, 750, 2), (2400, 1500, 1)]
    assert {(level.tw, level.th) for level in plan.levels} == {(256, 256)}
    with open_source(path) as source:
        for level in plan.levels:
            tile = cut(source, level, level.nx - 1, level.ny - 1)
            assert tile.shape == (level.h - 256 * (level.ny - 1), level.w - 256 * (level.nx - 1), 3)
        assert np.array_equal(cut(source, plan.levels[2], 1, 1), source.read(512, 512, 512, 512, out=(256, 256)))


def test_a_picture_without_pyramid_gets_one_on_disk(tmp_path, folder):
    pixels = picture(1300, 700)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    plan = examine(tmp_path / "p.png", folder)
    assert plan.path == "decoded"
    assert "made once" in plan.reason
    assert [(level.w, level.h, level.kind) for level in plan.levels] == [(325, 175, "built"), (650, 350, "built"), (1300, 700, "built")]
    file = TileFile(folder / TILES, folder / BUILT_INDEX)
    for level in plan.levels:
        whole = np.zeros((level.h, level.w, 3), np.uint8)
        for row in range(level.ny):
            for column in range(level.nx):
                tile = shown(file.tile(level, column, row))
                whole[row * 256 :, column * 256 :][: tile.shape[0], : tile.shape[1]] = tile
        wanted = np.asarray(Image.fromarray(pixels).resize((level.w, level.h), Image.Resampling.BOX)).astype(int)
        assert np.abs((whole - wanted) @ [0.299, 0.587, 0.114]).mean() < 3  # brightness: colours are stored at half the resolution
    file.close()


def test_a_large_lowest_level_gets_coarser_ones(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(limits, "LOWEST_PX", 300_000)
    path = write_pyramid(tmp_path / "p.tif", [picture(2400, 1600), picture(1200, 800)])
    plan = examine(path, folder)
    assert [(level.w, level.kind) for level in plan.levels] == [(300, "built"), (600, "built"), (1200, "native"), (2400, "native")]


def test_wide_gaps_are_filled_and_too_wide_ones_bridged_or_refused(tmp_path, folder, monkeypatch):
    path = write_pyramid(tmp_path / "p.tif", [picture(2560, 2560), picture(160, 160)])
    assert [(level.w, level.kind) for level in examine(path, folder).levels] == [(160, "native"), (640, "decoded"), (2560, "native")]
    far = write_pyramid(tmp_path / "far.tif", [picture(2560, 2560), picture(64, 64)])
    assert [(level.w, level.kind) for level in examine(far, folder).levels] == [
        (320, "built"),
        (640, "built"),
        (1280, "built"),
        (2560, "native"),
    ]
    monkeypatch.setattr(limits, "BUILT_PX", 2_000_000)
    with pytest.raises(SlideRefused, match="the next level is far coarser"):
        examine(far, folder)


def test_a_slide_whose_levels_cannot_be_looked_at_from_afar_is_refused():
    source = SimpleNamespace(width=50_000, height=50_000, levels=(Level(50_000, 50_000, 1, 1),))
    with pytest.raises(SlideRefused, match=r"50,000 × 50,000 pixels it has no coarser level"):
        drafts.usable(source)


def test_a_dicom_series_is_packed_anew_and_tells_no_name(tmp_path, folder):
    paths = write_dicom(tmp_path, [picture(1000, 700), picture(250, 175)])
    plan = examine(paths[0], folder)
    assert (plan.path, plan.vendor) == ("decoded", "dicom")
    assert plan.mpp == pytest.approx(0.5)
    assert [level.w for level in plan.levels] == [250, 500, 1000]
    assert "Somebody" not in json.dumps(plan.to_json())


def test_a_plan_outlives_its_json(svs, folder):
    plan = examine(svs, folder)
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    for spoilt in ({"version": 0}, {"levels": [{}]}, {"extra": 1}):
        with pytest.raises((ValueError, KeyError, TypeError)):
            Plan.from_json(plan.to_json() | spoilt)


def test_sparse_tiles_are_left_to_the_server(tmp_path, folder):
    path = write_pyramid(tmp_path / "p.tif", [picture(1100, 900)])
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        counts = list(tiff.pages[0].databytecounts)
        counts[7] = 0
        tiff.pages[0].tags["TileByteCounts"].overwrite(counts)
    plan = examine(path, folder)
    assert plan.path == "native"
    tiles = [data for _, _, _, data in all_native_tiles(plan, path, folder)]
    assert [number for number, data in enumerate(tiles) if not data] == [7]
