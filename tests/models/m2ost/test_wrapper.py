"""Spots on tissue alone, the same pixels alone and together, and a look into one spot that adds up."""

from __future__ import annotations

import numpy as np
import pytest

from models.m2ost.grid import SpotGrid, spot_grid, tissue_mask
from models.m2ost.views import FIELD_UM, Views, in_order
from models.m2ost.wrapper import Predictor, load_predictor
from models.shared.data.histology import Section
from models.shared.slides import PixelSource


@pytest.fixture(scope="module")
def source(section: Section) -> PixelSource:
    return PixelSource(section.pixels, section.mpp)


class Counting:
    """A source that remembers what was read."""

    def __init__(self, source: PixelSource) -> None:
        self._source, self.reads = source, []

    def __getattr__(self, name: str):
        return getattr(self._source, name)

    def read(self, x: int, y: int, width: int, height: int, *, out=None):
        self.reads.append((x, y, width, height))
        return self._source.read(x, y, width, height, out=out)


def test_spots_lie_on_tissue_and_not_on_glass(source: PixelSource, section: Section) -> None:
    grid = spot_grid(source, pitch_um=50)
    depth = section.layout.at(section.layout.tissue, grid.xy * section.mpp)
    assert len(grid.xy) > 150
    assert (depth > -30).mean() > 0.98
    mask, scale = tissue_mask(source)
    truth = (
        section.layout.at(
            section.layout.tissue, np.stack(np.meshgrid(*(np.arange(side) * scale for side in mask.shape[::-1])), -1).reshape(-1, 2)
        ).reshape(mask.shape)
        > 0
    )
    fat = section.layout.fat.max() > 0
    assert (mask & truth).sum() / (mask | truth).sum() > (0.8 if fat else 0.9)


def test_a_slide_of_unknown_scale_and_an_absurd_pitch_are_refused_with_a_sentence(section: Section) -> None:
    unknown = PixelSource(section.pixels[:200, :200], None)
    with pytest.raises(ValueError, match="µm a pixel"):
        spot_grid(unknown)
    with pytest.raises(ValueError, match="apart"):
        spot_grid(PixelSource(section.pixels[:200, :200], 1.0), pitch_um=1)
    told, known = spot_grid(PixelSource(section.pixels, None), mpp=1.0), spot_grid(PixelSource(section.pixels, 1.0))
    assert len(told.xy) > 30
    assert np.array_equal(told.xy, known.xy)


def test_a_spot_gives_the_same_pixels_alone_and_with_all_others(source: PixelSource) -> None:
    xy = spot_grid(source, pitch_um=60).xy
    together = Views(source).cut(xy, (0, 1, 2))
    for n in range(0, len(xy), 37):
        alone = Views(source).cut(xy[[n]], (0, 1, 2))
        for a, b in zip(alone, together, strict=True):
            assert np.array_equal(a[0], b[n])


def test_views_are_nested_and_white_beyond_the_slide(source: PixelSource) -> None:
    spot, wide, wider = (part[0].astype(float) for part in Views(source).cut(np.array([[700.0, 500.0]]), (0, 1, 2)))
    assert np.abs(spot.reshape(16, 2, 16, 2, 3).mean((1, 3)) - wide[8:24, 8:24]).mean() < 6
    assert np.abs(wide.reshape(16, 2, 16, 2, 3).mean((1, 3)) - wider[8:24, 8:24]).mean() < 6
    corner = Views(source).cut(np.array([[0.0, 0.0]]), (2,))[0][0]
    assert (corner[:14, :14] == 255).all()


def test_each_stretch_of_each_level_is_read_once(source: PixelSource, predictor: Predictor) -> None:
    counting = Counting(source)
    grid = spot_grid(source, pitch_um=60)
    chunks = list(predictor.predict(counting, grid, np.arange(len(grid.xy))))
    assert sum(len(chunk.indices) for chunk in chunks) == len(grid.xy)
    tiles = counting.reads
    assert len(tiles) == len(set(tiles)), "a block was read twice"
    assert len(tiles) < 3 * len(grid.xy) / 4  # one at a time would be three reads a spot
    fields = sum((FIELD_UM * 2**level / source.mpp) ** 2 for level in predictor.levels)
    assert sum(width * height for _, _, width, height in tiles) < len(grid.xy) * fields / 8


def test_one_spot_drags_little_along(source: PixelSource, predictor: Predictor) -> None:
    counting = Counting(source)
    next(predictor.predict(counting, spot_grid(source, pitch_um=60), [100]))
    fields = sum((FIELD_UM * 2**level / source.mpp) ** 2 for level in predictor.levels)
    assert sum(width * height for _, _, width, height in counting.reads) <= 4 * fields * 1.01


def test_predictions_do_not_depend_on_what_is_asked_along_and_stop_when_told(source: PixelSource, predictor: Predictor) -> None:
    grid = spot_grid(source, pitch_um=80)
    values = {
        int(i): row
        for chunk in predictor.predict(source, grid, np.arange(len(grid.xy)))
        for i, row in zip(chunk.indices, chunk.values, strict=True)
    }
    alone = next(predictor.predict(source, grid, [11])).values[0]
    assert np.abs(values[11] - alone).max() < 1e-4
    assert list(predictor.predict(source, grid, np.arange(len(grid.xy)), batch=16, stop=lambda: True)) == []


def test_flips_give_a_spread_and_views_can_be_switched_off(source: PixelSource, predictor: Predictor) -> None:
    grid = spot_grid(source, pitch_um=150)
    plain, turned = (next(predictor.predict(source, grid, [3], flips=flips)) for flips in (False, True))
    assert plain.spread is None
    assert turned.spread.shape == turned.values.shape
    assert turned.spread.max() > 0
    less = next(predictor.predict(source, grid, [3], levels=(0, 1)))
    assert np.abs(less.values - plain.values).max() > 1e-4
    with pytest.raises(ValueError, match="must stay on"):
        next(predictor.predict(source, grid, [3], levels=()))


def test_an_inspection_shows_nested_boxes_attention_that_adds_up_and_the_same_answer(source: PixelSource, predictor: Predictor) -> None:
    grid = spot_grid(source, pitch_um=100)
    found = predictor.inspect(source, grid, 20)
    assert np.abs(found.values - next(predictor.predict(source, grid, [20])).values[0]).max() < 1e-4
    assert [round(box[2] * 1.0, 3) for box in found.boxes] == [FIELD_UM, 2 * FIELD_UM, 4 * FIELD_UM]
    for level, groups in enumerate(found.groups):
        assert [group.share for group in groups] == [1 / 2**k for k in range(level, -1, -1)]
        assert [group.ground_um for group in groups] == [28.0 * 2**k for k in range(level + 1)]
        assert 0.5 < sum(group.attention.sum() for group in groups) <= 1.0
    assert np.isnan(np.diag(found.listens)).all()
    assert np.nansum(found.listens, 1) == pytest.approx(1.0, abs=1e-4)
    assert ((found.gates > 0) & (found.gates < 1)).all()
    with pytest.raises(IndexError, match="There is no spot"):
        predictor.inspect(source, grid, 10**6)


def test_neighbours_follow_each_other_in_the_order_of_reading() -> None:
    xy = np.random.default_rng(0).uniform(0, 5000, (800, 2))
    order = in_order(xy, 500)
    steps = np.linalg.norm(np.diff(xy[order], axis=0), axis=1)
    assert sorted(order) == list(range(800))
    assert np.median(steps) < 500 < np.median(np.linalg.norm(np.diff(xy, axis=0), axis=1))


def test_the_shipped_networks_load_with_names_that_are_marked_as_planted() -> None:
    predictor = load_predictor("full")
    assert len(predictor.genes) == 48
    assert {gene.group for gene in predictor.genes} == {"local", "context"}
    assert all(low < high for low, high in (gene.limits for gene in predictor.genes))
    assert load_predictor("level0").levels == (0,)
    assert "leaking" in load_predictor("leaky").title
    with pytest.raises(ValueError, match="no network called"):
        load_predictor("best")


def test_a_grid_keeps_what_it_was_given() -> None:
    grid = SpotGrid(np.zeros((2, 2), np.float32), 10.0, 0.5)
    assert (len(grid.xy), grid.mpp) == (2, 0.5)
