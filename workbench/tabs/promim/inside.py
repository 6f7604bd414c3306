"""The inside of a prompt as charts: how steady it is, how far it moved, what moves it, which words lie near, where the classes stand.

Functions from the room's records to the charts' data; no layout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.parts import html
from workbench.parts.charts import Box, Gauge, Group, Heat, Mark, Point, boxes_data, gauges_data, heats_data, scatter_data
from workbench.tabs.promim.names import COLOURS, arm_title

if TYPE_CHECKING:
    from models.promim.records import Drift, Leakage, NearWord, PromptMap, Stability

TITLES = {
    "stability": "How steady: the same question under 32 masks",
    "drift": "How far the class descriptions moved",
    "leakage": "Which pixels move the prompt",
    "map": "Where the class descriptions stand",
    "words": "Words nearest to the learned ones",
}
SPREAD = ("clip", "cocoop", "promim")
"""Arms in the box plot and on the map: with and without conditioning, with and without a mask."""
WAITING = "Worked out once the mask has rested for a moment …"
NEEDS_PROMPTS = "Shown once there are learned prompts for this backbone."
WARNING = (
    "A warning: learned context vectors stand for no words. The nearest ones in the vocabulary are usually not readable, and a word that "
    "sounds medical here is no finding. Distances are Euclidean, in the space of the text tower's token embeddings."
)


def stability(found: Stability) -> dict[str, Any]:
    """One box for each class: ProMIM's probability under every mask, beside the single values of the methods that see no mask."""
    title = TITLES["stability"]
    if "promim" not in found.probabilities:
        return boxes_data([], title=title, empty=NEEDS_PROMPTS)
    single = {arm: rows[0] for arm, rows in found.probabilities.items() if arm in ("clip", "cocoop")}
    shapes = {"clip": "circle", "cocoop": "diamond"}
    rows = [
        Box(name, found.probabilities["promim"][:, c], COLOURS["promim"], [Mark(arm_title(arm), row[c], COLOURS[arm], shapes[arm]) for arm, row in single.items()])
        for c, name in enumerate(found.classes)
    ]  # fmt: skip
    highest = max(float(values.max()) for values in (found.probabilities["promim"], *single.values()))
    high = next(end for end in (0.1, 0.25, 0.5, 1.0) if highest <= end)  # a narrow spread is seen only on a short axis
    return boxes_data(rows, title=title, about=_steadiness(found), high=high, values_title="ProMIM, one dot a mask")


def _steadiness(found: Stability) -> str:
    """How much hangs on which part was seen, in points of per cent, for the class ProMIM names."""
    promim = found.probabilities["promim"]
    top = int(promim.mean(axis=0).argmax())
    named = np.bincount(promim.argmax(axis=1), minlength=len(found.classes))
    words = (
        f"Which {found.keep.shape[1]} patches are seen moves the probability of “{found.classes[top]}” by up to "
        f"{100 * np.ptp(promim[:, top]):.1f} points; {named.max()} of {len(promim)} masks name the same class."
    )
    if "cocoop_masked" in found.probabilities:
        spread = 100 * np.ptp(found.probabilities["cocoop_masked"][:, top])
        words += f" CoCoOp’s prompt-maker, never trained with masks, would move it by {spread:.1f} points under the same masks."
    return words


def drift(found: Mapping[str, Drift], classes: Sequence[str]) -> dict[str, Any]:
    """The shift of the context words, and each method's distance from the hand-written sentences."""
    if not found:
        return gauges_data([], title=TITLES["drift"], empty=NEEDS_PROMPTS)
    shifts = {arm: one.shift_ratio for arm, one in found.items() if one.shift_ratio > 0}
    pulls = {arm: float(one.pull.mean()) for arm, one in found.items()}
    widest, farthest = _round_up(max(shifts.values(), default=1.0)), _round_up(max(pulls.values()))
    items = [
        Gauge(f"{arm_title(arm)}: shift of the words, ‖π‖ / ‖V‖", value, 0, widest, text=f"{value:.3f}", colour=COLOURS[arm])
        for arm, value in shifts.items()
    ]
    items += [
        Gauge(f"{arm_title(arm)}: distance of the classes, L_kg", value, 0, farthest, text=f"{value:.3f}", colour=COLOURS[arm])
        for arm, value in pulls.items()
    ]
    rows = [[name, *(f"{one.cosine[c]:.3f}" for one in found.values())] for c, name in enumerate(classes)]
    return gauges_data(
        items,
        title=TITLES["drift"],
        about="Shift: how long the picture’s own shift is beside the learned words. L_kg: squared distance from the hand-written sentences, 0 (the same) to 4 (opposite).",
        table=("Cosine to the hand-written sentence, class by class", ["Class", *(arm_title(arm) for arm in found)], rows),
    )  # fmt: skip


def leakage(found: Mapping[str, Leakage], seen_url: str, keep: np.ndarray) -> dict[str, Any]:
    """Heat over the picture: how strongly each pixel would move the prompt of CoCoOp and of ProMIM."""
    if not found:
        return heats_data(seen_url, "", [], title=TITLES["leakage"], empty=NEEDS_PROMPTS)
    notes = {}
    if "cocoop" in found:
        patches = found["cocoop"].patches.reshape(-1)
        outside = float(np.delete(patches, keep).sum() / (patches.sum() or 1.0))
        notes["cocoop"] = f"Sees every patch; {100 * outside:.0f} % of its sensitivity lies where ProMIM’s prompt-maker is blind."
    if "promim" in found:
        notes["promim"] = f"{100 * found['promim'].hidden_share:g} % on hidden patches: nothing there can reach the prompt."
    heats = [Heat(arm_title(arm), coarse(one.pixels), notes[arm]) for arm, one in found.items()]
    about = "|∂‖π‖ / ∂pixel|: where a change of the picture would change the class descriptions. It shows influence on the words, not where a finding is."
    return heats_data(seen_url, "the picture as the network sees it", heats, title=TITLES["leakage"], about=about, shared=False)


def coarse(slopes: np.ndarray) -> np.ndarray:
    """Slopes (S, S) averaged over squares of a few pixels: single pixels' gradients are speckle. No square reaches over the edge of a patch."""
    side = next((side for side in (4, 2) if slopes.shape[0] % side == 0), 1)
    rows, columns = slopes.shape[0] // side, slopes.shape[1] // side
    return slopes.reshape(rows, side, columns, side).mean(axis=(1, 3))


def prompt_map(found: PromptMap, others: int) -> dict[str, Any]:
    """Hand-written, CoCoOp's and ProMIM's class descriptions on their two main directions, for this picture and for others."""
    kinds = list(dict.fromkeys(arm for arm in found.arm if arm in SPREAD))
    if kinds == ["clip"]:
        return scatter_data([], [], title=TITLES["map"], empty=NEEDS_PROMPTS)
    shapes = {"clip": "square", "cocoop": "triangle", "promim": "circle"}
    groups = [Group(arm_title(arm), COLOURS[arm], shapes[arm]) for arm in kinds]
    points, first = [], {}
    for (x, y), arm, label, picture in zip(found.points, found.arm, found.label, found.picture, strict=True):
        if arm not in kinds:
            continue
        own = picture <= 0  # this picture, or a text that depends on none
        if own:
            first[arm, int(label)] = len(points)
        name = found.classes[label] + ("" if own else f", for other picture {picture}")
        points.append(Point(x, y, kinds.index(arm), name, str(label + 1) if own and arm != "cocoop" else ""))
    links = [(at, first["promim", label]) for (arm, label), at in first.items() if arm == "clip" and ("promim", label) in first]
    return scatter_data(
        groups,
        points,
        title=TITLES["map"],
        about=f"Each class description as a point, for this picture and {others} others of the same kind: the more they spread, the more two patients are told apart by different words.",
        links=links,
        keys=[f"{number} {name}" for number, name in enumerate(found.classes, start=1)],
        x_label=f"Across: first main direction ({100 * found.explained[0]:.0f} % of the spread)",
        y_label=f"up: second ({100 * found.explained[1]:.0f} %)",
    )  # fmt: skip


def words(found: Mapping[str, Sequence[Sequence[NearWord]]]) -> str:
    """A table: one row a context vector, one column a method."""
    if not found:
        return html.card(TITLES["words"], f"<p>{html.text(NEEDS_PROMPTS)}</p>")
    vectors = range(len(next(iter(found.values()))))
    rows = [[f"V<sub>{m + 1}</sub>", *(_near(found[arm][m]) for arm in found)] for m in vectors]
    table = html.table(["Learned word", *(arm_title(arm) for arm in found)], rows).replace("<td>", '<td class="lb-wrap">')
    return html.card(TITLES["words"], table, f"<p><small>{html.text(WARNING)}</small></p>")


def _near(near: Sequence[NearWord]) -> str:
    return ", ".join(f"{html.text(one.word)} <small>{one.distance:.2f}</small>" for one in near)


def _round_up(value: float) -> float:
    """The end of a scale that holds the value: 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value))
