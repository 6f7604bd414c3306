"""From readings to what the parts draw: verdict bars, sentences, the heads' gates, what a head listens to, the walk along the dial, files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from models.shared.backbones.language.spec import BOS
from workbench.parts import answers, html
from workbench.parts.answers import hints, marked, overlap
from workbench.parts.charts import Series, bars_data
from workbench.parts.notes import spoken_verdict, told_truth
from workbench.parts.outline_measures import amount, measures
from workbench.parts.word_shares import word_shares
from workbench.tabs.mit.desk import Work
from workbench.tabs.mit.names import NOTES, PARTS, SHORT, TERMS, twin
from workbench.tabs.mit.scan import known, label_of, truth_of_note

if TYPE_CHECKING:
    from models.mit.config import Config

GATE, LEVEL, COSINE, DELTA = "gate", "level", "cosine", "delta"
VIEWS = (("Gate g", GATE), ("Learned part σ(L)", LEVEL), ("Cosine part", COSINE), ("Gate: other picture − this one", DELTA))
ABOUT = {
    GATE: "How far each head lets the picture change its keys and values: 0 not at all, 1 fully. g = σ(L + cosine).",
    LEVEL: "What each head learned, whatever the picture: σ(L). Training begins at 0.73 everywhere.",
    COSINE: "How much the head's values of this text resemble what the picture would add to them, −1 to 1.",
    DELTA: "How the gates change when the language model is told of the other picture.",
}
NO_GATES = "No layer of this network is infused as it is set, so it has no gates."
NO_OTHER = "Press “Swap the picture” above first; then this shows what the other picture changes."
HEAT_CSS = (
    "#mit_head .wrap { display: grid !important; grid-template-columns: repeat(%d, minmax(0, 1fr)); } "
    "#mit_head label { justify-content: center; min-width: 0; border-radius: 8px !important; } "
    "#mit_head label:has(input:checked) { outline: 2px solid var(--body-text-color); outline-offset: 1px; font-weight: 700; }"
)
ALWAYS = "Nothing of the picture gets into this network, so neither picture nor dial changes its answer."
DIALS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)


# ---------------------------------------------------------------------- the note
def bars(work: Work) -> dict[str, Any]:
    """Each verdict's probability: as set, told of the picture itself where another one is told of, and the language model alone."""
    from models.mit.wrapper import VERDICTS

    alone = Series("Language model alone", 2, _floats(work.own.alone), "its own forward pass, without infusion, under the same head")
    series = [Series("With this picture", 0, _floats(work.own.probability)), alone]
    if work.swapped:
        series.insert(1, Series("With the other picture", 1, _floats(work.reading.probability)))
    truth = truth_of_note(work.scan.picture, work.text)
    names = [f"The note {spoken_verdict(name)}" for name in VERDICTS]
    made = bars_data(
        names,
        series,
        title="Does the note fit the picture?",
        truth=VERDICTS.index(truth[0]) if truth else None,
        digest=dial(work),
    )
    return made | {"truth_word": "(true)", "classes_title": "Verdict"}


def dial(work: Work) -> str:
    """What the dial does to this answer, in plain text."""
    config = work.predictor.config(work.task, work.settings.parts)
    if config.prepend:
        return "This network has no dial: it reads the picture as tokens put before the text."
    if not config.layers:
        return ALWAYS
    apart = float(np.abs(work.reading.probability - work.reading.alone).max())
    if work.settings.strength == 0:
        same = "exactly the answer of" if apart == 0 else f"within {apart:.1e} of"
        return f"Dial at 0: this is {same} the language model alone."
    return f"Dial at {work.settings.strength:g}: up to {100 * apart:.1f} points away from the language model alone."


def verdict(work: Work) -> str:
    """The verdict in a sentence, the truth where it is known, and warnings."""
    from models.mit.wrapper import VERDICTS
    from models.shared.data.phantoms.note_reading import unknown_words

    said_now = VERDICTS[int(work.own.probability.argmax())]
    said = [f"<b>The note {html.text(spoken_verdict(said_now))}</b>, says the network."]
    truth = truth_of_note(work.scan.picture, work.text)
    if truth is not None:
        said.append(told_truth(truth, said_now))
    if work.swapped:
        other = VERDICTS[int(work.reading.probability.argmax())]
        moved = 100 * float(np.abs(work.reading.probability - work.own.probability).sum()) / 2
        title = html.text(label_of(work.other.picture.shown) or work.other.picture.title)
        said.append(
            f"Told of the other picture ({title}) with the same note, it says: the note {html.text(spoken_verdict(other))}; {moved:.0f} % of the probability moved."
        )
    strange = list(dict.fromkeys([*unknown_words(work.text), *work.reading.unknown]))
    if strange:
        said.append(f"Words that no training note held: {marked(strange)}. What the network makes of them is chance.")
    drawn = known(work.scan.picture)
    if drawn is None:
        said.append("<b class='lb-bad'>It learned from made-up pictures alone:</b> its verdict on a picture from elsewhere means nothing.")
    elif len(drawn.lesions) != 1:
        said.append(
            f"This picture has {len(drawn.lesions)} lesions; notes were learned beside pictures with one, so the truth is not known here."
        )
    return hints([*said, weights(work)])


def weights(work: Work) -> str:
    """Which weights answer, what is left out of them by hand, and whether a network trained that way ships."""
    parts, config = work.settings.parts, work.predictor.config(work.task, work.settings.parts)
    whole = work.predictor.config(work.task)
    said = f"Weights that answer: “{html.text(work.predictor.label)}”"
    if work.instead:
        said += f", as “{html.text(SHORT.get(work.settings.network, work.settings.network))}” was not trained for this question"
    if config == whole:
        return f"{said}."
    left = [
        label.lower() if label[0] != "L" else label for label, name in (*PARTS, *TERMS) if getattr(whole, name) and not getattr(parts, name)
    ]
    left += [f"layer {number}" for number in whole.layers if parts.layers is not None and number not in parts.layers]
    trained = twin(work.task, config)
    if not config.layers:
        after = "Nothing is infused any more: this is the language model alone."
    else:
        after = (
            f"A network trained exactly so ships: choose “{html.text(SHORT[trained])}”." if trained else "No network was trained like this."
        )
    return f"{said}, <b>without {html.text(', '.join(left))}</b>, left out by hand. {after}"


# ---------------------------------------------------------------------- the phrase
def outline_verdict(work: Work) -> str:
    """What is outlined, what swapping changed, which words are unknown, which weights answer."""
    found = measures(work.scan, work.segments())
    highest = 100 * float(work.reading.probability.max(initial=0))
    if found:
        total = sum(one.area for _, one in found)
        said = [
            f"<b>Outlined:</b> {len(found)} region{'s' * (len(found) != 1)}, together {amount(total)} {found[0][1].unit}²; the highest probability is {highest:.0f} %."
        ]
    else:
        said = [f"<b>Nothing is outlined:</b> no probability is above your threshold; the highest is {highest:.0f} %."]
    said.append(html.text(dial(work)))
    if work.swapped:
        shared = overlap(work.mask, work.outlined(work.own))
        said.append(
            f"The language model is told of the other picture; the outline is still drawn on this one. It shares {100 * shared:.0f} % of its area with the outline when told of this one."
        )
    if work.reading.unknown:
        said.append(f"The language model has never met {marked(work.reading.unknown)}; such a word tells it nothing.")
    if known(work.scan.picture) is None:
        said.append(
            "<b class='lb-bad'>It learned from made-up pictures alone:</b> what it outlines on a picture from elsewhere means nothing."
        )
    return hints([*said, weights(work)])


def thumb(work: Work) -> str:
    """Markup: the outline over the picture that the language model is told of, small."""
    return answers.thumb(work.scan.pixels, [work.outlined(work.own)], f"{SHORT[work.predictor.arm]}: the outline laid over the picture")


# ---------------------------------------------------------------------- the heads
def gates(work: Work, view: str, chosen: str | None) -> list[Any]:
    """(markup with the colours of the cells, the cells as a choice of one head)."""
    layers, hidden = work.reading.layers, gr.Radio(choices=[], value=None, visible=False)
    if not layers:
        return [f"<p class='lb-hint'>{NO_GATES}</p>", hidden]
    if view == DELTA and not work.swapped:
        return [f"<p class='lb-hint'>{NO_OTHER}</p>", hidden]
    values = {GATE: work.reading.gate, LEVEL: work.reading.level, COSINE: work.reading.cosine, DELTA: work.reading.gate - work.own.gate}[
        view
    ]
    heads = values.shape[1]
    signed = view in (COSINE, DELTA)
    low, high = (0.0, float(np.abs(values).max())) if signed else (float(values.min()), float(values.max()))
    strength = (np.abs(values) if signed else values - low) / max(high - low, 1e-9)
    cells = [
        (f"Layer {layer} · head {head + 1}: {_number(values[row, head], signed)}", f"{layer}:{head}")
        for row, layer in enumerate(layers)
        for head in range(heads)
    ]
    dyes = "".join(
        f"#mit_head label:nth-of-type({place + 1}) {{ background: color-mix(in srgb, {_dye(v)} {8 + 47 * s:.0f}%, transparent) !important; }}"
        for place, (v, s) in enumerate(zip(values.ravel(), strength.ravel(), strict=True))
    )
    scale = (
        "Strongest colour: largest amount; orange is below 0."
        if signed
        else f"Colours go from the lowest ({low:.2f}) to the highest ({high:.2f}) shown."
    )
    ids = [id for _, id in cells]
    value = chosen if chosen in ids else ids[int(work.reading.gate.argmax())]
    style = f"<style>{HEAT_CSS % heads}{dyes}</style>"
    return [f"{style}<p class='lb-hint'>{ABOUT[view]} {scale}</p>", gr.Radio(choices=cells, value=value, visible=True)]


def listens(work: Work, chosen: str | None) -> str:
    """Where a head's attention lies when the answer is read, with the picture infused and without."""
    if not work.reading.layers:
        return ""
    layer, head = _head(work, chosen)
    after, before = (one[layer - 1, head, -1] for one in (work.reading.attention, work.reading.frozen_attention))
    top = float(max(after.max(), before.max()))
    words = ["start" if word == BOS else word for word in work.reading.words]
    gain = after - before
    most, least = int(gain.argmax()), int(gain.argmin())
    told = (
        f"Layer {layer}, head {head + 1}: how its last word, from which the answer is read, shares its attention. "
        f"With the picture “{words[most]}” gains most ({100 * gain[most]:+.1f} points) and “{words[least]}” loses most ({100 * gain[least]:+.1f})."
    ).replace("-", "−")
    return (
        f"<p class='lb-hint'>{html.text(told)}</p><p class='lb-hint'><b>With the picture it is told of</b></p>{word_shares(words, after, top=top)}"
        f"<p class='lb-hint'><b>Language model alone</b></p>{word_shares(words, before, top=top)}"
    )


def change_table(work: Work) -> str:
    """How far infusion moves keys, values and units, layer by layer."""
    reading = work.reading
    if not reading.layers:
        return ""
    rows = [
        [
            f"Layer {layer}",
            *(f"{100 * float(reading.change[name][row]):.0f} %" for name in ("keys", "values")),
            f"{float(reading.change['units'][row]):.2f}",
        ]
        for row, layer in enumerate(reading.layers)
    ]
    return html.table(["Infused", "Keys move by", "Values move by", "Units: mean of |factor − 1|"], rows)


def walk(work: Work | None, outlined: Work | None) -> str:
    """Both answers at steps of the dial."""
    from models.mit.wrapper import VERDICTS

    some = work or outlined
    told = {} if some is None or some.other is None else {"told": some.predictor.prepare(some.other.pixels)}
    head = [
        "Dial",
        *(["Agrees", "Contradicts", "Another picture"] if work else []),
        *(["Outlined, of the picture", "Shared with the dial at 1"] if outlined else []),
    ]
    whole = None if outlined is None else outlined.outlined(outlined.again(strength=1.0, **told))
    rows = []
    for s in DIALS:
        row = [f"{s:g}"]
        if work is not None:
            row += [f"{100 * p:.1f} %" for p in work.again(strength=s, **told).probability[: len(VERDICTS)]]
        if outlined is not None:
            mask = outlined.outlined(outlined.again(strength=s, **told))
            row += [f"{100 * mask.mean():.1f} %", f"{100 * overlap(mask, whole):.0f} %"]
        rows.append(row)
    return html.table(head, rows)


# ---------------------------------------------------------------------- files
def numbers(work: Work) -> dict[str, Any]:
    """A reading as plain values, for files and programs; an outline's map is left to the masks."""
    from models.mit.wrapper import VERDICTS

    reading, settings = work.reading, work.settings
    answer = (
        {"probability": dict(zip(VERDICTS, reading.probability.tolist(), strict=True))}
        if work.task == NOTES
        else {"highest_probability": float(reading.probability.max())}
    )
    alone = {"language_model_alone": dict(zip(VERDICTS, reading.alone.tolist(), strict=True))} if work.task == NOTES else {}
    return {
        "question": work.task,
        "text": work.text,
        "network": work.predictor.arm,
        "dial": settings.strength,
        "parts": _acting(work.predictor.config(work.task, settings.parts)),
        "told_of_another_picture": work.other.picture.title if work.other else "",
        **answer,
        **alone,
        "unknown_words": list(reading.unknown),
        "words": list(reading.words),
        "infused_layers": list(reading.layers),
        "gates": reading.gate,
        "sigma_L": reading.level,
        "cosine": reading.cosine,
        "changes": dict(reading.change),
        "attention_of_the_last_word": reading.attention[:, :, -1],
        "attention_of_the_last_word_alone": reading.frozen_attention[:, :, -1],
    }  # fmt: skip


def as_rows(work: Work) -> tuple[Sequence[str], list[list[Any]]]:
    """The gates as a table for spreadsheets."""
    reading = work.reading
    rows = [
        [layer, head + 1, float(reading.gate[row, head]), float(reading.level[row, head]), float(reading.cosine[row, head])]
        for row, layer in enumerate(reading.layers)
        for head in range(reading.gate.shape[1])
    ]
    return ("layer", "head", "gate", "sigma_L", "cosine"), rows


def _acting(config: Config) -> dict[str, Any]:
    return {"form": config.form, "layers": list(config.layers)} | {name: getattr(config, name) for _, name in (*PARTS, *TERMS)}


def _head(work: Work, chosen: str | None) -> tuple[int, int]:
    """(layer from 1, head from 0) of a choice, or of the widest open gate where it is none of this network."""
    layers, heads = work.reading.layers, work.reading.gate.shape[1]
    layer, _, head = str(chosen or "").partition(":")
    if layer.isdigit() and head.isdigit() and int(layer) in layers and int(head) < heads:
        return int(layer), int(head)
    row, column = np.unravel_index(int(work.reading.gate.argmax()), work.reading.gate.shape)
    return layers[row], int(column)


def _number(value: float, signed: bool) -> str:
    return (f"{value:+.2f}" if signed else f"{value:.2f}").replace("-", "−")


def _dye(value: float) -> str:
    return "var(--color-accent)" if value >= 0 else "#d55e00"


def _floats(values: np.ndarray) -> list[float]:
    return [float(v) for v in values]
