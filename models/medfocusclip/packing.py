"""Fine-tuned weights kept small: what training changed, in four bits for each number, so that ten networks fit where two would.

A weight ships as its difference from the CLIP it started from. Differences are cut into groups of 64; a group keeps one scale (half precision) and each number of it
one of 15 steps from −7 to 7. Biases and norms are few and ship whole. A study measures its networks after this rounding, so the card's numbers are those of
what ships. Source: the common group-wise rounding of weights to integers; applied to differences here, which are small (inferred).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

GROUP = 64
LEVELS = 7
CODES, SCALES = "#codes", "#scales"
"""Endings of a packed tensor's two parts; no parameter's name holds the sign."""


def pack(state: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`state` as differences from `base`, which holds the same names: matrices as codes (uint8, two numbers a byte) and scales, the rest as float16."""
    packed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if tensor.ndim < 2:
            packed[name] = tensor.to("cpu", torch.float16)
            continue
        change = (tensor.detach().cpu().float() - base[name].detach().cpu().float()).flatten()
        groups = F.pad(change, (0, -len(change) % GROUP)).view(-1, GROUP)
        scales = (groups.abs().amax(dim=1) / LEVELS).to(torch.float16)
        steps = torch.where(scales[:, None] > 0, groups / scales[:, None].float().clamp_min(1e-12), 0).round().clamp(-LEVELS, LEVELS)
        nibbles = (steps + LEVELS).to(torch.uint8).flatten()
        packed[name + CODES] = nibbles[::2] << 4 | nibbles[1::2]
        packed[name + SCALES] = scales
    return packed


def unpack(packed: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state again, float32. ValueError when a packed tensor does not fit the CLIP it is laid upon."""
    state: dict[str, Tensor] = {}
    for name, tensor in packed.items():
        if name.endswith(SCALES):
            continue
        if not name.endswith(CODES):
            state[name] = tensor.float()
            continue
        plain = name.removesuffix(CODES)
        scales = packed.get(plain + SCALES)
        start = base.get(plain)
        if start is None or scales is None or len(tensor) * 2 != len(scales) * GROUP or not 0 <= len(tensor) * 2 - start.numel() < GROUP:
            raise ValueError(f"The packed weights {plain} do not fit this CLIP; fetch both files once more.")
        steps = torch.stack([tensor >> 4, tensor & 15], dim=1).flatten().float() - LEVELS
        change = (steps.view(-1, GROUP) * scales[:, None].float()).flatten()[: start.numel()]
        state[plain] = start.detach().cpu().float() + change.view(start.shape)
    return state
