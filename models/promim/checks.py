"""The laws of ProMIM as live checks: the real network, on a small untrained CLIP, held against the written-out equations and against itself.

Each check answers one oracle of the specification (§9) and returns the largest difference found, or for a yes/no law the size of its
violation. They need no weights file and take a second or two together on one core.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from models.promim import reference
from models.promim.losses import knowledge_loss, objective, pull_per_class
from models.promim.masks import kept_count, sample_keep
from models.promim.network import MetaNet, Output, PromptLearner, class_texts, classify, forward, new_learner
from models.shared.backbones.clip import Clip, new_clip
from models.shared.laws import Check, Law, run

NAMES = ("bright smooth tumour", "dark ill-defined mass", "ring-enhancing lesion")


@lru_cache(maxsize=1)
def bench() -> tuple[Clip, Tensor]:
    """An untrained small CLIP and three random pictures (3, 3, S, S)."""
    clip = new_clip(seed=7)
    pixels = torch.randn(3, 3, clip.image_size, clip.image_size, generator=torch.Generator().manual_seed(1))
    return clip, pixels


def _masks(ratio: float, seed: int = 0, pictures: int = 3) -> Tensor:
    return sample_keep(pictures, bench()[0].grid, ratio, generator=torch.Generator().manual_seed(seed))


def _run(
    arm: str, learner: PromptLearner | None, *, keep: Tensor | None = None, names: tuple[str, ...] = NAMES, pixels: Tensor | None = None
) -> Output:
    clip, given = bench()
    with torch.no_grad():
        return forward(clip, learner, class_texts(clip, names), given if pixels is None else pixels, arm=arm, keep_idx=keep)


def _learner(*, conditional: bool = True, silent: bool = False, moved: bool = True) -> PromptLearner:
    """A learner away from its start (`moved`); `silent` sets the meta-net's last layer to zero."""
    learner = new_learner(bench()[0], conditional=conditional, seed=3)
    with torch.no_grad():
        if moved:
            learner.context += 0.1 * torch.randn(learner.context.shape, generator=torch.Generator().manual_seed(5))
        if silent and learner.meta is not None:
            learner.meta[2].weight.zero_()
            learner.meta[2].bias.zero_()
    return learner


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


# ---------------------------------------------------------------------- the laws, by number
def written_out() -> float:
    """Network against `reference`, for ProMIM with a mask: logits of every picture, and L_kg."""
    clip, pixels = bench()
    learner, keep = _learner(), _masks(0.75)
    output, texts = _run("promim", learner, keep=keep), class_texts(clip, NAMES)
    w, theta = reference.arrays(clip.model.state_dict()), reference.arrays(learner.meta.state_dict())
    V, heads, text_heads = learner.context.detach().double().numpy(), clip.heads, clip.model.transformer.resblocks[0].attn.num_heads
    tokens = [[t for t in row if t] for row in clip.tokenize([f"{name}." for name in NAMES]).tolist()]
    worst = 0.0
    for b, image in enumerate(pixels.double().numpy()):
        x_hat = reference.f(w, image, heads=heads)
        pi = reference.h(theta, reference.f(w, image, heads=heads, keep=keep[b].tolist()))
        w_hat = [reference.g(w, *reference.prompt_of(w, V, pi, row), heads=text_heads) for row in tokens]
        expected = reference.logits(float(clip.logit_scale), x_hat, w_hat)
        pull = reference.L_kg(w_hat, texts.hand.double().numpy())
        worst = max(
            worst,
            float(np.abs(expected - output.logits[b].numpy()).max()),
            abs(pull - float(knowledge_loss(output.text[b : b + 1], texts.hand))),
        )
    return worst


def nothing_hidden_is_cocoop() -> float:
    learner, n = _learner(), bench()[0].patches
    shuffled = torch.stack([torch.randperm(n, generator=torch.Generator().manual_seed(s)) for s in range(3)])
    same = _run("cocoop", learner).logits
    return max(_apart(_run("promim", learner, keep=keep).logits, same) for keep in (_masks(0.0), shuffled))


def silent_meta_net_is_coop() -> float:
    silent, plain = _learner(silent=True), _learner(conditional=False)
    same = _run("coop", plain).logits
    return max(_apart(_run("promim", silent, keep=_masks(r)).logits, same) for r in (0.0, 0.5, 0.9))


def untouched_context_is_clip() -> float:
    clip, pixels = bench()
    texts, learner = class_texts(clip, NAMES), _learner(silent=True, moved=False)
    output = forward(clip, learner, texts, pixels, arm="promim", keep_idx=_masks(0.75))
    pull = knowledge_loss(output.text, texts.hand)
    slopes = torch.autograd.grad(pull, list(learner.parameters()), allow_unused=True)
    steepest = max(float(slope.abs().max()) for slope in slopes if slope is not None)
    return max(_apart(output.logits.detach(), _run("clip", None).logits), float(pull.detach()), steepest)


def all_hidden_is_static() -> float:
    output = _run("promim", _learner(), keep=_masks(1.0))
    return max(_apart(output.shift, output.shift[:1].expand_as(output.shift)), _apart(output.text, output.text[:1].expand_as(output.text)))


def blind_to_hidden_patches() -> float:
    """Counts numbers that changed, and gradients on hidden patches that are not zero."""
    clip, pixels = bench()
    learner, keep, side = _learner(), _masks(0.75), clip.patch_size
    hidden = torch.ones(len(keep), clip.patches).scatter_(1, keep, 0.0).view(-1, 1, *clip.grid).bool()
    hidden = hidden.repeat_interleave(side, 2).repeat_interleave(side, 3).expand_as(pixels)
    before, after = _run("promim", learner, keep=keep), _run("promim", learner, keep=keep, pixels=torch.where(hidden, 3 - pixels, pixels))
    changed = sum(int((getattr(before, part) != getattr(after, part)).sum()) for part in ("condition", "shift", "text"))
    leaf = pixels.clone().requires_grad_(True)
    learner.shift(clip.image_features(leaf, keep, normalize=True)).norm().backward()
    return float(changed + int((leaf.grad[hidden] != 0).sum()))


def only_the_prompt_is_trained() -> float:
    """Difference in count for the paper's size and for the small CLIP's, plus the number of CLIP's weights that got a gradient."""
    clip, pixels = bench()
    paper, own = PromptLearner(torch.zeros(4, 512), MetaNet(512, 512)), _learner()
    texts = class_texts(clip, NAMES)
    output = forward(clip, own, texts, pixels, arm="promim", keep_idx=_masks(0.75))
    objective(output.logits, torch.tensor([0, 1, 2]), output.text, texts.hand, weight=2.0).backward()
    touched = sum(p.grad is not None for p in clip.model.parameters()) + sum(p.grad is None for p in own.parameters())
    expected = reference.parameter_count(clip.text_width, clip.embed_dim, 4)
    return float(abs(paper.parameter_count - 35_360) + abs(own.parameter_count - expected) + touched)


def squared_distance_is_twice_the_cosine_form() -> float:
    output, hand = _run("promim", _learner(), keep=_masks(0.75)), class_texts(bench()[0], NAMES).hand
    pull = pull_per_class(output.text, hand)
    outside = float((pull.clamp(0, 4) - pull).abs().max())
    pairs = [(float(pull[b].mean()), 2 * reference.L_kg_cosine(output.text[b].double().numpy(), hand.double().numpy())) for b in range(3)]
    return max(outside, *(abs(a - b) for a, b in pairs))


def one_batch_is_many_singles() -> float:
    learner, keep, pixels = _learner(), _masks(0.5), bench()[1]
    whole = _run("promim", learner, keep=keep).logits
    singles = torch.cat([_run("promim", learner, keep=keep[b : b + 1], pixels=pixels[b : b + 1]).logits for b in range(3)])
    turned = _run("promim", learner, keep=keep, names=NAMES[::-1]).logits.flip(1)
    _run("promim", learner, keep=keep, names=("something else",))
    again = _run("promim", learner, keep=keep).logits
    return max(_apart(whole, singles), _apart(whole, turned), _apart(whole, again))


def masks_keep_what_they_say() -> float:
    """Tokens too many or too few at the first block, faulty rows, and χ² of kept counts beyond its 99.9 % limit."""
    clip, pixels = bench()
    seen: list[int] = []
    handle = clip.model.visual.transformer.resblocks[0].register_forward_pre_hook(lambda _m, args: seen.append(args[0].shape[1]))
    try:
        clip.image_features(pixels, _masks(0.75))
    finally:
        handle.remove()
    draws, wrong = 4000, abs(seen[0] - (kept_count(clip.patches, 0.75) + 1))
    keep = _masks(0.75, pictures=draws)
    wrong += int((keep[:, 1:] <= keep[:, :-1]).sum()) + int((keep < 0).sum() + (keep >= clip.patches).sum())
    counts, expected = torch.bincount(keep.flatten(), minlength=clip.patches).double(), keep.numel() / clip.patches
    # Without replacement a row's counts vary less than independent draws would: by the factor 1 − k/N, with N/(N − 1) for the fixed sum.
    spread = expected * (1 - keep.shape[1] / clip.patches) * clip.patches / (clip.patches - 1)
    from scipy.stats import chi2

    return wrong + max(0.0, float(((counts - expected) ** 2 / spread).sum()) - float(chi2.ppf(0.999, clip.patches - 1)))


def the_protocol_adds_up() -> float:
    """The papers' own averages, to two decimals, and 7 classes in 4 and 3."""
    rows = ((80.47, 71.69, 75.83), (82.69, 63.22, 71.66), (69.34, 74.22, 71.70))
    base, new = reference.base_and_new(range(7))
    return max(abs(round(reference.H(b, n), 2) - h) for b, n, h in rows) + abs(len(base) - 4) + abs(len(new) - 3)


def seeds_repeat_and_means_calm() -> float:
    """Two runs of one seed (must be equal), and how far the variance of means of 4 masks is from a quarter, as a share of it."""
    learner, (clip, pixels), masks = _learner(), bench(), 320
    twice = [_run("promim", learner, keep=_masks(0.75, seed=9)).logits for _ in range(2)]
    with torch.no_grad():
        image = clip.image_features(pixels[:1], normalize=True).expand(masks, -1)
        views = clip.image_features(pixels[:1].expand(masks, -1, -1, -1), _masks(0.9, seed=4, pictures=masks), normalize=True)
        many = classify(clip, learner, class_texts(clip, NAMES[:1]), image, views).logits[:, 0]
    quarter = many.view(-1, 4).mean(dim=1).var() / many.var()
    return _apart(*twice) * 1e6 + abs(float(quarter) * 4 - 1)


LAWS: tuple[Law, ...] = (
    Law("The network is the equations", 0, "Every probability equals the one from the equations written out one by one.", 1e-5, written_out),
    Law("Nothing hidden is CoCoOp", 1, "With the whole picture in view, ProMIM and CoCoOp give the same answer.", 1e-5, nothing_hidden_is_cocoop),
    Law("A silent meta-net is CoOp", 2, "When the shift is zero, the same words serve every picture.", 1e-5, silent_meta_net_is_coop),
    Law("Untouched words are CLIP", 3, "Before any training and without shift, it is CLIP with “a photo of a …”.", 1e-5, untouched_context_is_clip),
    Law("All hidden is one prompt for all", 4, "When nothing may be seen, every picture gets the same words.", 1e-6, all_hidden_is_static),
    Law("Blind to hidden patches", 5, "Changing a hidden patch changes not one bit of the prompt.", 0.0, blind_to_hidden_patches),
    Law("Only the prompt is trained", 6, "35,360 numbers at the paper's size; CLIP itself stays as it was.", 0.0, only_the_prompt_is_trained),
    Law("Two forms of the pull", 7, "Squared distance is twice one minus the cosine.", 1e-5, squared_distance_is_twice_the_cosine_form),
    Law("One batch is many singles", 8, "Pictures and class names do not disturb each other.", 1e-5, one_batch_is_many_singles),
    Law("Masks keep what they say", 9, "The right number of patches, no two alike, none preferred.", 0.0, masks_keep_what_they_say),
    Law("The protocol adds up", 10, "The papers' averages follow from their own numbers.", 1e-9, the_protocol_adds_up),
    Law("Seeds repeat, means calm", 11, "The same seed gives the same answer; averaging four masks quarters the spread.", 0.35, seeds_repeat_and_means_calm),
)  # fmt: skip


def checks() -> list[Check]:
    """Runs every law of the room."""
    return run(LAWS)
