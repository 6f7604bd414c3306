"""The eleven oracles of the spec (§9) as live checks: the real code, on a small untrained CLIP and a made-up picture, held against the equations.

Each returns the largest difference found, or for a yes/no law the size of its violation. No weights file is needed; together they take about a second.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.medfocusclip import painting, reference
from models.medfocusclip.guidance import focus_bias, guide
from models.medfocusclip.losses import alignment, focus_loss
from models.medfocusclip.network import FocusClassifier
from models.medfocusclip.options import Guidance, Painting
from models.medfocusclip.providers import PACKAGE_GRID, ClassicalProvider, GridOptions, grid_points, keep_good
from models.medfocusclip.study_data import subset
from models.shared import metrics
from models.shared.backbones.clip import Clip, new_clip, vision
from models.shared.laws import Check, Law, run

SIDE = 24
CLASSES = ("glioma", "meningioma", "no tumour")


@lru_cache(maxsize=1)
def _clip() -> Clip:
    return new_clip(seed=7)


def _x(n: int = 2) -> Tensor:
    side = _clip().image_size
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(1))


def _picture() -> np.ndarray:
    return np.random.default_rng(0).random((SIDE, SIDE, 3))


def _masks() -> list[np.ndarray]:
    """Three overlapping regions, the largest first."""
    made = [np.zeros((SIDE, SIDE), bool) for _ in range(3)]
    made[0][:14], made[1][6:16, 6:16], made[2][8:11, 8:11] = True, True, True
    return made


def _gap(one: object, other: object) -> float:
    return float(np.abs(np.asarray(one, np.float64) - np.asarray(other, np.float64)).max())


def _equation() -> float:
    colours = np.random.default_rng(7).random((3, 3))
    return _gap(painting.paint(_picture(), _masks(), Painting(alpha=0.3, seed=7)), reference.J(_picture(), _masks(), colours, 0.3))


def _nothing_painted() -> float:
    clip, image = _clip(), _picture()
    features = [
        clip.encode_image(clip.preprocess(one))
        for one in (image, painting.paint(image, _masks(), Painting(alpha=0.0)), painting.paint(image, []))
    ]
    return max(_gap(features[0], features[1]), _gap(features[0], features[2]))


def _order() -> float:
    image, masks = _picture(), _masks()
    return _gap(painting.paint(image, masks), painting.paint(image, [masks[2], masks[0], masks[1]]))


def _slope() -> float:
    labels = painting.label_map(_masks(), (SIDE, SIDE)) == 0
    painted = painting.paint(_picture(), _masks(), Painting(alpha=0.37, seed=1))
    slope, _ = np.polyfit(_picture()[labels, 0], painted[labels, 0], 1)
    return abs(1 - slope - 0.37)


def _no_texture() -> float:
    whole = [*_masks(), np.ones((SIDE, SIDE), bool)]
    return _gap(*(painting.paint(one, whole, Painting(alpha=1.0, seed=2)) for one in (_picture(), 1 - _picture())))


def _mirror() -> float:
    after = painting.paint(_picture(), _masks(), seed=3)[:, ::-1]
    return _gap(after, painting.paint(_picture()[:, ::-1], [mask[:, ::-1] for mask in _masks()], seed=3))


def _colours_stay_inside() -> float:
    one, other = (painting.paint(_picture(), _masks(), Painting(seed=seed)) for seed in (1, 2))
    return _gap(one[~np.logical_or.reduce(_masks())], other[~np.logical_or.reduce(_masks())])


def _generator() -> float:
    scene = np.full((64, 64), 0.1)
    scene[10:30, 10:30], scene[38:56, 30:50] = 0.8, 0.5
    found = ClassicalProvider().candidates(scene)
    kept = ClassicalProvider().propose(scene)
    low = sum(one.score < 0.6 or one.stability < 0.8 for one in kept)
    counts = [len(keep_good(found, GridOptions(score_threshold=value))) for value in (0.0, 0.5, 0.9, 1.0)]
    return float(low + sum(b > a for a, b in pairwise(counts)) + abs(len(grid_points(PACKAGE_GRID)) - 1024))


def _attention(guidance: Guidance, share: Tensor) -> Tensor:
    return _clip().attention(_x(1), bias=guide(share, guidance, _clip().layers))[0].double()


def _soft() -> Tensor:
    return torch.linspace(0, 1, _clip().patches)[None]


def _half() -> Tensor:
    return (torch.arange(_clip().patches) < _clip().patches // 2).float()[None]


def _no_guidance() -> float:
    plain = _clip().attention(_x(1))[0].double()
    return max(
        _gap(_attention(Guidance(beta=0.0), _soft()), plain), _gap(_attention(Guidance(beta=7.0), torch.ones(1, _clip().patches)), plain)
    )


def _guided_equation() -> float:
    attn = _clip().model.visual.transformer.resblocks[0].attn
    tokens = torch.randn(1, 1 + _clip().patches, attn.embed_dim, generator=torch.Generator().manual_seed(2))
    _, guided = vision.attend(attn, tokens, focus_bias(_soft(), Guidance(beta=2.0)))
    q, k, _ = (tokens[0] @ attn.in_proj_weight.T + attn.in_proj_bias).double().chunk(3, dim=-1)
    d = attn.embed_dim // attn.num_heads
    return _gap(guided[0, 0], reference.A(q[:, :d].numpy(), k[:, :d].numpy(), _soft()[0].numpy(), 2.0, 1e-2, "class"))


def _hard_guidance() -> float:
    return float(_attention(Guidance(beta=1e4), _half())[:, :, 0, 1 + _clip().patches // 2 :].abs().max())


def _rising_mass() -> float:
    inside = slice(1, 1 + _clip().patches // 2)
    mass = torch.stack([_attention(Guidance(beta=beta, layers=(0,)), _half())[0, :, 0, inside].sum(-1) for beta in (0.0, 0.5, 1.0, 4.0)])
    return float((-mass.diff(dim=0)).clamp_min(0).max())


def _alpha_at_start() -> float:
    net = FocusClassifier(_clip(), CLASSES, alpha=True)
    side = _clip().image_size
    return _gap(net(_x(), alpha=torch.rand(2, 1, side, side)).detach(), net(_x()).detach())


def _fusion_at_start() -> float:
    net, bare = FocusClassifier(_clip(), CLASSES, fusion=True), FocusClassifier(_clip(), CLASSES)
    return _gap(net(_x(), share=_half().expand(2, -1)).detach(), bare(_x()).detach())


def _loss() -> float:
    generator = torch.Generator().manual_seed(6)
    v, t = (F.normalize(torch.randn(n, 8, generator=generator, dtype=torch.float64), dim=-1) for n in (6, 3))
    y, clips = torch.tensor([0, 1, 2, 0, 1, 0]), torch.arange(3)
    written = abs(float(focus_loss(v, t, y, 7.0)) - reference.L(v.numpy(), t.numpy(), y.tolist(), 7.0, 0.5))
    plain = abs(float(focus_loss(v, t, y, 7.0, balance=1.0) - F.cross_entropy(7 * v @ t.T, y)))
    scores = 7 * v[:3] @ t.T
    own = abs(float(alignment(v[:3], t, clips, 7.0) - (F.cross_entropy(scores, clips) + F.cross_entropy(scores.T, clips)) / 2))
    return max(written, plain, own)


def _intervals() -> float:
    gaps = [_gap(metrics.wilson(hits, n), reference.wilson(hits, n)) for hits, n in ((0, 66), (47, 66), (1311, 1311), (1200, 1311))]
    return max(gaps)


def _nested() -> float:
    labels = np.repeat([0, 1, 2, 3], [90, 40, 77, 13])
    shares = [set(subset(labels, fraction, seed=5).tolist()) for fraction in (0.05, 0.1, 0.2, 0.5, 1.0)]
    return float(sum(len(small - large) for small, large in pairwise(shares)) + abs(len(shares[-1]) - len(labels)))


LAWS: tuple[Law, ...] = (
    Law("Nothing painted, nothing changed", 1, "Without colour, or without segments, CLIP sees and says exactly what it did before.", 0.0, _nothing_painted),
    Law("Small on top of large", 2, "A pixel shows the smallest segment over it, in whatever order the segments came.", 0.0, _order),
    Law("The painting equation", 3, "The painted picture equals the equation, worked out pixel by pixel.", 1e-12, _equation),
    Law("Opacity can be read back", 3, "Inside one segment the painted picture is a straight line of the scan, whose slope tells the opacity.", 1e-6, _slope),
    Law("Full opacity hides the scan", 4, "At full opacity two different scans with the same segments look the same.", 0.0, _no_texture),
    Law("Mirrors", 5, "Mirroring first and painting then is the same as the other way round.", 0.0, _mirror),
    Law("Colours stay inside", 6, "Other colours change nothing outside the segments.", 0.0, _colours_stay_inside),
    Law("What is kept meets the thresholds", 7, "No kept segment is below a threshold; a higher threshold never gives more; 32 points a side are 1,024.", 0.0, _generator),
    Law("No strength, no change", 8, "At strength 0, or with everything inside the region, attention is CLIP's own.", 0.0, _no_guidance),
    Law("The attention equation", 8, "Guided attention equals the equation, worked out key by key.", 2e-6, _guided_equation),
    Law("Full strength closes the outside", 8, "At huge strength the class token draws nothing from outside the region.", 0.0, _hard_guidance),
    Law("More strength, more inside", 8, "In one block the share inside never falls as the strength rises.", 1e-7, _rising_mass),
    Law("An untrained alpha channel is silent", 9, "Before training, the extra channel changes nothing.", 0.0, _alpha_at_start),
    Law("An untrained fusion is silent", 10, "Before training, the fusion module hands the picture's feature through.", 1e-5, _fusion_at_start),
    Law("The loss equation", 10, "The loss equals the equation; with λ = 1 it is plain cross-entropy; with one picture a class, CLIP's own.", 1e-9, _loss),
    Law("Wilson's interval", 11, "Intervals equal Wilson's formula.", 1e-9, _intervals),
    Law("Nested shares", 11, "Each smaller share of the training pictures lies inside the larger ones.", 0.0, _nested),
)  # fmt: skip


@torch.no_grad()
def checks() -> list[Check]:
    """Runs every law of the room."""
    return run(LAWS)
