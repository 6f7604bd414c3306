"""SAM 2 networks for still images, put together by the `sam2` package from its own configuration files and our `small.yaml`.

Shapes: B images, P points, S side of the square the network sees, C = 256 channels, E = S / 16, h = S / 4.
Source: Ravi et al. 2024, section 4 and appendix D.1; window position embedding: Bolya et al. 2023 (arXiv 2311.05613).

Known deviations from the package's own `build_sam2`:
- The memory attention and memory encoder, which only video needs, are left out; a still image never reaches them. SAM 2 and 2.1
  checkpoints of one size therefore have the same network here.
- S can be any multiple of 32. Only the position embedding depends on S, and Hiera stretches it (bicubic) over the grid and repeats
  its 8 × 8 window part by itself; the rotary embedding of a fixed 64 × 64 belongs to the memory attention.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import sam2
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from models.shared.checkpoints import CheckpointRefused

SIDE_STEP = 32
MIN_SIDE, MAX_SIDE = 128, 2048

_PACKAGE = Path(sam2.__file__).parent / "configs"
_SIZES = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}
CONFIGS: dict[str, Path] = {"small": Path(__file__).with_name("small.yaml")} | {
    f"{version}_hiera_{size}": _PACKAGE / version / f"{version}_hiera_{short}.yaml"
    for version in ("sam2", "sam2.1")
    for size, short in _SIZES.items()
}
"""Name → configuration file."""

_IMAGE_ONLY = {"memory_attention": None, "memory_encoder": None, "num_maskmem": 1}
# What the package does for its own image predictor: a single mask that is not stable gives way to the best of the three.
_STABLE_SINGLE = {
    "dynamic_multimask_via_stability": True,
    "dynamic_multimask_stability_delta": 0.05,
    "dynamic_multimask_stability_thresh": 0.98,
}
# Parameters no still image reaches: memory, pointers to objects in other frames, and the score that an object is in the frame.
_VIDEO_ONLY = (
    "memory_attention.", "memory_encoder.", "maskmem_tpos_enc", "no_mem_pos_enc", "mask_downsample.", "no_obj_ptr", "no_obj_embed_spatial",
    "obj_ptr_proj.", "obj_ptr_tpos_proj.", "sam_mask_decoder.pred_obj_score_head.",
)  # fmt: skip
_FAMILIES = {(16, 11): "small", (96, 12): "tiny", (96, 16): "small_published", (112, 24): "base_plus", (144, 48): "large"}


def build(spec: str, *, image_size: int | None = None, seed: int | None = None) -> SAM2Base:
    """The network `spec` (a key of CONFIGS) with random weights, in evaluation mode; ValueError for an unknown name or size.

    `image_size` is S, by default what the network was trained at (1024 published, 256 small). With a `seed` the weights are
    the same each time, and the global generator is left as it was.
    """
    if spec not in CONFIGS:
        raise ValueError(f"{spec!r} is not a segmenter known here; choose one of {', '.join(CONFIGS)}.")
    config = OmegaConf.load(CONFIGS[spec])
    changes = _IMAGE_ONLY | {"sam_mask_decoder_extra_args": _STABLE_SINGLE}
    if image_size is not None:
        changes["image_size"] = check_side(image_size)
    model_config = OmegaConf.merge(config.model, changes)
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return instantiate(model_config, _recursive_=True).eval()


def check_side(image_size: int) -> int:
    """The size as it was; ValueError unless the network's grids divide evenly at it."""
    if image_size % SIDE_STEP or not MIN_SIDE <= image_size <= MAX_SIDE:
        raise ValueError(
            f"The image size {image_size} cannot be used; take a multiple of {SIDE_STEP} from {MIN_SIDE} to {MAX_SIDE}, such as 512."
        )
    return image_size


def image_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that still images need."""
    return {name: tensor for name, tensor in state.items() if not name.startswith(_VIDEO_ONLY)}


def recognise(state: Mapping[str, Tensor]) -> str:
    """The name in CONFIGS these tensors belong to, told from the trunk's width and depth; CheckpointRefused for none of them.

    SAM 2 and 2.1 differ only in video parts: without those the answer is the `sam2_` name.
    """
    first = state.get("image_encoder.trunk.patch_embed.proj.weight")
    depth = len({name.split(".")[3] for name in state if name.startswith("image_encoder.trunk.blocks.")})
    family = None if first is None else _FAMILIES.get((first.shape[0], depth))
    if family is None:
        raise CheckpointRefused(
            "These weights are not of a SAM 2 network known here; give a SAM 2 or SAM 2.1 checkpoint, or the small one."
        )
    if family == "small":
        return "small"
    version = "sam2.1" if "no_obj_embed_spatial" in state else "sam2"
    return f"{version}_hiera_{family.removesuffix('_published')}"


def fill(model: SAM2Base, state: Mapping[str, Tensor], *, name: str) -> None:
    """Put the image part of `state` into `model`; CheckpointRefused unless every tensor a still image needs is there, whole and finite."""
    wanted, given = image_state(model.state_dict()), image_state(state)
    strange = sorted(wanted.keys() ^ given.keys()) or [key for key in wanted if wanted[key].shape != given[key].shape]
    if strange:
        raise CheckpointRefused(
            f"{name} does not fit the network: {len(strange)} of {len(wanted)} parts are missing, unknown or of another size, such as {strange[0]}. "
            "Fetch the file once more, or choose the network it belongs to."
        )
    broken = next((key for key, tensor in given.items() if not torch.isfinite(tensor).all()), None)
    if broken is not None:
        raise CheckpointRefused(f"{name} is damaged: {broken} holds values that are not numbers. Fetch the file once more.")
    model.load_state_dict(given, strict=False)


def encode(model: SAM2Base, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, 3, S, S) normalised pixels → embedding (B, C, E, E) and the finer maps (B, C/8, h, h) and (B, C/4, h/2, h/2).

    Equal to what the package's image predictor keeps after `set_image`, without its fixed sizes for S = 1024. Differentiable.
    """
    fine, middle, coarse = model.forward_image(pixels)["backbone_fpn"]
    if model.directly_add_no_mem_embed:
        coarse = coarse + model.no_mem_embed.reshape(1, -1, 1, 1)
    return coarse, fine, middle


def decode(
    model: SAM2Base,
    features: tuple[Tensor, Tensor, Tensor],
    m_points: Tensor,
    labels: Tensor,
    *,
    mask_input: Tensor | None = None,
    multimask: bool = True,
) -> tuple[Tensor, Tensor]:
    """One prompt for each of B images → mask logits (B, K, h, h) and estimated intersection over union (B, K). Differentiable.

    `m_points` (B, P, 2) float in the network's square, less half a pixel; `labels` (B, P) int: 1 inside, 0 outside, 2 and 3 the corners
    of a box (which come first), -1 for a place left empty. `mask_input` (B, 1, h, h) logits. K is 3, or 1 without `multimask`.
    """
    embedding, fine, middle = features
    sparse, dense = model.sam_prompt_encoder(points=(m_points, labels), boxes=None, masks=mask_input)
    logits, scores, _, _ = model.sam_mask_decoder(
        image_embeddings=embedding,
        image_pe=model.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=multimask,
        repeat_image=False,
        high_res_features=[fine, middle],
    )
    return logits, scores
