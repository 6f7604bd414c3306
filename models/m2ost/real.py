"""Real sections: training on one patient's, tested on another's, beside the average profile; and the same for somebody's own section.

Views come from the picture through the section's own µm scale. With a few hundred spots of one section nobody should expect much: good models trained on dozens of
patients reach a correlation by gene of 0.2 to 0.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.m2ost.arms import ARMS, network
from models.m2ost.data import LEVELS, Spots
from models.m2ost.fit import Schedule, predict, training
from models.m2ost.measures import MEASURES, Measured, measure
from models.m2ost.presets import TOP
from models.m2ost.views import SIDE, Views, in_order
from models.shared.data.spatial import Expression, her2st, log_cpm, select_genes, with_counts
from models.shared.metrics import over_seeds
from models.shared.slides import open_source

if TYPE_CHECKING:
    from models.m2ost.network import M2OST

GENES = 250
SCHEDULE = Schedule(epochs=40, batch=32, lr=1e-3, weight_decay=0.05)
SPOT_UM = 55.0
"""Diameter of a spot where the table does not tell."""


@dataclass(frozen=True, eq=False)
class Section:
    """A real section as the network takes it. n spots with counts, G genes."""

    views: np.ndarray = field(repr=False)
    """uint8 (n, 3, S, S, 3)."""
    y: np.ndarray = field(repr=False)
    """float32 (n, G)."""
    xy: np.ndarray = field(repr=False)
    name: str = ""


def section_of(table: Expression, picture: Path, genes: Sequence[str], *, mpp: float | None = None) -> Section:
    """Views and expression of a table's spots. ValueError with a sentence when the scale is not known or the two do not belong together."""
    counts, rows = with_counts(table, genes)
    source = open_source(picture, mpp=mpp or table.mpp)
    try:
        xy = table.xy[rows]
        inside = (xy >= 0).all(1) & (xy[:, 0] < source.width) & (xy[:, 1] < source.height)
        if inside.mean() < 0.9:
            raise ValueError(
                f"{(~inside).sum()} of {len(xy)} spots lie outside the picture, so table and picture do not belong together, or the picture was made smaller."
            )
        xy, counts = xy[inside], counts[inside]
        cutter = Views(source, side=SIDE)
        order = in_order(xy, 4 * cutter.field_px)
        views = np.empty((len(xy), len(LEVELS), SIDE, SIDE, 3), np.uint8)
        views[order] = np.stack(cutter.cut(xy[order], LEVELS), 1)
    finally:
        source.close()
    return Section(views, log_cpm(counts), xy, table.section)


def joined(sections: Sequence[Section]) -> Spots:
    """Sections as one set of spots."""
    number = np.concatenate([np.full(len(one.y), place) for place, one in enumerate(sections)])
    return Spots(
        np.concatenate([one.views for one in sections]),
        np.concatenate([one.y for one in sections]),
        number,
        tuple(one.name for one in sections),
    )


def begun(arm: str, genes: int, start: M2OST | None) -> M2OST:
    """A network for these genes; with `start` everything but the last layer is taken over from it."""
    net = network(arm, genes=genes)
    if start is not None:
        net.load_state_dict({name: tensor for name, tensor in start.state_dict().items() if not name.startswith("head.")}, strict=False)
    return net


def study(start: M2OST | None, seeds: Sequence[int]) -> dict[str, Any]:
    """Train on B4, test on C3 and C4 (another patient), every variant with every seed. DataNotHere where the sections are absent."""
    tables = {name: her2st.read(name) for name in (*her2st.TRAIN, *her2st.TEST)}
    genes = select_genes([tables[name] for name in her2st.TRAIN], GENES)
    genes = tuple(gene for gene in genes if all(gene in table.genes for table in tables.values()))
    made = {name: section_of(table, her2st.picture(name), genes) for name, table in tables.items()}
    train, test = joined([made[name] for name in her2st.TRAIN]), joined([made[name] for name in her2st.TEST])
    found: dict[str, list[Measured]] = {"mean": [measure(np.repeat(train.y.mean(0, keepdims=True), len(test), 0), test.y, test.section)]}
    for variant in ("level0", "scratch", *(["pretrained"] if start is not None else [])):
        for seed in seeds:
            torch.manual_seed(seed)
            net = begun("level0" if variant == "level0" else "full", len(genes), start if variant == "pretrained" else None)
            for _ in training(net, train, seed=seed, schedule=SCHEDULE):
                pass
            found.setdefault(variant, []).append(measure(predict(net, test.views), test.y, test.section))
    return {
        "title": her2st.TITLE, "licence": her2st.LICENCE, "train": list(her2st.TRAIN), "test": list(her2st.TEST), "n_train": len(train), "n_test": len(test),
        "genes": list(genes), "epochs": SCHEDULE.epochs, "rows": {variant: _numbers(runs) for variant, runs in found.items()},
        "best": _best(found.get("pretrained") or found["scratch"], genes),
    }  # fmt: skip


def _numbers(runs: Sequence[Measured]) -> dict[str, dict[str, float]]:
    """Measure → value, low, high; "top" is the mean of the TOP genes that this very arm predicts best, which flatters (chosen on the test)."""
    made = {name: [one.value(name) for one in runs] for name in MEASURES if name not in ("local_pcc", "context_pcc")}
    made["top"] = [float(np.sort(one.by_gene)[-TOP:].mean()) for one in runs]
    metrics = {name: over_seeds(values) for name, values in made.items()}
    return {name: {"value": round(m.value, 4), "low": round(m.low, 4), "high": round(m.high, 4), "n": m.n} for name, m in metrics.items()}


def _best(runs: Sequence[Measured], genes: Sequence[str], count: int = 12) -> list[dict[str, Any]]:
    mean = np.mean([one.by_gene for one in runs], axis=0)
    return [{"gene": genes[place], "pcc": round(float(mean[place]), 3)} for place in np.argsort(-mean)[:count]]


def events(
    train: Spots, test: Spots | None, genes: Sequence[str], *, arm: str, start: M2OST | None, schedule: Schedule, seed: int, device: str
) -> Iterator[Mapping[str, Any]]:
    """One training on real spots as events: {"step", "steps", "loss"} now and then, at last {"network", "measured"}; measured is None without test spots."""
    if arm not in ARMS:
        raise ValueError(f"There is no network called {arm!r}; choose among {', '.join(ARMS)}.")
    torch.manual_seed(seed)
    net = begun(arm, len(genes), start)
    run = training(net, train, seed=seed, schedule=schedule, device=device)
    for event in run:
        yield {"step": event.step, "steps": run.steps, "loss": event.loss}
    net = net.cpu()
    found = None if test is None else measure(predict(net, test.views), test.y, test.section)
    yield {"network": net, "measured": found}
