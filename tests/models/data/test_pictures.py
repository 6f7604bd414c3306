"""Picture files, near copies and burnt-in marks."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from models.shared import data
from models.shared.data import markers, near_copies, pictures

# pictures


def test_pictures_become_grey_or_colour_at_one_size(file_of):
    half = np.zeros((64, 32, 3), np.uint8)
    half[:32] = (255, 0, 0)
    grey = pictures.decode("a.png", file_of(half), size=16)
    assert (grey.shape, grey.dtype) == ((16, 16), np.uint8)
    assert grey[0, 0] == 76  # 0.299 of 255
    assert grey[15, 0] == 0
    assert pictures.decode("a.png", file_of(half), mode="RGB", size=16)[0, 0].tolist() == [255, 0, 0]
    assert pictures.decode("a.png", file_of(half)).shape == (64, 32)


def test_sixteen_bit_pictures_are_scaled_not_cut_off(file_of):
    deep = np.array([[0, 257 * 100], [257 * 200, 65535]], np.uint16)
    assert pictures.decode("a.png", file_of(deep)).tolist() == [[0, 100], [200, 255]]


def test_a_camera_picture_lying_on_its_side_is_stood_up():
    picture = Image.fromarray(np.vstack([np.full((20, 30), 250, np.uint8), np.zeros((20, 30), np.uint8)]))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, clockwise, to see it upright
    out = io.BytesIO()
    picture.save(out, "JPEG", exif=exif)
    upright = pictures.decode("a.jpg", out.getvalue())
    assert upright.shape == (30, 40)
    assert upright[:, :18].max() < 20
    assert upright[:, 22:].min() > 230


def test_masks_keep_their_share_when_made_smaller():
    mask = np.zeros((1, 64, 64), bool)
    mask[0, :32, :16] = True
    small = pictures.resize_masks(mask, 16)
    assert small.dtype == bool
    assert small.sum() == 8 * 4
    assert small[0, :8, :4].all()


@pytest.mark.parametrize(
    "raw", [b"", b"GIF89a" + bytes(20), b"\x89PNG\r\n\x1a\n" + bytes(60)], ids=["empty", "another kind", "no PNG inside"]
)
def test_what_is_no_whole_picture_is_refused_by_name(raw):
    with pytest.raises(data.DataDamaged, match=r"The picture odd\.png cannot be read"):
        pictures.decode("odd.png", raw)


def test_a_picture_cut_off_is_refused_by_name(file_of, scene):
    for kind in ("PNG", "JPEG"):
        raw = file_of(scene(1), kind)
        with pytest.raises(data.DataDamaged, match=r"The picture half\.png cannot be read"):
            pictures.decode("half.png", raw[: len(raw) // 2])


def test_pictures_with_too_many_pixels_are_refused_before_decoding(scene, file_of):
    with pytest.raises(data.DataDamaged, match="96×96, too large"):
        pictures.decode("a.png", file_of(scene(1)), max_side=64)
    head = file_of(scene(1))
    bomb = head[:16] + (100_000).to_bytes(4, "big") * 2 + head[24:]
    crc = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    with pytest.raises(data.DataDamaged, match="far more pixels"):
        pictures.decode("bomb.png", bomb[:29] + crc + bomb[33:])


@pytest.mark.parametrize(
    "values", [np.full((4, 4), 2.0), np.full((4, 4), np.nan), np.zeros((4, 4), np.int16), np.zeros(4), np.zeros((4, 4, 2))]
)
def test_a_decoders_odd_pixels_are_refused(values):
    with pytest.raises(data.DataDamaged, match="expected grey or colour pixels"):
        pictures.as_array("x.dcm", values, mode="L", size=8)


# near copies


def test_near_copies_are_found_and_others_are_not(scene):
    one, noise = scene(1), np.random.default_rng(0).integers(-6, 7, (96, 96))
    lighter = (one * 0.8 + 20).astype(np.uint8)
    noisy = (one.astype(int) + noise).clip(0, 255).astype(np.uint8)
    bits = near_copies.hashes(np.stack([one, lighter, noisy, scene(2), scene(3)]))
    assert bits.shape == (5, 63)
    assert near_copies.distances(bits, bits)[0, :3].max() <= 4
    assert near_copies.distances(bits, bits)[0, 3:].min() > 10
    assert near_copies.group(bits, within=10).tolist() == [0, 0, 0, 1, 2]
    assert near_copies.rows_without_near_copies(bits, bits[4:], bits[1:2], within=4).tolist() == [3]


def test_distance_is_the_number_of_differing_bits():
    a, b = np.zeros((1, 63), bool), np.zeros((2, 63), bool)
    b[0, :5] = True
    assert near_copies.distances(a, b).tolist() == [[5, 0]]


def test_chains_make_one_group():
    bits = np.zeros((4, 63), bool)
    bits[1, :3] = bits[2, :6] = bits[3, 20:40] = True
    assert near_copies.group(bits, within=3).tolist() == [0, 0, 0, 1]


def test_no_group_is_cut_and_every_class_is_in_each_part():
    random = np.random.default_rng(5)
    groups = np.unique(random.integers(0, 120, 300), return_inverse=True)[1]
    y = (groups * 7) % 3
    rows = near_copies.cut_groups(y, groups, ("a", "b", "c"), validation=0.15, test=0.2)
    assert sorted(np.concatenate(rows).tolist()) == list(range(300))
    held = [set(groups[part].tolist()) for part in rows]
    assert not held[0] & held[1] | held[0] & held[2] | held[1] & held[2]
    for label in range(3):
        total = (y == label).sum()
        assert (y[rows[2]] == label).sum() == pytest.approx(0.2 * total, abs=8)
        assert (y[rows[1]] == label).sum() == pytest.approx(0.15 * total, abs=8)
    again = near_copies.cut_groups(y, groups, ("a", "b", "c"), validation=0.15, test=0.2)
    assert all(np.array_equal(one, other) for one, other in zip(rows, again, strict=True))


def test_four_single_pictures_a_class_are_enough_and_two_are_not():
    y = np.repeat([0, 1], 4)
    rows = near_copies.cut_groups(y, np.arange(8), ("a", "b"), validation=0.2, test=0.2)
    assert [np.bincount(y[part]).tolist() for part in rows] == [[2, 2], [1, 1], [1, 1]]
    with pytest.raises(data.DataDamaged, match="The class b has only 2 pictures that are not near copies"):
        near_copies.cut_groups(y, np.array([0, 1, 2, 3, 4, 4, 5, 5]), ("a", "b"), validation=0.2, test=0.2)


def test_copies_are_counted():
    counted = near_copies.summarise(np.array([0, 0, 1, 1, 1]), np.array([0, 0, 0, 1, 2]))
    assert (counted.pictures, counted.groups, counted.with_copy, counted.largest, counted.across_classes) == (5, 3, 3, 3, 1)


# marks


def test_letters_and_crosses_are_marks_and_flat_bright_lines_are_not():
    plain = np.full((256, 256), 40, np.uint8)
    tissue, cross, letters = plain.copy(), plain.copy(), Image.fromarray(plain)
    for row in range(40, 220, 12):
        tissue[row : row + 3, 30 + row // 2 : 200] = 230
    cross[120, 100:110] = cross[115:126, 105] = 240
    ImageDraw.Draw(letters).text((60, 200), "LT AXILLA", fill=235)
    corner = plain.copy()
    corner[2:12, 5] = 255
    flags = markers.marked(np.stack([plain, tissue, corner, cross, np.asarray(letters)]))
    assert flags.tolist() == [False, False, False, True, True]
    with pytest.raises(ValueError, match="256×256"):
        markers.marked(np.zeros((1, 64, 64), np.uint8))
