"""From an inspection of one spot to what the page draws: the nested views, and the profile beside the average one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.parts.charts import Group, Point, scatter_data
from workbench.parts.spot_inspector import PatchGroup, View, spot_data
from workbench.tabs.m2ost.names import UNIT, VIEWS

if TYPE_CHECKING:
    from models.m2ost.wrapper import Inspection, Predictor

WAITING = "Click a spot on the slide: its views, what the network attended to in them and the predicted profile come here."


def views(found: Inspection, predictor: Predictor, levels: tuple[int, ...], *, place: str) -> dict[str, Any]:
    """Data of the inspector."""
    made = [_view(found, predictor, level, off=level not in levels) for level in predictor.levels]
    return spot_data(
        made,
        about=place,
        listens=found.listens,
        gates=[] if found.gates is None else [1.0 + float(gate) for gate in found.gates],
        listens_note="Share of a view's listening that goes to each of the others, mean over heads, tokens and blocks.",
        gates_note="1 is unchanged, 2 the most there can be; mean over channels and blocks.",
    )


def _view(found: Inspection, predictor: Predictor, level: int, *, off: bool) -> View:
    at = predictor.levels.index(level)
    width = predictor.field_um * 2**level
    inner = [(VIEWS[closer], _centred(2.0 ** (closer - level))) for closer in predictor.levels if closer < level]
    groups = [PatchGroup(f"{group.ground_um:.3g} µm", _centred(group.share), np.asarray(group.attention)) for group in found.groups[at]]
    return View(VIEWS[level], f"{width:,.0f} µm across", found.big_crops[at], groups, inner, off)


def _centred(share: float) -> tuple[float, float, float, float]:
    edge = (1.0 - share) / 2
    return (edge, edge, share, share)


def profile(found: Inspection, predictor: Predictor, measured: np.ndarray | None, *, word: str = "measured") -> dict[str, Any]:
    """Every gene as a point: predicted against measured (`word` says how it is called) where that is known, else against the average profile of the training spots."""
    genes, mean = predictor.genes, np.asarray(predictor.mean_profile)
    across = mean if measured is None else measured
    points = [
        Point(float(x), float(y), 1, f"{gene.name}: predicted {y:.2f}") for gene, x, y in zip(genes, across, found.values, strict=True)
    ]
    groups = [Group("average profile", 6), Group("this spot, predicted", 0)]
    grey = [Point(float(x), float(y), 0, f"{gene.name}: average {y:.2f}") for gene, x, y in zip(genes, across, mean, strict=True)]
    said = "The grey points are the average profile of the training spots, which knows nothing of this picture."
    if measured is not None:
        said = (
            f"Across genes this spot agrees with the {word} profile to r = {_r(found.values, measured):.2f}, the average profile to r = {_r(mean, measured):.2f}. "
            + said
        )
    else:
        said = f"How far this spot stands from the average: r = {_r(found.values, mean):.2f} across genes. " + said
    return scatter_data(
        groups,
        [*grey, *points],
        title="Predicted profile of this spot",
        about=said,
        x_label=f"{word if measured is not None else 'average over the training spots'}, {UNIT}",
        y_label=f"predicted, {UNIT}",
    )


def _r(a: np.ndarray, b: np.ndarray) -> float:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    spread = a.std() * b.std()
    return float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 0 else float("nan")
