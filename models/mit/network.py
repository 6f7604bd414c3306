"""The network (spec §3): a frozen language model whose keys, values and feed-forward units a picture's one vector multiplies and shifts.

Legend: B samples, T tokens of text, S tokens to look at (T without a cache), h query heads, d_h width of a head, d = h·d_h, d_ff units of the
feed-forward part, d_I width of a modality's vector. I the vector, Λ the infused layers. The equations are the released code's as the spec describes
it; "inferred" where it is silent. The walk below repeats transformers' LlamaDecoderLayer step by step on its own frozen modules, with doors after RoPE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb, eager_attention_forward, repeat_kv

from models.mit.config import Config
from models.shared.backbones.language.decoder import Decoder

MAPS = ("key_scale", "key_shift", "value_scale", "value_shift")


@dataclass
class Trace:
    """What a pass shows of itself; one entry an infused layer, and one a modality where it says so."""

    layer: list[int] = field(default_factory=list)
    """Numbers from 1."""
    gate: list[list[Tensor]] = field(default_factory=list)
    """g (B, h) of each modality."""
    level: list[list[Tensor]] = field(default_factory=list)
    """L (h,)."""
    cosine: list[list[Tensor]] = field(default_factory=list)
    """(B, h)."""
    key_change: list[Tensor] = field(default_factory=list)
    """‖Kʳ − K‖ / ‖K‖ over real tokens, (B,)."""
    value_change: list[Tensor] = field(default_factory=list)
    ffn_change: list[Tensor] = field(default_factory=list)
    """Mean |F − 1|, (B,)."""
    query: list[Tensor] = field(default_factory=list)
    """Every layer walked: (B, h, T, d_h)."""
    attention: list[Tensor] = field(default_factory=list)
    """Every layer walked: (B, h, T, S)."""
    states: list[Tensor] = field(default_factory=list)
    """Every layer walked: its output (B, T, d)."""


class Maps(nn.Module):
    """The five linear maps of one modality in one layer, and L."""

    def __init__(self, image: int, width: int, ffn: int, heads: int, *, identity: bool, paper: bool) -> None:
        super().__init__()
        self.key_scale, self.key_shift, self.value_scale, self.value_shift = (nn.Linear(image, width) for _ in MAPS)
        self.ffn = nn.Linear(image, ffn)
        self.level = nn.Parameter(torch.ones(heads))
        if identity:
            begin_as_nothing(self, paper=paper)


@torch.no_grad()
def begin_as_nothing(maps: Maps, *, paper: bool) -> None:
    """Set the maps so that the layer does what the frozen one does: exactly in the residual form; in the printed form but for σ(L) < 1 (spec A5)."""
    for part in (*(getattr(maps, name) for name in MAPS), maps.ffn):
        part.weight.zero_()
        part.bias.zero_()
    maps.ffn.bias.fill_(1)
    if paper:
        maps.key_scale.bias.fill_(1)
        maps.value_scale.bias.fill_(1)


@dataclass
class Past:
    """Raw keys and values of tokens read before, by layer (spec A10): (B, h_kv, S, d_h); infused each time they are read."""

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


class Infusion(nn.Module):
    """All that learns inside the language model: maps by layer and modality."""

    def __init__(self, config: Config, widths: Sequence[int], width: int, ffn: int, heads: int) -> None:
        super().__init__()
        self.config = config
        self.maps = nn.ModuleDict(
            {
                str(number): nn.ModuleList(
                    Maps(image, width, ffn, heads, identity=config.identity_init, paper=config.form == "paper") for image in widths
                )
                for number in config.layers
            }
        )

    def keys_values(
        self, number: int, key: Tensor, value: Tensor, given: Sequence[Tensor], real: Tensor, strength: float, trace: Trace | None
    ) -> tuple[Tensor, Tensor]:
        """K, V (B, h, S, d_h) after RoPE, cache and repeat to Kʳ, Vʳ; given: I (B, d_I) of each modality; real: bool (B, S).

        Residual (released): Kʳ = K + (K ⊙ I_d + I_a) g. Printed: Kʳ = (K ⊙ I_d + I_a) g. Several modalities: the changes add up (spec A7).
        """
        changes: dict[str, list[Tensor]] = {"key": [], "value": []}
        gates, cosines = [], []
        for maps, vector in zip(self.maps[str(number)], given, strict=True):
            parts = {name: _heads(getattr(maps, name)(vector), key.shape[1]) for name in MAPS}
            cosine = head_cosine(value, parts["value_shift"], real if self.config.mask_padding else None)
            gate = self._gate(maps.level, cosine)
            gates.append(gate)
            cosines.append(cosine)
            for name, raw, wanted in (("key", key, self.config.keys), ("value", value, self.config.values)):
                if wanted:
                    made = (raw * parts[f"{name}_scale"] + parts[f"{name}_shift"]) * gate[..., None, None]
                    changes[name].append(made)
        found = {"key": self._join(key, changes["key"], strength), "value": self._join(value, changes["value"], strength)}
        if trace is not None:
            trace.layer.append(number)
            trace.gate.append(gates)
            trace.cosine.append(cosines)
            trace.level.append([maps.level for maps in self.maps[str(number)]])
            trace.key_change.append(_change(key, found["key"], real))
            trace.value_change.append(_change(value, found["value"], real))
        return found["key"], found["value"]

    def _join(self, raw: Tensor, made: Sequence[Tensor], strength: float) -> Tensor:
        if not made:
            return raw
        if self.config.form == "residual":
            total = sum(made[1:], made[0])
            return raw + (total if strength == 1 else strength * total)
        if len(made) == 1 and strength == 1:
            return made[0]  # as printed, without adding and taking away
        return raw + strength * sum(one - raw for one in made)

    def _gate(self, level: Tensor, cosine: Tensor) -> Tensor:
        """g = σ(L + cos), (B, h); one of the terms alone, or 1 (spec §4 and its toggles)."""
        terms = [*([level.expand_as(cosine)] if self.config.learned else []), *([cosine] if self.config.cosine else [])]
        return torch.sigmoid(sum(terms[1:], terms[0])) if terms else torch.ones_like(cosine)

    def units(self, number: int, hidden: Tensor, given: Sequence[Tensor], strength: float, trace: Trace | None) -> Tensor:
        """Feed-forward units (B, T, d_ff) times F(I) (Eq. 7), one modality after the other."""
        factors = [maps.ffn(vector) for maps, vector in zip(self.maps[str(number)], given, strict=True)] if self.config.ffn else []
        if trace is not None:
            whole = torch.stack(factors).prod(0) if factors else hidden.new_ones(len(hidden), 1)
            trace.ffn_change.append((whole - 1).abs().mean(-1))
        for factor in factors:
            hidden = hidden * (factor if strength == 1 else 1 + strength * (factor - 1))[:, None]
        return hidden


class MiT(nn.Module):
    """A frozen decoder with infusion (or with patches put before the text), and a head. Only what learns is among its parameters."""

    def __init__(self, decoder: Decoder, config: Config, widths: Sequence[int], head: nn.Module, *, patch: int = 0) -> None:
        """widths: d_I of each modality; patch: width of a patch, for the baseline that puts patches before the text."""
        super().__init__()
        config.check(decoder.layers)
        self.config, self._frozen = config, (decoder,)  # a tuple hides its weights from `parameters`
        self.infusion = Infusion(
            config, widths, decoder.heads * self._llama.config.head_dim, self._llama.config.intermediate_size, decoder.heads
        )
        self.project = nn.Linear(patch, decoder.width, bias=False) if config.prepend else None
        self.head = head

    @property
    def decoder(self) -> Decoder:
        """The frozen language model."""
        return self._frozen[0]

    @property
    def _llama(self) -> nn.Module:
        return self._frozen[0].model.model

    @property
    def first(self) -> int:
        """How many layers lie below all that learns: their outputs can be kept."""
        return 0 if self.config.prepend else self.config.layers[0] - 1 if self.config.layers else self.decoder.layers

    @torch.no_grad()
    def begin(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token numbers and mask (B, T) to states (B, T, d) before the first infused layer: no gradient is needed there (spec A9)."""
        return self.walk(self._llama.embed_tokens(ids), mask, (), stop=self.first)

    def forward(self, hidden: Tensor, mask: Tensor, given: Sequence[Tensor], **more) -> Tensor:
        """What the head says of z; hidden from `begin`; `more` as in `read`, or for the head."""
        told = {name: more.pop(name) for name in ("patches", "strength", "trace") if name in more}
        return self.head(self.read(hidden, mask, given, **told), **more)

    def read(
        self,
        hidden: Tensor,
        mask: Tensor,
        given: Sequence[Tensor],
        *,
        patches: Tensor | None = None,
        strength: float = 1.0,
        trace: Trace | None = None,
        start: int | None = None,
    ) -> Tensor:
        """z (B, d), float32: the last real token's state after the final norm (spec §3.9). patches (B, P, d_v): for the baseline
        alone. start: layers that `hidden` has passed already, where they are not all below the first infused one."""
        if self.project is not None:
            hidden = torch.cat([self.project(patches), hidden], dim=1)
            mask = torch.cat([mask.new_ones(len(mask), patches.shape[1]), mask], dim=1)
        states = self.walk(hidden, mask, given, start=self.first if start is None else start, strength=strength, trace=trace)
        last = mask.long().cumsum(1).argmax(1)
        return self._llama.norm(states[torch.arange(len(states), device=states.device), last]).float()

    def walk(
        self, hidden: Tensor, mask: Tensor, given: Sequence[Tensor], *, start: int = 0, stop: int | None = None, strength: float = 1.0,
        past: Past | None = None, trace: Trace | None = None,
    ) -> Tensor:  # fmt: skip
        """States (B, T, d) from before layer `start` to after layer `stop`, not yet normed. Without infusion these are the frozen model's to the bit.

        past: grows by these tokens; then `mask` is of the new tokens alone.
        """
        llama, before = self._llama, 0
        if self.config.normalise:
            given = [F.normalize(vector, dim=-1) for vector in given]
        if past is not None:
            before = 0 if past.mask is None else past.mask.shape[1]
            past.mask = mask = mask if past.mask is None else torch.cat([past.mask, mask], dim=1)
        places = torch.arange(before, before + hidden.shape[1], device=hidden.device)[None]
        rope = llama.rotary_emb(hidden, position_ids=places)
        scores = _causal(mask, before, hidden.dtype)
        for number in range(start, self.decoder.layers if stop is None else stop):
            hidden = self._layer(number, hidden, rope, scores, mask, given, strength, past, trace)
            if trace is not None:
                trace.states.append(hidden)
        return hidden

    def _layer(self, number, hidden, rope, scores, mask, given, strength, past, trace) -> Tensor:
        layer, infused = self._llama.layers[number], number + 1 in self.config.layers and bool(given)
        attn, x = layer.self_attn, layer.input_layernorm(hidden)
        query, key, value = (_heads(part(x), part.out_features // attn.head_dim) for part in (attn.q_proj, attn.k_proj, attn.v_proj))
        query, key = apply_rotary_pos_emb(query, key, *rope)
        if past is not None:
            key, value = past.grow(number, key, value)
        key, value = repeat_kv(key, attn.num_key_value_groups), repeat_kv(value, attn.num_key_value_groups)
        if infused:
            key, value = self.infusion.keys_values(number + 1, key, value, given, mask, strength, trace)
        mixed, weights = eager_attention_forward(_ONE, query, key, value, scores, scaling=attn.scaling)
        hidden = hidden + attn.o_proj(mixed.flatten(2))
        x, mlp = layer.post_attention_layernorm(hidden), layer.mlp
        units = mlp.act_fn(mlp.gate_proj(x)) * mlp.up_proj(x)
        if infused:
            units = self.infusion.units(number + 1, units, given, strength, trace)
        if trace is not None:
            trace.query.append(query)
            trace.attention.append(weights)
        return hidden + mlp.down_proj(units)

    @torch.no_grad()
    def greedy(self, ids: Tensor, given: Sequence[Tensor], n: int, *, cached: bool = True, strength: float = 1.0) -> Tensor:
        """(B, n): the likeliest words after ids (B, T), without padding. With a cache each token is read once; the cosine of its time then stays in it."""
        llama, said, past = self._llama, [], Past() if cached else None
        fresh = ids
        for _ in range(n):
            states = self.walk(llama.embed_tokens(fresh), torch.ones_like(fresh, dtype=torch.bool), given, strength=strength, past=past)
            best = self.decoder.model.lm_head(llama.norm(states[:, -1:])).argmax(-1)
            said.append(best)
            ids = torch.cat([ids, best], dim=1)
            fresh = best if cached else ids
        return torch.cat(said, dim=1)


class _Whole(nn.Module):
    """What the attention function asks of its module, for heads that were repeated already."""

    num_key_value_groups = 1


_ONE = _Whole().eval()


def _heads(x: Tensor, heads: int) -> Tensor:
    """(B, T, h·d_h) to (B, h, T, d_h); a vector (B, h·d_h) to (B, h, 1, d_h)."""
    x = x[:, None] if x.ndim == 2 else x
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def head_cosine(value: Tensor, shift: Tensor, real: Tensor | None) -> Tensor:
    """(B, h): one cosine a head between V (B, h, S, d_h), flattened over tokens, and I_a (B, h, 1, d_h), repeated for each of them (spec §3.7, A2, A3).

    real: bool (B, S), tokens that count; None for all, as released.
    """
    if real is not None:
        value, shift = value * real[:, None, :, None], shift * real[:, None, :, None]
    return F.cosine_similarity(value.flatten(2), shift.expand_as(value).flatten(2), dim=-1)


def _change(raw: Tensor, made: Tensor, real: Tensor) -> Tensor:
    weight = real[:, None, :, None]
    return ((made - raw) * weight).flatten(1).norm(dim=1) / (raw * weight).flatten(1).norm(dim=1).clamp_min(1e-12)


def _causal(mask: Tensor, before: int, dtype: torch.dtype) -> Tensor:
    """(B, 1, T, S): 0 where a token may look, the lowest number elsewhere."""
    s = mask.shape[1]
    rows = torch.arange(before, s, device=mask.device)
    free = (torch.arange(s, device=mask.device)[None] <= rows[:, None])[None] & mask[:, None]
    return torch.zeros(free.shape, dtype=dtype, device=mask.device).masked_fill(~free, torch.finfo(dtype).min)[:, None]
