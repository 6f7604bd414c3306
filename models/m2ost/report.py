"""From measurements to the card: metrics with their intervals, each gene's own number, and the sentences on where the method does not win."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models.m2ost.arms import ARMS, ONE_VIEW
from models.m2ost.measures import MEASURES, Measured
from models.shared.checkpoints import Metric
from models.shared.data.histology import GENES
from models.shared.metrics import over_seeds

Runs = Mapping[tuple[str, str], list[Measured]]
NOTES = (
    "Made-up sections, no patients. The test patients stand in no training; “slide” is the same test with other sections of them in the training. Half of the genes "
    "follow what lies inside the spot, half what lies around it. By spot: correlation across genes, mean over spots. By gene: correlation over a section's spots, mean "
    "over sections and genes; a prediction that does not vary counts as 0. Intervals are Student's t over trainings with different seeds: they speak of the "
    "chance of training, not of other patients. Weights are rounded to half precision before anything is measured. The validation sections chose the number of rounds and the learning rate."
)
NAMES = {
    "spot_pcc": "correlation by spot",
    "gene_pcc": "correlation by gene",
    "local_pcc": "correlation on local genes",
    "context_pcc": "correlation on context genes",
    "rmse": "error",
}


def metrics(runs: Runs) -> dict[str, Metric]:
    """ "<split>/<measure>" for the whole method, with "@<arm>" for the others."""
    made = {}
    for (split, arm), found in runs.items():
        at = "" if arm == "full" else f"@{arm}"
        for measure in MEASURES:
            made[f"{split}/{measure}{at}"] = over_seeds(
                [one.value(measure) for one in found], kind="phantom", unit="log(1+CPM)" if measure == "rmse" else ""
            )
    return made


def differences(runs: Runs) -> dict[str, dict[str, float]]:
    """The whole method minus each other arm on context genes, section by section (mean over seeds): mean, and t interval over sections."""
    full = _by_section(runs, "full")
    if full is None:
        return {}
    made = {}
    for arm in ARMS:
        other = _by_section(runs, arm)
        if arm == "full" or other is None or len(full) < 2:
            continue
        one = over_seeds(list(full - other), kind="phantom")
        made[arm] = {"value": one.value, "low": one.low, "high": one.high, "sections": len(full)}
    return made


def _by_section(runs: Runs, arm: str) -> np.ndarray | None:
    found = runs.get(("patient", arm))
    if not found:
        return None
    context = np.array([gene.group == "context" for gene in GENES])
    return np.mean([one.by_section[:, context].mean(1) for one in found], axis=0)


def genes(runs: Runs, train: np.ndarray) -> list[dict[str, object]]:
    """Every gene with its group, its usual range over the training spots (N, G), its correlation on held-out sections (mean over seeds), and that of the best single view."""
    ranges = np.percentile(train, [2, 98], axis=0)
    full, single = runs.get(("patient", "full")), [runs["patient", arm] for arm in ONE_VIEW if ("patient", arm) in runs]
    made = []
    for place, gene in enumerate(GENES):
        row: dict[str, object] = {"name": gene.name, "group": gene.group, "range": [round(float(end), 2) for end in ranges[:, place]]}
        if full:
            row["pcc"] = round(float(np.mean([one.by_gene[place] for one in full])), 4)
        if single:
            row["one_view"] = round(max(float(np.mean([one.by_gene[place] for one in found])) for found in single), 4)
        made.append(row)
    return made


def loses(runs: Runs) -> tuple[str, ...]:
    """Where a part that was left out costs nothing, or another network is as good: made from the numbers."""
    found, said = metrics(runs), []
    for measure in MEASURES:
        own = found.get(f"patient/{measure}")
        if own is None:
            continue
        sign = -1 if measure == "rmse" else 1
        for arm, record in ARMS.items():
            other = found.get(f"patient/{measure}@{arm}")
            if arm == "full" or other is None:
                continue
            if sign * (other.value - own.value) > 0:
                apart = min(own.n, other.n) > 1 and (other.low > own.high or other.high < own.low)
                said.append(
                    f"{record.title} has the better {NAMES[measure]} ({other.value:.3f} against {own.value:.3f}){', intervals apart' if apart else '; the intervals overlap' if min(own.n, other.n) > 1 else ', one run each'}."
                )
            elif other.low <= own.high and own.low <= other.high and measure in ("context_pcc", "local_pcc"):
                said.append(
                    f"In {NAMES[measure]} the whole method ({own.value:.3f}) and “{record.title}” ({other.value:.3f}) cannot be told apart."
                )
    mean = found.get("patient/spot_pcc@mean")
    if mean is not None:
        said.append(f"By spot the average profile alone reaches {mean.value:.3f}; most of every number by spot is no merit of looking.")
    leak, held = found.get("slide/gene_pcc"), found.get("patient/gene_pcc")
    if leak is not None and held is not None:
        error = f"; the error falls from {found['patient/rmse'].value:.3f} to {found['slide/rmse'].value:.3f}"
        said.append(
            f"With another section of each test patient in the training the correlation by gene goes from {held.value:.3f} to {leak.value:.3f}{error}: numbers of such splits flatter."
        )
    return tuple(said)
