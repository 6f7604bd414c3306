"""From the room's records to what the page shows: three pseudo-labels, what the temperatures do, maps, the prototype board, one pixel's bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.parts import html
from workbench.parts.charts import Group, Heat, Point, Series, bars_data, heats_data, scatter_data
from workbench.parts.outline_measures import measures
from workbench.tabs.semsim import drawn
from workbench.tabs.semsim.desk import Work
from workbench.tabs.semsim.names import PSEUDO, SHORT, plain
from workbench.tabs.semsim.scan import is_heart, structures
from workbench.working_scan import resized_mask

if TYPE_CHECKING:
    from models.semsim.results import Affinity, PseudoLabel, Similarity

NO_FEATURES = "This network was trained without SemSim's fusion module: it has no features that similarities could be taken of. Choose SemSim as the network."
MOST_POINTS = 400


def notice(work: Work) -> str:
    """What a reader must know of this answer: which labels it learned from, and whether the picture is of a kind it knows."""
    predictor, said = work.predictor, []
    if predictor.kind == "phantom" and not is_heart(work.scan.picture.shown):
        said.append(
            "<b class='lb-bad'>This network learned from made-up heart slices, and this is another picture:</b> what it outlines here means nothing."
        )
    one = "slice" if predictor.kind == "phantom" else "picture"
    said.append(
        f"{html.text(SHORT.get(predictor.arm, predictor.arm))}, trained with <b>{predictor.labelled}</b> labelled {one}{'s' * (predictor.labelled > 1)}."
    )
    return "".join(f"<p class='lb-hint' role='status'>{sentence}</p>" for sentence in said)


# ---------------------------------------------------------------------- pseudo-labels
def pseudo_labels(work: Work, show_truth: bool) -> str:
    """The three pseudo-labels side by side with what tau keeps, and the truth where it is known and wanted."""
    known = structures(work.scan) if work.predictor.kind == "phantom" else None
    seen = work.prepared.seen
    figures = [_pseudo(one, seen, known, work) for one in work.result.pseudo]
    if known is not None and show_truth:
        figures.append(
            drawn.figure(
                drawn.overlay(seen, resized_mask(known, seen.shape[:2])),
                "The true structures",
                "<b>The truth</b> <small>As the phantom was drawn.</small>",
            )
        )
    left_out = "" if len(work.result.pseudo) == 3 else f"<p class='lb-hint'>{html.text(NO_FEATURES)}</p>"
    hatched = f"<p class='lb-hint'>Hatched: less sure than tau = {work.options.tau:g}, so it would teach nothing.</p>"
    return f"{drawn.legend(work.predictor.structures)}<div class='lb-figures'>{''.join(figures)}</div>{hatched}{left_out}{literal(work)}"


def _pseudo(one: PseudoLabel, seen: np.ndarray, known: np.ndarray | None, work: Work) -> str:
    title, about = PSEUDO[one.name]
    caption = f"<b>{title}</b> <small>{about}</small>Kept: <b>{_share(one.kept_fraction)}</b> of the pixels."
    if known is not None:
        caption += f"<small>{overlap(one, known, work.predictor.structures)}</small>"
    words = f"{title}: {_share(one.kept_fraction)} of the pixels kept"
    return drawn.figure(drawn.overlay(seen, one.labels, one.kept), words, caption)


def overlap(one: PseudoLabel, known: np.ndarray, names: Sequence[str]) -> str:
    """Dice of each structure against the truth at the pseudo-label's own size, and how many of the kept pixels are right."""
    true = resized_mask(known, one.labels.shape)
    parts = []
    for number, name in enumerate(names, 1):
        got, want = one.labels == number, true == number
        if want.any():
            parts.append(f"{html.text(plain(name))} {2 * (got & want).sum() / (got.sum() + want.sum()):.2f}")
    right = f" Of the kept pixels {_share(float((one.labels == true)[one.kept].mean()))} are right." if one.kept.any() else ""
    return f"Dice: {', '.join(parts)}.{right}"


def literal(work: Work) -> str:
    """Whether the temperature of the prototypes lets anything pass tau, in numbers."""
    third = next((one for one in work.result.pseudo if one.bound is not None), None)
    if third is None:
        return ""
    count, t = len(work.predictor.classes), work.options.t_cr
    if third.bound < work.options.tau:
        return (
            f"<p class='lb-warning' role='note'><b>Nothing can be kept at this temperature.</b> Features are never negative, so similarities (cosines) lie between 0 and 1. "
            f"With {count} classes and temperature {t:g} no pixel can be surer than {third.bound:.3f}, and tau asks for {work.options.tau:g}: the cross-image "
            f"loss is exactly 0.{' This is the equation as the paper prints it.' if t == 1 else ''} Lower the temperature and pixels come back.</p>"
        )
    return f"<p class='lb-hint'>At temperature {t:g} the labelled slices can make a pixel at most {third.bound:.3f} sure; tau asks for {work.options.tau:g}.</p>"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %" if value == 0 or value >= 0.005 else "under 1 %"


# ---------------------------------------------------------------------- maps
def maps(work: Work) -> dict[str, Any]:
    """Agreement of the labelled pictures, the three confidences, and what spreading changed."""
    result, picture = work.result, work.scan.picture
    if result.agreement is None:
        return {"title": "Maps", "empty": NO_FEATURES}
    heats = [Heat(f"Confidence, {PSEUDO[one.name][0].lower()}", one.confidence) for one in result.pseudo]
    alone = " With one labelled slice they always agree." if work.predictor.labelled == 1 else ""
    heats.append(Heat("Agreement of the labelled pictures", result.agreement, f"mean {result.agreement.mean():.2f}.{alone}"))
    heats.append(Heat("What spreading changed", result.rectified.changed.astype(np.float32), rectified(work)))
    about = (
        "Dark to bright: 0 to 1. Agreement weighs the cross-image loss: where labelled pictures contradict each other it teaches little."
    )
    return heats_data(picture.url, picture.title, heats, title="Confidence, agreement, correction", about=about)


def rectified(work: Work) -> str:
    """In words."""
    found = work.result.rectified
    changed = int(found.changed.sum())
    if not changed:
        return "nothing changed"
    told = [_counted(found.holes_filled, "hole", "filled", "opened"), _counted(found.islands_removed, "island", "removed", "added")]
    return f"{changed} of {found.changed.size} pixels" + "".join(f", {one}" for one in told if one)


def _counted(n: int, word: str, less: str, more: str) -> str:
    return "" if not n else f"{abs(n)} {word}{'s' * (abs(n) > 1)} {less if n > 0 else more}"


def scatter(work: Work) -> dict[str, Any]:
    """Features of the labelled pictures and of this one in their two main directions, with how far their clouds lie apart."""
    title = "Do labelled and unlabelled pixels share their clusters?"
    if not work.predictor.looks_inside:
        return {"title": title, "empty": NO_FEATURES}
    found = work.predictor.scatter(work.prepared, limit=MOST_POINTS)
    names = [plain(name) for name in work.predictor.classes]
    groups, place = [], {}
    for labelled in (True, False):
        for number in sorted({int(c) for c in found.classes}):
            place[labelled, number] = len(groups)
            groups.append(
                Group(f"{names[number]}, {'labelled' if labelled else 'this picture'}", number, "circle" if labelled else "cross")
            )
    points = [
        Point(float(x), float(y), place[bool(labelled), int(c)], names[int(c)])
        for (x, y), c, labelled in zip(found.points, found.classes, found.labelled, strict=True)
    ]
    gaps = "; ".join(f"{names[c]} {gap:.2f}" for c, gap in found.gaps.items())
    about = (
        f"Each point is one feature, seen from its two main directions ({100 * sum(found.explained):.0f} % of the spread). "
        f"How far the clouds of labelled slices and this picture lie apart, 0 together, 1 apart: {gaps or 'too few points to say'}."
    )
    return scatter_data(groups, points, title=title, about=about)


# ---------------------------------------------------------------------- one pixel
def row_words(row: Affinity, temperature: float, classes: Sequence[str]) -> str:
    """One affinity row, in words."""
    most = int(np.argmax(row.by_class))
    even = 1 / row.row.size
    return (
        f"At temperature {temperature:g} this pixel listens most to pixels that are answered as {plain(classes[most])} ({100 * row.by_class[most]:.0f} % of its "
        f"weight). The brightest one has {row.row.max() / even:.1f} times an even share; evenness {row.entropy:.2f} (1: it listens to all pixels alike)."
    )


def pixel_bars(said: Similarity, classes: Sequence[str], t_cr: float) -> dict[str, Any]:
    """What the labelled pictures say of one pixel: cosines for each picture and class, and what the query makes of them."""
    names = [plain(name) for name in classes]
    series = [Series("Together: probability", 0, [float(p) for p in said.probability])]
    for number, values in enumerate(said.values, 1):
        series.append(Series(f"Likeness to slice {number}", number, [0.0 if math.isnan(v) else max(0.0, float(v)) for v in values]))
    fell = [f"{names[k]} (slice {j + 1})" for j, k in zip(*np.nonzero(said.fell_back), strict=True)]
    digest = f"Agreement {said.agreement:.2f}." + (f" Not in this cell, so the whole slice stands in: {', '.join(fell)}." if fell else "")
    about = f"Cosine of this pixel's feature and each class's prototype in cell row {said.cell[0] + 1}, column {said.cell[1] + 1}; together at temperature {t_cr:g}."
    return bars_data(names, series, title="What the labelled slices say of this pixel", about=about, digest=digest)


def board(work: Work, cell: tuple[int, int] | None) -> str:
    """The labelled slices with their local prototypes."""
    predictor = work.predictor
    if not predictor.looks_inside:
        return f"<p class='lb-hint'>{html.text(NO_FEATURES)}</p>"
    found = predictor.board(work.options.cells)
    slices = min(4, len(found.pictures))
    drawing = drawn.board(
        found.pictures[:slices], found.masks[:slices], found.local[:slices], found.present[:slices], predictor.structures, cell
    )
    more = f" {len(found.pictures) - slices} more are not shown." if len(found.pictures) > slices else ""
    about = (
        "A dot for each class in each cell: full where the cell has a prototype of its own, hollow where the whole slice's stands in. Grey is the "
        f"background. Yellow: the cell of the pixel you pointed at.{more}"
    )
    return f"<p class='lb-hint'>{about}</p><div class='lb-figures'>{drawing}</div>"


# ---------------------------------------------------------------------- files
def numbers(work: Work) -> dict[str, Any]:
    """The answer as plain values, for files and programs."""
    result, options = work.result, work.options
    return {
        "network": work.predictor.arm,
        "labelled": work.predictor.labelled,
        "options": vars(options).copy(),
        "kept": {one.name: round(one.kept_fraction, 5) for one in result.pseudo},
        "agreement": None if result.agreement is None else round(float(result.agreement.mean()), 5),
        "regions": [
            {"structure": name, "pixels": one.pixels, "area": one.area, "longest": one.longest, "across": one.across, "unit": one.unit}
            for name, one in measures(work.scan, work.segments())
        ],
    }
