"""Real picture sets: BUSI by groups of near copies, ISIC 2018, people's own folders, their licences, and fetching them."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import stat
import subprocess
import sys
import threading
import zipfile
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from models.cli import main
from models.shared import data
from models.shared.checkpoints import Card, DatasetUse, read_card
from models.shared.data import archives, busi, folders, isic2018, markers, near_copies, pictures

ROOT = Path(__file__).resolve().parents[2]
REAL = os.environ.get("WORKBENCH_DATA", "")
CARDS = sorted((ROOT / "assets" / "checkpoints").glob("*.json"))


@pytest.fixture
def root(tmp_path, monkeypatch):
    place = tmp_path / "data"
    place.mkdir()
    monkeypatch.setenv("WORKBENCH_DATA", str(place))
    return place


def scene(number: int, side: int = 96) -> np.ndarray:
    """Coarse random blobs, uint8 (side, side); every number gives a picture of its own."""
    coarse = np.random.default_rng(number).integers(0, 140, (8, 8), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def file_of(picture: np.ndarray, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, kind)
    return out.getvalue()


def write_zip(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in content.items():
            archive.writestr(name, raw)
    return path


def parts(found: data.Dataset) -> tuple[data.Split, data.Split, data.Split]:
    return found.train, found.validation, found.test


# pictures


def test_pictures_become_grey_or_colour_at_one_size():
    half = np.zeros((64, 32, 3), np.uint8)
    half[:32] = (255, 0, 0)
    grey = pictures.decode("a.png", file_of(half), size=16)
    assert (grey.shape, grey.dtype) == ((16, 16), np.uint8)
    assert grey[0, 0] == 76  # 0.299 of 255
    assert grey[15, 0] == 0
    assert pictures.decode("a.png", file_of(half), mode="RGB", size=16)[0, 0].tolist() == [255, 0, 0]
    assert pictures.decode("a.png", file_of(half)).shape == (64, 32)


def test_sixteen_bit_pictures_are_scaled_not_cut_off():
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


@pytest.mark.parametrize("raw", [b"", b"GIF89a" + bytes(20), file_of(scene(1))[:80]], ids=["empty", "another kind", "cut off"])
def test_what_is_no_whole_picture_is_refused_by_name(raw):
    with pytest.raises(data.DataDamaged, match=r"The picture odd\.png cannot be read"):
        pictures.decode("odd.png", raw)


def test_pictures_with_too_many_pixels_are_refused_before_decoding():
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


def test_near_copies_are_found_and_others_are_not():
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


# BUSI


def busi_content(*, layout: str, per_class: int = 8) -> dict[str, bytes]:
    """The first two pictures of each class are near copies; the first four of benign and malignant have masks, normal's are empty."""
    content = {}
    lesion = np.zeros((96, 96), np.uint8)
    lesion[24:48, 24:72] = 255
    for place, label in enumerate(busi.CLASSES):
        for n in range(1, per_class + 1):
            shown = scene(100 * place + n) if n > 1 else scene(100 * place + 2) // 2 + 5
            mask = lesion if label != "normal" else lesion * 0
            if layout == "zip":
                content[f"images/{label}/{label}_{n}.jpg"] = file_of(shown, "JPEG")
                if n <= 4:
                    content[f"masks/{label}/{label}_{n}.png"] = file_of(mask)
            else:
                content[f"Dataset_BUSI_with_GT/{label}/{label} ({n}).png"] = file_of(shown)
                content[f"Dataset_BUSI_with_GT/{label}/{label} ({n})_mask.png"] = file_of(mask)
    if layout == "release":
        content["Dataset_BUSI_with_GT/benign/benign (3)_mask_1.png"] = file_of(lesion.T.copy())
    return content


def test_busi_from_the_zip_keeps_near_copies_together(root):
    write_zip(root / "busi-256.zip", busi_content(layout="zip"))
    assert data.is_here("busi")
    found = data.load("busi", size=64)
    assert found.classes == ("benign", "malignant", "normal")
    held = [set(part.groups.tolist()) for part in parts(found)]
    assert sum(map(len, held)) == len(set.union(*held)) == 21  # 24 pictures, three of them near copies
    for part in parts(found):
        n = len(part)
        assert (part.x.shape, part.x.dtype) == ((n, 1, 64, 64), torch.float32)
        assert 0 <= part.x.min() < part.x.max() <= 1
        assert (part.masks.shape, part.masks.dtype) == ((n, 64, 64), torch.bool)
        assert part.has_mask.dtype == part.marked.dtype == torch.bool
        assert set(part.y.tolist()) == {0, 1, 2}
        drawn = part.masks.flatten(1).sum(1)
        assert set(drawn[part.has_mask & (part.y < 2)].tolist()) <= {16 * 32}
        assert drawn[~part.has_mask | (part.y == 2)].sum() == 0
    assert sum(int(part.has_mask.sum()) for part in parts(found)) == 12
    assert "6 of the 24 pictures have a near copy" in found.note
    assert "the 21 groups" in found.note
    assert "rule of thumb" in found.note


def test_the_split_is_the_same_at_every_size(root):
    write_zip(root / "busi-256.zip", busi_content(layout="zip"))
    small, large = data.load("busi", size=32), data.load("busi", size=256)
    for a, b in zip(parts(small), parts(large), strict=True):
        assert a.groups.tolist() == b.groups.tolist()
        assert a.y.tolist() == b.y.tolist()
    assert data.load("busi").train.x.shape[-1] == 128
    assert data.load("busi", size=32) is small


def test_busi_as_its_makers_released_it_merges_the_masks_of_one_picture(root):
    write_zip(root / "Dataset_BUSI_with_GT.zip", busi_content(layout="release"))
    found = busi.read(root / "Dataset_BUSI_with_GT.zip")
    assert found.has_mask.all()
    areas = found.masks.reshape(24, -1).mean(axis=1)
    one, both = 24 * 48 / 96**2, (2 * 24 * 48 - 24 * 24) / 96**2
    assert areas[:4] == pytest.approx([one, one, both, one], abs=1e-3)
    assert areas[16:].max() == 0
    assert len(data.load("busi", size=32).test) >= 3


def test_busi_from_the_small_folder_says_that_it_is_small(root):
    for name, raw in busi_content(layout="zip").items():
        kind, _, file = name.split("/")
        (root / "busi-subset" / kind).mkdir(parents=True, exist_ok=True)
        (root / "busi-subset" / kind / file).with_suffix(".png").write_bytes(file_of(np.asarray(Image.open(io.BytesIO(raw)))))
    found = data.load("busi", size=32)
    assert "Only 24 pictures are here" in found.note


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "holds no pictures of BUSI"),
        ({"images/benign/benign_1.jpg": b"?"}, r"benign_1\.jpg cannot be read"),
        ({"../x.png": b"?"}, "leads outside"),
    ],
)
def test_odd_busi_zips_are_refused(root, content, sentence):
    write_zip(root / "busi-256.zip", content)
    with pytest.raises(data.DataDamaged, match=sentence):
        data.load("busi")


# ISIC


def isic_content(**sizes: int) -> dict[str, bytes]:
    content, number = {}, 500
    for part, n in ({"train": 6, "val": 3, "test": 4} | sizes).items():
        for _ in range(n):
            number += 1
            colour = np.stack([scene(number), scene(number) // 2, scene(number) // 3], axis=2)
            mask = np.zeros((96, 96), np.uint8)
            mask[:48] = 255
            content[f"{part}/images/ISIC_{number}.jpg"] = file_of(colour, "JPEG")
            content[f"{part}/masks/ISIC_{number}.png"] = file_of(mask)
    return content


def test_isic_in_colour_with_masks_and_without_near_copies(root):
    content = isic_content()
    copied = next(name for name in content if name.startswith("test/images"))
    content["train/images/ISIC_1.jpg"] = content[copied]
    content["train/masks/ISIC_1.png"] = content[copied.replace("images", "masks").replace("jpg", "png")]
    write_zip(root / "isic2018-task1-256.zip", content)
    found = data.load("isic2018", size=48)
    assert [len(part) for part in parts(found)] == [6, 3, 4]
    assert found.train.x.shape == (6, 3, 48, 48)
    red, green, blue = found.test.x.mean((0, 2, 3)).tolist()
    assert red / green == pytest.approx(2, rel=0.1)
    assert red / blue == pytest.approx(3, rel=0.1)
    assert found.test.has_mask.all()
    assert found.test.masks[:, :24].all()
    assert not found.test.masks[:, 24:].any()
    assert "1 training and 0 validation pictures were taken out" in found.note
    assert "Non-commercial" in found.note


def test_a_picture_without_its_mask_is_said(root):
    content = isic_content()
    del content[next(name for name in content if name.startswith("val/masks"))]
    write_zip(root / "isic2018-task1-256.zip", content)
    with pytest.raises(data.DataDamaged, match="3 pictures and 2 masks in val/"):
        data.load("isic2018")


# people's own folders


def own_content(classes: tuple[str, ...] = ("cyst", "solid"), n: int = 5, prefix: str = "") -> dict[str, bytes]:
    kinds = (("jpg", "JPEG"), ("png", "PNG"))
    return {
        f"{prefix}{name}/{i}.{kinds[i % 2][0]}": file_of(scene(900 + 50 * place + i), kinds[i % 2][1])
        for place, name in enumerate(classes)
        for i in range(n)
    }


@pytest.mark.parametrize("prefix", ["", "my pictures/"])
def test_own_pictures_from_a_zip(tmp_path, prefix):
    content = own_content(prefix=prefix) | {"__MACOSX/._x.png": b"?", f"{prefix}cyst/.hidden.png": b"?", f"{prefix}notes.txt": b"hello"}
    found = folders.load(write_zip(tmp_path / "own.zip", content), size=32)
    assert found.classes == ("cyst", "solid")
    assert [part.y.bincount().tolist() for part in parts(found)] == [[3, 3], [1, 1], [1, 1]]
    assert found.train.x.shape == (6, 1, 32, 32)
    assert "1 files of other kinds were left out" in found.note
    with pytest.raises(data.NotForShipping, match="stay on this machine"):
        data.may_ship([found.name])


def test_own_pictures_from_a_folder_equal_those_from_a_zip(tmp_path):
    for name, raw in own_content(n=4).items():
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).write_bytes(raw)
    (tmp_path / "own" / "cyst" / "link.png").symlink_to(tmp_path / "own" / "cyst" / "1.png")
    one = folders.load(tmp_path / "own", size=16, mode="RGB")
    other = folders.load(write_zip(tmp_path / "own.zip", own_content(n=4)), size=16, mode="RGB")
    assert one.train.x.shape == (4, 3, 16, 16)
    assert torch.equal(one.test.x, other.test.x)


def test_near_copies_among_own_pictures_stay_in_one_part(tmp_path):
    content = own_content()
    content["cyst/copy.png"] = file_of((scene(900) * 0.95).astype(np.uint8))
    found = folders.load(write_zip(tmp_path / "own.zip", content), size=32)
    held = [set(part.groups.tolist()) for part in parts(found)]
    assert sum(map(len, held)) == len(set.union(*held)) == 10
    assert "2 of the 11 pictures have a near copy" in found.note
    large = folders.load(tmp_path / "own.zip", size=96, mode="RGB")
    assert all(torch.equal(a.groups, b.groups) for a, b in zip(parts(found), parts(large), strict=True))


def test_the_callers_decoder_reads_scans(tmp_path):
    content = own_content() | {f"cyst/s{i}.dcm": bytes([50 + i, i]) for i in range(3)}
    asked = []

    def decode(raw: bytes, name: str) -> np.ndarray:
        asked.append((raw, name))
        return scene(raw[0]).astype(np.float32) / 255

    path = write_zip(tmp_path / "own.zip", content)
    found = folders.load(path, size=32, decode=decode)
    assert sum(len(part) for part in parts(found)) == 13
    assert sorted(asked) == [(bytes([50 + i, i]), f"cyst/s{i}.dcm") for i in range(3)]
    without = folders.load(path, size=32)
    assert "3 files of other kinds were left out" in without.note

    def refuse(raw: bytes, name: str) -> np.ndarray:
        raise ValueError("It has no pixels.")

    with pytest.raises(data.DataDamaged, match=r"cyst/s0\.dcm: It has no pixels\."):
        folders.load(path, size=32, decode=refuse)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "found for 0 classes"),
        (own_content(("one",)), "found for 1 classes"),
        (own_content(n=3), "The class cyst has 3 pictures; at least 4"),
        (own_content() | {"top.png": b""}, r"top\.png lies in no class folder"),
        (own_content() | {"a/b/c/d.png": b""}, "lies too deep"),
        (own_content(tuple(f"c{i:02}" for i in range(65)), n=1), "65 class folders"),
        (own_content() | {"cyst/9.png": b"no picture"}, r"cyst/9\.png cannot be read"),
    ],
    ids=["empty", "one class", "few", "no class", "deep", "many classes", "no picture"],
)
def test_own_pictures_that_cannot_be_used(tmp_path, content, sentence):
    with pytest.raises(data.DataDamaged, match=sentence):
        folders.load(write_zip(tmp_path / "own.zip", content), size=16)


def test_own_pictures_that_take_too_much_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "MAX_KEPT_BYTES", 10 * (16 * 16 + 128 * 128) - 1)
    with pytest.raises(data.DataDamaged, match="Use fewer pictures, or a smaller size"):
        folders.load(write_zip(tmp_path / "own.zip", own_content()), size=16)
    with pytest.raises(ValueError, match="8 to 512 pixels"):
        folders.load(tmp_path / "own.zip", size=4)


# zips from anywhere


def refused(path: Path, **limits: int) -> str:
    def read_all() -> None:
        with archives.members(path, archives.Limits(**limits)) as found:
            for member in found:
                member.read()

    with pytest.raises(data.DataDamaged) as caught:
        read_all()
    said = str(caught.value)
    assert said.endswith(".")
    return said


@pytest.mark.parametrize("name", ["../a.png", "x/../../a.png", "/etc/a.png", "C:/a.png", "..\\a.png"])
def test_names_that_lead_outside_are_refused(tmp_path, name):
    path = tmp_path / "odd.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"?")
    assert "leads outside the zip" in refused(path)


def test_archives_inside_archives_are_refused_by_name_and_by_content(tmp_path):
    inner = write_zip(tmp_path / "inner.zip", {"a.txt": b"?"}).read_bytes()
    assert "an archive inside the archive" in refused(write_zip(tmp_path / "a.zip", {"cyst/x.zip": inner}))
    assert "whatever its name says" in refused(write_zip(tmp_path / "b.zip", {"cyst/x.png": inner}))


def test_links_and_passwords_are_refused(tmp_path):
    link = zipfile.ZipInfo("cyst/x.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert "a link to another file" in refused(tmp_path / "link.zip")
    raw = bytearray(write_zip(tmp_path / "locked.zip", {"x.png": b"?"}).read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(raw)
    assert "protected by a password" in refused(tmp_path / "locked.zip")


def test_counts_and_sizes_are_limited(tmp_path):
    path = write_zip(tmp_path / "a.zip", {f"{i}.png": bytes(1000) for i in range(5)})
    assert "more than the 4 files allowed" in refused(path, members=4)
    assert "for one file" in refused(path, file_bytes=999)
    assert "allowed in all" in refused(path, total_bytes=4999)
    assert "lists far more files" in refused(path, directory_bytes=100)
    with archives.members(path, archives.Limits(members=5, file_bytes=1000, total_bytes=5000)) as found:
        assert [member.name for member in found] == [f"{i}.png" for i in range(5)]
        assert found[0].read() == bytes(1000)


def test_a_size_declared_too_small_is_found_out(tmp_path):
    raw = bytearray(write_zip(tmp_path / "a.zip", {"x.png": bytes(2000)}).read_bytes())
    at = raw.index(b"PK\x01\x02") + 24
    raw[at : at + 4] = (10).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(raw)
    assert "cannot be unpacked" in refused(tmp_path / "a.zip")


@pytest.mark.parametrize("raw", [b"", b"hello", b"PK\x05\x06" + bytes(10)], ids=["empty", "text", "cut end"])
def test_what_is_no_zip_is_said(tmp_path, raw):
    (tmp_path / "a.zip").write_bytes(raw)
    assert "no whole zip" in refused(tmp_path / "a.zip")


def test_a_damaged_member_is_named(tmp_path):
    raw = bytearray(write_zip(tmp_path / "a.zip", {"cyst/x.png": file_of(scene(1))}).read_bytes())
    raw[200:220] = bytes(20)
    (tmp_path / "a.zip").write_bytes(raw)
    assert "cyst/x.png in a.zip cannot be unpacked" in refused(tmp_path / "a.zip")


@pytest.mark.hostile
def test_a_zip_changed_anywhere_is_read_or_refused_in_a_sentence(tmp_path):
    raw = write_zip(tmp_path / "own.zip", own_content(n=4)).read_bytes()
    random, outcomes, said = np.random.default_rng(11), set(), []
    for _ in range(400):
        changed = bytearray(raw)
        for at in random.integers(0, len(raw), random.integers(1, 6)):
            changed[at] = random.integers(0, 256)
        if random.random() < 0.3:  # the table of contents decides most
            at = changed.rindex(b"PK\x01\x02") if b"PK\x01\x02" in changed else 0
            changed[random.integers(at, len(raw))] = random.integers(0, 256)
        (tmp_path / "own.zip").write_bytes(changed)
        try:
            folders.load(tmp_path / "own.zip", size=16)
            outcomes.add("read")
        except data.DataDamaged as fault:
            outcomes.add("refused")
            said.append(str(fault))
    assert outcomes == {"read", "refused"}
    assert all(sentence.endswith(".") for sentence in said)


# sizes of the sets that were here before


def test_sizes_are_checked_in_plain_words(root):
    with pytest.raises(ValueError, match="BUSI\\) can be had at 16 to 256 pixels a side, not at 8"):
        data.load("busi", size=8)
    with pytest.raises(ValueError, match="can be had at 8 pixels a side, not at 16"):
        data.load("digits", size=16)
    with pytest.raises(ValueError, match="is a table, not pictures"):
        data.load("breast_cancer", size=8)


def test_loaded_sets_are_dropped_when_they_take_too_much(monkeypatch):
    first = data.load("digits")
    monkeypatch.setattr(data, "MAX_KEPT_BYTES", 1)
    data.load("breast_cancer")
    assert data.load("digits") is not first


# licences


def test_what_may_be_shipped():
    data.may_ship([])
    data.may_ship(["digits", "breast_cancer", "brain_mri", "busi", "breastmnist", "pneumoniamnist"])
    with pytest.raises(data.NotForShipping, match="ISIC 2018, task 1\\) is for non-commercial use only"):
        data.may_ship(["busi", "isic2018"])
    with pytest.raises(data.NotForShipping, match="Nothing is known of the licence of 'own_pictures'"):
        data.may_ship(["own_pictures"])


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_shipped_weights_were_made_from_sets_that_allow_it(path):
    used = [use for use in read_card(path).datasets if use.kind == "real"]
    data.may_ship(use.name for use in used)
    for use in used:
        assert use.licence == data.record(use.name).licence


def test_every_record_is_complete():
    for name in data.names():
        known = data.record(name)
        assert known.name == name
        assert known.title
        assert known.licence
        assert known.n > 0
        assert bool(known.places) == bool(known.obtain) == hasattr(data.source(name), "check_file")


def test_training_on_a_set_that_may_not_ship_writes_elsewhere(monkeypatch, tmp_path, capsys):
    from models import cli
    from models.shared.method import methods

    method = methods()[0]
    monkeypatch.setattr(cli, "repository", lambda: tmp_path)
    use = DatasetUse(name="isic2018", title="t", kind="real", licence="l", n_train=1, n_validation=1, n_test=1)
    blank = {"method": "m", "title": "t", "config": {}, "recipe": "", "seed": 0, "seconds": 0, "hardware": "", "parameters": 0}
    card = Card(**blank, trained_parameters=0, metrics={}, datasets=(use,))
    assert cli._allowed_place(method, method.checkpoint, card) == tmp_path / "workspace" / method.checkpoint.name
    assert "stay on this machine" in capsys.readouterr().err
    assert cli._allowed_place(method, tmp_path / "mine.safetensors", card) == tmp_path / "mine.safetensors"
    phantom = card.model_copy(update={"datasets": (use.model_copy(update={"name": "made up", "kind": "phantom"}),)})
    assert cli._allowed_place(method, method.checkpoint, phantom) == method.checkpoint


# data list and fetch


def test_data_list(root, capsys):
    write_zip(root / "busi-256.zip", {})
    assert main(["data", "list"]) == 0
    said = capsys.readouterr().out
    assert "busi  Breast ultrasound, three classes (BUSI): here" in said
    assert f"isic2018-task1-256.zip in {root}" in said
    assert "2,594 cases, for non-commercial use only, weights stay on this machine" in said
    assert main(["data", "list", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert tuple(listed) == data.names()
    assert listed["busi"]["here"]
    assert not listed["brain_mri"]["here"]
    assert listed["busi"]["n"] == 780
    assert listed["isic2018"]["expected"] == ["isic2018-task1-256.zip"]
    assert not listed["isic2018"]["ships_weights"]
    assert listed["digits"] == listed["digits"] | {"here": True, "folder": None, "ships_weights": True, "licence": "CC BY 4.0"}


def test_fetch_from_a_file_reads_it_whole_and_puts_it_in_place(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(busi, "COUNTS", (8, 8, 8))
    given = write_zip(tmp_path / "download (1).zip", busi_content(layout="zip"))
    assert main(["data", "fetch", "busi", "--from", str(given)]) == 0
    assert f"In place: {root / 'busi-256.zip'}" in capsys.readouterr().out
    assert (root / "busi-256.zip").read_bytes() == given.read_bytes()
    assert [path.name for path in root.iterdir()] == ["busi-256.zip"]
    assert main(["data", "fetch", "busi", "--from", str(given)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert main(["data", "fetch", "busi"]) == 0
    assert "is here already" in capsys.readouterr().out


def test_fetch_tells_the_release_from_the_reduced_set(root, tmp_path, monkeypatch):
    monkeypatch.setattr(busi, "COUNTS", (8, 8, 8))
    given = write_zip(tmp_path / "x.zip", busi_content(layout="release"))
    assert main(["data", "fetch", "busi", "--from", str(given)]) == 0
    assert (root / "Dataset_BUSI_with_GT.zip").is_file()


def test_fetch_of_isic_and_medmnist(root, tmp_path, monkeypatch):
    monkeypatch.setattr(isic2018, "COUNTS", (6, 3, 4))
    assert main(["data", "fetch", "isic2018", "--from", str(write_zip(tmp_path / "i.zip", isic_content()))]) == 0
    random = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 546), ("val", 78), ("test", 156)):
        arrays |= {f"{part}_images": random.integers(0, 256, (n, 28, 28), dtype=np.uint8), f"{part}_labels": np.arange(n)[:, None] % 2}
    np.savez(tmp_path / "b.npz", **arrays)
    assert main(["data", "fetch", "breastmnist", "--from", str(tmp_path / "b.npz")]) == 0
    assert (root / "medmnist" / "breastmnist.npz").is_file()
    assert data.load("breastmnist", size=56).test.x.shape == (156, 1, 56, 56)


def test_fetch_refuses_what_is_not_the_set_and_leaves_nothing(root, tmp_path, capsys):
    def said(name: str, path: Path, *more: str) -> str:
        assert main(["data", "fetch", name, "--from", str(path), *more]) == 1
        assert list(root.iterdir()) == []
        return capsys.readouterr().err

    small = write_zip(tmp_path / "small.zip", busi_content(layout="zip"))
    assert "small.zip has 8 benign, 8 malignant and 8 normal pictures; 437, 210 and 133 were expected" in said("busi", small)
    assert "6 / 3 / 4 pictures" in said("isic2018", write_zip(tmp_path / "i.zip", isic_content()))
    assert "no pictures found in the folders glioma" in said("brain_mri", small)
    assert "cannot be read as a MedMNIST archive" in said("breastmnist", small)
    assert "There is no file" in said("busi", tmp_path / "absent.zip")
    assert "comes with a library" in said("digits", small)
    assert "not the one given" in said("busi", small, "--sha256", "0" * 64)


def test_fetch_without_a_file_says_where_the_set_comes_from(root, capsys):
    for name in ("busi", "isic2018", "brain_mri", "breastmnist", "pneumoniamnist"):
        assert main(["data", "fetch", name]) == 1
        said = capsys.readouterr().err
        assert said.startswith("Get ")
        assert f"data fetch {name} --from FILE" in said
        assert str(root) in said
    assert main(["data", "fetch", "digits"]) == 0
    assert main(["data", "fetch", "bus"]) == 2
    assert "There is no data set called 'bus'; the known ones are" in capsys.readouterr().err


def test_fetch_into_a_folder_that_takes_no_files(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "file" / "below"))
    assert main(["data", "fetch", "busi", "--from", "x.zip"]) == 1
    assert "set WORKBENCH_DATA to a folder that takes files" in capsys.readouterr().err


def test_fetch_from_an_address(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(busi, "COUNTS", (8, 8, 8))
    served = tmp_path / "served"
    served.mkdir()
    given = write_zip(served / "b u.zip", busi_content(layout="zip"))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert main(["data", "fetch", "busi", "--from", f"{address}/absent.zip"]) == 1
        assert "could not be fetched" in capsys.readouterr().err
        assert list(root.iterdir()) == []
        checksum = hashlib.sha256(given.read_bytes()).hexdigest()
        assert main(["data", "fetch", "busi", "--from", f"{address}/b%20u.zip", "--sha256", checksum]) == 0
        server.shutdown()
    assert (root / "busi-256.zip").read_bytes() == given.read_bytes()


def test_listing_sets_loads_no_heavy_library():
    program = """
import sys
from models.cli import main
main(["data", "list", "--json"])
sys.exit(str({"torch", "sklearn", "scipy", "PIL", "urllib.request"} & set(sys.modules) or 0).strip("0") or 0)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# the real files, where this machine has them


def real(name: str, monkeypatch, **options: int) -> data.Dataset:
    monkeypatch.setenv("WORKBENCH_DATA", REAL)
    if not REAL or not (Path(REAL) / data.record(name).places[0]).is_file():
        pytest.skip("the data set is not on this machine")
    return data.load(name, **options)


def test_real_busi_has_the_published_counts_and_whole_groups(monkeypatch):
    found = real("busi", monkeypatch, size=32)
    assert sum(len(part) for part in parts(found)) == 780
    assert sum(part.y.bincount() for part in parts(found)).tolist() == [437, 210, 133]
    assert sum(int(part.has_mask.sum()) for part in parts(found)) == 149
    held = [set(part.groups.tolist()) for part in parts(found)]
    assert sum(map(len, held)) == len(set.union(*held))
    assert 560 < len(set.union(*held)) < 640
    # of 128 pictures looked at by eye, marks were common on benign ones and rare on normal ones
    marks = torch.cat([part.marked for part in parts(found)])
    labels = torch.cat([part.y for part in parts(found)])
    shares = [marks[labels == label].float().mean().item() for label in range(3)]
    assert shares[0] > 0.3
    assert shares[2] < 0.1


def test_real_busi_folder_has_its_fifty_pictures(monkeypatch):
    place = Path(REAL) / "busi-subset"
    if not REAL or not place.is_dir():
        pytest.skip("the folder is not on this machine")
    found = busi.read(place)
    assert np.bincount(found.y).tolist() == [20, 20, 10]
    assert found.has_mask.all()
    assert (found.masks.reshape(50, -1).any(axis=1) == (found.y < 2)).all()


def test_real_isic_has_its_parts_and_masks(monkeypatch):
    found = real("isic2018", monkeypatch, size=32)
    assert len(found.test) == 594
    assert 1560 < len(found.train) < 1600
    assert 390 < len(found.validation) < 400
    for part in parts(found):
        assert part.has_mask.all()
        assert part.masks.flatten(1).any(1).float().mean() > 0.99


@pytest.mark.slow
def test_real_brain_mri_at_another_size_holds_the_same_cases(monkeypatch):
    small, large = real("brain_mri", monkeypatch), real("brain_mri", monkeypatch, size=128)
    assert large.test.x.shape == (1311, 1, 128, 128)
    assert torch.equal(small.train.y, large.train.y)
    shrunk = torch.nn.functional.avg_pool2d(large.train.x, 2)
    assert (shrunk - small.train.x).abs().mean() < 0.01


@pytest.mark.slow
def test_every_real_file_passes_the_check_of_fetching(monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", REAL)
    checked = 0
    for name in ("breastmnist", "pneumoniamnist", "busi", "isic2018", "brain_mri"):
        for place in data.record(name).places:
            path = Path(REAL) / place
            if REAL and path.is_file():
                assert data.source(name).check_file(path) == place
                checked += 1
    if not checked:
        pytest.skip("no data set is on this machine")
