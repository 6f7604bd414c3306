"""A study's epochs for the slider: histograms with their Gaussians and the curves of memorisation, read from a card. Loads no PyTorch.

Legend: E epochs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from models.self_cleansing.results import Level, OptionRefused

_FINE = 8


def epochs(extra: Mapping, task: str, setting: str, arm: str) -> list[dict]:
    """The epochs of a cell's first seed from a card's `extra`; OptionRefused when the card has none."""
    text = extra.get("epochs", {}).get(f"{task}/{setting}/{arm}")
    if text is None:
        raise OptionRefused(f"The card keeps no epochs of {arm!r} under {setting!r} for {task!r}.")
    return json.loads(text)


def level(epoch: Mapping, number: int | None = None) -> Level | None:
    """Histogram and Gaussians of an epoch's pictures, or of the pixels labelled with a class `number`; None where nothing was looked at."""
    if "pictures" not in epoch:
        return None
    return as_level(epoch["pictures"] if number is None else epoch["pixels"][number])


def as_level(values: Mapping) -> Level:
    """One entry of `diagnostics.describe` as arrays."""
    bins = len(values["right"])
    edges = np.linspace(values["low"], values["high"], bins + 1)
    axis, fit = np.linspace(values["low"], values["high"], bins * _FINE), values["fit"]
    gaussians = np.empty((0, len(axis)))
    if fit:
        spread = max(fit["high"] - fit["low"], 1e-12)
        counted = sum(values["right"]) + sum(values["wrong"])
        x = (axis - fit["low"]) / spread
        gaussians = np.stack(
            [
                counted
                / bins
                * (values["high"] - values["low"])
                / spread
                * a
                * np.exp(-0.5 * ((x - m) / s) ** 2)
                / (s * np.sqrt(2 * np.pi))
                for m, s, a in zip(fit["means"], fit["sds"], fit["weights"], strict=True)
            ]
        )
    return Level(
        edges=edges,
        right=np.array(values["right"]),
        wrong=np.array(values["wrong"]),
        gaussians=gaussians,
        axis=axis,
        noise=bool(fit and fit["noise"]),
        why=fit["why"] if fit else "too few losses for a fit",
        auroc=values.get("auroc"),
        precision=values.get("precision"),
        recall=values.get("recall"),
        flagged=int(values["flagged"]),
        n=int(values["n"]),
    )


def curves(found: list[dict]) -> dict[str, np.ndarray]:
    """`epoch`, `loss`, `validation`, `test`, `label_dice`, `picture_auroc` as (E,) arrays with NaN where an epoch has none."""

    def column(read) -> np.ndarray:
        values = [read(one) for one in found]
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    return {
        "epoch": column(lambda one: one["epoch"]),
        "loss": column(lambda one: one["loss"]),
        "validation": column(lambda one: one.get("validation")),
        "test": column(lambda one: one.get("test")),
        "label_dice": column(lambda one: one["labels"]["dice_after"] if "labels" in one else None),
        "picture_auroc": column(lambda one: one["pictures"].get("auroc") if "pictures" in one else None),
        "pixel_auroc": column(lambda one: one["pixel_level"]["auroc"] if "pixel_level" in one else None),
    }


def at_threshold(values: Mapping, threshold: float) -> dict[str, float | None]:
    """Precision and recall when losses above `threshold` are called wrong, read off a histogram of `diagnostics.describe` (to a bin's width)."""
    edges = np.linspace(values["low"], values["high"], len(values["right"]) + 1)[:-1]
    above = edges >= threshold
    hits, alarms, wrong = np.array(values["wrong"])[above].sum(), np.array(values["right"])[above].sum(), sum(values["wrong"])
    return {"precision": float(hits / (hits + alarms)) if hits + alarms else None, "recall": float(hits / wrong) if wrong else None}
