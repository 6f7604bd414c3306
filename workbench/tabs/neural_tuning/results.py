"""From answers to what the parts draw: the answer with its token strip, what was drawn, sentences, the four requests, files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.parts import html
from workbench.parts.answers import hints, marked, overlap, thumb
from workbench.tabs.neural_tuning.desk import Work
from workbench.tabs.neural_tuning.names import SHORT, TRAINED, spoken
from workbench.tabs.neural_tuning.neurons import strip
from workbench.tabs.neural_tuning.scan import known, mask_of, truth_of

PALE = "color-mix(in srgb, var(--color-accent) 22%, transparent)"


def told(work: Work) -> str:
    """Markup: the answer word by word, and what must be known to read it."""
    answer, truth = work.answer, truth_of(work.scan.picture, work.request)
    said = [f"<span class='lb-hint'>It answers:</span> {spelled(work)}"]
    if truth is not None:
        said.append(f"<b>A true answer:</b> {html.text(truth.answer)}{_due(len(truth.objects))}")
    if not answer.looked:
        said.append("The request asks to draw, so the network was <b>not shown the picture</b>: it answers from the words alone.")
    elif answer.feature is None and not len(answer.outlines):
        said.append("It wrote no task token, so it outlines and draws nothing.")
    if answer.unknown:
        said.append(f"The language model has never met {marked(answer.unknown)}; such a word tells it nothing.")
    if known(work.scan.picture) is None:
        said.append("<b class='lb-bad'>It learned from made-up pictures alone:</b> what it says of a picture from elsewhere means nothing.")
    return hints([*said, setting(work)])


def spelled(work: Work) -> str:
    """Every token of the answer; task tokens stand out and say what came of them."""
    answer, shown = work.answer, []
    for place, word in enumerate(answer.strip):
        if place in answer.marks:
            number = answer.marks[place]
            size = 100 * float(work.masks[number].mean())
            shown.append(
                f"<b style='background:{PALE};padding:1px 5px;border-radius:4px'>{html.text(word)} → outline {number + 1} ({size:.1f} % of the picture)</b>"
            )
        elif word == "<image>":
            shown.append(f"<b style='background:{PALE};padding:1px 5px;border-radius:4px'>{html.text(word)} → a picture</b>")
        else:
            shown.append(html.text(word))
    return " ".join(shown) or "nothing at all"


def setting(work: Work) -> str:
    """Which weights answer, and what differs from how they were trained; safe markup."""
    said = f"Weights that answer: “{html.text(work.predictor.label)}”"
    if not work.predictor.net.layers:
        return f"{said}. It has no neurons, so dials and silencing change nothing."
    now, turned = work.settings, []
    if now.rho is not None:
        turned.append(f"ρ {now.rho:g} (trained at {TRAINED.rho:g})")
    if now.alpha is not None:
        turned.append(f"α {now.alpha:g} (trained at {work.predictor.net.config.alpha:g})")
    if now.dense and not work.predictor.net.config.dense:
        turned.append("all neurons active")
    if now.silenced:
        turned.append(f"silenced: {', '.join(spoken(*one) for one in now.silenced)}")
    return f"{said}, <b>{html.text('; '.join(turned))}</b>: not as it was trained." if turned else f"{said}, as trained."


def drawn(work: Work) -> str:
    """Markup: what "draw" arrived at; nothing where no picture token was written."""
    answer = work.answer
    if answer.feature is None:
        return ""
    painted = _figure(
        thumb(answer.painted, [], "What the small painter makes of the drawn feature", width=128), "By the small painter, 32 × 32"
    )
    near = "".join(
        _figure(thumb(one.picture, [], f"Training phantom: {one.caption}", width=128), f"{html.text(one.caption)}; cosine {one.cosine:.2f}")
        for one in answer.nearest
    )
    about = (
        "The network predicts a picture's <b>feature</b>, not its pixels. Shown are a rough picture by a small painter and the training phantoms whose features "
        "are nearest; the paper's image generator is not in its repository."
    )
    return f"{hints([about])}<div class='lb-board' style='grid-template-columns:repeat(auto-fit,minmax(132px,1fr))'>{painted}{near}</div>"


def card(work: Work, title: str) -> str:
    """Markup: one request with all that came of it, for the board of four."""
    answer = work.answer
    if answer.feature is not None:
        image = thumb(answer.painted, [], f"{title}: by the small painter", width=128) + thumb(
            answer.nearest[0].picture, [], f"{title}: the nearest training phantom", width=128
        )
    else:
        image = thumb(work.scan.pixels, list(work.masks), f"{title}: {len(answer.outlines)} outlines laid over the picture", width=150)
    fired = "" if work.fires is None else strip(work.fires, "Its neurons")
    strange = hints([f"Never met: {marked(answer.unknown)}."]) if answer.unknown else ""
    fit = agreement(work)
    return html.card(title, hints([f"<i>{html.text(work.request)}</i>", spelled(work), *([fit] if fit else [])]), strange, image, fired)


def agreement(work: Work, reference: np.ndarray | None = None) -> str:
    """Overlap of all outlines with what the request means, in words; "" where that is not known."""
    meant = mask_of(work.request)(work.scan)[0] if reference is None else reference
    if meant is None:
        return ""
    return f"Overlap (IoU) with what is meant: {overlap(work.masks.any(0) if len(work.masks) else np.zeros_like(meant), meant):.2f}."


def numbers(work: Work) -> dict[str, Any]:
    """An answer as plain values, for files and programs."""
    answer, fired = work.answer, work.answer.neurons
    return {
        "request": work.request,
        "network": work.predictor.arm,
        "rho": work.settings.rho,
        "alpha": work.settings.alpha,
        "all_active": work.settings.dense,
        "silenced": [spoken(*one) for one in work.settings.silenced],
        "answer": answer.text,
        "tokens": list(answer.strip),
        "outline_of_token": {str(place): number + 1 for place, number in answer.marks.items()},
        "shown_the_picture": answer.looked,
        "unknown_words": list(answer.unknown),
        "drawn_feature": None if answer.feature is None else answer.feature,
        "painted": None if answer.painted is None else np.round(answer.painted, 3),
        "nearest": [{"caption": one.caption, "cosine": one.cosine} for one in answer.nearest],
        "fires": None if work.fires is None else np.round(work.fires, 4),
        "token_of_neurons": [] if fired is None else [str(one) for one in fired.word],
    }  # fmt: skip


def as_rows(work: Work) -> tuple[Sequence[str], list[list[Any]]]:
    """Every token's active neurons as a table for spreadsheets."""
    found = work.answer.neurons
    if found is None:
        return ("token", "kind", "layer", "neuron", "activity"), []
    from models.neural_tuning.sequence import KINDS

    rows = [
        [str(found.word[token]), KINDS[int(found.kind[token])], found.layers[place] + 1, int(neuron) + 1, float(found.a[token, place, neuron])]
        for token, place, neuron in np.argwhere(found.a > 0)
    ]  # fmt: skip
    return ("token", "kind", "layer", "neuron", "activity"), rows


def _due(objects: int) -> str:
    return f" (with {objects} outline{'s' * (objects != 1)})" if objects else ""


def _figure(image: str, words: str) -> str:
    return f"<figure style='margin:0'>{image}<figcaption class='lb-hint'>{words}</figcaption></figure>"


def short(work: Work) -> str:
    """The network's short name, safe."""
    return html.text(SHORT[work.predictor.arm])
