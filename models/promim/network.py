"""CLIP, CoOp, CoCoOp, KgCoOp and ProMIM in one forward; they differ in flags alone (`arms.py`). Both CLIP towers stay frozen.

B pictures, N patches, k patches kept, C classes, M context vectors, T tokens, D text width, E joint size.

    x̂   = normalised feature of the whole picture                       (B, E)
    x̂_m = normalised feature of the kept patches alone                  (B, E)   CoCoOp: x̂_m = x̂
    π   = h_θ(x̂_m),  h_θ: Linear(E → ⌊E/16⌋) → ReLU → Linear(⌊E/16⌋ → D)  (B, D)   CoOp, KgCoOp: π = 0
    v_m = V_m + π                                                        (B, M, D)
    ŵ_i = normalised text feature of [start] v_1 … v_M [class i] . [end]  (B, C, E)
    logits = exp(logit scale) · ⟨x̂, ŵ_i⟩                                 (B, C)

Sources: CoOp (arXiv 2109.01134) section 3, CoCoOp (arXiv 2203.05557) section 3.2 and their public code; KgCoOp (arXiv 2303.13283); ProMIM
(arXiv 2508.04942), whose body could be read only in a secondary account. Known deviations, all inferred: the cosine keeps the feature
of the whole picture; x̂_m is normalised before h_θ; hidden patches are dropped before the first block. Where the text width differs from
the joint size, h_θ ends in D (in the paper both are 512). Prompts are cut after the longest class: the text tower is causal, so nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.promim.arms import ARMS

if TYPE_CHECKING:
    from models.shared.backbones.clip import Clip

CONTEXT = "a photo of a"
TEMPLATE = "a photo of a {}."
BOTTLENECK = 16


class PromptRefused(ValueError):
    """Class names or a context that cannot be made into prompts; its text is the sentence people see."""


@dataclass(frozen=True, eq=False)
class ClassTexts:
    """What is frozen in the prompts of a list of classes. Made by `class_texts`; new class names mean a new one, and nothing else changes."""

    names: tuple[str, ...]
    start: Tensor
    """(1, D): embedding of the start token."""
    tail: Tensor
    """(C, S, D): embeddings of class name, full stop, end token and padding."""
    end: Tensor
    """(C,) int64: place of the end token in the whole prompt."""
    hand: Tensor
    """(C, E): ŵ^clip, unit length, from the hand-written template."""


class MetaNet(nn.Sequential):
    """h_θ: (B, E) → (B, D), with PyTorch's default initial weights (CoCoOp's code)."""

    def __init__(self, embed_dim: int, text_width: int) -> None:
        hidden = embed_dim // BOTTLENECK
        super().__init__(nn.Linear(embed_dim, hidden), nn.ReLU(), nn.Linear(hidden, text_width))


class PromptLearner(nn.Module):
    """All that is trained: the context V (M, D) and, for the conditional arms, the meta-net h_θ."""

    def __init__(self, context: Tensor, meta: MetaNet | None = None) -> None:
        super().__init__()
        self.context = nn.Parameter(context.detach().clone())
        self.meta = meta

    def shift(self, condition: Tensor) -> Tensor | None:
        """π (B, D) from x̂_m (B, E); None without a meta-net."""
        return None if self.meta is None else self.meta(condition)

    def contexts(self, shift: Tensor | None) -> Tensor:
        """v (B, M, D), or (1, M, D) without a shift."""
        return self.context[None] if shift is None else self.context[None] + shift[:, None]  # B M D

    @property
    def parameter_count(self) -> int:
        """M·D, and with a meta-net E·⌊E/16⌋ + ⌊E/16⌋ + ⌊E/16⌋·D + D more."""
        return sum(p.numel() for p in self.parameters())


@dataclass(frozen=True, eq=False)
class Output:
    """Everything one forward made; `condition` and `shift` are None where an arm has none."""

    logits: Tensor
    """(B, C)."""
    image: Tensor
    """x̂ (B, E)."""
    condition: Tensor | None
    """What the meta-net saw: x̂_m, or x̂ for CoCoOp, (B, E)."""
    shift: Tensor | None
    """π (B, D)."""
    text: Tensor
    """ŵ (B, C, E), or (1, C, E) where it does not depend on the picture."""
    keep_idx: Tensor | None
    """(B, k) int64, or None where no patch was hidden."""


def new_learner(clip: Clip, *, conditional: bool, context: str = CONTEXT, seed: int = 0) -> PromptLearner:
    """A learner whose context starts at the embeddings of `context` (as many vectors as it has tokens); h_θ is drawn from `seed`."""
    embeddings, end = clip.token_embeddings(context)
    start = embeddings[0, 1 : int(end[0])]  # M D: between the start and the end token
    meta = None
    if conditional:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            meta = MetaNet(clip.embed_dim, clip.text_width).to(clip.device)
    return PromptLearner(start, meta)


@torch.no_grad()
def class_texts(clip: Clip, names: Sequence[str], *, template: str = TEMPLATE, context_tokens: int = 4) -> ClassTexts:
    """The frozen parts for these class names. `template` holds {} once and makes ŵ^clip; the learned prompt always reads "[V] name.".

    Raises PromptRefused for no names, an empty one, one that does not fit into the context, or a template without {}.
    """
    names = tuple(" ".join(name.split()) for name in names)
    if not names or not all(names):
        raise PromptRefused("Give at least one class name, and none that is empty.")
    if template.count("{}") != 1:
        raise PromptRefused(f'The hand-written sentence must hold {{}} once, where the class name goes, as in "{TEMPLATE}".')
    sentences = [template.replace("{}", name) for name in names]
    lengths = [clip.count_tokens(f"{name}.") for name in names]
    for name, learned, sentence in zip(names, lengths, sentences, strict=True):
        if max(learned + context_tokens, clip.count_tokens(sentence)) > clip.context_length:
            raise PromptRefused(
                f"The class name “{name[:40]}…” is too long for {clip.name}, which reads {clip.context_length} tokens. Shorten it."
            )
    embeddings, end = clip.token_embeddings([f"{name}." for name in names])  # C T D: start, name, full stop, end, padding
    return ClassTexts(
        names=names,
        start=embeddings[0, :1],
        tail=embeddings[:, 1 : max(lengths)],
        end=end + context_tokens,
        hand=clip.encode_text(sentences, normalize=True),
    )


def build_prompts(texts: ClassTexts, contexts: Tensor) -> Tensor:
    """Prompts (B, C, T, D) from contexts (B, M, D): start ⊕ context ⊕ tail."""
    b, c = len(contexts), len(texts.names)
    start = texts.start.expand(b, c, -1, -1)  # 1 D -> B C 1 D
    middle = contexts[:, None].expand(-1, c, -1, -1)  # B M D -> B C M D
    tail = texts.tail[None].expand(b, -1, -1, -1)  # C S D -> B C S D
    return torch.cat([start, middle, tail], dim=2)


def text_features(clip: Clip, texts: ClassTexts, contexts: Tensor) -> Tensor:
    """ŵ (B, C, E), unit length, for contexts (B, M, D), all B·C prompts at once."""
    prompts = build_prompts(texts, contexts)
    features = clip.prompt_text(prompts.flatten(0, 1), texts.end.repeat(len(contexts)), normalize=True)  # B·C E
    return features.unflatten(0, prompts.shape[:2])


def classify(
    clip: Clip, learner: PromptLearner | None, texts: ClassTexts, image: Tensor, condition: Tensor | None, keep_idx: Tensor | None = None
) -> Output:
    """Steps 4 to 7 from features already at hand: `image` x̂ (B, E), `condition` x̂_m (B, E). Without learner: hand-written sentences."""
    shift = None
    if learner is None:
        text = texts.hand[None]
    else:
        shift = None if condition is None else learner.shift(condition)
        text = text_features(clip, texts, learner.contexts(shift))
    logits = clip.logit_scale * (image[:, None] * text).sum(dim=-1)  # B 1 E, B C E -> B C
    return Output(logits, image, condition if shift is not None else None, shift, text, keep_idx)


def forward(
    clip: Clip, learner: PromptLearner | None, texts: ClassTexts, pixels: Tensor, *, arm: str, keep_idx: Tensor | None = None
) -> Output:
    """The whole way from pictures (B, 3, S, S) to logits, for one of the arms; `keep_idx` (B, k) is used by ProMIM alone.

    ProMIM without `keep_idx` hides nothing. Raises ValueError when an arm and its learner do not belong together.
    """
    flags = ARMS[arm]
    if flags.learned != (learner is not None) or (learner is not None and flags.conditional != (learner.meta is not None)):
        raise ValueError(f"{flags.title} was given a learner of another kind; make it with conditional={flags.conditional}.")
    image = clip.image_features(pixels, normalize=True)  # B E
    if not flags.conditional:
        return classify(clip, learner, texts, image, None)
    if not flags.masked or keep_idx is None:
        return classify(clip, learner, texts, image, image)
    masked = clip.image_features(pixels, keep_idx, normalize=True)  # B E, from k + 1 tokens
    return classify(clip, learner, texts, image, masked, keep_idx)


def learner_from(tensors: dict[str, Tensor]) -> PromptLearner:
    """A learner with given weights: `context` (M, D) and, if conditional, `meta.0.weight` … `meta.2.bias`. Frozen, in float32."""
    meta = None
    if "meta.0.weight" in tensors:
        meta = MetaNet(tensors["meta.0.weight"].shape[1], tensors["meta.2.weight"].shape[0])
    learner = PromptLearner(tensors["context"].float(), meta)
    learner.load_state_dict({name: value.float() for name, value in tensors.items()})
    return learner.requires_grad_(False).eval()


def parameters() -> tuple[int, int]:
    """(all, trained) numbers of ProMIM on the small CLIP."""
    from models.shared.backbones.clip import new_clip

    clip = new_clip()
    learner = new_learner(clip, conditional=True)
    return clip.parameters + learner.parameter_count, learner.parameter_count
