"""The network (spec §3): a frozen language model, beside its upper layers sparse neurons that add to queries and values, and decoders for its tokens.

Legend: B rows, T tokens of text, P visual tokens (class token and patches), N = P + T or T, S tokens to look at (N without a cache), h heads, d width,
D neurons of a layer, L layers with neurons, V words. z, u, θ, a as in the spec. The equations are the released code's as the spec describes it
([V-code]); "inferred" where it is silent. The walk repeats transformers' LlamaDecoderLayer step by step on its own frozen modules, with doors before RoPE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb, eager_attention_forward

from models.neural_tuning.config import Config, silent_count
from models.neural_tuning.features import Seen
from models.neural_tuning.heads import decoders
from models.neural_tuning.sequence import Batch
from models.shared.backbones.language.decoder import Decoder

NEW_STD = 0.02
"""Of new rows, as the library draws them when tables grow (the release's version of it)."""


@dataclass(frozen=True, eq=False)
class Dials:
    """How the neurons work in a pass, where it is not as trained."""

    rho: float | None = None
    alpha: float | None = None
    dense: bool | None = None
    silenced: Tensor | None = None
    """bool (L, D): neurons whose a is set to nought."""


AS_TRAINED = Dials()


@dataclass
class Trace:
    """What a pass shows of itself. One entry a layer with neurons: u, a, added; one a layer walked: query, key, value (before RoPE), states."""

    u: list[Tensor] = field(default_factory=list)
    """(B, N, D)."""
    a: list[Tensor] = field(default_factory=list)
    """(B, N, D)."""
    added: list[dict[str, Tensor]] = field(default_factory=list)
    """Target → guidance (B, N, width)."""
    query: list[Tensor] = field(default_factory=list)
    key: list[Tensor] = field(default_factory=list)
    value: list[Tensor] = field(default_factory=list)
    states: list[Tensor] = field(default_factory=list)
    """(B, N, d)."""


@dataclass
class Past:
    """Keys and values of tokens read before, by layer. The neurons' memory runs over depth, not over time, so it needs no place here (spec A8)."""

    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)
    mask: Tensor | None = None
    """bool (B, S)."""

    def grow(self, number: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Put new ones behind the old ones of a layer and return all."""
        if number in self.keys:
            key, value = torch.cat([self.keys[number], key], dim=2), torch.cat([self.values[number], value], dim=2)
        self.keys[number], self.values[number] = key, value
        return key, value


class TaskNetwork(nn.Module):
    """One layer's neurons: W_z, RMSNorm and W_b (spec §3.4). widths: target ("q", "k", "v") → width of what is guided."""

    def __init__(self, width: int, widths: dict[str, int], config: Config, eps: float) -> None:
        super().__init__()
        self.widths, self.config = widths, config
        self.squeeze = nn.Linear(width, config.neurons, bias=False)
        self.norm = nn.RMSNorm(config.neurons, eps=eps)
        self.spread = nn.Linear(config.neurons, sum(widths.values()), bias=False)
        if config.zero_init:
            nn.init.zeros_(self.spread.weight)

    def forward(self, x: Tensor, before: Tensor | None, dials: Dials, silenced: Tensor | None) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """x (B, N, d) and the layer below's u or None → guidance by target, u and a (B, N, D).

        u goes on as it is: normalised, not filtered (spec A11).
        """
        alpha = self.config.alpha if dials.alpha is None else dials.alpha
        z = self.squeeze(x)
        u = self.norm(z if before is None else (1 - alpha) * z + alpha * before)
        a = self._active(u, dials)
        if silenced is not None:
            a = a.masked_fill(silenced, 0)
        guided = F.dropout(self.spread(a), self.config.dropout, self.training)
        return dict(zip(self.widths, guided.split(list(self.widths.values()), dim=-1), strict=True)), u, a

    def _active(self, u: Tensor, dials: Dials) -> Tensor:
        """a = ReLU(u − θ), θ the κ-th smallest entry of each token's u; the gradient goes through θ too (spec §3.6). κ = 0 or dense: a = u."""
        rho = self.config.rho if dials.rho is None else dials.rho
        if self.training and self.config.jitter:
            rho = rho + self.config.jitter * rho * float(torch.randn(()))  # one draw a layer, shared by rows and tokens (spec §3.5)
        kappa = silent_count(rho, u.shape[-1])
        if kappa == 0 or (self.config.dense if dials.dense is None else dials.dense):
            return u
        theta = u.kthvalue(kappa, dim=-1, keepdim=True).values
        return F.relu(u - (theta.detach() if self.config.detach else theta))


@dataclass(frozen=True)
class Said:
    """One row written word by word."""

    ids: tuple[int, ...]
    """The answer's tokens, without <eos>."""
    states: Tensor
    """(len(ids), d): the state that predicted each of them."""

    def marks(self, wanted: Sequence[int]) -> list[int]:
        """Places in the answer of the task tokens among `wanted`; one for each token, the first (the release's one token an object)."""
        return [self.ids.index(token) for token in dict.fromkeys(self.ids) if token in wanted]


class NeuralTuning(nn.Module):
    """A frozen decoder with neurons, the map from patches to it, the task tokens' rows and the decoders. The frozen model is not among its parameters."""

    def __init__(self, decoder: Decoder, config: Config, *, tokens: int, feature: int, grid: int, side: int, width: int = 32) -> None:
        """tokens: width of the tower's tokens; feature: of its vector; grid: patches along a side; side: of an outline; width: of the outline decoder."""
        super().__init__()
        config.check(decoder.layers)
        self.config, self._frozen = config, (decoder,)  # a tuple hides its weights from `parameters`
        llama = self._llama.config
        sizes = {"q": decoder.heads * llama.head_dim, "k": llama.num_key_value_heads * llama.head_dim}
        widths = {target: sizes["q" if target == "q" else "k"] for target in config.targets}
        self.layers = config.layers(decoder.layers)
        self.task = nn.ModuleDict({str(number): TaskNetwork(decoder.width, widths, config, llama.rms_norm_eps) for number in self.layers})
        self.project = nn.Linear(tokens, decoder.width, bias=False).requires_grad_(config.projection)
        self.words_in, self.words_out = self._tables(decoder)
        self.outline, self.imager = decoders(
            config.decoders, state=decoder.width, tokens=tokens, feature=feature, grid=grid, side=side, width=width
        )

    def _tables(self, decoder: Decoder) -> tuple[nn.Parameter, nn.Parameter]:
        """Rows of the embedding and of the head: the task tokens' (6, d), or whole (V, d) with the task tokens' drawn anew."""
        new, made = self.new_ids, []
        for table, whole in (
            (decoder.model.model.embed_tokens.weight, self.config.rows == "all"),
            (decoder.model.lm_head.weight, self.config.rows != "new"),
        ):
            rows = torch.randn(len(new), table.shape[1]) * NEW_STD
            made.append(table.detach().cpu().float().clone().index_copy(0, new, rows) if whole else rows)
        return nn.Parameter(made[0], requires_grad=self.config.rows != "head"), nn.Parameter(made[1])

    @property
    def decoder(self) -> Decoder:
        """The frozen language model."""
        return self._frozen[0]

    @property
    def _llama(self) -> nn.Module:
        return self._frozen[0].model.model

    @property
    def new_ids(self) -> Tensor:
        """int64 (6,): the picture token and the object tokens."""
        tokens = self.decoder.tokenizer
        return torch.tensor([tokens.image_id, *tokens.object_ids], device=self.decoder.device)

    # ------------------------------------------------------------------ in and out
    def embed(self, ids: Tensor) -> Tensor:
        """Token numbers (B, T) to (B, T, d): frozen rows, and the task tokens' own."""
        if len(self.words_in) != len(self.new_ids):
            return F.embedding(ids, self.words_in)
        which = (ids[..., None] == self.new_ids).long()  # (B, T, 6)
        found = self._llama.embed_tokens(ids)
        return torch.where(which.any(-1, keepdim=True), self.words_in[which.argmax(-1)].to(found.dtype), found)

    def logits(self, states: Tensor) -> Tensor:
        """States (…, d) after the final norm to (…, V)."""
        if len(self.words_out) != len(self.new_ids):
            return F.linear(states, self.words_out)
        found = self.decoder.model.lm_head(states)
        return found.index_copy(-1, self.new_ids, F.linear(states, self.words_out.to(states.dtype)))

    def opened(self, ids: Tensor, mask: Tensor, seen: Seen | None) -> tuple[Tensor, Tensor, int]:
        """(B, N, d), bool (B, N) and P: visual tokens before the text, or the text alone."""
        text = self.embed(ids)
        if seen is None:
            return text, mask, 0
        visual = self.project(seen.tokens).to(text.dtype)
        return torch.cat([visual, text], dim=1), torch.cat([mask.new_ones(len(mask), visual.shape[1]), mask], dim=1), visual.shape[1]

    def states(self, batch: Batch, seen: Seen | None, dials: Dials = AS_TRAINED, trace: Trace | None = None) -> Tensor:
        """States of the text (B, T, d) after the final norm, float32. The picture of a batch that does not see is not looked at."""
        hidden, mask, skip = self.opened(batch.ids, batch.mask, seen if batch.sees else None)
        return self._llama.norm(self.walk(hidden, mask, dials=dials, trace=trace)[:, skip:]).float()

    # ------------------------------------------------------------------ the walk
    def walk(
        self, hidden: Tensor, mask: Tensor, *, dials: Dials = AS_TRAINED, past: Past | None = None, trace: Trace | None = None
    ) -> Tensor:
        """Embedded tokens (B, N, d), padding anywhere behind them, to states after the last layer, not yet normed.

        past: grows by these tokens; then `mask` is of the new tokens alone. Positions count real tokens, so a padded row reads as it would alone.
        """
        old = None if past is None else past.mask
        whole = mask if old is None else torch.cat([old, mask], dim=1)
        if past is not None:
            past.mask = whole
        before = whole.shape[1] - mask.shape[1]
        places = (whole.long().cumsum(1) - 1).clamp_min(0)[:, before:]
        rope = self._llama.rotary_emb(hidden, position_ids=places)
        scores, u = _causal(whole, before, hidden.dtype), None
        for number in range(self.decoder.layers):
            hidden, u = self._layer(number, hidden, u, rope, scores, dials, past, trace)
            if trace is not None:
                trace.states.append(hidden)
        return hidden

    def _layer(self, number, hidden, u, rope, scores, dials, past, trace) -> tuple[Tensor, Tensor | None]:
        layer = self._llama.layers[number]
        attn, x = layer.self_attn, layer.input_layernorm(hidden)
        flat = {"q": attn.q_proj(x), "k": attn.k_proj(x), "v": attn.v_proj(x)}
        if number in self.layers:
            silenced = None if dials.silenced is None else dials.silenced[self.layers.index(number)]
            added, u, a = self.task[str(number)](x, u, dials, silenced)
            flat |= {target: flat[target] + change for target, change in added.items()}  # before heads and RoPE (spec §3.4)
            if trace is not None:
                trace.u.append(u)
                trace.a.append(a)
                trace.added.append(added)
        if trace is not None:
            trace.query.append(flat["q"])
            trace.key.append(flat["k"])
            trace.value.append(flat["v"])
        query, key, value = (part.unflatten(-1, (-1, attn.head_dim)).transpose(1, 2) for part in flat.values())  # B h N d_h
        query, key = apply_rotary_pos_emb(query, key, *rope)
        if past is not None:
            key, value = past.grow(number, key, value)
        mixed, _ = eager_attention_forward(attn, query, key, value, scores, scaling=attn.scaling)
        hidden = hidden + attn.o_proj(mixed.flatten(2))
        return hidden + layer.mlp(layer.post_attention_layernorm(hidden)), u

    # ------------------------------------------------------------------ word by word
    @torch.no_grad()
    def greedy(
        self, ids: Tensor, mask: Tensor, seen: Seen | None, *, longest: int = 64, dials: Dials = AS_TRAINED, cached: bool = True
    ) -> list[Said]:
        """The likeliest token each time behind ids (B, T), up to <eos>. A task token's state is the one that predicted it (spec A6, A7)."""
        past, eos = Past(), self.decoder.tokenizer.eos_id
        hidden, seen_mask, _ = self.opened(ids, mask, seen)
        last = seen_mask.long().cumsum(1).argmax(1)
        rows = torch.arange(len(ids), device=ids.device)
        words: list[Tensor] = []
        states: list[Tensor] = []
        open_rows = torch.ones(len(ids), dtype=torch.bool, device=ids.device)
        fresh, fresh_mask = hidden, seen_mask
        for _ in range(longest):
            walked = self.walk(fresh, fresh_mask, dials=dials, past=past if cached else None)
            state = self._llama.norm(walked[rows, last if fresh.shape[1] > 1 else 0]).float()
            best = self.logits(state).argmax(-1)
            words.append(torch.where(open_rows, best, eos))
            states.append(state)
            open_rows = open_rows & (best != eos)
            if not open_rows.any():
                break
            step, step_mask = self.embed(best[:, None]), open_rows.new_ones(len(ids), 1)
            if cached:
                fresh, fresh_mask = step, step_mask
            else:
                fresh, fresh_mask = torch.cat([fresh, step], dim=1), torch.cat([fresh_mask, step_mask], dim=1)
                last = torch.full_like(last, fresh.shape[1] - 1)
        said, kept = torch.stack(words, dim=1).cpu(), torch.stack(states, dim=1).cpu()
        ends = [row.index(eos) if eos in row else len(row) for row in said.tolist()]
        return [Said(tuple(said[row, :end].tolist()), kept[row, :end]) for row, end in enumerate(ends)]


def _causal(mask: Tensor, before: int, dtype: torch.dtype) -> Tensor:
    """(B, 1, N, S): 0 where a token may look, the lowest number elsewhere."""
    s = mask.shape[1]
    rows = torch.arange(before, s, device=mask.device)
    free = (torch.arange(s, device=mask.device)[None] <= rows[:, None])[None] & mask[:, None]
    return torch.zeros(free.shape, dtype=dtype, device=mask.device).masked_fill(~free, torch.finfo(dtype).min)[:, None]
