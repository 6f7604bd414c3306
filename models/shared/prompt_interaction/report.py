"""From finished runs to numbers with intervals. Intervals redraw test pictures with all their notes; "…_over_seeds" speaks of the chance of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from models.shared import metrics
from models.shared.checkpoints import Metric
from models.shared.data.phantoms.notes import TRAITS
from models.shared.prompt_interaction.data import Pairs
from models.shared.prompt_interaction.plan import ARMS, OWN
from models.shared.prompt_interaction.study import Found, wrong_names

TASK = "notes"


def metric_name(measure: str, arm: str) -> str:
    """The card's name of a number."""
    return f"{TASK}/{measure}" + ("" if arm == OWN else f"@{arm}")


def card_metrics(arm: str, runs: Sequence[Found], test: Pairs, unseen: Pairs, *, shipped: bool = False) -> dict[str, Metric]:
    """All numbers of an arm; `shipped`: of the one network that ships, under names that say so."""
    right = _right([run.test for run in runs], test)  # N R M
    made = {"accuracy": _mean(right)}
    if not shipped:
        verdict, wrong = test.verdict.numpy(), wrong_names(test)
        made["pair_accuracy"] = _mean(_pair([run.test for run in runs], test))
        made["unseen_accuracy"] = _mean(_right([run.unseen for run in runs], unseen))
        made["shuffled_accuracy"] = _mean(_right([run.shuffled for run in runs], test))
        made["accuracy_over_seeds"] = metrics.over_seeds(
            [float(right[:, r].mean()) for r in range(right.shape[1])], kind="phantom", share=True
        )
        for trait in TRAITS:
            chosen = (wrong == trait)[:, None] & np.ones(right.shape, bool)
            made[f"wrong_{trait}_found"] = _mean(np.where(chosen, right, np.nan))
        for place, word in enumerate(("agree", "contradict", "unrelated")):
            made[f"recall_{word}"] = _mean(np.where((verdict == place)[:, None] & np.ones(right.shape, bool), right, np.nan))
    prefix = "shipped_" if shipped else ""
    return {metric_name(prefix + measure, arm): value for measure, value in made.items() if value is not None}


def findings(found: Mapping[str, Sequence[Found]], test: Pairs) -> list[str]:
    """Sentences made from the numbers: the method against each rival on the same pairs."""
    said = []
    own = _right([run.test for run in found[OWN]], test) if OWN in found else None
    for arm, runs in found.items():
        if arm == OWN or own is None:
            continue
        gain = _redrawn(
            np.concatenate([own, _right([run.test for run in runs], test)], axis=1),
            lambda t, n=own.shape[1]: t[:, :n].mean() - t[:, n:].mean(),
        )
        verdict = "better" if gain.low > 0 else "worse" if gain.high < 0 else "no difference shown"
        numbers = f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})".replace("-", "−")
        said.append(f"Accuracy {numbers} against “{ARMS[arm].label}”: {verdict}.")
    return said


def _right(scores: Sequence[np.ndarray], test: Pairs) -> np.ndarray:
    verdict = test.verdict.numpy()
    return np.stack([(one.argmax(-1) == verdict).astype(float) for one in scores], axis=1)


def _pair(scores: Sequence[np.ndarray], test: Pairs) -> np.ndarray:
    """Agree against contradict alone: which of the two the network holds for likelier; NaN for unrelated notes."""
    verdict = test.verdict.numpy()
    return np.stack([np.where(verdict < 2, (one[..., :2].argmax(-1) == verdict).astype(float), np.nan) for one in scores], axis=1)


def _mean(table: np.ndarray) -> Metric | None:
    """The mean over all notes of all runs, redrawn among the pictures in which something counts; None where nothing does."""
    counts = ~np.isnan(table).all(axis=(1, 2))
    return _redrawn(table[counts], lambda t: float(np.nanmean(t))) if counts.any() else None


def _redrawn(table: np.ndarray, measure: Callable[[np.ndarray], float]) -> Metric:
    zeros = torch.zeros(len(table), dtype=torch.long)
    return metrics.bootstrap(lambda t, _: torch.tensor(measure(t.numpy())), torch.from_numpy(table), zeros, kind="phantom")
