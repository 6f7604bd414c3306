"""From the room's records to what the parts draw: the list of findings, shares by scale, where words looked, occlusion, growth."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.hsvlt.findings import WORDS
from workbench.parts import html
from workbench.parts.charts import Gauge, Heat, Mark, gauges_data, heats_data
from workbench.parts.look_panels import jpeg_url
from workbench.tabs.hsvlt.desk import Work
from workbench.tabs.hsvlt.scan import own, truth

SIZES = (0.5, 0.75, 1.0, 1.4, 1.8, 2.4)
NO_SHARES = "The decoder along the list mixes the scales, so no share of a single scale can be told."


def listed(work: Work) -> dict[str, Any]:
    """Every asked finding with its probability and threshold."""
    known = truth(work.scan.picture.shown)
    items = []
    for name, p in zip(work.answer.names, work.answer.probability, strict=True):
        there = "" if known is None else " · is there" if name in known else " · is not there"
        items.append(
            Gauge(
                f"{name}{there}",
                float(p),
                text=f"{100 * p:.0f} %",
                colour=0 if p >= work.thresholds[name] else 7,
                marks=[Mark("", work.thresholds[name], 1)],
            )
        )
    about = "Each finding by itself, so the shares need not add up to one. The line is the probability from which it is reported."
    return gauges_data(items, title="Findings", about=about)


def verdict(work: Work) -> str:
    """What is reported, whether that is right where it is known, and warnings."""
    said = [
        f"Reported: <b>{html.text(', '.join(work.reported))}</b>." if work.reported else "<b>Nothing is reported</b> at these thresholds."
    ]
    known = truth(work.scan.picture.shown)
    if known is not None:
        asked = [name for name in known if name in work.answer.names]
        missed = [name for name in asked if name not in work.reported]
        extra = [name for name in work.reported if name not in known]
        said.append(
            f"This phantom truly has: {html.text(', '.join(known) or 'nothing')}."
            + (f" Missed: {html.text(', '.join(missed))}." if missed else "")
            + (f" Reported wrongly: {html.text(', '.join(extra))}." if extra else "")
            + (" All right." if not missed and not extra else "")
        )
    if not own(work.scan.picture.shown):
        said.append(
            "<b class='lb-bad'>It learned from made-up chest pictures alone:</b> what it reports on a picture from elsewhere means nothing."
        )
    return "".join(f"<p class='lb-hint'>{sentence}</p>" for sentence in said)


def shares(work: Work, finding: str) -> dict[str, Any]:
    """What each scale adds to a finding's logit: with the bias they sum to it exactly."""
    answer = work.answer
    if finding not in answer.names:
        return {"title": "Shares", "empty": f"“{finding}” is not among the findings asked for."}
    row = answer.names.index(finding)
    if not answer.contributions.any():
        return {"title": "Shares", "empty": NO_SHARES}
    parts = [(f"Scale {stage}", float(v)) for stage, v in zip(answer.stages, answer.contributions[row], strict=True)]
    parts.append(("The same for every picture (bias)", float(answer.bias[row])))
    reach = max(1.0, *(abs(v) for _, v in parts), abs(float(answer.logit[row])))
    items = [Gauge(label, v, -reach, reach, text=f"{v:+.2f}".replace("-", "−"), colour=0 if v >= 0 else 1) for label, v in parts]
    total = f"{answer.logit[row]:+.2f}".replace("-", "−")
    about = (
        f"{WORDS.get(finding, finding)[0].upper()}{WORDS.get(finding, finding)[1:]}. Their sum {total} makes {100 * answer.probability[row]:.0f} %; "
        "0 would be 50 %. Exact, as the head adds the scales up. Scale 1 is the finest."
    )
    return gauges_data(items, title=f"Which scale decided on “{finding}”", about=about)


def looks(work: Work, finding: str) -> dict[str, Any]:
    """Where the finding's words looked, in the last block of each scale."""
    answer, picture = work.answer, work.scan.picture
    if finding not in answer.names:
        return {"title": "Attention", "empty": f"“{finding}” is not among the findings asked for."}
    row = answer.names.index(finding)
    stages = dict.fromkeys(block.stage for block in answer.blocks)
    heats = [
        Heat(f"Scale {stage}, {answer.attention(stage).shape[1]}×{answer.attention(stage).shape[2]} places", answer.attention(stage)[row])
        for stage in stages
    ]
    about = "Each map has its own colours; its shares sum to 100 %. Attention is where the words looked, not why the answer came out so: check it by occlusion."
    return heats_data(picture.url, picture.title, heats, about=about, shared=False)


def occluded(work: Work, finding: str) -> dict[str, Any]:
    """How far the finding's logit falls when a square is blurred away."""
    picture = work.scan.picture
    fall = work.predictor.occlusion(work.prepared, finding)
    heats = [Heat("Taking it away lowers the answer", fall.clip(0)), Heat("Taking it away raises the answer", (-fall).clip(0))]
    about = f"A square of an eighth of the picture's side is blurred, place by place; the strongest fall is {fall.max():.2f} of the logit."
    return heats_data(picture.url, picture.title, heats, about=about, shared=True)


def grown(work: Work, finding: str, seed: int) -> str:
    """The finding alone on a made-up picture, from small to large."""
    probability, parts, shown = work.predictor.growing(seed, finding, SIZES)
    rows = []
    for size, p, share, pixels in zip(SIZES, probability, parts, shown, strict=True):
        figure = (
            f'<img src="{jpeg_url(np.repeat(pixels[..., None], 3, 2))}" alt="{html.text(finding)} at {size:g} times its size" width="96">'
        )
        rows.append([figure, f"× {size:g}", f"{100 * p:.0f} %", *(f"{v:+.2f}".replace("-", "−") for v in share)])
    return html.table(["Picture", "Size", "Probability", *(f"Scale {stage}" for stage in work.answer.stages)], rows)


def semantics(work: Work) -> str:
    """How near the findings' vectors lie to each other: as their words give them, and after each scale has seen the picture."""
    names = work.answer.names
    if len(names) < 2:
        return "<p class='lb-hint'>Ask for at least two findings to compare their vectors.</p>"
    rows = []
    upper = np.triu_indices(len(names), 1)
    for place, cosines in enumerate(work.answer.similarity):
        values = cosines[upper]
        best = int(values.argmax())
        pair = f"{names[upper[0][best]]} and {names[upper[1][best]]}"
        block = [one for one in work.answer.blocks if one.stage == place][-1] if place else None
        gate = "–" if block is None else f"{float(block.gate.mean()):.2f}"
        rows.append(
            ["from the words" if not place else f"after scale {place}", f"{values.mean():+.2f}".replace("-", "−"), html.text(pair), gate]
        )
    return html.table(["Findings' vectors", "Mean cosine", "Nearest pair", "Mean size of the gate"], rows)


def numbers(work: Work) -> dict[str, Any]:
    """The answer as plain values, for files and programs."""
    answer = work.answer
    return {
        "network": work.predictor.arm,
        "findings": [
            {
                "finding": name,
                "probability": float(answer.probability[row]),
                "threshold": work.thresholds[name],
                "reported": name in work.reported,
                "logit": float(answer.logit[row]),
                "bias": float(answer.bias[row]),
                "by_scale": {str(stage): float(v) for stage, v in zip(answer.stages, answer.contributions[row], strict=True)},
            }
            for row, name in enumerate(answer.names)
        ],
    }
