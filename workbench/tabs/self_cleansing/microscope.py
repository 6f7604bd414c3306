"""The label microscope: one training picture with its given, true and cleansed label, what the filter makes of it, and a person's decision on it."""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.events import EVENT, spoken
from workbench.parts.prompt_canvas import prompt_canvas, segments
from workbench.parts.segments import Segment
from workbench.parts.segments import read as read_marks
from workbench.tabs.self_cleansing.names import STRUCTURES

if TYPE_CHECKING:
    from models.self_cleansing.results import Case

SHOWN_PX = 512
TINTS = np.array([(86, 180, 233), (230, 159, 0)], np.float32)
"""As the canvas dyes its first and second segment."""
RIGHT, WRONG, UNSURE = (0, 158, 115), (213, 50, 50), (240, 228, 66)
NAMES = ("tumour", "cyst")
PREVIEWED = 6
WORDS = {
    "erosion": "outline too small",
    "dilation": "outline too large",
    "missing": "lesion missing",
    "shift": "outline moved",
    "dabs": "blots on the outline",
    "swapped": "lesion of the other kind",
}
ACTIONS = {"accept": "proposal accepted", "reject": "label kept", "edit": "label painted"}
HOW = (
    "Brush and eraser change the label that training is given; *Undo* takes strokes back. The first segment is the tumour-like lesion, the second the "
    "cyst-like one. Decisions count in your next training."
)


@dataclass(frozen=True, eq=False)
class Microscope:
    """Its components."""

    number: gr.Number
    canvas: gr.HTML
    figures: gr.HTML
    facts: gr.HTML
    accept: gr.Button
    reject: gr.Button
    paint: gr.Button
    undo: gr.Button
    decided: gr.HTML
    decisions: gr.State

    @property
    def outputs(self) -> list[Any]:
        """What `at` has values for."""
        return [self.number, self.canvas, self.figures, self.facts, self.decided]

    def wire(self, method: Method, context: Context, inputs: list[Any]) -> None:
        """inputs: as `at` takes them, the decisions last."""

        def look(request: gr.Request, index: float | None, *values: Any) -> list[Any]:
            return at(method, context, request, index, values)

        self.number.input(look, [self.number, *inputs], self.outputs, **EVENT)
        outputs = [self.decisions, *self.outputs]
        for button, action in ((self.accept, "accept"), (self.reject, "reject"), (self.paint, "edit")):

            def decide(request: gr.Request, index: float, marked: Any, *values: Any, action: str = action) -> list[Any]:
                with spoken():
                    made = [*values[-1], decision(method, context, request, action, index, marked, values)]
                return [made, *at(method, context, request, index, (*values[:-1], made))]

            button.click(decide, [self.number, self.canvas, *inputs], outputs, **EVENT)

        def take_back(request: gr.Request, index: float, *values: Any) -> list[Any]:
            if not values[-1]:
                raise gr.Error("There is no decision to take back.", print_exception=False)
            made = values[-1][:-1]
            return [made, *at(method, context, request, index, (*values[:-1], made))]

        self.undo.click(take_back, [self.number, *inputs], outputs, **EVENT)


def lay_out() -> Microscope:
    """One picture, large, with what is known about it beside."""
    gr.Markdown("#### Label microscope", container=False)
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            number = gr.Number(
                0,
                precision=0,
                minimum=0,
                label="Training picture",
                info="Choose “Look” in the list, or type its number.",
                elem_id="self_cleansing_number",
            )
            canvas = prompt_canvas(elem_id="self_cleansing_label", label="Training picture and its label", tools=("brush", "erase", "pick"))
            gr.Markdown(HOW, container=False, elem_classes="lb-hint")
        with gr.Column(scale=3, min_width=320):
            facts = html.show("", elem_id="self_cleansing_facts")
            figures = html.show("", elem_id="self_cleansing_figures")
            with gr.Row(elem_classes="lb-controls"):
                accept = gr.Button("Accept the proposal", elem_id="self_cleansing_accept", min_width=150)
                reject = gr.Button("Keep the label", elem_id="self_cleansing_reject", min_width=130)
                paint = gr.Button("Use what is painted", elem_id="self_cleansing_paint", min_width=150)
                undo = gr.Button("Take the last decision back", elem_id="self_cleansing_undo", min_width=180)
            decided = html.show("", elem_id="self_cleansing_decided")
    return Microscope(number, canvas, figures, facts, accept, reject, paint, undo, decided, gr.State([]))


# ---------------------------------------------------------------------- what is looked at
@lru_cache(maxsize=6)
def _material(kind: str, alpha: float, beta: float, seed: int, pictures: int) -> Any:
    from models.self_cleansing.live import material, read_config

    return material(read_config({"kind": kind, "alpha": alpha, "beta": beta, "seed": seed, "pictures": pictures}))


def material_of(config: Mapping[str, Any]) -> Any:
    """Pictures and planted labels of a run with this configuration. OptionRefused with a sentence."""
    return _material(*(config[name] for name in ("kind", "alpha", "beta", "seed", "pictures")))


@dataclass(frozen=True, eq=False)
class Looked:
    """One training picture from wherever it comes."""

    index: int
    n: int
    picture: np.ndarray
    given: np.ndarray
    truth: np.ndarray
    planted: str
    case: Case | None
    where: str


def looked(method: Method, context: Context, request: Any, index: Any, values: Sequence[Any]) -> Looked:
    """values: source, job, "task/setting", arm, knobs, decisions. index None: the most suspicious, or the first with an error. ValueErrors with a sentence."""
    from models.self_cleansing.results import OptionRefused
    from workbench.tabs.self_cleansing import lab

    source, job, place, arm, *knobs, decisions = values
    wanted = None if index is None else int(index)
    if source == lab.RECORDED:
        from models.self_cleansing.casebook import load_cases

        task, _, setting = place.partition("/")
        book = load_cases(task, setting, arm)
        case = book.case(book.ranked()[0].index if wanted is None else wanted)
        return Looked(case.index, len(book), case.picture, case.given, case.truth, case.planted, case, "recorded training")
    painted = lab.labels_of(decisions)
    cases = lab.finished(context, request, job)
    if cases is not None:
        case = cases.case(cases.first if wanted is None else wanted)
        given = _given(case.given, painted, case.index)
        return Looked(case.index, len(cases), case.picture, given, case.truth, case.planted, case, "your training, last epoch")
    made = material_of(lab.config(knobs))
    if wanted is None:
        wanted = int(np.argmax(made.planted.corrupted))
    if not 0 <= wanted < len(made.x):
        raise OptionRefused(f"There are {len(made.x)} training pictures, numbered from 0; there is none with the number {wanted}.")
    planted = made.planted.kinds[wanted] if made.planted.corrupted[wanted] else ""
    return Looked(
        wanted, len(made.x), made.x[wanted, 0], _given(made.planted.labels[wanted], painted, wanted), made.truth[wanted], planted, None, "before training"
    )  # fmt: skip


def _given(given: np.ndarray, painted: Mapping[str, str], index: int) -> np.ndarray:
    from models.self_cleansing.noise_lab import unpack_label

    text = painted.get(str(index))
    return given if text is None else unpack_label(text, given.shape[0])


def at(method: Method, context: Context, request: Any, index: Any, values: Sequence[Any]) -> list[Any]:
    """Values of `Microscope.outputs` for one training picture; values as in `looked`."""
    with spoken():
        one = looked(method, context, request, index, values)
    side = one.picture.shape[0]
    id = f"lab:{one.where[:4]}:{values[1]}:{values[2]}:{one.index}:{zlib.crc32(one.picture.tobytes()):x}"
    grown = np.kron((np.clip(one.picture, 0, 1) * 255).astype(np.uint8), np.ones((SHOWN_PX // side,) * 2, np.uint8))
    picture = {"id": id, "url": _png(grown), "width": side, "height": side, "alt": f"Made-up training picture {one.index}"}
    marks = [Segment(0, name, one.given == number, origin="given") for number, name in enumerate(NAMES, 1)]
    canvas = gr.HTML(picture=picture, given=segments(marks, replace=True, picture=id))
    return [one.index, canvas, figures(one), facts(one), told(values[-1])]


def decision(method: Method, context: Context, request: Any, action: str, index: Any, marked: Any, values: Sequence[Any]) -> dict[str, Any]:
    """What a person said of a label, as the page keeps it. ValueErrors with a sentence."""
    from models.self_cleansing.noise_lab import pack_label
    from models.self_cleansing.results import OptionRefused
    from models.self_cleansing.review import Decision, apply
    from workbench.tabs.self_cleansing import lab

    if values[0] == lab.RECORDED:
        raise OptionRefused(
            "A recorded training is over. Choose “A training of your own” above; there your decisions count in the next training."
        )
    one = looked(method, context, request, index, values)
    if action == "accept" and one.case is None:
        raise OptionRefused("There is no proposal yet: train first, then look at the suspects.")
    proposed = one.case.cleansed if one.case is not None else one.given
    mask = painted(marked, one.given.shape) if action == "edit" else None
    label = apply(one.given[None], proposed[None], [Decision(0, action, mask)], len(NAMES))[0]
    return {"index": one.index, "action": action, "label": pack_label(label), "dice": agreement(label, one.truth)}


def painted(marked: Any, size: tuple[int, int]) -> np.ndarray:
    """What the canvas holds as a label uint8 (S, S): segments by name, and strangers' strokes as tumour. MarksRefused for what does not fit."""
    marks = read_marks(marked)
    if (marks.height, marks.width) != size:
        raise ValueError("The picture has changed meanwhile; look at it again and paint then.")
    label = np.zeros(size, np.uint8)
    for one in marks.chosen:
        label[one.mask] = NAMES.index(one.name) + 1 if one.name in NAMES else 1
    return label


def agreement(label: np.ndarray, truth: np.ndarray) -> float:
    """Dice of two labels, all structures told apart; 1 where both are empty."""
    total = int((label > 0).sum() + (truth > 0).sum())
    return 1.0 if not total else 2 * int(((label == truth) & (truth > 0)).sum()) / total


# ---------------------------------------------------------------------- what is shown of it
def figures(one: Looked) -> str:
    """The picture in its versions."""
    shown = [
        ("Picture", tinted(one.picture, None)),
        ("Label as given", tinted(one.picture, one.given)),
        ("Truth", tinted(one.picture, one.truth)),
    ]
    if (case := one.case) is not None:
        shown += [
            ("What the teacher sees", tinted(one.picture, case.prediction)),
            ("Suspicion: 1 − w, brighter is noisier", heat(1 - case.w)),
            ("Label after cleansing", tinted(one.picture, case.cleansed)),
            ("What was done: green put right, red made wrong, yellow left as unsure", provenance(case)),
        ]
    return "<div class='lb-cases'>" + "".join(figure(words, pixels) for words, pixels in shown) + "</div>"


def figure(words: str, pixels: np.ndarray) -> str:
    """A small picture with its caption."""
    return f'<figure><img src="{_png(pixels)}" alt="{html.text(words)}"><figcaption>{html.text(words)}</figcaption></figure>'


def tinted(picture: np.ndarray, label: np.ndarray | None) -> np.ndarray:
    """uint8 (S, S, 3): grey levels with the structures dyed, blue for tumours, orange for cysts."""
    grey = np.repeat((np.clip(picture, 0, 1) * 255)[..., None], 3, axis=2).astype(np.float32)
    for number, tint in enumerate(TINTS, 1):
        if label is not None:
            inside = label == number
            grey[inside] = 0.45 * grey[inside] + 0.55 * tint
    return np.rint(grey).astype(np.uint8)


def heat(values: np.ndarray) -> np.ndarray:
    """uint8 (S, S, 3): 0 dark to 1 bright orange."""
    v = np.clip(np.nan_to_num(values), 0, 1)[..., None].astype(np.float32)
    return np.rint(255 * v * np.array((1.0, 0.75, 0.25)) + 24 * (1 - v)).astype(np.uint8)


def provenance(case: Case) -> np.ndarray:
    """uint8 (S, S, 3): the picture, pixels that were changed or left in doubt dyed."""
    shown = tinted(case.picture * 0.6, None)
    changed, unsure = case.provenance == 1, case.provenance == 2
    shown[unsure] = UNSURE
    shown[changed & case.right] = RIGHT
    shown[changed & ~case.right] = WRONG
    return shown


def facts(one: Looked) -> str:
    """What is known of it, in sentences."""
    wrong = int((one.given != one.truth).sum())
    fault = f"planted: {WORDS.get(one.planted, one.planted)}" if one.planted else "nothing was planted"
    said = [
        f"<b>Picture {one.index}</b> of {one.n} ({html.text(one.where)}): {fault}; {wrong} pixels of the label as given are wrong (Dice to the truth {agreement(one.given, one.truth):.2f})."
    ]
    if (case := one.case) is not None:
        called = "noisy" if case.picture_w < 0.5 else "clean"
        counts = [int((case.provenance == kind).sum()) for kind in (1, 2)]
        said.append(
            f"The filter calls its label <b>{called}</b>: {1 - case.picture_w:.0%} noisy, 1 − Dice of network and label {case.s:.2f}. {counts[0]} pixels get a new label, "
            f"{counts[1]} stay in doubt. Dice of the cleansed label to the truth {agreement(case.cleansed, one.truth):.2f}."
        )
    else:
        said.append("Not trained yet: what the filter makes of it is seen after a training.")
    key = ", ".join(f"{colour} {STRUCTURES[name]}" for colour, name in zip(("blue:", "orange:"), NAMES, strict=True))
    return "".join(f"<p class='lb-hint'>{words}</p>" for words in (*said, html.text(key[0].upper() + key[1:] + ".")))


def told(decisions: Sequence[Mapping[str, Any]]) -> str:
    """The decisions so far."""
    if not decisions:
        return ""
    last = {one["index"]: one for one in decisions}
    rows = [[f"picture {int(i)}", html.text(ACTIONS[one["action"]]), f"{float(one['dice']):.2f}"] for i, one in sorted(last.items())]
    return f"<p class='lb-hint' role='status'>{len(last)} labels decided; your next training takes them.</p>" + html.table(
        ["Training picture", "Decision", "Dice of its label to the truth"], rows
    )


def previewed(config: Mapping[str, Any], decisions: Sequence[Mapping[str, Any]]) -> str:
    """Some of the pictures with errors, and how many there are."""
    from workbench.tabs.self_cleansing.lab import labels_of

    with spoken():
        made = material_of(config)
        painted_ = labels_of(decisions)
        rows = np.flatnonzero(made.planted.corrupted)[:PREVIEWED]
        shown = [
            figure(f"picture {row}: {WORDS.get(made.planted.kinds[row], '')}", tinted(made.x[row, 0], made.planted.labels[row]))
            for row in rows
        ]
    n = int(made.planted.corrupted.sum())
    head = (
        f"<p class='lb-hint' role='status'>{n} of {len(made.x)} training pictures get wrong labels"
        + (f"; {len(painted_)} labels are yours." if painted_ else ".")
        + " Some of them:</p>"
    )
    return head + ("<div class='lb-cases'>" + "".join(shown) + "</div>" if shown else "")


def _png(pixels: np.ndarray) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
