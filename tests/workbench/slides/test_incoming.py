"""Uploads: one file as it is, or a ZIP of the files that make up a slide; what a ZIP must not do."""

from __future__ import annotations

import stat
import zipfile

import pytest

from models.shared.slides import SlideRefused
from tests.models.slides.made import picture, write_dicom
from workbench.slides import incoming
from workbench.slides.incoming import take_in


@pytest.fixture
def folder(tmp_path):
    """An empty folder for one upload."""
    (tmp_path / "taken").mkdir()
    return tmp_path / "taken"


def packed(path, files, **options):
    """A ZIP of {name: content}."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def refused(path, folder, name="slides.zip"):
    """The sentence."""
    with pytest.raises(SlideRefused) as told:
        take_in(path, name, folder)
    return str(told.value)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("A B.SVS", "slide.svs"),
        ("x.tiff", "slide.tiff"),
        ("../../etc/passwd", "slide"),
        ("a.tif;rm", "slide"),
        ("", "slide"),
        ("a.ex\0e", "slide"),
    ],
)
def test_of_a_name_only_a_plain_ending_is_kept(tmp_path, folder, name, kept):
    (tmp_path / "upload").write_bytes(b"content")
    taken = take_in(tmp_path / "upload", name, folder)
    assert taken == folder / kept
    assert taken.read_bytes() == b"content"


def test_a_series_in_a_zip_becomes_a_slide(stores, ann, tmp_path):
    levels = [picture(1000, 700), picture(250, 175)]
    with zipfile.ZipFile(tmp_path / "series.zip", "w") as archive:
        for path in write_dicom(tmp_path, levels):
            archive.write(path, f"some case/{path.name}")
    store = stores()
    facts = store.add(ann, tmp_path / "series.zip", "series.zip")
    assert (facts.vendor, facts.width, facts.height, facts.mpp) == ("dicom", 1000, 700, pytest.approx(0.5))
    assert facts.path == "decoded"
    assert store.path(ann, facts.id).is_relative_to(tmp_path / "home" / "uploads")
    record = store.fetch(ann, facts.id)
    assert store.serving.stored(record, len(facts.levels) - 1, 0, 0) is None
    assert store.serving.made(record, len(facts.levels) - 1, 0, 0).startswith(b"\xff\xd8")
    assert store.serving.stored(record, len(facts.levels) - 1, 0, 0).startswith(b"\xff\xd8")  # kept since


def test_the_file_that_leads_is_found(tmp_path, folder):
    path = packed(
        tmp_path / "a.zip", {"case/s.mrxs": b"x", "case/s/Slidedat.ini": b"y", "case/s/Data0000.dat": b"z", "__MACOSX/._s.mrxs": b""}
    )
    assert take_in(path, "a.zip", folder) == folder / "files" / "case" / "s.mrxs"
    assert (folder / "files" / "case" / "s" / "Data0000.dat").read_bytes() == b"z"
    assert not (folder / "slide.zip").exists()


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"../out.svs": b"x"}, "leads outside"),
        ({"/etc/out.svs": b"x"}, "leads outside"),
        ({"a/../../out.svs": b"x"}, "leads outside"),
        ({"C:\\out.svs": b"x"}, "leads outside"),
        ({"a.svs": b"x", "b.svs": b"y"}, "several slides"),
        ({"readme.txt": b"x"}, "no slide of a known kind"),
        ({"not.dcm": b"x" * 200}, "no slide of a known kind"),
        ({}, "no slide of a known kind"),
        ({"inner.zip": b"PK\x03\x04"}, "archive inside"),
    ],
)
def test_zips_that_are_no_slide(tmp_path, folder, files, sentence):
    path = packed(tmp_path / "z.zip", {"some": b""} | files if files else {"some": b""})
    told = refused(path, folder)
    assert sentence in told
    assert str(tmp_path) not in told
    assert not list(tmp_path.glob("out*"))


def test_links_and_locked_members_in_a_zip(tmp_path, folder):
    link = zipfile.ZipInfo("link.svs")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert "a link" in refused(tmp_path / "l.zip", folder)


def test_a_zip_that_swells_is_stopped(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(incoming, "_FREE_BYTES", 1 << 20)
    path = packed(tmp_path / "b.zip", {"a.svs": bytes(8 << 20)}, compression=zipfile.ZIP_DEFLATED)
    assert "swells" in refused(path, folder)
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) <= 1 << 20


@pytest.mark.parametrize("cut", [4, 30, 200])
def test_a_damaged_zip(tmp_path, folder, cut):
    path = packed(tmp_path / "d.zip", {"a.svs": bytes(range(256)) * 4})
    path.write_bytes(path.read_bytes()[:cut])
    assert "zip" in refused(path, folder).lower()
