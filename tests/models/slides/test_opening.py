"""Opening files: what each kind gives, what its size of a pixel is, and one sentence for what is no slide."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from models.shared.slides import PixelSource, SlideRefused, by_openslide, open_source
from models.shared.slides import fingerprints as fingerprints_module
from models.shared.slides.by_openslide import OpenSlideSource
from models.shared.slides.by_tifffile import TiffSource
from models.shared.slides.fingerprints import fingerprint
from models.shared.slides.segments import jpeg_size
from tests.models.slides.made import write_dicom, write_jpeg_pyramid


def painted(path, level, x, y, width, height):
    """What OpenSlide itself shows of a level, over white."""
    with openslide.OpenSlide(path) as slide:
        scale = slide.level_downsamples[level]
        image = slide.read_region((round(x * scale), round(y * scale)), level, (width, height))
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return np.asarray(white)


@pytest.mark.parametrize("colours", ["RGB", "YCBCR"])
@pytest.mark.parametrize("apart", [True, False])
def test_jpeg_pyramids_read_as_openslide_shows_them(tmp_path, picture, colours, apart):
    levels = [picture(1100, 900), picture(275, 225)]
    path = write_jpeg_pyramid(tmp_path / "p.tif", levels, colours=colours, apart=apart)
    with open_source(path) as source:
        assert isinstance(source, OpenSlideSource)
        assert source.vendor == "generic-tiff"
        assert [(level.width, level.height, level.across) for level in source.levels] == [(1100, 900, 1), (275, 225, 4)]
        for level, *place in ((0, 0, 0, 1100, 900), (0, 200, 130, 300, 411), (1, 0, 0, 275, 225)):
            assert np.array_equal(source.region(level, *place), painted(path, level, *place))
        assert np.array_equal(source.read(40, 80, 400, 400, out=(100, 100)), painted(path, 1, 10, 20, 100, 100))
        assert np.abs(source.read(0, 0, 1100, 900).astype(int) - levels[0]).mean() < 3


def test_levels_whose_scale_is_no_whole_number_are_exact(tmp_path, picture, write_pyramid):
    levels = [picture(1051, 843), picture(262, 210)]
    path = write_pyramid(tmp_path / "p.tif", levels)
    with open_source(path) as source, tifffile.TiffFile(path) as tiff:
        assert np.array_equal(source.region(1, 33, 71, 200, 100), tiff.pages[1].asarray()[71:171, 33:233])


def test_the_real_svs(svs):
    with open_source(svs) as source:
        assert (source.width, source.height, source.mpp, source.magnification, source.vendor) == (2220, 2967, 0.499, 20, "aperio")
        for place in ((0, 0, 500, 500), (1700, 2500, 520, 467), (230, 1190, 300, 60)):
            assert np.array_equal(source.read(*place), painted(svs, 0, *place))
        assert (source.read(2200, 2950, 60, 60)[17:, 20:] == 255).all()
        assert source.fingerprint == open_source(svs).fingerprint


@pytest.mark.parametrize("coding", ["lzw", "zlib", "packbits", None, "predictor"])
def test_codings_that_lose_nothing_are_read_as_they_are(tmp_path, picture, write_pyramid, coding):
    levels = [picture(600, 500), picture(300, 250)]
    options = {"compression": "lzw", "predictor": True} if coding == "predictor" else {"compression": coding}
    path = write_pyramid(tmp_path / "p.tif", levels, **options)
    with open_source(path) as source:
        assert source._tiles is not None
        assert np.array_equal(source.read(10, 20, 300, 200), levels[0][20:220, 10:310])
        assert np.array_equal(source.read(20, 40, 400, 400, out=(200, 200)), levels[1][20:220, 10:210])
        assert np.array_equal(source.region(1, 30, 40, 100, 100), painted(path, 1, 30, 40, 100, 100))


def test_what_is_left_to_openslide_reads_the_same(tmp_path, picture, write_pyramid, monkeypatch):
    monkeypatch.setattr(by_openslide, "tile_levels", lambda *_: None)
    levels = [picture(600, 500), picture(300, 250)]
    path = write_pyramid(tmp_path / "p.tif", levels, compression="lzw")
    with open_source(path) as source:
        assert isinstance(source, OpenSlideSource)
        assert source._tiles is None
        assert np.array_equal(source.read(10, 20, 300, 200), levels[0][20:220, 10:310])
        assert np.array_equal(source.read(20, 40, 400, 400, out=(200, 200)), levels[1][20:220, 10:210])
        source.read(0, 0, 4, 4)[:] = 0  # a copy of one's own


def test_strips_planes_palette_and_grey_are_read_as_rgb(tmp_path, picture):
    pixels = picture(400, 300)
    grey = pixels[..., 0]
    cases = {
        "strips": (pixels, {"photometric": "rgb", "rowsperstrip": 7}, pixels),
        "planes": (np.moveaxis(pixels, -1, 0), {"photometric": "rgb", "planarconfig": "separate", "rowsperstrip": 16}, pixels),
        "deep": (pixels.astype(np.uint16) * 257, {"photometric": "rgb", "compression": "zlib"}, pixels),
        "grey": (grey, {"photometric": "minisblack"}, np.repeat(grey[..., None], 3, -1)),
        "inverted": (grey, {"photometric": "miniswhite"}, np.repeat(255 - grey[..., None], 3, -1)),
        "palette": (grey // 2, {"photometric": "palette", "colormap": np.stack([np.arange(256)[::-1] * 257] * 3).astype(np.uint16)}, 255 - np.repeat(grey[..., None] // 2, 3, -1)),
    }  # fmt: skip
    for name, (data, options, wanted) in cases.items():
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, data, metadata=None, **options)
        with open_source(path) as source:
            assert isinstance(source, PixelSource), name
            assert np.array_equal(source.read(0, 0, 400, 300), wanted), name


def test_transparency_lies_over_white(tmp_path, picture):
    alpha = np.zeros((300, 400, 1), np.uint8)
    alpha[100:] = 255
    pixels = np.concatenate([picture(400, 300), alpha], axis=-1)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unassalpha"], metadata=None)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for name in ("a.tif", "a.png"):
        found = open_source(tmp_path / name).read(0, 0, 400, 300)
        assert (found[:100] == 255).all(), name
        assert np.array_equal(found[100:], pixels[100:, :, :3]), name


def test_a_pyramid_of_strips_is_read_in_pieces(tmp_path, picture):
    levels = [picture(800, 600), picture(200, 150)]
    with tifffile.TiffWriter(tmp_path / "s.tif") as tiff:
        tiff.write(levels[0], photometric="rgb", rowsperstrip=16, metadata=None, subifds=1)
        tiff.write(levels[1], photometric="rgb", rowsperstrip=16, metadata=None, subfiletype=1)
        tiff.write(picture(90, 200), photometric="rgb", metadata=None)  # a label is no level
    with open_source(tmp_path / "s.tif") as source:
        assert isinstance(source, TiffSource)
        assert [(level.width, level.height) for level in source.levels] == [(800, 600), (200, 150)]
        assert np.array_equal(source.read(13, 21, 300, 200), levels[0][21:221, 13:313])
        assert np.array_equal(source.read(0, 0, 800, 600, out=(200, 150)), levels[1])


@pytest.mark.parametrize(("ending", "options"), [("png", {}), ("jpg", {"quality": 95}), ("jpeg", {"quality": 95, "progressive": True})])
def test_plain_pictures(tmp_path, picture, ending, options):
    pixels = picture(500, 400)
    Image.fromarray(pixels).save(tmp_path / f"p.{ending}", **options)
    source = open_source(tmp_path / f"p.{ending}")
    found = source.read(0, 0, 500, 400)
    assert np.abs(found.astype(int) - pixels).mean() < (1e-9 if ending == "png" else 2)
    assert source.mpp is None


def test_the_size_of_a_pixel(tmp_path, picture, write_pyramid):
    levels = [picture(300, 300)]
    assert open_source(write_pyramid(tmp_path / "m.tif", levels, resolution=(20_000, 20_000))).mpp == pytest.approx(0.5)
    tifffile.imwrite(
        tmp_path / "s.tif", levels[0], photometric="rgb", resolution=(40_000, 40_000), resolutionunit="CENTIMETER", metadata=None
    )
    assert open_source(tmp_path / "s.tif").mpp == pytest.approx(0.25)
    tifffile.imwrite(tmp_path / "print.tif", levels[0], photometric="rgb", resolution=(300, 300), resolutionunit="INCH", metadata=None)
    assert open_source(tmp_path / "print.tif").mpp is None  # 85 µm is a print's
    assert open_source(tmp_path / "print.tif", mpp=0.65).mpp == 0.65
    for absurd in (0.0, -1.0, 500.0, float("nan")):
        with pytest.raises(SlideRefused, match="no microscope"):
            open_source(tmp_path / "s.tif", mpp=absurd)


def test_what_is_no_slide_is_refused_with_one_sentence(tmp_path, picture, write_pyramid):
    whole = write_pyramid(tmp_path / "w.tif", [picture(600, 600)]).read_bytes()
    Image.fromarray(picture(64, 64)).save(tmp_path / "p.jpg")
    jpeg = (tmp_path / "p.jpg").read_bytes()
    cases = {
        "text.svs": (b"no slide at all", "no slide of a known kind"),
        "empty.tif": (b"", "no slide of a known kind"),
        "half.tif": (whole[: len(whole) // 2], "damaged"),
        "head.tif": (whole[:100], "damaged"),
        "cut.jpg": (jpeg[:200], "damaged"),
        "alone.mrxs": (jpeg, "one of several"),
        "plain.dcm": (bytes(128) + b"DICM" + bytes(50), "one of several"),
    }
    for name, (content, sentence) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SlideRefused, match=sentence) as refused:
            open_source(tmp_path / name)
        assert str(tmp_path) not in str(refused.value), name
    for missing in (tmp_path / "not-there.svs", tmp_path):
        with pytest.raises(SlideRefused, match="cannot be opened"):
            open_source(missing)


def test_eight_threads_read_the_same_pixels(svs):
    with open_source(svs) as source:
        places = [(x, y, 300, 200) for x in range(0, 2000, 250) for y in range(0, 2800, 400)]
        alone = [source.read(*place) for place in places]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda place: source.read(*place), places * 2))
    assert all(np.array_equal(one, other) for one, other in zip(alone * 2, together, strict=True))


def test_fingerprints_of_large_files_are_made_from_samples(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprints_module, "WHOLE_BYTES", 1000)
    content = bytearray(np.random.default_rng(0).bytes(4 << 20))
    (tmp_path / "a").write_bytes(content)
    first = fingerprint([tmp_path / "a"])
    assert first == fingerprint([tmp_path / "a"])
    assert first != fingerprint([tmp_path / "a"], "more")
    step = (2 << 20) // 256
    for place, is_seen in (
        (0, True),
        (5000, True),
        ((1 << 20) + step + 4095, True),
        ((1 << 20) + step + 4096, False),
        (len(content) - 1, True),
    ):
        changed = bytearray(content)
        changed[place] ^= 1
        (tmp_path / "b").write_bytes(changed)
        assert (fingerprint([tmp_path / "b"]) != first) == is_seen
    (tmp_path / "b").write_bytes(content[:-1])
    assert fingerprint([tmp_path / "b"]) != first


def test_a_jpeg_says_its_size(tmp_path):
    Image.new("RGB", (123, 45)).save(tmp_path / "p.jpg")
    data = (tmp_path / "p.jpg").read_bytes()
    assert jpeg_size(data) == (123, 45)
    assert jpeg_size(data[:30]) is None
    assert jpeg_size(b"\x89PNG" + bytes(50)) is None
    assert jpeg_size(b"\xff\xd8" + b"\xff\xe0\x00\x00" * 40) is None


def test_a_dicom_series_is_opened_by_any_of_its_files(tmp_path, picture):
    levels = [picture(1000, 700), picture(250, 175)]
    paths = write_dicom(tmp_path, levels)
    for path in paths:
        with open_source(path) as source:
            assert (source.vendor, source.width, source.height, source.mpp) == ("dicom", 1000, 700, pytest.approx(0.5))
            assert len(source.levels) == 2
            assert np.abs(source.read(100, 100, 400, 400).astype(int) - levels[0][100:500, 100:500]).mean() < 3
    marks = {open_source(path).fingerprint for path in paths}
    paths[1].write_bytes(paths[1].read_bytes()[:-2] + b"ab")
    assert open_source(paths[0]).fingerprint not in marks  # the other files count, too
