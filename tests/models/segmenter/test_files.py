"""Checkpoints: found by name, path and setting; damaged, foreign and absent ones said in a sentence."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.shared.backbones.segmenter.loader import SPECS, find, load_sam2
from models.shared.backbones.segmenter.network import image_state
from models.shared.backbones.segmenter.wrapper import Sam2
from models.shared.checkpoints import CheckpointRefused

ROOT = Path(__file__).resolve().parents[3]


def test_safetensors_file_is_loaded_by_path_and_by_setting(weights_file, picture, bare_host, monkeypatch):
    by_path = load_sam2(weights_file, "cpu")
    assert (by_path.name, by_path.image_size) == ("small", 256)
    monkeypatch.setenv("WORKBENCH_SAM2", str(weights_file))
    by_setting = load_sam2(device="cpu")
    assert by_setting.fingerprint == by_path.fingerprint
    monkeypatch.setenv("WORKBENCH_SAM2", str(weights_file.parent))
    weights_file.rename(weights_file.parent / "small.safetensors")
    assert load_sam2("small", "cpu", 128).mask_size == 32


def test_pt_file_is_loaded(tmp_path, network, picture):
    path = tmp_path / "mine.pt"
    torch.save({"model": image_state(network.state_dict())}, path)
    loaded, original = load_sam2(path, "cpu"), Sam2(network)
    np.testing.assert_array_equal(
        loaded.run(loaded.prepare(picture), [(5, 5, 1)]).logits, original.run(original.prepare(picture), [(5, 5, 1)]).logits
    )


def test_video_parts_of_a_full_checkpoint_are_left_aside(tmp_path, network):
    state = image_state(network.state_dict()) | {"memory_attention.norm.weight": torch.ones(3), "maskmem_tpos_enc": torch.ones(7, 1, 1, 64)}
    save_file(state, tmp_path / "full.safetensors")
    assert load_sam2(tmp_path / "full.safetensors", "cpu").name == "small"


class _Intruder:
    """Would run a command when unpickled."""

    def __reduce__(self):
        return print, ("intruder ran",)


def _bad_file(kind: str, folder: Path, state: dict) -> Path:
    path = folder / f"weights{'.pt' if kind in ('noise.pt', 'code', 'cut.pt', 'list') else '.safetensors'}"
    if kind == "noise.pt":
        path.write_bytes(b"\x80\x02noise" * 50)
    elif kind == "code":
        torch.save({"model": _Intruder()}, path)
    elif kind == "list":
        torch.save([1, 2], path)
    elif kind == "cut.pt":
        whole = io.BytesIO()
        with zipfile.ZipFile(whole, "w") as archive:
            archive.writestr("a/data.pkl", b"\x80\x02}q")
        path.write_bytes(whole.getvalue())
    elif kind == "cut":
        save_file(state, path)
        path.write_bytes(path.read_bytes()[:-1000])
    else:
        changed = dict(state)
        name = "sam_mask_decoder.iou_token.weight"
        if kind == "not finite":
            changed[name] = torch.full_like(changed[name], float("nan"))
        elif kind == "missing":
            del changed[name]
        elif kind == "other size":
            changed[name] = torch.zeros(1, 7)
        elif kind == "other network":
            changed = {"weight": torch.zeros(3)}
        save_file(changed, path)
    return path


@pytest.mark.hostile
@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("noise.pt", "not a whole PyTorch checkpoint"),
        ("cut.pt", "is damaged"),
        ("code", "holds more than weights"),
        ("list", "no table of weights"),
        ("cut", "not a whole safetensors file"),
        ("not finite", "iou_token.weight holds values that are not numbers"),
        ("missing", "1 of .* parts are missing.*iou_token"),
        ("other size", "of another size, such as sam_mask_decoder.iou_token.weight"),
        ("other network", "not of a SAM 2 network"),
    ],
)
def test_damaged_file_is_said(tmp_path, network, capsys, kind, sentence):
    path = _bad_file(kind, tmp_path, image_state(network.state_dict()))
    with pytest.raises(CheckpointRefused, match=sentence):
        load_sam2(path, "cpu")
    assert "intruder" not in capsys.readouterr().out


def test_absent_names_are_answered_without_the_network(bare_host):
    for name in SPECS[1:]:
        with pytest.raises(CheckpointRefused, match=f"weights of {name} are not on this machine".replace(".", r"\.")):
            load_sam2(name)
    with pytest.raises(CheckpointRefused, match="small segmenter's weights are not here"):
        load_sam2("small")


def test_download_without_a_network_is_one_sentence(bare_host, monkeypatch):
    def offline(*args, **kwargs):
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", offline)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *args, **kwargs: pytest.fail("asked again, without a network"))
    with pytest.raises(CheckpointRefused, match=r"sam2\.1_hiera_tiny could not be fetched \(ConnectionError\); put sam2\.1_hiera_tiny\.pt"):
        load_sam2("sam2.1_hiera_tiny", download=True)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [("sam9", "not a segmenter known here"), ("/nowhere/x.pt", "x.pt is not here"), (__file__, "ends in .safetensors or .pt")],
)
def test_unknown_names_and_paths_are_said(spec, sentence):
    with pytest.raises(CheckpointRefused, match=sentence):
        find(spec)


def test_file_of_another_network_is_not_taken_for_the_one_asked(bare_host, weights_file, monkeypatch):
    folder = bare_host / "weights-sam2-hiera-tiny"
    folder.mkdir()
    weights_file.rename(folder / "wrong.safetensors")
    with pytest.raises(CheckpointRefused, match="holds small, not sam2_hiera_tiny"):
        load_sam2("sam2_hiera_tiny", "cpu")


def test_unknown_precision_and_device_are_said(weights_file):
    with pytest.raises(ValueError, match="not a precision"):
        load_sam2(weights_file, "cpu", precision="float8")
    with pytest.raises(ValueError, match="not a device"):
        load_sam2(weights_file, "abacus")


QUIET = """
import sys
import numpy as np
from models.shared.backbones.segmenter import load_sam2
sam = load_sam2(sys.argv[1], "cpu")
picture = np.zeros((20, 20), np.uint8)
sam.run(sam.prepare(picture), [(3, 3, 1)])
sam.automatic(picture, points_per_side=1)
import logging
assert not logging.getLogger().handlers, "the log was set up behind the host's back"
"""
LIGHT = """
import sys
import models.shared.backbones.segmenter
assert not {"torch", "sam2", "hydra", "huggingface_hub"} & set(sys.modules)
"""


def _python(code: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def test_import_loads_nothing_heavy():
    assert _python(LIGHT) == (0, "", "")


@pytest.mark.slow
def test_log_stays_clean(weights_file):
    assert _python(QUIET, str(weights_file)) == (0, "", "")
