"""ProMIM and its rivals written out slowly, one picture and one class at a time, in double precision; the oracle of `network.py`.

Symbols as in the papers: f image tower, g text tower, V context, h_θ meta-net, π shift, r mask ratio, N patches, M context vectors.
Sources: CLIP (arXiv 2103.00020), CoCoOp (arXiv 2203.05557, equations 2 and 3 of section 3.2), KgCoOp (arXiv 2303.13283, equation 4), FLIP for patch dropping
(arXiv 2212.00794), ProMIM (arXiv 2508.04942). Nothing is shared with the network; texts keep their full length and nothing is batched.

Weights come by open_clip's names as NumPy arrays (`arrays`); only a plain ViT with a class token and a causal text tower is written out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

Array = np.ndarray
Weights = Mapping[str, Array]


def arrays(state: Mapping[str, object]) -> dict[str, Array]:
    """A PyTorch state as float64 arrays."""
    return {name: np.asarray(value.detach().cpu().numpy(), dtype=np.float64) for name, value in state.items()}


# ---------------------------------------------------------------------- the towers
def _unit(x: Array) -> Array:
    return x / np.sqrt((x**2).sum())


def _norm(x: Array, w: Weights, name: str) -> Array:
    """Layer normalisation over the last axis, ε = 1e-5."""
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


def _activation(x: Array, quick: bool) -> Array:
    from scipy.special import erf

    return x / (1 + np.exp(-1.702 * x)) if quick else x * 0.5 * (1 + erf(x / np.sqrt(2)))


def _attention(x: Array, w: Weights, name: str, heads: int, causal: bool) -> Array:
    q, k, v = np.split(x @ w[f"{name}.in_proj_weight"].T + w[f"{name}.in_proj_bias"], 3, axis=-1)
    mixed = []
    for h in np.split(np.arange(q.shape[-1]), heads):
        scores = q[:, h] @ k[:, h].T / np.sqrt(len(h))
        if causal:
            scores = np.where(np.tril(np.ones_like(scores)) > 0, scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed.append(weights / weights.sum(axis=-1, keepdims=True) @ v[:, h])
    return np.concatenate(mixed, axis=-1) @ w[f"{name}.out_proj.weight"].T + w[f"{name}.out_proj.bias"]


def _blocks(x: Array, w: Weights, tower: str, heads: int, *, causal: bool, quick: bool) -> Array:
    number = 0
    while f"{tower}.resblocks.{number}.ln_1.weight" in w:
        b = f"{tower}.resblocks.{number}"
        x = x + _attention(_norm(x, w, f"{b}.ln_1"), w, f"{b}.attn", heads, causal)
        hidden = _activation(_norm(x, w, f"{b}.ln_2") @ w[f"{b}.mlp.c_fc.weight"].T + w[f"{b}.mlp.c_fc.bias"], quick)
        x = x + hidden @ w[f"{b}.mlp.c_proj.weight"].T + w[f"{b}.mlp.c_proj.bias"]
        number += 1
    return x


def f(w: Weights, image: Array, *, heads: int, keep: Sequence[int] | None = None, quick: bool = False) -> Array:
    """f(I), or f of the kept patches alone: image (3, S, S) to a vector (E,) of unit length. Each patch carries its own position."""
    kernel, positions = w["visual.conv1.weight"], w["visual.positional_embedding"]
    side = kernel.shape[-1]
    per_row = image.shape[-1] // side
    tokens = [w["visual.class_embedding"] + positions[0]]
    for i in range(per_row * per_row) if keep is None else keep:
        row, column = divmod(i, per_row)
        patch = image[:, row * side : (row + 1) * side, column * side : (column + 1) * side]
        tokens.append(np.array([(one * patch).sum() for one in kernel]) + positions[1 + i])
    x = _norm(np.stack(tokens), w, "visual.ln_pre")
    x = _blocks(x, w, "visual.transformer", heads, causal=False, quick=quick)
    return _unit(_norm(x[0], w, "visual.ln_post") @ w["visual.proj"])


def g(w: Weights, prompt: Array, end: int, *, heads: int, quick: bool = False) -> Array:
    """g(prompt): token embeddings (T, D) of the full context, end token at `end`, to a vector (E,) of unit length."""
    x = _blocks(prompt + w["positional_embedding"], w, "transformer", heads, causal=True, quick=quick)
    return _unit(_norm(x[end], w, "ln_final") @ w["text_projection"])


# ---------------------------------------------------------------------- the method
def h(theta: Weights, x: Array) -> Array:
    """π = h_θ(x) = W₂ max(W₁x + b₁, 0) + b₂; x (E,), π (D,)."""
    return theta["2.weight"] @ np.maximum(theta["0.weight"] @ x + theta["0.bias"], 0) + theta["2.bias"]


def prompt_of(w: Weights, V: Array, pi: Array, tokens: Sequence[int]) -> tuple[Array, int]:
    """[start] v_1 … v_M [class tokens] . [end] [padding], with v_m = V_m + π: (T, D) at full length, and the end token's place.

    `tokens` are the numbers of "[start] class . [end]" without padding, which is token 0.
    """
    E = w["token_embedding.weight"]
    length = len(w["positional_embedding"])
    rows = [E[tokens[0]], *(V_m + pi for V_m in V), *(E[t] for t in tokens[1:])]
    return np.stack(rows + [E[0]] * (length - len(rows))), len(rows) - 1


def logits(scale: float, x_hat: Array, w_hat: Sequence[Array]) -> Array:
    """exp(logit scale) · ⟨x̂, ŵ_i⟩ for each class."""
    return np.array([scale * (x_hat * one).sum() for one in w_hat])


def cross_entropy(z: Array, label: int) -> float:
    """−log softmax(z)[label]."""
    return float(np.log(np.exp(z - z.max()).sum()) - (z - z.max())[label])


def L_kg(w_hat: Sequence[Array], w_clip: Sequence[Array]) -> float:
    """(1/C) Σ_i ‖ŵ_i − ŵ_i^clip‖²."""
    return float(sum(((a - b) ** 2).sum() for a, b in zip(w_hat, w_clip, strict=True)) / len(w_clip))


def L_kg_cosine(w_hat: Sequence[Array], w_clip: Sequence[Array]) -> float:
    """KgCoOp's released form, 1 − mean_i cos(ŵ_i, ŵ_i^clip)."""
    return 1 - float(sum((a * b).sum() for a, b in zip(w_hat, w_clip, strict=True)) / len(w_clip))


# ---------------------------------------------------------------------- counts and the protocol
def parameter_count(D: int, E: int, M: int) -> int:
    """M·D + E·⌊E/16⌋ + ⌊E/16⌋ + ⌊E/16⌋·D + D; 35,360 for D = E = 512, M = 4."""
    hidden = E // 16
    return M * D + E * hidden + hidden + hidden * D + D


def H(base: float, new: float) -> float:
    """Harmonic mean of base and new accuracy; 0 where both are 0."""
    return 2 * base * new / (base + new) if base + new else 0.0


def base_and_new(class_ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """The protocol's split: sorted, the first ⌈n/2⌉ are base, the rest new."""
    ordered = sorted(class_ids)
    half = -(-len(ordered) // 2)
    return ordered[:half], ordered[half:]
