"""Oracles 1 to 6 of the spec: painting does what the equation says, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.medfocusclip import painting, reference
from models.medfocusclip.options import OptionRefused, Painting
from models.medfocusclip.painting import NONE, as_bytes, as_rgb, label_map, paint


def test_painting_equals_the_equation_written_out(picture, masks) -> None:
    chosen = Painting(alpha=0.3, seed=7)
    colours = np.random.default_rng(7).random((3, 3))  # the masks stand in painting order already
    image = as_rgb(picture).astype(np.float64)
    np.testing.assert_allclose(paint(image, masks, chosen), reference.J(image, masks, colours, 0.3), atol=1e-12)


def test_oracle_1_without_opacity_or_masks_nothing_changes_down_to_the_logits(clip, picture, masks) -> None:
    image = as_rgb(picture)
    for painted in (paint(picture, masks, Painting(alpha=0.0)), paint(picture, [], Painting(alpha=0.5))):
        np.testing.assert_array_equal(painted, image)
        assert torch.equal(clip.encode_image(clip.preprocess(painted)), clip.encode_image(clip.preprocess(picture)))


def test_oracle_2_a_pixel_shows_the_smallest_mask_and_the_order_given_does_not_matter(picture, masks) -> None:
    labels = label_map(masks, (32, 32))
    assert labels[11, 11] == 2  # inside all three
    assert labels[9, 9] == 1
    assert labels[18, 9] == 1  # outside the largest
    assert labels[0, 0] == 0
    assert labels[31, 31] == NONE
    for palette in ("random", "by_area", "by_intensity"):
        first = paint(picture, masks, Painting(palette=palette))
        np.testing.assert_array_equal(paint(picture, [masks[2], masks[0], masks[1]], Painting(palette=palette)), first)


def test_oracle_2_masks_of_equal_area_do_not_depend_on_their_order_either(picture) -> None:
    left, right = np.zeros((32, 32), bool), np.zeros((32, 32), bool)
    left[4:12, 4:12] = right[4:12, 8:16] = True
    np.testing.assert_array_equal(paint(picture, [left, right]), paint(picture, [right, left]))


def test_oracle_2_a_mask_hidden_by_smaller_ones_never_appears() -> None:
    big, halves = np.zeros((8, 8), bool), [np.zeros((8, 8), bool) for _ in range(2)]
    big[2:6, 2:6] = True
    halves[0][2:4, 2:6] = halves[1][4:6, 2:6] = True
    assert set(np.unique(label_map([big, *halves], (8, 8)))) == {NONE, 1, 2}


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.83])
def test_oracle_3_on_one_label_the_painted_picture_is_a_straight_line_of_the_picture(masks, alpha) -> None:
    image = np.random.default_rng(1).random((32, 32, 3))
    painted = paint(image, masks, Painting(alpha=alpha, seed=3))
    colours = np.random.default_rng(3).random((3, 3))
    labels = label_map(masks, (32, 32))
    for label in range(3):
        for channel in range(3):
            before, after = image[labels == label, channel], painted[labels == label, channel]
            slope, intercept = np.polyfit(before, after, 1)
            assert 1 - slope == pytest.approx(alpha, abs=1e-6)
            assert intercept == pytest.approx(alpha * colours[label, channel], abs=1e-6)
            assert np.corrcoef(before, after)[0, 1] ** 2 == pytest.approx(1, abs=1e-9)
    assert painted.min() >= 0
    assert painted.max() <= 1


def test_oracle_4_full_opacity_removes_all_texture(clip, masks) -> None:
    whole = [*masks, np.ones((32, 32), bool)]
    random = np.random.default_rng(2)
    one, other = (paint(random.random((32, 32, 3)), whole, Painting(alpha=1.0, seed=5)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert torch.equal(clip.encode_image(clip.preprocess(one)), clip.encode_image(clip.preprocess(other)))


def test_oracle_4_the_binary_picture_holds_nothing_but_the_region(masks) -> None:
    shown = painting.binary(masks[1])
    assert shown.shape == (32, 32, 3)
    assert shown[masks[1]].min() == 1
    assert shown[~masks[1]].max() == 0


def test_oracle_5_mirroring_before_or_after_painting_is_the_same(picture, masks) -> None:
    after = paint(picture, masks, seed=11)[:, ::-1]
    before = paint(picture[:, ::-1], [mask[:, ::-1] for mask in masks], seed=11)
    np.testing.assert_array_equal(before, after)


def test_oracle_5_a_resized_label_map_holds_no_new_label(masks) -> None:
    from PIL import Image

    labels = label_map(masks, (32, 32))
    small = np.asarray(Image.fromarray(labels).resize((13, 13), Image.Resampling.NEAREST))
    assert set(np.unique(small)) <= set(np.unique(labels))


def test_oracle_6_the_same_seed_paints_the_same_and_other_colours_stay_inside_the_masks(picture, masks) -> None:
    one, same, other = (paint(picture, masks, Painting(seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    changed = (one != other).any(axis=2)
    inside = np.logical_or.reduce(masks)
    assert changed[inside].all()
    assert not changed[~inside].any()


def test_a_picture_gets_the_same_colours_whatever_form_it_comes_in(picture, masks) -> None:
    forms = (picture, np.repeat(picture[:, :, None], 3, axis=2), picture / np.float32(255))
    seeds = {painting.image_seed(form) for form in forms}
    assert len(seeds) == 1
    assert painting.image_seed(255 - picture) not in seeds


def test_bytes_come_back_as_they_were(picture) -> None:
    np.testing.assert_array_equal(as_bytes(as_rgb(picture))[:, :, 0], picture)


def test_a_contour_is_one_pixel_wide_and_blended_at_two_fifths() -> None:
    square = np.zeros((9, 9), bool)
    square[3:6, 3:6] = True
    grey = np.full((9, 9, 3), 0.5)
    plain, lined = (paint(grey, [square], Painting(alpha=0.5, seed=0, contour=line)) for line in (False, True))
    ring = square.copy()
    ring[4, 4] = False
    np.testing.assert_allclose(lined[ring], 0.6 * plain[ring] + 0.4 * np.array([0, 0, 1]))
    np.testing.assert_array_equal(lined[~ring], plain[~ring])


def test_the_other_prompts_leave_the_region_or_the_surroundings_as_they_were(picture, masks) -> None:
    image, region = as_rgb(picture), masks[1]
    for changed_outside in (painting.blur(picture, region), painting.grey_out(picture, region)):
        np.testing.assert_array_equal(changed_outside[region], image[region])
        assert np.abs(changed_outside[~region] - image[~region]).max() > 0.1
    drawn = painting.outline(picture, region)
    np.testing.assert_array_equal(drawn[region], image[region])
    np.testing.assert_array_equal(drawn[7, 8:20], np.tile([1.0, 0.0, 0.0], (12, 1)))
    cut = painting.crop(picture, region, margin=0.0)
    assert 12 <= cut.shape[0] == cut.shape[1] <= 14
    ring = (painting.ellipse(picture, region) != image).any(axis=2)
    assert ring.any()
    assert not ring[12:16, 12:16].any()


@pytest.mark.parametrize("style", [painting.ellipse, painting.crop])
def test_a_prompt_around_nothing_leaves_the_picture_as_it_is(picture, style) -> None:
    np.testing.assert_array_equal(style(picture, np.zeros((32, 32), bool)), as_rgb(picture))


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"alpha": 1.5}, "opacity"), ({"alpha": float("nan")}, "opacity"), ({"palette": "gold"}, "palette"), ({"seed": -1}, "seed")],
)
def test_settings_out_of_range_are_refused_in_words(settings, word) -> None:
    with pytest.raises(OptionRefused, match=word):
        Painting(**settings)


def test_masks_of_another_size_and_odd_pictures_are_refused_in_words(picture) -> None:
    with pytest.raises(OptionRefused, match="32 by 32"):
        paint(picture, [np.zeros((31, 32), bool)])
    with pytest.raises(OptionRefused, match="yes or no"):
        paint(picture, [np.zeros((32, 32), np.uint8)])
    with pytest.raises(OptionRefused, match="shape"):
        as_rgb(np.zeros((4, 4, 2), np.uint8))
    with pytest.raises(OptionRefused, match="fractions"):
        as_rgb(np.full((4, 4), 2.0))
