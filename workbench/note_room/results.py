"""From an answer to what the parts draw: verdict, ladder, lenses, changed words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.note_room.cases import truth
from workbench.note_room.desk import Work
from workbench.parts import html
from workbench.parts.charts import Gauge, Heat, gauges_data, heats_data
from workbench.parts.look_panels import jpeg_url
from workbench.parts.notes import spoken_verdict, told_truth
from workbench.parts.word_shares import word_shares

if TYPE_CHECKING:
    from models.shared.prompt_interaction.seeing import Answer, Rung

ALL = -1
"""In place of a prompt's number: the mean of all."""
NO_PROMPTS = "This network has no prompts, so there is nothing between the two readers to show."
BLIND = {"image": "This network is never shown the picture.", "note": "This network never reads the note."}
CSS = """
.lb-rungs { display: grid; gap: 12px; }
.lb-rung { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 6px 22px; border: 1px solid var(--border-color-primary); border-radius: 8px; padding: 10px 14px; }
.lb-rung > header { grid-column: 1 / -1; font-size: 14px; } .lb-rung > header b { margin-right: 8px; } .lb-rung[data-on="1"] { border-color: var(--color-accent); border-width: 2px; }
.lb-rung figure { margin: 0; min-width: 0; overflow-x: auto; } .lb-rung figcaption { font-size: 13px; color: var(--body-text-color-subdued); padding: 3px 0; }
.lb-rung table { border-collapse: separate; border-spacing: 2px; font-size: 12.5px; } .lb-rung th { font-weight: 400; padding: 2px 4px; color: var(--body-text-color-subdued); }
.lb-rung td { text-align: center; padding: 4px 7px; border-radius: 4px; min-width: 34px; background: color-mix(in srgb, var(--color-accent) calc(var(--s) * 45%), transparent); color: var(--body-text-color); }
@media (max-width: 600px) { .lb-rung { grid-template-columns: minmax(0, 1fr); } }
"""


def gauges(work: Work) -> dict[str, Any]:
    """Each verdict's probability."""
    answer = work.answer
    items = [
        Gauge(f"The note {spoken_verdict(name)}", float(p), text=f"{100 * p:.1f} %", colour=place)
        for place, (name, p) in enumerate(zip(answer.verdicts, answer.probability, strict=True))
    ]
    return gauges_data(items, title="Does the note agree with the picture?", about="One of the verdicts is true, so they share 100 %.")


def verdict(work: Work) -> str:
    """The verdict in a sentence, the truth where it is known, and warnings."""
    from models.shared.data.phantoms.note_reading import unknown_words
    from models.shared.prompt_interaction.plan import ARMS

    answer = work.answer
    said = [f"<b>The note {html.text(spoken_verdict(answer.verdict))}</b>, says the network."]
    known = truth(work.scan.picture, answer.note)
    if known is not None and set(answer.verdicts) >= {"agree", "contradict", "unrelated"}:
        said.append(told_truth(known, answer.verdict))
    strange = unknown_words(answer.note)
    if strange:
        named = ", ".join(f"<mark>{html.text(word)}</mark>" for word in strange)
        said.append(f"Words that no training note held: {named}. What the network makes of them is chance.")
    blind = ARMS[work.predictor.arm].blind
    if blind:
        said.append(BLIND[blind])
    if work.scan.picture.phantom is None:
        said.append("<b class='lb-bad'>It learned from made-up pictures alone:</b> its verdict on a picture from elsewhere means nothing.")
    return "".join(f"<p class='lb-hint'>{sentence}</p>" for sentence in said)


def lens(work: Work, rung: int, prompt: int) -> dict[str, Any]:
    """Where a picture prompt looked, or all of them on average, over what the network sees."""
    url, picture = _seen(work), work.scan.picture
    one = _rung(work.answer, rung)
    if one is None:
        return heats_data(url, picture.title, [Heat("The picture", np.zeros((1, 1)))], title="Picture", about=NO_PROMPTS)
    values = one.patches.mean(0) if prompt == ALL else one.patches[_place(one, prompt)]
    title = "All picture prompts" if prompt == ALL else f"Picture prompt {_place(one, prompt) + 1}"
    rest = 100 * (1 - float(values.sum()))
    note = f"{100 * values.max():.1f} % on its strongest patch; {rest:.0f} % on the summary token and on other prompts"
    return heats_data(
        url, picture.title, [Heat(title, values, note)], title="Picture", about=f"Where prompts looked at rung {rung + 1}.", shared=False
    )


def words(work: Work, rung: int, prompt: int) -> str:
    """How a note prompt shares its attention among the words."""
    one = _rung(work.answer, rung)
    if one is None:
        return f"<p class='lb-hint'>{NO_PROMPTS}</p>"
    values = one.words.mean(0) if prompt == ALL else one.words[_place(one, prompt)]
    title = "All note prompts" if prompt == ALL else f"Note prompt {_place(one, prompt) + 1}"
    rest = 100 * (1 - float(values.sum()))
    return f"<p class='lb-hint'>{title}, rung {rung + 1}: share of attention on each word; {rest:.0f} % lies on the note's start and end and on other prompts.</p>{word_shares(work.answer.words, values)}"


def ladder(work: Work, rung: int, step: int) -> str:
    """Every rung with its two tables: what prompts took up (0), what they take from each other (1), what goes on (2)."""
    answer = work.answer
    if not answer.rungs:
        return f"<p class='lb-hint'>{NO_PROMPTS}</p>"
    direction = work.predictor.net.config.direction
    parts = []
    for place, one in enumerate(answer.rungs):
        heading = f"<header><b>Rung {place + 1}</b> image layer {one.layers[0]}, text layer {one.layers[1]}{_shut(work, place, direction)}</header>"
        figures = _shares(one) if step == 1 else _lengths(one, "" if step == 0 else "_next")
        parts.append(f'<section class="lb-rung" data-on="{int(place == rung)}">{heading}{figures}</section>')
    return f'<div class="lb-rungs">{"".join(parts)}</div>'


def _shut(work: Work, place: int, direction: str) -> str:
    last = place + 1 == len(work.answer.rungs)
    if direction == "off":
        return ": the hub is off; the tables say what it would have taken"
    if work.hub.until is not None and place >= work.hub.until:
        return ": shut by hand"
    if last:
        return ": the last one; nothing reads what its hub says"
    return {"to_text": ": only the note is told", "to_vision": ": only the picture is told"}.get(direction, "")


def _shares(one: Rung) -> str:
    flat_t, flat_v = one.evenness
    return _table(one.image_from_text, "Picture", "note", flat_v) + _table(one.text_from_image, "Note", "picture", flat_t)


def _table(s: np.ndarray, own: str, foreign: str, flat: float) -> str:
    n = len(s)
    head = "".join(f'<th scope="col">{foreign} {j + 1}</th>' for j in range(n))
    rows = []
    for i in range(n):
        cells = "".join(
            f'<td style="--s:{s[i, j]:.2f}" title="{own} prompt {i + 1} takes {100 * s[i, j]:.0f} % from {foreign} prompt {j + 1}">{100 * s[i, j]:.0f}</td>'
            for j in range(n)
        )
        rows.append(f'<tr><th scope="row">{own} {i + 1}</th>{cells}</tr>')
    i, j = np.unravel_index(int(s.argmax()), s.shape)
    strongest = f"Strongest: {own.lower()} prompt {i + 1} takes {100 * s[i, j]:.0f} % from {foreign} prompt {j + 1}. Evenness {flat:.2f}; 1 would be all alike."
    label = f"{own} prompts take from {foreign} prompts, per cent"
    return f'<figure tabindex="0" role="group" aria-label="{label}"><figcaption>{label}</figcaption><table><thead><tr><td></td>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table><figcaption>{strongest}</figcaption></figure>'


def _lengths(one: Rung, which: str) -> str:
    made = ""
    for own in ("image", "text"):
        values = one.lengths[own + which]
        side = "Picture" if own == "image" else "Note"
        label = f"{side} prompts, length of each vector " + ("as the layer left it" if not which else "as it goes on")
        top = float(values.max()) or 1.0
        cells = "".join(f'<td style="--s:{v / top:.2f}">{v:.1f}</td>' for v in values)
        head = "".join(f'<th scope="col">{place + 1}</th>' for place in range(len(values)))
        made += f'<figure tabindex="0" role="group" aria-label="{label}"><figcaption>{label}</figcaption><table><thead><tr>{head}</tr></thead><tbody><tr>{cells}</tr></tbody></table></figure>'
    return made


def change(before: Answer, after: Answer, title: str) -> str:
    """A changed note beside the note as it is: verdicts, and how far each rung's tables moved."""
    from models.shared.prompt_interaction.seeing import moved

    rows = [
        [html.text(name.capitalize()), f"{100 * p:.1f} %", f"{100 * q:.1f} %", _signed(100 * (q - p))]
        for name, p, q in zip(before.verdicts, before.probability, after.probability, strict=True)
    ]
    steps = moved(before, after)
    told = ""
    if steps:
        first = int(np.argmax(np.array(steps) >= 0.5 * max(steps)))
        told = f"<p class='lb-hint'>The tables of the rungs moved by {', '.join(f'{100 * v:.0f} %' for v in steps)} (0: the same, 100: wholly other); rung {first + 1} is the first with at least half of the largest move.</p>"
    return (
        f"<p class='lb-hint'>{title}: {html.text(after.note)}</p>"
        + html.table(["Verdict", "As it is", "Changed", "Difference"], rows)
        + told
    )


def left_out(work: Work) -> dict[str, Any]:
    """What happens to the verdict when each word is left out."""
    answers = work.predictor.without_each_word(work.prepared, work.answer.note, work.hub)
    if not answers:
        return gauges_data([], empty="The note needs at least two words, so that one can be left out.")
    place = int(work.answer.probability.argmax())
    before = float(work.answer.probability[place])
    items = []
    for word, one in zip(work.answer.words, answers, strict=True):
        points = 100 * (float(one.probability[place]) - before)
        other = one.verdict != work.answer.verdict
        told = _signed(points) + (f" → {one.verdict}" if other else "")
        items.append(Gauge(f"without “{word}”", points, -100, 100, text=told, colour=int(other)))
    about = f"Change of the probability of “{work.answer.verdict}” ({100 * before:.0f} % with all words), in points; an arrow names the verdict where it turns."
    return gauges_data(items, title="Each word left out in turn", about=about)


def depth(work: Work) -> str:
    """The verdict when exchange stops after each rung."""
    rows = work.predictor.by_depth(work.prepared, work.answer.note, work.hub)
    names = ["No exchange", *(f"Up to rung {place}" for place in range(1, len(rows)))]
    return html.table(
        ["Exchange", *(name.capitalize() for name in work.answer.verdicts)],
        [[name, *(f"{100 * p:.1f} %" for p in row)] for name, row in zip(names, rows, strict=True)],
    )


def numbers(work: Work) -> dict[str, Any]:
    """The answer as plain values, for files and programs."""
    answer = work.answer
    return {
        "note": answer.note,
        "network": work.predictor.arm,
        "hub": vars(work.hub),
        "probability": dict(zip(answer.verdicts, answer.probability.tolist(), strict=True)),
        "verdict": answer.verdict,
        "words": list(answer.words),
        "rungs": [
            {
                "layers": list(one.layers),
                "note_from_picture": one.text_from_image,
                "picture_from_note": one.image_from_text,
                "patches": one.patches,
                "words": one.words,
                **{f"length_{name}": values for name, values in one.lengths.items()},
            }
            for one in answer.rungs
        ],
    }  # fmt: skip


def _rung(answer: Answer, rung: int) -> Rung | None:
    return answer.rungs[min(rung, len(answer.rungs) - 1)] if answer.rungs else None


def _place(one: Rung, prompt: int) -> int:
    return min(prompt, len(one.patches) - 1)


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def _seen(work: Work) -> str:
    """Address of exactly the square that the network sees; black where it reaches beyond the picture."""
    pixels, box = work.scan.pixels, work.prepared.seen_box
    top, left, bottom, right = (round(v) for v in box)
    height, width = pixels.shape[:2]
    if (top, left, bottom, right) == (0, 0, height, width):
        return work.scan.picture.url
    colour = np.repeat(pixels[..., None], 3, 2) if pixels.ndim == 2 else pixels
    out = np.zeros((bottom - top, right - left, 3), np.uint8)
    y0, x0, y1, x1 = max(top, 0), max(left, 0), min(bottom, height), min(right, width)
    out[y0 - top : y1 - top, x0 - left : x1 - left] = colour[y0:y1, x0:x1]
    return jpeg_url(out)


def as_rows(work: Work) -> tuple[Sequence[str], list[list[Any]]]:
    """The tables of all rungs as one long table for spreadsheets."""
    rows = []
    for place, one in enumerate(work.answer.rungs, 1):
        for own, s in (("note", one.text_from_image), ("picture", one.image_from_text)):
            rows += [[place, own, i + 1, j + 1, float(s[i, j])] for i in range(len(s)) for j in range(len(s))]
    return ("rung", "taken_by", "prompt", "from_prompt", "share"), rows
