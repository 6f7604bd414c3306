"""A tiny CLIP with random weights, a grey picture with three regions, and a machine whose caches are its own."""

from __future__ import annotations

import json

import numpy as np
import open_clip
import pytest
import torch

from models.shared.backbones.clip import Clip, new_clip

CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 48, "layers": 3, "head_width": 16},
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
CLASSES = ("cat scan", "dog scan", "bird scan")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """32 px, 4 × 4 patches, 3 blocks of 3 heads; every parameter moved from its start, so that attention is uneven."""
    folder = tmp_path_factory.mktemp("configs")
    (folder / "focus-tiny.json").write_text(json.dumps(CONFIG))
    open_clip.add_model_config(folder)
    made = new_clip("focus-tiny", seed=3)
    generator = torch.Generator().manual_seed(5)
    for parameter in made.model.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return made


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """(32, 32) uint8 grey noise."""
    return np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)


@pytest.fixture(scope="session")
def masks() -> list[np.ndarray]:
    """Three masks of 512, 144 and 16 pixels: the second reaches out of the first, the third lies inside the second."""
    made = [np.zeros((32, 32), bool) for _ in range(3)]
    made[0][:16] = True
    made[1][8:20, 8:20] = True
    made[2][10:14, 10:14] = True
    return made
