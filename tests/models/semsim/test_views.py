"""Weak and strong views, CutMix, and the phantoms they are made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.semsim import cardiac
from models.semsim.plan import Training
from models.semsim.views import cutmix_boxes, mixed, recoloured, turned, views


def test_slices_follow_their_seed_and_hold_every_structure():
    one, again, other = cardiac.sample(5), cardiac.sample(5), cardiac.sample(6)
    assert np.array_equal(one.image, again.image)
    assert not np.array_equal(one.image, other.image)
    assert one.image.dtype == one.mask.dtype == np.uint8
    shares = []
    for seed in range(60):
        made = cardiac.sample(seed)
        shares.append([(made.mask == number).mean() for number in (1, 2, 3)])
    assert (np.array(shares) > 0).all()
    with pytest.raises(ValueError, match="32 to 512"):
        cardiac.sample(0, 16)
    with pytest.raises(ValueError, match="difficulty"):
        cardiac.sample(0, difficulty=2)


def test_difficulty_takes_contrast_from_the_muscle():
    def contrast(difficulty: float) -> float:
        found = []
        for seed in range(30):
            made = cardiac.sample(seed, difficulty=difficulty)
            image = made.image.astype(float)
            found.append(abs(image[made.mask == 2].mean() - image[made.mask == 0].mean()) / image[made.mask == 0].std())
        return float(np.mean(found))

    assert contrast(1.0) < 0.7 * contrast(0.0)


def test_a_turn_moves_picture_and_mask_alike():
    masks = torch.zeros(40, 32, 32, dtype=torch.uint8)
    masks[:, 8:16, 10:20] = 1
    moved, drawn = turned((masks > 0).float()[:, None], masks, torch.Generator().manual_seed(0), Training())
    sure = (moved[:, 0] > 0.99) | (moved[:, 0] < 0.01)
    assert torch.equal((moved[:, 0] > 0.5)[sure], (drawn > 0)[sure])
    assert len({tuple(one.flatten().tolist()) for one in drawn}) > 10


def test_a_strong_view_is_the_weak_one_but_for_colour_blur_and_boxes():
    x = torch.rand(16, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    still = Training(colour=0.0, blur_px=0.0, cutmix=1.0)
    seen = views(x, torch.Generator().manual_seed(0), still)
    for strong, box in zip(seen.strong, seen.boxes, strict=True):
        unblurred = (strong - torch.where(box[:, None], seen.weak.roll(-1, 0), seen.weak)).abs().amax(dim=(1, 2, 3)) < 1e-3
        assert unblurred.float().mean() > 0.2
        assert box.flatten(1).any(dim=1).all()
    assert not torch.equal(seen.boxes[0], seen.boxes[1])
    assert not torch.equal(seen.strong[0], seen.strong[1])


def test_views_follow_their_generator():
    x = torch.rand(4, 1, 32, 32)
    one, again = (views(x, torch.Generator().manual_seed(1), Training()) for _ in range(2))
    assert torch.equal(one.strong[1], again.strong[1])
    assert all(float(v.min()) >= 0 and float(v.max()) <= 1 + 1e-6 for v in one.strong)


def test_boxes_have_the_asked_sizes_and_hit_the_same_places_on_small_maps():
    u = torch.rand(500, 5, generator=torch.Generator().manual_seed(0))
    boxes = cutmix_boxes(u, 64, 0.5)
    area = boxes.flatten(1).float().mean(dim=1)
    assert 0.4 < float((area > 0).float().mean()) < 0.6
    assert float(area[area > 0].min()) > 0.01
    assert float(area.max()) < 0.45
    maps = torch.arange(500.0)[:, None, None].expand(500, 16, 16)
    pasted = mixed(maps, boxes) == maps.roll(-1, 0)
    assert float((pasted.float().mean(dim=(1, 2)) - area).abs().max()) < 0.12


def test_colour_stays_in_range_and_grey_stays_grey():
    u = torch.rand(30, 8, generator=torch.Generator().manual_seed(0))
    grey = torch.rand(30, 1, 16, 16).expand(-1, 3, -1, -1)
    changed = recoloured(grey, u, Training())
    assert float((changed - changed.mean(dim=1, keepdim=True)).abs().max()) < 1e-2
    assert 0 <= float(changed.min()) <= float(changed.max()) <= 1 + 1e-6
