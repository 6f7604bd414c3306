"""People's own class folders, and zips from anywhere."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from models.shared import data
from models.shared.data import archives, folders

# people's own folders


@pytest.mark.parametrize("prefix", ["", "my pictures/"])
def test_own_pictures_from_a_zip(tmp_path, prefix, write_zip, parts, own_content):
    content = own_content(prefix=prefix) | {"__MACOSX/._x.png": b"?", f"{prefix}cyst/.hidden.png": b"?", f"{prefix}notes.txt": b"hello"}
    found = folders.load(write_zip(tmp_path / "own.zip", content), size=32)
    assert found.classes == ("cyst", "solid")
    assert [part.y.bincount().tolist() for part in parts(found)] == [[3, 3], [1, 1], [1, 1]]
    assert found.train.x.shape == (6, 1, 32, 32)
    assert "Files of other kinds were left out: 1." in found.note
    with pytest.raises(data.NotForShipping, match="stay on this machine"):
        data.may_ship([found.name])


def test_own_pictures_from_a_folder_equal_those_from_a_zip(tmp_path, write_zip, own_content):
    for name, raw in own_content(n=4).items():
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).write_bytes(raw)
    (tmp_path / "own" / "cyst" / "link.png").symlink_to(tmp_path / "own" / "cyst" / "1.png")
    one = folders.load(tmp_path / "own", size=16, mode="RGB")
    other = folders.load(write_zip(tmp_path / "own.zip", own_content(n=4)), size=16, mode="RGB")
    assert one.train.x.shape == (4, 3, 16, 16)
    assert torch.equal(one.test.x, other.test.x)


def test_near_copies_among_own_pictures_stay_in_one_part(tmp_path, scene, file_of, write_zip, parts, own_content):
    content = own_content()
    content["cyst/copy.png"] = file_of((scene(900) * 0.95).astype(np.uint8))
    found = folders.load(write_zip(tmp_path / "own.zip", content), size=32)
    held = [set(part.groups.tolist()) for part in parts(found)]
    assert sum(map(len, held)) == len(set.union(*held)) == 10
    assert "2 of the 11 pictures have a near copy" in found.note
    large = folders.load(tmp_path / "own.zip", size=96, mode="RGB")
    assert all(torch.equal(a.groups, b.groups) for a, b in zip(parts(found), parts(large), strict=True))


def test_the_callers_decoder_reads_scans(tmp_path, scene, write_zip, parts, own_content):
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
    assert "Files of other kinds were left out: 3." in without.note

    def refuse(raw: bytes, name: str) -> np.ndarray:
        raise ValueError("It has no pixels.")

    with pytest.raises(data.DataDamaged, match=r"cyst/s0\.dcm: It has no pixels\."):
        folders.load(path, size=32, decode=refuse)


@pytest.mark.parametrize(
    ("options", "more", "sentence"),
    [
        ({"n": 0}, {}, "found for 0 classes"),
        ({"classes": ("one",)}, {}, "found for 1 classes"),
        ({"n": 3}, {}, "The class cyst has 3 pictures; at least 4"),
        ({}, {"top.png": b""}, r"top\.png lies in no class folder"),
        ({}, {"a/b/c/d.png": b""}, "lies too deep"),
        ({"classes": tuple(f"c{i:02}" for i in range(65)), "n": 1}, {}, "65 class folders"),
        ({}, {"cyst/9.png": b"no picture"}, r"cyst/9\.png cannot be read"),
    ],
    ids=["empty", "one class", "few", "no class", "deep", "many classes", "no picture"],
)
def test_own_pictures_that_cannot_be_used(tmp_path, options, more, sentence, write_zip, own_content):
    with pytest.raises(data.DataDamaged, match=sentence):
        folders.load(write_zip(tmp_path / "own.zip", own_content(**options) | more), size=16)


def test_own_pictures_that_take_too_much_memory(tmp_path, monkeypatch, write_zip, own_content):
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


def test_archives_inside_archives_are_refused_by_name_and_by_content(tmp_path, write_zip):
    inner = write_zip(tmp_path / "inner.zip", {"a.txt": b"?"}).read_bytes()
    assert "an archive inside the archive" in refused(write_zip(tmp_path / "a.zip", {"cyst/x.zip": inner}))
    assert "whatever its name says" in refused(write_zip(tmp_path / "b.zip", {"cyst/x.png": inner}))


def test_links_and_passwords_are_refused(tmp_path, write_zip):
    link = zipfile.ZipInfo("cyst/x.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert "a link to another file" in refused(tmp_path / "link.zip")
    raw = bytearray(write_zip(tmp_path / "locked.zip", {"x.png": b"?"}).read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(raw)
    assert "protected by a password" in refused(tmp_path / "locked.zip")


def test_counts_and_sizes_are_limited(tmp_path, write_zip):
    path = write_zip(tmp_path / "a.zip", {f"{i}.png": bytes(1000) for i in range(5)})
    assert "more than the 4 files allowed" in refused(path, members=4)
    assert "for one file" in refused(path, file_bytes=999)
    assert "allowed in all" in refused(path, total_bytes=4999)
    assert "lists far more files" in refused(path, directory_bytes=100)
    with archives.members(path, archives.Limits(members=5, file_bytes=1000, total_bytes=5000)) as found:
        assert [member.name for member in found] == [f"{i}.png" for i in range(5)]
        assert found[0].read() == bytes(1000)


def test_a_size_declared_too_small_is_found_out(tmp_path, write_zip):
    raw = bytearray(write_zip(tmp_path / "a.zip", {"x.png": bytes(2000)}).read_bytes())
    at = raw.index(b"PK\x01\x02") + 24
    raw[at : at + 4] = (10).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(raw)
    assert "cannot be unpacked" in refused(tmp_path / "a.zip")


@pytest.mark.parametrize("raw", [b"", b"hello", b"PK\x05\x06" + bytes(10)], ids=["empty", "text", "cut end"])
def test_what_is_no_zip_is_said(tmp_path, raw):
    (tmp_path / "a.zip").write_bytes(raw)
    assert "no whole zip" in refused(tmp_path / "a.zip")


def test_a_damaged_member_is_named(tmp_path, scene, file_of, write_zip):
    raw = bytearray(write_zip(tmp_path / "a.zip", {"cyst/x.png": file_of(scene(1))}).read_bytes())
    raw[200:220] = bytes(20)
    (tmp_path / "a.zip").write_bytes(raw)
    assert "cyst/x.png in a.zip cannot be unpacked" in refused(tmp_path / "a.zip")


@pytest.mark.hostile
def test_a_zip_changed_anywhere_is_read_or_refused_in_a_sentence(tmp_path, write_zip, own_content):
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
