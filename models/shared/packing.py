"""Weights kept small for shipping: one byte for each number of a matrix, with a scale for each of its rows; the rest whole.

A row is what makes one output channel. Norms, biases and small tables are few and ship as float32. The studies measure their networks after this
rounding, so a card's numbers are those of what ships. Source: the common row-wise rounding of weights to integers (inferred).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

SMALL = 512
"""Tensors of fewer numbers ship whole."""
LEVELS = 127
CODES, SCALES = "#codes", "#scales"
"""Endings of a packed tensor's two parts; no parameter's name holds the sign."""


def pack(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A network's state: matrices as int8 codes and float32 scales (rows,), the rest as it is; counters of batches are left out."""
    packed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        value = tensor.detach().cpu()
        if not value.dtype.is_floating_point:
            continue
        if value.ndim < 2 or value.numel() < SMALL:
            packed[name] = value.float().clone(memory_format=torch.contiguous_format)
            continue
        rows = value.float().flatten(1)
        scales = rows.abs().amax(dim=1) / LEVELS
        codes = (rows / scales.clamp_min(1e-30)[:, None]).round().clamp(-LEVELS, LEVELS).to(torch.int8)
        packed[name + CODES], packed[name + SCALES] = codes.reshape(value.shape).contiguous(), scales
    return packed


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state again, float32, less the counters. ValueError when codes come without their scales."""
    state: dict[str, Tensor] = {}
    for name, tensor in packed.items():
        if name.endswith(SCALES):
            continue
        if not name.endswith(CODES):
            state[name] = tensor.float()
            continue
        plain = name.removesuffix(CODES)
        scales = packed.get(plain + SCALES)
        if scales is None or scales.shape != tensor.shape[:1]:
            raise ValueError(f"The packed weights {plain} are damaged; fetch the checkpoint once more.")
        state[plain] = tensor.float() * scales.view(-1, *[1] * (tensor.ndim - 1))
    return state


def lay_in(net: torch.nn.Module, packed: Mapping[str, Tensor]) -> None:
    """Put packed weights into a network. ValueError when they are not its own."""
    try:
        missing, unexpected = net.load_state_dict(unpack(packed), strict=False)
    except RuntimeError as fault:  # a tensor of another size
        raise ValueError("These weights do not fit the network (their sizes differ); fetch the checkpoint once more.") from fault
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(
            f"These weights do not fit the network ({len(missing)} missing, {len(unexpected)} unknown); fetch the checkpoint once more."
        )
