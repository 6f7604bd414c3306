"""From finished runs to numbers with intervals. Intervals redraw test slices; "…_over_seeds" speaks of the chance of training instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from models.lsms.phrases import KINDS
from models.lsms.plan import ARMS, OWN
from models.lsms.study import Found
from models.lsms.study_data import Pairs
from models.shared import metrics
from models.shared.checkpoints import Metric

PRECISIONS = (0.5, 0.6, 0.7, 0.8, 0.9)
TASK, IGNORING = "phrases", "every_lesion"


def metric_name(measure: str, arm: str) -> str:
    """The card's name of a number."""
    return f"{TASK}/{measure}" + ("" if arm == OWN else f"@{arm}")


def card_metrics(arm: str, runs: Sequence[Found], *, shipped: bool = False) -> dict[str, Metric]:
    """All numbers of an arm; `shipped`: of the one network that ships, under names that say so."""
    made = {"miou": _mean(runs, lambda one: one.iou), "empty_accuracy": _mean(runs, _empty_right)}
    if not shipped:
        made |= {
            "oiou": _ratio(runs, "overlap", "union"),
            "shuffled_miou": _mean(runs, lambda one: one.arrays["shuffled_iou"]),
            "reworded_change": _mean(runs, lambda one: np.abs(one.arrays["reworded_dice"] - one.arrays["dice"])),
        }
        made |= {name: _mean(runs, lambda one, n=name: one.arrays[n]) for name in ("dice", "hd95", "assd", "mirror_agreement", "clash")}
        made |= {
            f"precision_{100 * t:.0f}": _mean(runs, lambda one, t=t: np.where(np.isnan(one.iou), np.nan, one.iou > t)) for t in PRECISIONS
        }
        for number, kind in enumerate(KINDS[:-1]):
            made[f"miou_{kind}"] = _mean(runs, lambda one, k=number: np.where(one.arrays["kinds"] == k, one.iou, np.nan))
        made["miou_over_seeds"] = metrics.over_seeds([float(np.nanmean(one.iou)) for one in runs], kind="phantom", share=True)
    prefix = "shipped_" if shipped else ""
    return {metric_name(prefix + name, arm): value for name, value in made.items() if value is not None}


def ignoring_words(test: Pairs) -> dict[str, Metric]:
    """What outlining every true lesion would score: the most that anybody can who sees perfectly and does not read."""
    truth, everything = test.all_targets(), test.lesions.any(1)[:, None]
    union = (truth | everything).sum((2, 3)).clamp_min(1)
    iou = torch.where(test.meant.any(-1), (truth & everything).sum((2, 3)) / union, torch.nan).double().numpy()
    table = np.stack([np.nansum(iou, axis=1), (~np.isnan(iou)).sum(1)], axis=1)
    return {metric_name("miou", IGNORING): _redrawn(table)}


def findings(found: dict[str, Sequence[Found]]) -> list[str]:
    """Sentences made from the numbers: how well the method listens, then the method against each rival on the same slices."""
    own = card_metrics(OWN, found[OWN]) if OWN in found else {}
    said = []
    if own:
        at = {name: own[metric_name(name, OWN)] for name in ("miou", "shuffled_miou", "empty_accuracy", "clash", "reworded_change")}
        mirrored = own.get(metric_name("mirror_agreement", OWN))  # a network that outlines nothing at all has none
        n = at["miou"].n
        said = [
            f"The lesion a phrase names is outlined with a mean IoU of {_told(at['miou'])}; asked another slice's phrase, the same network reaches {_told(at['shuffled_miou'])}: it listens ({n} test slices).",
            f"Where nothing fits the phrase it says so in {100 * at['empty_accuracy'].value:.0f} % ({100 * at['empty_accuracy'].low:.0f} to {100 * at['empty_accuracy'].high:.0f} %) of such phrases.",
            f"Two phrases that mean different lesions of a slice get outlines that overlap by {_told(at['clash'])} (IoU; 0 would be right).",
            f"Other words of the same meaning change a phrase's Dice by {_told(at['reworded_change'])} on average.",
        ]
        if mirrored:
            said.append(f"The mirrored slice with the mirrored phrase gets the mirrored outline: IoU {_told(mirrored)}.")
    for arm, runs in found.items():
        if arm == OWN or OWN not in found:
            continue
        gain = _gain(found[OWN], runs)
        each = [float(np.nanmean(own.iou) - np.nanmean(rival.iou)) for own, rival in zip(found[OWN], runs, strict=True)]
        chance = metrics.over_seeds(each, kind="phantom") if len(each) > 1 else gain
        low, high = min(gain.low, chance.low), max(gain.high, chance.high)  # said only where slices and trainings agree
        verdict = "better" if low > 0 else "worse" if high < 0 else "no difference shown"
        over = f"; {chance.low:+.3f} to {chance.high:+.3f} over {len(each)} trainings" if len(each) > 1 else ""
        said.append(
            f"Mean IoU {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f} over slices{over}) against {ARMS[arm].label}: {verdict}."
        )
    return said


def _told(metric: Metric) -> str:
    return f"{metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f})"


def _empty_right(one: Found) -> np.ndarray:
    return np.where(one.arrays["empty"] > 0, one.arrays["highest"] < 0.5, np.nan).astype(float)


def _slices(runs: Sequence[Found], values: Callable[[Found], np.ndarray]) -> np.ndarray:
    """(N, 2): sum and count over phrases and runs of each slice."""
    each = np.stack([values(one).astype(float) for one in runs])  # R N P
    return np.stack([np.nansum(each, axis=(0, 2)), (~np.isnan(each)).sum(axis=(0, 2))], axis=1)


def _mean(runs: Sequence[Found], values: Callable[[Found], np.ndarray]) -> Metric | None:
    table = _slices(runs, values)
    return _redrawn(table) if table[:, 1].sum() else None


def _ratio(runs: Sequence[Found], overlap: str, union: str) -> Metric:
    sums = [
        np.stack([np.where(one.arrays["empty"] > 0, 0, one.arrays[name]) for one in runs]).sum(axis=(0, 2)) for name in (overlap, union)
    ]
    return _redrawn(np.stack(sums, axis=1))


def _gain(own: Sequence[Found], rival: Sequence[Found]) -> Metric:
    a, b = (_slices(runs, lambda one: one.iou) for runs in (own, rival))
    return metrics.bootstrap(
        lambda t, _: t[:, 0].sum() / t[:, 1].sum() - t[:, 2].sum() / t[:, 3].sum(),
        torch.from_numpy(np.concatenate([a, b], axis=1)), torch.zeros(len(a), dtype=torch.long), kind="phantom",
    )  # fmt: skip


def _redrawn(table: np.ndarray) -> Metric:
    return metrics.bootstrap(
        lambda t, _: t[:, 0].sum() / t[:, 1].sum().clamp_min(1e-9),
        torch.from_numpy(table),
        torch.zeros(len(table), dtype=torch.long),
        kind="phantom",
    )
