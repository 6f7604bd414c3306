"""Reading rectangles: which level, what lies outside, exact averages, bounded memory, threads and closing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from models.shared.slides import Level, PixelSource, PyramidSource, SlideRefused, SlideSource
from models.shared.slides import source as source_module
from models.shared.slides.resample import area_average


class Recording(PyramidSource):
    """Levels at 1, 4 and 16 of a picture whose red value names the level; notes what is read."""

    width, height, mpp = 1600, 1200, 0.5
    levels = (Level(1600, 1200, 1, 1), Level(400, 300, 4, 4), Level(100, 75, 16, 16))

    def __init__(self):
        super().__init__()
        self.asked, self.shut = [], 0

    def _pixels(self, level, x, y, width, height):
        self.asked.append((level, x, y, width, height))
        return np.full((height, width, 3), 10 * level, np.uint8)

    def _shut(self):
        self.shut += 1


def by_definition(block, box, out):
    """The mean of every new pixel's area, with matrices."""
    left, top, right, bottom = box
    weights = []
    for start, stop, count, length in ((top, bottom, out[1], block.shape[0]), (left, right, out[0], block.shape[1])):
        edges = np.linspace(start, stop, count + 1)
        low, high = np.maximum(edges[:-1, None], np.arange(length)), np.minimum(edges[1:, None], np.arange(length) + 1)
        weights.append(np.maximum(0, high - low) / ((stop - start) / count))
    return np.einsum("ir,rcs,jc->ijs", weights[0], block.astype(float), weights[1], optimize=True)


def test_averages_are_the_means_of_the_areas_whatever_the_borders():
    rng = np.random.default_rng(1)
    for _ in range(150):
        height, width = rng.integers(1, 40, 2)
        block = rng.integers(0, 256, (height, width, 3), np.uint8)
        left, right = (0, width) if rng.random() < 0.3 else sorted(rng.uniform(0, width, 2))
        top, bottom = (0, height) if rng.random() < 0.3 else sorted(rng.uniform(0, height, 2))
        if right - left < 0.01 or bottom - top < 0.01:
            continue
        box, out = (left, top, right, bottom), tuple(int(n) for n in rng.integers(1, 50, 2))
        found = area_average(block, box, out)
        assert found.dtype == np.uint8
        assert found.shape == (out[1], out[0], 3)
        assert np.abs(found - by_definition(block, box, out)).max() <= 0.51


@pytest.mark.parametrize(
    ("out", "level"), [(1600, 0), (800, 0), (500, 0), (410, 0), (400, 1), (399, 1), (200, 1), (105, 1), (100, 2), (10, 2), (3200, 0)]
)
def test_the_nearest_finer_level_is_read(out, level):
    source = Recording()
    assert source.read(0, 0, 1600, 1200, out=(out, max(1, out * 3 // 4))).max() == 10 * level
    assert {asked[0] for asked in source.asked} == {level}


def test_outside_is_white_and_not_read():
    source = Recording()
    found = source.read(-10, -20, 100, 100)
    assert (found[:20] == 255).all()
    assert (found[:, :10] == 255).all()
    assert (found[20:, 10:] == 0).all()
    assert source.asked == [(0, 0, 0, 90, 80)]
    assert (source.read(5000, 0, 10, 10) == 255).all()
    assert (source.read(-(10**12), -(10**12), 10**6, 10**6, out=(4, 4)) == 255).all()
    assert len(source.asked) == 1


def test_a_thumbnail_is_read_in_pieces_of_bounded_size_with_the_same_result(monkeypatch, picture):
    pixels = picture(700, 500)
    source = PixelSource(pixels)
    source.levels = source.levels[:1]  # as a slide without a pyramid
    whole = source.read(3, 5, 690, 470, out=(37, 23))
    monkeypatch.setattr(source_module, "BLOCK_PIXELS", 4000)
    largest = []
    inner = source._pixels
    monkeypatch.setattr(source, "_pixels", lambda level, x, y, w, h: largest.append(w * h) or inner(level, x, y, w, h))
    assert np.abs(source.read(3, 5, 690, 470, out=(37, 23)).astype(int) - whole).max() <= 1
    assert len(largest) > 50
    assert max(largest) <= 4000


def test_a_picture_in_memory_is_a_source_with_levels_by_halves(picture):
    pixels = picture(1000, 601)
    source = PixelSource(pixels, 0.5)
    assert isinstance(source, SlideSource)
    assert [(level.width, level.height) for level in source.levels] == [(1000, 601), (500, 301), (250, 151)]
    assert np.array_equal(source.read(100, 50, 300, 200), pixels[50:250, 100:400])
    assert (
        np.abs(source.read(0, 0, 1000, 600, out=(250, 150)).astype(int) - by_definition(pixels, (0, 0, 1000, 600), (250, 150))).max() <= 2
    )
    assert source.fingerprint == PixelSource(pixels.copy()).fingerprint != PixelSource(pixels[:, ::-1]).fingerprint
    changed = source.read(0, 0, 10, 10)
    changed[:] = 0
    assert np.array_equal(source.read(0, 0, 10, 10), pixels[:10, :10])


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 4), np.uint8)]
)
def test_other_arrays_are_no_source(bad):
    with pytest.raises(ValueError, match=r"uint8 \(height, width, 3\)"):
        PixelSource(bad)


@pytest.mark.parametrize(
    ("size", "out"), [((0, 5), None), ((5, -1), None), ((5, 5), (0, 3)), ((10**6, 10**6), None), ((5, 5), (10**5, 10**5))]
)
def test_empty_and_absurd_sizes_are_refused(size, out):
    with pytest.raises(ValueError, match="cannot be read"):
        Recording().read(0, 0, *size, out=out)


def test_closing_waits_for_those_who_read():
    entered, go_on = threading.Event(), threading.Event()

    class Slow(Recording):
        def _pixels(self, *place):
            entered.set()
            go_on.wait(10)
            assert not self.shut
            return super()._pixels(*place)

    source = Slow()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(source.read, 0, 0, 10, 10)
        entered.wait(10)
        source.close()
        assert source.shut == 0
        go_on.set()
        assert reading.result().shape == (10, 10, 3)
    assert source.shut == 1
    source.close()
    assert source.shut == 1
    with pytest.raises(SlideRefused, match="closed"):
        source.read(0, 0, 1, 1)


def test_one_pixel_of_a_whole_large_slide_is_its_mean(monkeypatch, picture):
    monkeypatch.setattr(source_module, "BLOCK_PIXELS", 2000)
    pixels = picture(600, 400)
    source = PixelSource(pixels)
    source.levels = source.levels[:1]
    assert np.abs(source.read(0, 0, 600, 400, out=(1, 1))[0, 0] - pixels.mean(axis=(0, 1))).max() <= 1


def test_sums_of_many_pixels_do_not_run_over():
    block = np.full((5000, 5000, 3), 200, np.uint8)
    assert (area_average(block, (0.0, 0.0, 5000.0, 5000.0), (1, 1)) == 200).all()
