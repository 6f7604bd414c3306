"""The ProMIM tab: what it makes of a zip of somebody's own pictures."""

from __future__ import annotations

import zipfile

import pytest

from workbench.tabs.promim import example_zip, own_zip


@pytest.fixture
def pack(tmp_path):
    def make(*places):
        path = tmp_path / "mine.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for place in places:
                archive.writestr(place, b"x")
        return path

    return make


def test_folders_are_counted_by_name_also_inside_one_folder(pack):
    path = pack("all/M_1/a.png", "all/M_1/b.DCM", "all/no-tumour/c.jpg", "all/readme.txt", "__MACOSX/all/M_1/._a.png")
    assert own_zip.folders_in(path) == {"M_1": 2, "no-tumour": 1}
    markup, kept, field = own_zip.look(str(path))
    assert "mine.zip:</span> 3 pictures in 2 folders: M_1 (2), no-tumour (1)." in markup
    assert kept == str(path)
    assert (field.value, field.visible) == ("M_1 = M 1\nno-tumour = no tumour", True)


def test_a_zip_that_cannot_be_used_is_a_sentence_and_its_names_stay_text(pack, tmp_path):
    assert "found in 1 folders; at least 2" in own_zip.look(str(pack("only/a.png")))[0]
    assert own_zip.look(None)[1] == ""
    other = tmp_path / "table.zip"
    other.write_text("no zip")
    assert "Not taken" in own_zip.look(str(other))[0]
    assert "&lt;b&gt;&#96;" in own_zip.look(str(pack("<b>`/a.png", "two/b.png")))[0]


def test_names_are_read_line_by_line():
    assert own_zip.names_of("M_1 = bright tumour\n\n no = no tumour ") == {"M_1": "bright tumour", "no": "no tumour"}
    with pytest.raises(ValueError, match="does not read: folder = words"):
        own_zip.names_of("bright tumour")


@pytest.mark.parametrize(
    ("path", "arms", "sentence"),
    [
        ("", ["coop"], "Upload a ZIP"),
        ("/no/such.zip", ["coop"], "no longer on this server"),
        (str(own_zip.EXAMPLE), [], "at least one method"),
    ],
)
def test_what_is_missing_is_said_before_a_training_is_started(path, arms, sentence):
    with pytest.raises(ValueError, match=sentence):
        own_zip.config_of(path, "", {"arms": arms})


def test_the_example_zip_is_the_one_its_program_makes(tmp_path):
    example_zip.write(tmp_path / "again.zip")
    assert own_zip.folders_in(own_zip.EXAMPLE) == dict.fromkeys(sorted(example_zip.FOLDERS.values()), example_zip.EACH)
    with zipfile.ZipFile(tmp_path / "again.zip") as again, zipfile.ZipFile(own_zip.EXAMPLE) as shipped:
        assert again.namelist() == shipped.namelist()
