"""ResFormer-MTL written out slowly, one picture, one window and one token at a time, in double precision; the oracle of `network.py`.

Nothing is shared with the network. Convolutions are sums over taps; attention asks for each token which others it may see, from their places on
the map and not from a mask; the losses are loops over pixels. Sources: spec §2 and §3 (the paper and its published code as described there), Swin
(arXiv 2103.14030, equations 3 and 4), ECA (arXiv 1910.03151, equations 5 and 12), ResNet (arXiv 1512.03385, figure 2).

Weights come by the network's names as NumPy arrays (`arrays`); normalisation uses the running statistics, as when a trained network answers.
Legend: maps are (C, S, S), tokens (N, C) in reading order, W the weights, `at` the prefix of a part's names, w window side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

Array = np.ndarray
Weights = Mapping[str, Array]


def arrays(state: Mapping[str, object]) -> dict[str, Array]:
    """A PyTorch state as float64 arrays."""
    return {name: np.asarray(value.detach().cpu().numpy(), dtype=np.float64) for name, value in state.items()}


# ---------------------------------------------------------------------- small pieces
def sigmoid(x: Array) -> Array:
    """1 / (1 + e^−x)."""
    return 1 / (1 + np.exp(-x))


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return np.maximum(x, 0)


def conv(x: Array, weight: Array, bias: Array | None = None, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    """y[o, r, c] = Σ_i Σ_u Σ_v weight[o, i, u, v] · x[i, r·stride + u·dilation − padding, …], zero outside."""
    out, _, k, _ = weight.shape
    side = (x.shape[1] + 2 * padding - dilation * (k - 1) - 1) // stride + 1
    y = np.zeros((out, side, side))
    for r in range(side):
        for c in range(side):
            for u in range(k):
                for v in range(k):
                    row, column = r * stride + u * dilation - padding, c * stride + v * dilation - padding
                    if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                        y[:, r, c] += weight[:, :, u, v] @ x[:, row, column]
    return y if bias is None else y + bias[:, None, None]


def transposed(x: Array, weight: Array, bias: Array) -> Array:
    """2×2 transposed convolution at stride 2: every pixel becomes a 2×2 patch. `weight` (C_in, C_out, 2, 2)."""
    y = np.zeros((weight.shape[1], 2 * x.shape[1], 2 * x.shape[2]))
    for r in range(x.shape[1]):
        for c in range(x.shape[2]):
            y[:, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2] = np.einsum("i,iouv->ouv", x[:, r, c], weight)
    return y + bias[:, None, None]


def batch_norm(x: Array, W: Weights, at: str) -> Array:
    """(x − running mean) / √(running variance + 1e-5) · weight + bias, channel by channel."""
    scale = W[f"{at}.weight"] / np.sqrt(W[f"{at}.running_var"] + 1e-5)
    return (x - W[f"{at}.running_mean"][:, None, None]) * scale[:, None, None] + W[f"{at}.bias"][:, None, None]


def layer_norm(tokens: Array, W: Weights, at: str) -> Array:
    """Each token over its channels, ε = 1e-5."""
    mean = tokens.mean(axis=1, keepdims=True)
    variance = ((tokens - mean) ** 2).mean(axis=1, keepdims=True)
    return (tokens - mean) / np.sqrt(variance + 1e-5) * W[f"{at}.weight"] + W[f"{at}.bias"]


def gelu(x: Array) -> Array:
    """x Φ(x), Φ the normal distribution."""
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def tokens_of(x: Array) -> Array:
    """(C, S, S) to (N, C)."""
    return x.reshape(len(x), -1).T


def map_of(tokens: Array) -> Array:
    """(N, C) to (C, S, S)."""
    side = math.isqrt(len(tokens))
    return tokens.T.reshape(-1, side, side)


def max_pool(x: Array) -> Array:
    """3×3 at stride 2, padding of one pixel that never wins."""
    side = (x.shape[1] - 1) // 2 + 1
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    return np.array(
        [[padded[:, 2 * r : 2 * r + 3, 2 * c : 2 * c + 3].max(axis=(1, 2)) for c in range(side)] for r in range(side)]
    ).transpose(2, 0, 1)


def eca(x: Array, W: Weights, at: str) -> Array:
    """x · s + x; s_i = sigmoid(Σ_j kernel_j · mean of channel i + j)."""
    kernel = W[f"{at}.conv.weight"][0, 0]
    reach, means = len(kernel) // 2, x.mean(axis=(1, 2))
    s = np.zeros(len(x))
    for i in range(len(x)):
        s[i] = sum(kernel[j + reach] * means[i + j] for j in range(-reach, reach + 1) if 0 <= i + j < len(x))
    return x * sigmoid(s)[:, None, None] + x


# ---------------------------------------------------------------------- the encoder
def embedding(image: Array, W: Weights, at: str, stride: int) -> Array:
    """Kernels side by side at one stride, ECA, LayerNorm: (C_in, H, H) to (N, C)."""
    parts, number = [], 0
    while f"{at}.convs.{number}.weight" in W:
        weight = W[f"{at}.convs.{number}.weight"]
        parts.append(conv(image, weight, W[f"{at}.convs.{number}.bias"], stride=stride, padding=(weight.shape[-1] - stride) // 2))
        number += 1
    return layer_norm(tokens_of(eca(np.concatenate(parts), W, f"{at}.eca")), W, f"{at}.norm")


def merging(tokens: Array, W: Weights, at: str) -> Array:
    """LayerNorm, kernels 2 and 4 at stride 2 side by side, ECA: (N, C) to (N/4, 2C)."""
    x = map_of(layer_norm(tokens, W, f"{at}.norm"))
    two = conv(x, W[f"{at}.convs.0.weight"], W[f"{at}.convs.0.bias"], stride=2)
    four = conv(x, W[f"{at}.convs.1.weight"], W[f"{at}.convs.1.bias"], stride=2, padding=1)
    return tokens_of(eca(np.concatenate([two, four]), W, f"{at}.eca"))


def seen_by(token: int, side: int, w: int, shift: int) -> list[int]:
    """The tokens that one may attend to: those of its window, windows beginning at row and column `shift` (as far as the map goes)."""
    row, column = divmod(token, side)

    def band(place: int) -> int:
        return (place - shift) // w  # −1 for the narrow first band of a shifted grid

    return [other for other in range(side * side) if (band(other // side), band(other % side)) == (band(row), band(column))]


def attention(tokens: Array, W: Weights, at: str, *, w: int, shift: int, heads: int) -> tuple[Array, Array]:
    """Window attention, token by token: (N, C) to (N, C) and the weights (h, N, N), zero for tokens not seen."""
    n, c = tokens.shape
    side, d = math.isqrt(n), c // heads
    q, k, v = np.split(tokens @ W[f"{at}.qkv.weight"].T + W[f"{at}.qkv.bias"], 3, axis=1)
    table, A, mixed = W[f"{at}.table"], np.zeros((heads, n, n)), np.zeros((n, c))
    for h in range(heads):
        part = slice(h * d, (h + 1) * d)
        for i in range(n):
            others = seen_by(i, side, w, shift)
            score = []
            for j in others:
                down, right = i // side - j // side, i % side - j % side
                score.append(q[i, part] @ k[j, part] / math.sqrt(d) + table[(down + w - 1) * (2 * w - 1) + right + w - 1, h])
            weight = np.exp(np.array(score) - max(score))
            A[h, i, others] = weight / weight.sum()
            mixed[i, part] = A[h, i] @ v[:, part]
    return mixed @ W[f"{at}.proj.weight"].T + W[f"{at}.proj.bias"], A


def mlp(tokens: Array, W: Weights, at: str) -> Array:
    """fc2(GELU(fc1)), then ECA over channels."""
    hidden = gelu(tokens @ W[f"{at}.fc1.weight"].T + W[f"{at}.fc1.bias"])
    return tokens_of(eca(map_of(hidden @ W[f"{at}.fc2.weight"].T + W[f"{at}.fc2.bias"]), W, f"{at}.eca"))


def swin_block(tokens: Array, W: Weights, at: str, *, w: int, shifted: bool, heads: int) -> Array:
    """z' = z + attention(LN z); z'' = z' + MLP(LN z')."""
    side = math.isqrt(len(tokens))
    shift = w // 2 if shifted and side > w else 0
    mixed, _ = attention(layer_norm(tokens, W, f"{at}.norm1"), W, f"{at}.attention", w=min(w, side), shift=shift, heads=heads)
    tokens = tokens + mixed
    return tokens + mlp(layer_norm(tokens, W, f"{at}.norm2"), W, f"{at}.mlp")


def residual(x: Array, W: Weights, at: str, stride: int) -> Array:
    """A stage of basic blocks: ReLU(BN(conv(ReLU(BN(conv x)))) + shortcut)."""
    number = 0
    while f"{at}.{number}.conv1.weight" in W:
        block, step = f"{at}.{number}", stride if number == 0 else 1
        y = relu(batch_norm(conv(x, W[f"{block}.conv1.weight"], stride=step, padding=1), W, f"{block}.bn1"))
        y = batch_norm(conv(y, W[f"{block}.conv2.weight"], padding=1), W, f"{block}.bn2")
        if f"{block}.downsample.0.weight" in W:
            x = batch_norm(conv(x, W[f"{block}.downsample.0.weight"], stride=step), W, f"{block}.downsample.1")
        x, number = relu(y + x), number + 1
    return x


def encoder(image: Array, W: Weights, *, stem_stride: int, w: int, heads: Sequence[int], wiring: str = "sequential") -> list[Array]:
    """f1 … f4. Sequential: Swin(residual(x) + merged tokens). Parallel: residual(x) + Swin(merged tokens)."""
    x = conv(image, W["encoder.conv1.weight"], stride=stem_stride, padding=3)
    x = max_pool(relu(batch_norm(x, W, "encoder.bn1")))
    found = []
    for stage in range(4):
        c = tokens_of(residual(x, W, f"encoder.layer{stage + 1}", 1 if stage == 0 else 2))
        first = stage == 0
        t = embedding(image, W, "encoder.embedding", 2 * stem_stride) if first else merging(tokens_of(x), W, f"encoder.merging.{stage - 1}")
        z = c + t if wiring == "sequential" else t
        for block in range(2):
            z = swin_block(z, W, f"encoder.swin.{stage}.{block}", w=w, shifted=block == 1, heads=heads[stage])
        x = map_of(z if wiring == "sequential" else c + z)
        found.append(x)
    return found


# ---------------------------------------------------------------------- the two heads
def dfe(x: Array, W: Weights, at: str, rates: Sequence[int]) -> Array:
    """Four branches, joined; plus the shortcut; ReLU; times sigmoid(7×7 convolution of channel mean and channel maximum)."""
    branches = [relu(batch_norm(conv(x, W[f"{at}.branches.0.0.weight"]), W, f"{at}.branches.0.1"))]
    for number, rate in enumerate(rates, start=1):
        y = conv(x, W[f"{at}.branches.{number}.0.weight"], padding=rate, dilation=rate)
        branches.append(relu(batch_norm(y, W, f"{at}.branches.{number}.1")))
    joined = batch_norm(conv(np.concatenate(branches), W[f"{at}.join.0.weight"], padding=1), W, f"{at}.join.1")
    short = batch_norm(conv(x, W[f"{at}.shortcut.0.weight"]), W, f"{at}.shortcut.1")
    y = relu(joined + short)
    return y * sigmoid(conv(np.stack([y.mean(axis=0), y.max(axis=0)]), W[f"{at}.place.weight"], padding=3))


def enlarge(x: Array, factor: int) -> Array:
    """Bilinear with the corners kept in place."""
    old, new = x.shape[1], x.shape[1] * factor
    y = np.zeros((len(x), new, new))
    for r in range(new):
        for c in range(new):
            row, column = r * (old - 1) / (new - 1), c * (old - 1) / (new - 1)
            top, left = min(int(row), old - 2), min(int(column), old - 2)
            a, b = row - top, column - left
            upper = (1 - b) * x[:, top, left] + b * x[:, top, left + 1]
            lower = (1 - b) * x[:, top + 1, left] + b * x[:, top + 1, left + 1]
            y[:, r, c] = (1 - a) * upper + a * lower
    return y


def decoder(maps: Sequence[Array], W: Weights, factor: int) -> Array:
    """Up, skip beside, 3×3; thrice. Then enlarged, and at last the 1×1 convolution, in the order of the published code."""
    x = maps[-1]
    for step, skip in enumerate(reversed(maps[:-1])):
        up = transposed(x, W[f"decoder.up.{step}.weight"], W[f"decoder.up.{step}.bias"])
        y = conv(np.concatenate([up, skip]), W[f"decoder.join.{step}.0.weight"], padding=1)
        x = relu(batch_norm(y, W, f"decoder.join.{step}.1"))
    return conv(enlarge(x, factor), W["decoder.out.weight"])


def classifier(stages: Sequence[Array], W: Weights, scales: Sequence[int] = (4, 3)) -> Array:
    """Mean of ReLU(BN(f)) of the chosen stages, one after the other; two linear maps."""
    pooled = [relu(batch_norm(stages[scale - 1], W, f"classifier.norms.{n}")).mean(axis=(1, 2)) for n, scale in enumerate(scales)]
    hidden = W["classifier.hidden.weight"] @ np.concatenate(pooled) + W["classifier.hidden.bias"]
    return W["classifier.out.weight"] @ hidden + W["classifier.out.bias"]


# ---------------------------------------------------------------------- losses
def soft_dice(p: Array, t: Array, smooth: float = 1e-5) -> float:
    """Mean over channels of 1 − (2 Σ p t + s) / (Σ p + Σ t + s); p and t (B, K, H, W)."""
    each = []
    for k in range(p.shape[1]):
        both = sum(float(a * b) for a, b in zip(p[:, k].ravel(), t[:, k].ravel(), strict=True))
        each.append(1 - (2 * both + smooth) / (p[:, k].sum() + t[:, k].sum() + smooth))
    return sum(each) / len(each)


def focal(p: Array, t: Array, gamma: float = 2.0, low: float = 1e-3) -> float:
    """Mean of −(1 − q)^γ log q, q = p where t is 1 and 1 − p elsewhere, p kept within low … 1 − low."""
    total = 0.0
    for a, b in zip(p.ravel(), t.ravel(), strict=True):
        a = min(max(float(a), low), 1 - low)
        q = a if b == 1 else 1 - a
        total += -((1 - q) ** gamma) * math.log(q)
    return total / p.size


def soft_margin(logits: Array, t: Array, weight: Sequence[float]) -> float:
    """Mean over pictures and classes of −weight · (t log σ(x) + (1 − t) log(1 − σ(x)))."""
    total = 0.0
    for b in range(len(logits)):
        for k, factor in enumerate(weight):
            s = 1 / (1 + math.exp(-float(logits[b, k])))
            total += -factor * (math.log(s) if t[b, k] else math.log(1 - s))
    return total / logits.size
