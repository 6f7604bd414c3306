"""CLIP's image tower, opened: patch subsets, attention maps and nudged attention, with open_clip's own weights and modules.

B images, N tokens (class token first, then patches in reading order), n patches, h heads, d channels per head, C width, E joint size.

The walk below repeats open_clip's `VisionTransformer.forward` step by step (Dosovitskiy et al. 2021; Radford et al. 2021), with two
doors in it. After the position embeddings, only the wanted patches go on, each with its own position (Li et al. 2023, "Scaling
Language-Image Pre-training via Masking"). And attention is computed in the open, softmax(q kᵀ/√d) v, where it can be read and added to;
writing it out costs no more than the fused kernel at these sizes (benchmarks/clip_attention.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from models.shared.backbones.clip.spec import ClipRefused


@dataclass(frozen=True)
class Look:
    """One pass through the image tower: `features` (B, E), not normalised; `tokens` (B, N, C) after the last block, before the
    final norm; `attention` (B, L, h, N, N) of the layers asked for, rows sum to 1, or None when none were."""

    features: Tensor
    tokens: Tensor
    attention: Tensor | None


def check_tower(visual: nn.Module, name: str) -> VisionTransformer:
    """The image tower, if this file can walk it; ClipRefused in a sentence otherwise."""
    if not isinstance(visual, VisionTransformer):
        raise ClipRefused(
            f"{name} looks at images with a {type(visual).__name__}, which has no patches and no attention over them to show. "
            "Choose a model whose name begins with ViT, such as ViT-B-16."
        )
    if visual.attn_pool is not None or visual.pool_type not in ("tok", "avg") or any(map(_is_cosine, visual.transformer.resblocks)):
        raise ClipRefused(f"{name} joins its patches in a way that is not supported here. Choose a plain ViT, such as ViT-B-16.")
    return visual


def _is_cosine(block: nn.Module) -> bool:
    return getattr(block.attn, "logit_scale", None) is not None


def embed(visual: VisionTransformer, x: Tensor, keep_idx: Tensor | None = None) -> Tensor:
    """Images (B, 3, H, W) to tokens (B, 1 + k, C), ready for the first block: all patches, or the k that `keep_idx` (B, k) names."""
    patches = visual.conv1(x).flatten(2).mT  # B C gh gw -> B n C
    position = visual.positional_embedding.to(patches.dtype)
    patches = patches + position[1:]  # before choosing, so that each patch keeps its own place
    if keep_idx is not None:
        patches = patches.gather(1, keep_idx[..., None].expand(-1, -1, patches.shape[-1]))
    first = (visual.class_embedding.to(patches.dtype) + position[0]).expand(len(patches), 1, -1)
    return visual.ln_pre(torch.cat([first, patches], dim=1))


def attend(attn: nn.Module, x: Tensor, bias: Tensor | None = None, out: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Self-attention of tokens x (B, N, C) in the open: new values (B, N, C) and the attention (B, h, N, N) they were mixed with.

    `bias`, broadcastable to (B, h, N, N), is added to the scores before the softmax. `out` is memory to write the attention to.
    """
    heads = attn.num_heads
    joint = F.linear(x, attn.in_proj_weight, attn.in_proj_bias)  # B N 3C
    q, k, v = joint.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)  # each B h N d
    # open_clip's own attention module may norm q and k, scale heads and norm the result; PyTorch's has none of these.
    if hasattr(attn, "ln_q"):
        q, k = attn.ln_q(q), attn.ln_k(k)
    scores = (q * q.shape[-1] ** -0.5) @ k.mT  # B h N N
    weights = torch.softmax(scores if bias is None else scores + bias, dim=-1, out=out)
    mixed = weights.to(v.dtype) @ v  # B h N d; under autocast the softmax is wider than v
    if getattr(attn, "head_scale", None) is not None:
        mixed = mixed * attn.head_scale
    mixed = mixed.transpose(1, 2).flatten(2)  # B N C
    if hasattr(attn, "ln_inner"):
        mixed = attn.ln_inner(mixed)
    return attn.out_proj(mixed), weights


def step(block: nn.Module, x: Tensor, bias: Tensor | None = None, out: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """One block on tokens (B, N, C): its output and its attention; `bias` and `out` as in `attend`."""
    mixed, weights = attend(block.attn, block.ln_1(x), bias, out)
    if hasattr(block, "ln_attn"):
        mixed = block.ln_attn(mixed)
    x = x + block.ls_1(mixed)
    return x + block.ls_2(block.mlp(block.ln_2(x))), weights


def walk(
    visual: VisionTransformer,
    x: Tensor,
    *,
    keep_idx: Tensor | None = None,
    layers: Collection[int] = (),
    bias: Mapping[int, Tensor] | None = None,
) -> Look:
    """Images (B, 3, H, W) through the tower. `layers` whose attention to keep, in rising order; `bias` layer → added scores."""
    bias = bias or {}
    tokens = embed(visual, x, keep_idx)
    if not layers and not bias:
        tokens = visual.transformer(tokens)
        return Look(_pooled(visual, tokens), tokens, None)
    wanted = sorted(layers)
    memory = _memory(visual, tokens, len(wanted), bias)
    kept: list[Tensor] = []
    for number, block in enumerate(visual.transformer.resblocks):
        keep = number in wanted
        tokens, weights = step(block, tokens, bias.get(number), memory[len(kept)] if keep and memory is not None else None)
        if keep:
            kept.append(weights)
    features = _pooled(visual, tokens)
    if memory is not None:
        return Look(features, tokens, memory.transpose(0, 1))  # L B h N N -> B L h N N
    return Look(features, tokens, torch.stack(kept, dim=1) if kept else None)


def _memory(visual: VisionTransformer, tokens: Tensor, count: int, bias: Mapping[int, Tensor]) -> Tensor | None:
    """One block (L, B, h, N, N) for the attention of `count` layers, that each softmax writes into: it spares copying it all at the end.

    None where PyTorch must make each tensor itself, for gradients or for autocast's own number format.
    """
    learned = any(part.requires_grad for part in (tokens, *bias.values(), *visual.parameters()))
    if not count or (learned and torch.is_grad_enabled()) or torch.is_autocast_enabled(tokens.device.type):
        return None
    batch, length, _ = tokens.shape
    return tokens.new_empty(count, batch, visual.transformer.resblocks[0].attn.num_heads, length, length)


def project_patches(visual: VisionTransformer, tokens: Tensor) -> Tensor:
    """Patch tokens (B, N, C) after the last block to the joint space (B, N - 1, E): final norm and projection, the class token left out."""
    patches = visual.ln_post(tokens[:, 1:])
    return patches if visual.proj is None else patches @ visual.proj


def _pooled(visual: VisionTransformer, tokens: Tensor) -> Tensor:
    if visual.pool_type == "tok":
        pooled = visual.ln_post(tokens[:, 0])  # a norm over channels: the same before and after picking the class token
    elif visual.final_ln_after_pool:
        pooled = visual.ln_post(tokens[:, 1:].mean(dim=1))
    else:
        pooled = visual.ln_post(tokens)[:, 1:].mean(dim=1)
    return pooled if visual.proj is None else pooled @ visual.proj
