"""An answer of the room as the parts draw it: bars, a table of changes, panels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from models.medfocusclip.answers import Answer, PaletteTest, Removal, View
from workbench.parts import html
from workbench.parts.charts import Box, Mark, Series, bars_data, boxes_data
from workbench.parts.look_panels import Panel, in_square, look_data
from workbench.tabs.medfocusclip.names import COLOUR, OURS, SHORT

if TYPE_CHECKING:
    from models.medfocusclip.wrapper import MedFocus

TITLE = "How probable each class is, by how CLIP was shown the region"
NOTHING = "No segment is counted in: there is nothing to paint or to point at, so these answers are those of the plain scan."


def bars(answer: Answer, *, truth: int | None = None, seq: int | None = None) -> dict[str, Any]:
    """Data of the probability bars. truth: a phantom's own class. seq: the click that they answer."""
    series = [Series(_label(mode), COLOUR[mode], view.probabilities.tolist()) for mode, view in answer.views.items()]
    return bars_data(answer.classes, series, title=TITLE, truth=truth, digest=digest(answer), seq=seq)


def digest(answer: Answer) -> str:
    """One sentence: who says what."""
    said: dict[str, list[str]] = {}
    for mode, view in answer.views.items():
        said.setdefault(answer.classes[view.answer], []).append(SHORT[mode])
    if len(said) == 1:
        (name,) = said
        return f"All of them say {name}." if len(answer.views) > 1 else f"It says {name}."
    return "; ".join(f"{', '.join(modes)}: {name}" for name, modes in said.items()) + "."


def changes(answer: Answer) -> str:
    """Markup: each way's answer, how the plain answer's probability moved, how unsure it is, how much attention lies in the region."""
    plain = answer.views.get("plain")
    top = math.log2(len(answer.classes))
    head = [
        "",
        "Says",
        "Probability of plain CLIP's answer",
        f"Unsure by (0 to {top:.1f} bits)",
        "Attention inside the region",
        "Answered by",
    ]
    even = float(answer.region_share.mean())
    rows = [
        [
            html.text(_label(mode)),
            html.text(said(answer, view)),
            _moved(plain, view),
            f"{view.entropy:.2f}",
            _inside(view, even) if answer.focus else "–",
            html.text(view.weights),
        ]
        for mode, view in answer.views.items()
    ]
    notes = [] if answer.focus else [NOTHING]
    if answer.hidden_text:
        notes.append(f"{len(answer.hidden_text)} places that look like burnt-in text were painted over first.")
    if answer.focus:
        notes.append(
            f"Attention is CLIP's class token over all layers (rollout); {percent(even)} of the patches lie in the region, so that much would fall in by chance."
        )
    return html.table(head, rows) + "".join(f"<p class='lb-hint'>{html.text(note)}</p>" for note in notes)


def panels(answer: Answer, rooms: MedFocus) -> dict[str, Any]:
    """Data of the panels: what CLIP was shown, and its attention."""
    side = next(iter(answer.views.values())).clip_input.shape[0]
    region = in_square(answer.region, answer.seen_box, side) if answer.focus else None
    made = [
        Panel(
            id=mode,
            label=SHORT[mode],
            colour=COLOUR[mode],
            seen=view.clip_input,
            attention=view.attention,
            rollout=view.rollout,
            mass=view.mass,
            rollout_mass=view.rollout_mass,
            answer=said(answer, view),
            note=OURS if mode == "attention" else "",
            full=view.picture,
            seen_box=rooms.clip.seen_box(*view.picture.shape[:2]),
        )
        for mode, view in answer.views.items()
    ]
    return look_data(made, region=region, share=answer.region_share)


def removals(found: Sequence[Removal], names: Sequence[str], classes: Sequence[str]) -> str:
    """Markup: segments ranked by what the painted answer loses or gains without them."""
    head = ["Without", "Answer moves by", "It then says", "Biggest change"]
    rows = []
    for one in found:
        step = one.after - one.before
        most = int(np.abs(step).argmax())
        now = int(one.after.argmax())
        flips = "" if now == int(one.before.argmax()) else ' <span class="lb-bad">another answer</span>'
        meter = f'<span class="lb-meter" aria-hidden="true"><i style="width:{100 * one.change:.1f}%"></i></span> {percent(one.change)}'
        rows.append(
            [
                html.text(names[one.index]),
                meter,
                f"{html.text(classes[now])} ({percent(one.after[now])}){flips}",
                f"{html.text(classes[most])} {points(step[most])}",
            ]
        )
    return html.table(head, rows)


def palette_boxes(found: PaletteTest) -> dict[str, Any]:
    """Data of the box plot: each class's probability under other random colours."""
    rows = [
        Box(
            name,
            found.probabilities[:, place].tolist(),
            COLOUR["painted"],
            (Mark("Plain CLIP", float(found.plain[place]), COLOUR["plain"]),),
        )
        for place, name in enumerate(found.classes)
    ]
    n = len(found.seeds)
    about = (
        f"{percent(found.agreement)} of {n} random palettes give the same answer; the colours alone move a probability by up to "
        f"{100 * float(found.spread.max()):.0f} points. Colours carry no meaning, so wide boxes are a weakness of painting."
    )
    return boxes_data(rows, title=f"The same segments in {n} random palettes", about=about, values_title="one palette")


def said(answer: Answer, view: View) -> str:
    """The most probable class and its probability."""
    return f"{answer.classes[view.answer]} {percent(view.probabilities[view.answer])}"


def percent(value: float) -> str:
    """A share in words; small ones keep a decimal."""
    value = float(value)
    if not math.isfinite(value):
        return "–"
    return f"{100 * value:.1f} %" if value < 0.0995 else f"{100 * value:.0f} %"


def points(step: float) -> str:
    """A change of a probability, in percentage points, with an arrow."""
    rounded = round(100 * float(step), 1)
    if rounded == 0:
        return "no change"
    arrow = "▲ +" if rounded > 0 else "▼ −"
    return f"{arrow}{abs(rounded):.1f} points"


def numbers(answer: Answer) -> Mapping[str, Any]:
    """Everything in numbers, for the files people take along."""
    return {
        "classes": answer.classes,
        "texts": answer.prompts,
        "region_pixels": int(answer.region.sum()) if answer.focus else 0,
        "ways": {
            mode: {
                "probabilities": view.probabilities,
                "uncertainty_bits": view.entropy,
                "attention_inside_rollout": view.rollout_mass,
                "attention_inside_by_layer_and_head": view.mass,
                "answered_by": view.weights,
            }
            for mode, view in answer.views.items()
        },
    }


def _label(mode: str) -> str:
    return f"{SHORT[mode]} (ours)" if mode == "attention" else SHORT[mode]


def _moved(plain: View | None, view: View) -> str:
    if plain is None:
        return "–"
    before, after = float(plain.probabilities[plain.answer]), float(view.probabilities[plain.answer])
    return percent(after) if view is plain else f"{percent(after)} <small>{points(after - before)}</small>"


def _inside(view: View, even: float) -> str:
    if not math.isfinite(view.rollout_mass):
        return "– <small>another frame</small>"
    times = f" <small>{view.rollout_mass / even:.1f} × chance</small>" if 0 < even < 0.999 else ""
    return f"{percent(view.rollout_mass)}{times}"
