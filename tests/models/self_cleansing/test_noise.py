"""Pictures and planted noise: what is promised about each kind."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from models.self_cleansing import slices
from models.self_cleansing.noise import NoiseRefused, plant
from models.self_cleansing.plan import KINDS, Noise, PlanRefused


@pytest.fixture(scope="module")
def truth():
    return slices.batch(range(40), 64, "train")[1]


def test_slices_follow_their_number_and_part():
    one, again, other, test = slices.sample(5), slices.sample(5), slices.sample(6), slices.sample(5, part="test")
    assert np.array_equal(one.image, again.image)
    assert not np.array_equal(one.image, other.image)
    assert not np.array_equal(one.image, test.image)
    assert one.image.dtype == np.float32
    assert 0 <= one.image.min() < one.image.max() <= 1
    with pytest.raises(ValueError, match="32 to 512"):
        slices.sample(0, 16)


def test_both_kinds_of_lesion_are_darker_than_the_liver_around_and_cysts_darker(truth):
    x = slices.batch(range(40), 64, "train")[0][:, 0]
    grey = []
    for number in (1, 2):
        inside = truth == number
        assert inside.any()
        grey.append(x[inside].mean())
        around = np.stack([ndimage.binary_dilation(mask, iterations=4) for mask in inside]) & (truth == 0)
        assert grey[-1] < x[around].mean() - 0.05
    assert grey[1] < grey[0] - 0.08
    assert (truth.reshape(40, -1).any(axis=1)).mean() > 0.75


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_to_be_wrong_is_wrong_and_about_as_much_as_asked_for(truth, kind):
    made = plant(truth, Noise(kind, 0.5, 0.5), seed=3, structures=2)
    drawn = truth.reshape(len(truth), -1).any(axis=1)
    assert np.array_equal(made.wrong, made.labels != truth)
    assert np.array_equal(made.corrupted, made.wrong.any(axis=(1, 2)))
    assert made.corrupted.sum() == round(0.5 * drawn.sum())
    assert all(bool(name) == bad for name, bad in zip(made.kinds, made.corrupted, strict=True))
    share = made.wrong.sum(axis=(1, 2))[made.corrupted] / (truth > 0).sum(axis=(1, 2))[made.corrupted]
    if kind in ("erosion", "dilation"):
        assert share == pytest.approx(0.5, abs=0.03)
    assert (share > 0.2).all()
    assert made.labels.max() <= 2


def test_each_kind_does_what_its_name_says(truth):
    made = {kind: plant(truth, Noise(kind, 1.0, 0.5), seed=1, structures=2) for kind in ("erosion", "dilation", "missing", "swapped")}
    assert not ((made["erosion"].labels > 0) & (truth == 0)).any()
    assert not ((made["dilation"].labels == 0) & (truth > 0)).any()
    swapped = made["swapped"]
    assert np.array_equal(swapped.labels > 0, truth > 0)
    assert np.array_equal(np.sort(np.unique(swapped.labels[swapped.wrong])), [1, 2])
    for mask, label in zip(truth, made["missing"].labels, strict=True):
        parts, n = ndimage.label(mask > 0)
        left = [bool((label[parts == number] > 0).any()) for number in range(1, n + 1)]
        whole = [bool((label[parts == number] == mask[parts == number]).all()) for number in range(1, n + 1)]
        assert left == whole, "a component is there as it was or gone"


def test_no_noise_gives_the_truth_and_a_smaller_share_is_part_of_a_larger(truth):
    assert np.array_equal(plant(truth, None).labels, truth)
    few, many = (plant(truth, Noise("shift", alpha, 0.3), seed=9).corrupted for alpha in (0.2, 0.6))
    assert not (few & ~many).any()
    assert few.sum() < many.sum()
    assert not np.array_equal(plant(truth, Noise(), seed=1).labels, plant(truth, Noise(), seed=2).labels)


def test_noise_that_cannot_be_planted_is_refused(truth):
    with pytest.raises(NoiseRefused, match="at least two"):
        plant(truth > 0, Noise("swapped"))
    with pytest.raises(NoiseRefused, match="rows, columns"):
        plant(truth[0], Noise())
    with pytest.raises(PlanRefused, match="Noise is one of"):
        Noise("fog")
    with pytest.raises(PlanRefused, match="alpha in 0…1"):
        Noise("missing", 1.2)


def test_empty_masks_stay_empty():
    made = plant(np.zeros((5, 32, 32), np.uint8), Noise("mixed", 1.0), structures=2)
    assert not made.wrong.any()
