"""Weights and card: written whole, read back equal, and refused in plain words when anything is wrong."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from types import MappingProxyType

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from models.shared import checkpoints
from models.shared.checkpoints import Card, CheckpointRefused, DatasetUse, Metric, load, read_card, save


def make_card(**changes) -> Card:
    values = {
        "method": "zulu",
        "title": "Zulu",
        "config": {"scale": 2.0, "grid": (1, 2), "inner": MappingProxyType({"a": None})},
        "datasets": (DatasetUse(name="digits", title="D", kind="real", licence="CC0", n_train=3, n_validation=2, n_test=1),),
        "recipe": "python -m models train zulu",
        "seed": 0,
        "seconds": 1.5,
        "hardware": "a machine",
        "parameters": 12,
        "trained_parameters": 7,
        "metrics": {"digits/accuracy": Metric(value=0.5, low=0.25, high=0.75, n=8, interval="Wilson")},
    }
    return Card(**(values | changes))


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "zulu.safetensors"
    tensors = {"w": torch.arange(6, dtype=torch.float32).reshape(2, 3), "n": torch.tensor(4), "h": torch.ones(3, dtype=torch.bfloat16)}
    return path, tensors, save(path, tensors, make_card())


def test_what_is_loaded_equals_what_was_saved(saved):
    path, tensors, card = saved
    back, back_card = load(path)
    assert set(back) == set(tensors)
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor)
    assert back_card == card == read_card(path)
    assert card.config == {"scale": 2.0, "grid": [1, 2], "inner": {"a": None}}
    assert card.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sorted(file.name for file in path.parent.iterdir()) == ["zulu.json", "zulu.safetensors"]


def test_views_and_shared_tensors_can_be_saved(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    save(tmp_path / "v.safetensors", {"a": base, "b": base, "c": base.T[1:]}, make_card())
    back, _ = load(tmp_path / "v.safetensors")
    assert back["c"].tolist() == [[1.0, 5.0, 9.0], [2.0, 6.0, 10.0], [3.0, 7.0, 11.0]]


def test_a_failed_write_leaves_the_old_checkpoint(saved, monkeypatch):
    path, _, card = saved

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        save(path, {"w": torch.zeros(1)}, make_card(seed=9))
    monkeypatch.undo()
    assert load(path)[1] == card
    assert len(list(path.parent.iterdir())) == 2


def test_weights_of_another_card_are_refused(saved):
    path, _, _ = saved
    checkpoints.write_atomically(path, path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(CheckpointRefused, match="do not belong to their card"):
        load(path)


@pytest.mark.parametrize("gone", [".json", ".safetensors"])
def test_a_missing_file_is_said(saved, gone):
    path = saved[0]
    path.with_suffix(gone).unlink()
    with pytest.raises(CheckpointRefused, match=r"is not here; it was expected in"):
        load(path)


def test_too_large_files_are_not_read(saved, monkeypatch):
    monkeypatch.setattr(checkpoints, "MAX_WEIGHTS_BYTES", 10)
    with pytest.raises(CheckpointRefused, match="larger than the"):
        load(saved[0])


def lying_file(header: dict) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * 8


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 64,
        struct.pack("<Q", 1 << 62) + b"{}",
        lying_file({"w": {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]}}),
        lying_file({"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}),
        lying_file({"w": {"dtype": "PICKLE", "shape": [2], "data_offsets": [0, 8]}}),
        b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00\x8c\x01a\x94.",  # a pickle
    ],
    ids=["empty", "noise", "endless header", "short data", "wrong shape", "unknown type", "pickle"],
)
def test_a_lying_weights_file_is_refused_even_with_the_right_checksum(tmp_path, data):
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    path.with_suffix(".json").write_text(make_card(sha256=hashlib.sha256(data).hexdigest()).model_dump_json())
    with pytest.raises(CheckpointRefused, match=r"x\.safetensors is not a whole safetensors file"):
        load(path)


@pytest.mark.parametrize(
    ("change", "where"),
    [({"format": 2}, "format"), ({"surprise": 1}, "surprise"), ({"seed": "many"}, "seed"), ({"metrics": {"a": {"value": 1}}}, "metrics.a")],
)
def test_a_card_that_does_not_fit_is_refused(saved, change, where):
    path = saved[0].with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointRefused, match=f"cannot be read: {where}"):
        read_card(path)


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff\xfe", b"{" * 5000], ids=["empty", "list", "no text", "deep"])
def test_a_damaged_card_is_refused(tmp_path, raw):
    (tmp_path / "x.json").write_bytes(raw)
    with pytest.raises(CheckpointRefused, match=r"The card x\.json cannot be read"):
        read_card(tmp_path / "x.json")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32(1), {1, 2}], ids=str)
def test_a_card_keeps_only_what_json_can_hold(value):
    with pytest.raises(ValidationError, match="cannot be kept in a card"):
        make_card(extra={"curve": [1.0, value]})


@pytest.mark.parametrize("numbers", [{"value": float("nan")}, {"low": 0.9}, {"n": -1}], ids=str)
def test_a_metric_is_finite_and_its_interval_in_order(numbers):
    with pytest.raises(ValidationError):
        Metric(**({"value": 0.5, "low": 0.25, "high": 0.75, "n": 8, "interval": "Wilson"} | numbers))
