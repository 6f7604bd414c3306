"""From the room's records to what the parts draw: the list of findings, shares by scale, where words looked, occlusion, growth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.hsvlt.findings import FINDINGS, WORDS
from workbench.parts import html
from workbench.parts.charts import Gauge, Heat, Mark, gauges_data, heats_data
from workbench.parts.look_panels import jpeg_url
from workbench.parts.noise_board import Curve, curves_data
from workbench.tabs.hsvlt.desk import Work
from workbench.tabs.hsvlt.scan import own, truth

if TYPE_CHECKING:
    from models.hsvlt.wrapper import Reworded

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
                _short(p),
                text=_per_cent(float(p)),
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
    if work.moved is not None:
        said.append(
            f"Asked for {len(work.answer.names)} of {len(FINDINGS)} findings. Against asking for all, no probability moved by more than "
            f"<b>{_per_cent(work.moved, 4)}</b>."
        )
    if work.silent:
        said.append(
            f"By hand, scale {' and '.join(map(str, work.silent))} adds nothing; no network was trained like this. The experiments below always use all scales."
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
    if not work.predictor.adds_up:
        return {"title": "Shares", "empty": NO_SHARES}
    parts = [(f"Scale {stage}", float(v)) for stage, v in zip(answer.stages, answer.contributions[row], strict=True)]
    parts.append(("The same for every picture (bias)", float(answer.bias[row])))
    reach = max(1.0, *(abs(v) for _, v in parts), abs(float(answer.logit[row])))
    items = [Gauge(label, v, -reach, reach, text=_signed(v), colour=0 if v >= 0 else 1) for label, v in parts]
    total = _signed(answer.logit[row])
    about = (
        f"{WORDS.get(finding, finding)[0].upper()}{WORDS.get(finding, finding)[1:]}. Their sum {total} makes {_per_cent(answer.probability[row])}; "
        "0 would be 50 %. Exact, as the head adds the scales up. Scale 1 is the finest."
    )
    return gauges_data(items, title=f"Which scale decided on “{finding}”", about=about)


def looks(work: Work, finding: str, every_block: bool = False) -> dict[str, Any]:
    """Where the finding's words looked: in the last block of each scale, or in every block in turn."""
    answer, picture = work.answer, work.scan.picture
    if finding not in answer.names:
        return {"title": "Attention", "empty": f"“{finding}” is not among the findings asked for."}
    row = answer.names.index(finding)
    if every_block:
        heats = [
            Heat(
                f"Block {number}, scale {block.stage}",
                block.attention[row],
                note=f"adds {block.fused_size[row]:.2f} to the finding's vector, then {block.label_size[row]:.2f} long; gate {block.gate[row]:.2f}",
            )
            for number, block in enumerate(answer.blocks, 1)
        ]
    else:
        stages = dict.fromkeys(block.stage for block in answer.blocks)
        heats = [Heat(f"Scale {stage}, {_places(answer.attention(stage)[row])}", answer.attention(stage)[row]) for stage in stages]
    about = "Each map has its own colours; its shares sum to 100 %. Attention is where the words looked, not why the answer came out so: take pieces away below."
    return heats_data(picture.url, picture.title, heats, about=about, shared=False)


# ---------------------------------------------------------------------- experiments
def occluded(work: Work, finding: str, patch: int) -> dict[str, Any]:
    """How far the finding's logit falls when a square is blurred, beside where its words looked."""
    picture, answer, predictor = work.scan.picture, work.answer, work.predictor
    if finding not in answer.names:
        return {"title": "Occlusion", "empty": f"“{finding}” is not among the findings asked for."}
    fall = predictor.occlusion(work.prepared, finding, patch=patch, step=patch // 2)
    stage = answer.deciding(finding)
    looked = answer.attention(stage)[answer.names.index(finding)]
    y, x = np.unravel_index(looked.argmax(), looked.shape)
    there, _ = predictor.covered(work.prepared, ((y + 0.5) / looked.shape[0], (x + 0.5) / looked.shape[1]), patch=patch)
    whole = predictor.answer(work.prepared, [finding]).logit[0]
    heats = [
        Heat(f"Where its words looked, scale {stage}", looked),
        Heat("Blurring this lowers the answer", fall.clip(0), note=f"by up to {max(fall.max(), 0):.2f} of the logit"),
        Heat("Blurring this raises the answer", (-fall).clip(0), note=f"by up to {max(-fall.min(), 0):.2f} of the logit"),
    ]
    about = (
        f"A square of {_per_cent(patch / predictor.side)} of the picture's side is blurred, place by place. Blurred where the words looked most, the logit of "
        f"{_signed(whole)} changes by {_signed(there[predictor.names.index(finding)] - whole)}; at the place that lowers it most, by {_signed(-fall.max())}."
    )
    return heats_data(picture.url, picture.title, heats, about=about, shared=False)


def pieces(work: Work, logits: np.ndarray) -> dict[str, Any]:
    """The asked findings' probabilities with a piece blurred; the line is what they were."""
    before = work.predictor.answer(work.prepared)
    items = []
    for name in work.answer.names:
        row = work.predictor.names.index(name)
        after = _share(logits[row])
        items.append(
            Gauge(
                name,
                _short(after),
                text=f"{_per_cent(after)}",
                colour=0 if after >= work.thresholds[name] else 7,
                marks=[Mark("", float(before.probability[row]), 1)],
            )
        )
    return gauges_data(items, title="With this piece blurred", about="The line is the probability for the whole picture.")


def pieced_words(work: Work, finding: str, logits: np.ndarray) -> str:
    """One sentence on the chosen finding."""
    row = work.predictor.names.index(finding)
    before = float(work.predictor.answer(work.prepared, [finding]).probability[0])
    return f"“{finding}” with this piece blurred: {_per_cent(before)} → {_per_cent(_share(logits[row]))}."


def reworded(work: Work, finding: str, told: Reworded) -> dict[str, Any]:
    """The finding asked by its name and in other words."""
    items = [
        Gauge(f"By its name, “{finding}”", _short(told.own), text=_per_cent(told.own)),
        Gauge("In your words", _short(told.probability), text=_per_cent(told.probability), colour=1),
    ]
    about = (
        f"The vector of your words and that of the name have a cosine of {told.cosine:.2f} (1: the same question). Of all findings' names, “{told.nearest}” is "
        "nearest to your words. Words that the small text encoder has never read may lie close to anything."
    )
    return gauges_data(items, title=f"Does “{finding}” follow the words?", about=about)


def reworded_looks(work: Work, finding: str, told: Reworded) -> dict[str, Any]:
    """Where the name and where the other words looked, at the scale that decides."""
    answer, picture = work.answer, work.scan.picture
    if finding not in answer.names:
        return {"title": "Attention", "empty": f"“{finding}” is not among the findings asked for."}
    stage = answer.deciding(finding)
    heats = [
        Heat(f"Its name looked here, scale {stage}", answer.attention(stage)[answer.names.index(finding)]),
        Heat(f"Your words looked here, scale {stage}", told.attention[stage - 1]),
    ]
    return heats_data(picture.url, picture.title, heats, shared=True)


def grown(work: Work, finding: str, seed: int) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The finding alone on a made-up picture, from small to large: probability, what each scale adds, and the pictures."""
    probability, parts, shown = work.predictor.growing(seed, finding, SIZES)
    curve = curves_data(
        [Curve(finding, 0, SIZES, probability)],
        title=f"Probability of “{finding}”, drawn alone",
        x="size, against that of the training pictures",
        y="probability",
    )
    lines = (
        [Curve(f"Scale {stage}", place, SIZES, parts[:, place]) for place, stage in enumerate(work.answer.stages)]
        if work.predictor.adds_up
        else []
    )
    scales = curves_data(
        lines, title="What each scale adds to its logit", x="size, against that of the training pictures", y="logit", empty=NO_SHARES
    )
    rows = []
    for size, p, share, pixels in zip(SIZES, probability, parts, shown, strict=True):
        figure = (
            f'<img src="{jpeg_url(np.repeat(pixels[..., None], 3, 2))}" alt="{html.text(finding)} at {size:g} times its size" width="96">'
        )
        rows.append([figure, f"× {size:g}", _per_cent(float(p)), *(_signed(v) for v in share)])
    return curve, scales, html.table(["Picture", "Size", "Probability", *(f"Scale {stage}" for stage in work.answer.stages)], rows)


def semantics(work: Work, finding: str) -> str:
    """How near the findings' vectors lie to each other and to the chosen one's: as their words give them, and after each scale has seen the picture."""
    names, answer = work.answer.names, work.answer
    if len(names) < 2:
        return "<p class='lb-hint'>Ask for at least two findings to compare their vectors.</p>"
    steps = ["from the words", *(f"after scale {place}" for place in range(1, len(answer.similarity)))]
    upper = np.triu_indices(len(names), 1)
    rows = []
    for place, cosines in enumerate(answer.similarity):
        values = cosines[upper]
        best = int(values.argmax())
        pair = f"{names[upper[0][best]]} and {names[upper[1][best]]}"
        block = [one for one in answer.blocks if one.stage == place][-1] if place else None
        gate = "–" if block is None else f"{float(block.gate.mean()):.2f}"
        rows.append([steps[place], _signed(values.mean()), html.text(pair), gate])
    tables = html.table(["Findings' vectors", "Mean cosine", "Nearest pair", "Mean size of the gate"], rows)
    if finding not in names:
        return tables
    row = names.index(finding)
    others = [
        [html.text(name), *(_signed(cosines[row, other]) for cosines in answer.similarity)]
        for other, name in enumerate(names)
        if other != row
    ]
    return tables + html.table([f"Cosine with “{html.text(finding)}”", *steps], others)


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


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _per_cent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _share(logit: float) -> float:
    """The probability that a logit stands for."""
    return float(1 / (1 + np.exp(-float(logit))))


def _short(probability: float) -> float:
    """With the digits a gauge can show: a screen reader is told 0, not 1e-8."""
    return round(float(probability), 4)


def _places(values: np.ndarray) -> str:
    return f"{values.shape[0]}×{values.shape[1]} places"
