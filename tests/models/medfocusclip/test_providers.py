"""Oracle 7 of the spec: what a mask provider keeps, whoever finds the masks; and the cache of segments of whole sets."""

from __future__ import annotations

import numpy as np
import pytest

from models.medfocusclip import proposals
from models.medfocusclip.options import OptionRefused
from models.medfocusclip.proposals import GridSettings
from models.medfocusclip.providers import (
    PACKAGE_GRID,
    ClassicalProvider,
    GridOptions,
    OracleProvider,
    Sam2Provider,
    UserProvider,
    grid_points,
    keep_good,
    without_overlaps,
)
from models.medfocusclip.segments import foreground, make_segment, union
from models.shared.backbones.segmenter.network import build
from models.shared.backbones.segmenter.wrapper import Sam2


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """(96, 128) uint8: dark ground with noise, a bright disc, a grey square."""
    y, x = np.mgrid[:96, :128]
    grey = np.random.default_rng(0).normal(30, 4, (96, 128))
    grey[(y - 30) ** 2 + (x - 40) ** 2 < 14**2] += 180
    grey[60:84, 80:110] += 90
    return grey.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def candidates(scene) -> list:
    return ClassicalProvider().candidates(scene)


def overlap(one, other) -> float:
    """Intersection over union of two boxes, counted in pixels."""
    sets = [{(y, x) for y in range(box[1], box[3] + 1) for x in range(box[0], box[2] + 1)} for box in (one.box, other.box)]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_1024_points_for_a_grid_of_32_each_in_the_middle_of_its_cell() -> None:
    points = grid_points(PACKAGE_GRID)
    assert points.shape == (1024, 2)
    np.testing.assert_allclose(points[0], [1 / 64, 1 / 64])
    np.testing.assert_allclose(points[33], [3 / 64, 3 / 64])
    from sam2.utils.amg import build_point_grid

    np.testing.assert_allclose(points, build_point_grid(32))


def test_the_classical_stand_in_finds_what_stands_out(scene) -> None:
    found = ClassicalProvider().propose(scene)
    y, x = np.mgrid[:96, :128]
    for truth in ((y - 30) ** 2 + (x - 40) ** 2 < 14**2, (y >= 60) & (y < 84) & (x >= 80) & (x < 110)):
        assert max((one.mask & truth).sum() / (one.mask | truth).sum() for one in found) > 0.7  # smoothing costs a rim of about a pixel
    assert found[0].background
    assert foreground(found) == list(range(1, len(found)))
    assert [one.area for one in found] == sorted((one.area for one in found), reverse=True)


@pytest.mark.parametrize("grid", [GridOptions(), GridOptions(6, 0.9, 0.9, 0.3)])
def test_every_kept_segment_meets_the_thresholds_and_no_two_overlap_too_much(scene, grid) -> None:
    found = ClassicalProvider(grid).propose(scene)
    assert found
    assert all(one.score >= grid.score_threshold and one.stability >= grid.stability_threshold for one in found)
    pairs = [(one, other) for i, one in enumerate(found) for other in found[i + 1 :]]
    assert all(overlap(one, other) <= grid.overlap_threshold for one, other in pairs)


@pytest.mark.parametrize("which", ["score_threshold", "stability_threshold"])
def test_raising_a_threshold_never_gives_more_candidates(candidates, which) -> None:
    counts = [len(keep_good(candidates, GridOptions(**{which: value}))) for value in (0.0, 0.5, 0.8, 0.95, 1.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_of_two_alike_the_better_stays() -> None:
    mask = np.zeros((20, 20), bool)
    mask[2:10, 2:10] = True
    near = np.roll(mask, 1, axis=1)
    far = np.roll(mask, 9, axis=1)
    kept = without_overlaps([make_segment(mask, score=0.7), make_segment(near, score=0.9), make_segment(far, score=0.1)], 0.7)
    assert [one.score for one in kept] == pytest.approx([0.9, 0.1])
    assert without_overlaps([], 0.7) == []


def test_sam2_keeps_to_the_same_rules(scene) -> None:
    grid = GridOptions(4, 0.1, 0.3, 0.7)
    sam = Sam2(build("small", seed=0))
    done = []
    found = Sam2Provider(sam, grid).propose(scene, lambda at, of: done.append((at, of)))
    assert done[-1] == (16, 16)
    assert all(one.score >= 0.1 and one.stability >= 0.3 and one.source == "sam2" for one in found)
    assert all(overlap(one, other) <= 0.72 for i, one in enumerate(found) for other in found[i + 1 :])


def test_a_drawn_region_comes_back_as_it_was_drawn(scene) -> None:
    small, large = np.zeros((96, 128), bool), np.zeros((96, 128), bool)
    small[3:5, 3:5] = large[10:30, 10:30] = True
    found = UserProvider((small, large, np.zeros_like(small))).propose(scene)
    assert [one.area for one in found] == [400, 4]
    assert {one.source for one in found} == {"user"}
    with pytest.raises(OptionRefused, match="96 by 128"):
        UserProvider((np.zeros((4, 4), bool),)).propose(scene)


def test_the_truth_of_a_phantom_is_handed_out_without_empty_parts(scene) -> None:
    organ = np.zeros((96, 128), bool)
    organ[20:60, 20:90] = True
    found = OracleProvider({"organ": organ, "lesion": np.zeros_like(organ)}).propose(scene)
    assert len(found) == 1
    assert found[0].box == (20, 20, 89, 59)


def test_progress_may_stop_the_work(scene) -> None:
    def stop(done: int, of: int) -> None:
        if done == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        ClassicalProvider().propose(scene, stop)


@pytest.mark.parametrize("settings", [{"points_per_side": 0}, {"points_per_side": 65}, {"score_threshold": 1.1}, {"min_area": -1}])
def test_settings_out_of_range_are_refused_in_words(settings) -> None:
    with pytest.raises(OptionRefused):
        GridOptions(**settings)


def test_a_union_of_nothing_is_empty_and_a_segment_knows_itself() -> None:
    assert not union([], (4, 5)).any()
    mask = np.zeros((4, 5), bool)
    mask[1:3, 2:5] = True
    segment = make_segment(mask)
    assert (segment.area, segment.box, segment.background) == (6, (2, 1, 4, 2), False)
    assert segment.key == make_segment(mask.copy()).key != make_segment(~mask).key


# ---------------------------------------------------------------------- the cache
@pytest.fixture
def own_cache(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def few_points(monkeypatch, own_cache) -> list[int]:
    """The small segmenter with random weights in place of the published one; counts how often it is loaded."""
    loads: list[int] = []

    def fake(*_args, **_more) -> Sam2:
        loads.append(1)
        return Sam2(build("small", seed=0))

    monkeypatch.setattr(proposals, "load_sam2", fake)
    return loads


def test_segments_are_made_once_and_read_again_as_they_were(scene, few_points) -> None:
    settings = GridSettings(points_per_side=3, score_threshold=0.0, stability_threshold=0.0)
    pictures = [scene, scene[:, ::-1]]
    assert not proposals.is_ready(scene, settings)
    with pytest.raises(FileNotFoundError, match="run the training again"):
        proposals.read(scene, settings)
    assert list(proposals.make(pictures, settings)) == [1, 2]
    direct = Sam2(build("small", seed=0)).automatic(scene, points_per_side=3, score_threshold=0.0, stability_threshold=0.0)
    read = proposals.read(scene, settings)
    assert len(read) == len(direct) > 0
    for one, other in zip(read, direct, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        assert one.score == pytest.approx(other.score, abs=1e-6)
    assert list(proposals.make(pictures, settings)) == []
    assert len(few_points) == 1


def test_a_picture_without_segments_has_an_empty_file_not_none(scene, few_points) -> None:
    settings = GridSettings(points_per_side=1, score_threshold=1.0, stability_threshold=1.0)
    list(proposals.make([scene], settings))
    assert proposals.read(scene, settings) == []


def test_other_settings_never_meet_these_segments(scene) -> None:
    places = {proposals.place_of(scene, GridSettings(points_per_side=side)) for side in (3, 4)}
    assert len(places) == 2
