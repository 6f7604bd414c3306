"""Which weights may be shipped; `data list` and `data fetch`."""

from __future__ import annotations

import hashlib
import http.server
import json
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from models.cli import main
from models.shared import data
from models.shared.checkpoints import Card, DatasetUse, read_card
from models.shared.data import busi, isic2018

ROOT = Path(__file__).resolve().parents[3]
CARDS = sorted((ROOT / "assets" / "checkpoints").glob("*.json"))


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


def test_data_list(root, capsys, write_zip):
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


def test_fetch_from_a_file_reads_it_whole_and_puts_it_in_place(root, tmp_path, monkeypatch, capsys, write_zip, busi_content):
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


def test_fetch_tells_the_release_from_the_reduced_set(root, tmp_path, monkeypatch, write_zip, busi_content):
    monkeypatch.setattr(busi, "COUNTS", (8, 8, 8))
    given = write_zip(tmp_path / "x.zip", busi_content(layout="release"))
    assert main(["data", "fetch", "busi", "--from", str(given)]) == 0
    assert (root / "Dataset_BUSI_with_GT.zip").is_file()


def test_fetch_of_isic_and_medmnist(root, tmp_path, monkeypatch, write_zip, isic_content):
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


def test_fetch_refuses_what_is_not_the_set_and_leaves_nothing(root, tmp_path, capsys, write_zip, busi_content, isic_content):
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


def test_fetch_from_an_address(root, tmp_path, monkeypatch, capsys, write_zip, busi_content):
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
