"""A small segmenter with random weights, a picture with a bright square, and a machine without weights or network."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.torch import save_file

from models.shared.backbones.segmenter import loader
from models.shared.backbones.segmenter.network import build, image_state
from models.shared.backbones.segmenter.wrapper import Sam2


@pytest.fixture(scope="session")
def network():
    return build("small", seed=0)


@pytest.fixture
def sam(network):
    return Sam2(network)


@pytest.fixture(scope="session")
def picture():
    """40 high, 60 wide, uint8 grey noise with a bright square at rows 10-19, columns 30-44."""
    grey = np.random.default_rng(0).integers(0, 80, (40, 60), dtype=np.uint8)
    grey[10:20, 30:45] = 250
    return grey


@pytest.fixture
def count_encodings(monkeypatch, network):
    """A list that grows by one with each run of the image encoder."""
    calls: list[int] = []
    forward = network.image_encoder.forward
    monkeypatch.setattr(network.image_encoder, "forward", lambda x: calls.append(1) or forward(x))
    return calls


@pytest.fixture
def weights_file(tmp_path, network):
    path = tmp_path / "sam2_small.safetensors"
    save_file({name: tensor.half() for name, tensor in image_state(network.state_dict()).items()}, path)
    return path


@pytest.fixture
def bare_host(monkeypatch, tmp_path):
    """A machine with none of the weights, and without a network."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.delenv("WORKBENCH_SAM2", raising=False)
    monkeypatch.setenv("WORKBENCH_DATA", str(empty))
    monkeypatch.setattr(loader, "assets_dir", lambda: empty)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(empty))
    monkeypatch.setattr("socket.socket.connect", lambda *_: (_ for _ in ()).throw(AssertionError("the network was asked")))
    return empty
