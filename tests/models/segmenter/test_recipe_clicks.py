"""Simulated prompts: where they fall, worked out by hand on small masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.shared.backbones.segmenter.clicks import boxes, corrections, first_clicks, interior_pixel, next_click, tight_box


def rectangle(size: int, y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_the_most_interior_pixel_is_the_middle():
    assert interior_pixel(rectangle(20, 5, 10, 3, 8)) == (5, 7)
    # A long arm does not draw the click away from the thick body.
    assert interior_pixel(rectangle(20, 5, 10, 3, 8) | rectangle(20, 7, 8, 0, 20)) == (5, 7)
    # The border of the picture is an edge: the corner itself is not the middle.
    assert interior_pixel(rectangle(20, 0, 3, 0, 3)) == (1, 1)


def test_the_next_click_lies_in_the_larger_error():
    truth = rectangle(20, 4, 13, 4, 13)
    assert next_click(rectangle(20, 4, 13, 4, 8), truth) == (10, 6, 1)  # missed columns 8…12: their middle, the first row it is reached
    assert next_click(rectangle(20, 4, 13, 4, 20), truth)[2] == 0
    assert next_click(truth, truth) is None
    assert next_click(truth | rectangle(20, 15, 18, 15, 18), truth) == (16, 16, 0)


def test_an_empty_mask_has_no_click_and_no_box():
    with pytest.raises(ValueError, match="empty"):
        interior_pixel(np.zeros((4, 4), bool))
    with pytest.raises(ValueError, match="empty"):
        tight_box(np.zeros((4, 4), bool))


def test_the_tight_box_includes_its_last_pixels():
    assert tight_box(rectangle(20, 5, 10, 3, 8)) == (3, 5, 7, 9)


def test_random_clicks_fall_inside_in_the_networks_plane():
    masks = torch.from_numpy(np.stack([rectangle(32, 4, 6, 10, 20), rectangle(32, 20, 30, 1, 3)])).repeat(200, 1, 1)
    points = first_clicks(masks, side=64, generator=generator())
    # Pixel k of 32 covers the stretch from 2k - 0.5 to 2k + 1.5 of 64.
    assert ((points[::2] >= torch.tensor([19.5, 7.5])) & (points[::2] <= torch.tensor([39.5, 11.5]))).all()
    assert ((points[1::2] >= torch.tensor([1.5, 39.5])) & (points[1::2] <= torch.tensor([5.5, 59.5]))).all()
    assert points[::2, 0].std() > 3


def test_corrections_say_missed_or_too_much():
    truth = torch.from_numpy(rectangle(32, 8, 16, 8, 16))[None].repeat(50, 1, 1)
    half = torch.from_numpy(rectangle(32, 8, 16, 8, 12))[None].repeat(50, 1, 1)
    points, labels = corrections(half, truth, side=32, generator=generator())
    assert (labels == 1).all()
    assert (points[:, 0] >= 11.5).all()
    points, labels = corrections(truth, half, side=32, generator=generator())
    assert (labels == 0).all()
    assert (points[:, 0] >= 11.5).all()
    _, labels = corrections(truth, truth, side=32, generator=generator())
    assert (labels == 1).all()


def test_random_boxes_stay_near_the_mask():
    masks = torch.from_numpy(rectangle(32, 4, 12, 8, 24))[None].repeat(300, 1, 1)
    found = boxes(masks, side=64, generator=generator())
    exact = torch.tensor([[16.0, 8.0], [47.0, 23.0]])  # pixels 8…23 and 4…11 of 32 cover 16…47 and 8…23 of 64
    assert (found - exact).abs().max() <= 5
    assert (found.mean(0) - exact).abs().max() < 0.5
    assert found.std(0).min() > 0.3
    assert (found >= 0).all()
    assert (found <= 63).all()
