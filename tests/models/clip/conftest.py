"""Tiny open_clip models of every kind the backbone can walk, made once for all tests of this folder."""

from __future__ import annotations

import json

import open_clip
import pytest
import torch

from models.shared.backbones.clip import Clip, new_clip

VISION = {"image_size": 32, "patch_size": 8, "width": 48, "layers": 3, "head_width": 16}
TEXT = {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
TINY = {
    "tiny-plain": {},
    "tiny-quick": {"quick_gelu": True},
    "tiny-own-text-class": {"custom_text": True},
    "tiny-average": {"vision_cfg": {"pool_type": "avg"}},
    "tiny-average-late-norm": {"vision_cfg": {"pool_type": "avg", "final_ln_after_pool": True}},
    "tiny-normed-attention": {
        "vision_cfg": {
            "qk_norm": True,
            "scale_heads": True,
            "scale_attn_inner": True,
            "scale_attn": True,
            "scale_fc": True,
            "ls_init_value": 0.3,
        }
    },
}


@pytest.fixture(scope="session", autouse=True)
def _tiny_models(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("configs")
    for name, change in TINY.items():
        config = {"embed_dim": 24, "vision_cfg": VISION | change.get("vision_cfg", {}), "text_cfg": TEXT}
        config |= {key: value for key, value in change.items() if key != "vision_cfg"}
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


@pytest.fixture(scope="session")
def made(_tiny_models: None) -> dict[str, Clip]:
    clips = {name: new_clip(name, seed=3) for name in TINY} | {"lightbox-clip-small": new_clip(seed=3)}
    for clip in clips.values():  # every parameter away from its start, so that none can be forgotten unseen
        generator = torch.Generator().manual_seed(5)
        for parameter in clip.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return clips


@pytest.fixture(params=[*TINY, "lightbox-clip-small"])
def clip(request: pytest.FixtureRequest, made: dict[str, Clip]) -> Clip:
    return made[request.param]
