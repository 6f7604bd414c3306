"""An answer as bars: what each method says, in one table and one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from models.promim.arms import ARMS
from workbench.parts.charts import Series, bars_data
from workbench.tabs.promim.names import COLOURS, arm_title
from workbench.tabs.promim.truth import drawn, place_of

if TYPE_CHECKING:
    import numpy as np

    from models.promim.records import Answer
    from workbench.examples import PhantomKey
    from workbench.tabs.promim.desk import Asked

TITLE = "What each method says, in per cent"


def bars(asked: Asked, answer: Answer) -> dict[str, Any]:
    """The bars' data for an answer."""
    series = [
        Series(arm_title(arm), COLOURS[arm], row, ARMS[arm].about) for arm, row in zip(answer.arms, answer.probabilities, strict=True)
    ]
    return bars_data(
        answer.classes,
        series,
        title=TITLE,
        about=answer.note,
        truth=place_of(asked.picture.phantom, answer.classes),
        digest=verdict(answer, asked.picture.phantom),
        seq=asked.painted.seq,
    )


def verdict(answer: Answer, phantom: PhantomKey | None) -> str:
    """Who names what, in one sentence, and what is really there where that is known."""
    said: dict[str, list[str]] = {}
    for arm, row in zip(answer.arms, answer.probabilities, strict=True):
        said.setdefault(answer.classes[int(row.argmax())], []).append(arm_title(arm))
    if len(said) == 1 and len(answer.arms) > 1:
        words = f"All {len(answer.arms)} name “{next(iter(said))}”."
    else:
        words = " ".join(f"{_listed(arms)}: “{name}”." for name, arms in said.items())
    return f"{words} {known(answer.classes, phantom)}".strip()


def known(classes: Sequence[str], phantom: PhantomKey | None) -> str:
    """What a phantom shows, if it is one."""
    if phantom is None:
        return ""
    if place_of(phantom, classes) is not None:
        return f"Drawn was: “{drawn(phantom)}”."
    return f"Drawn was: “{drawn(phantom)}”, which is none of these names."


def refused(why: Exception) -> dict[str, Any]:
    """A sentence in the place of the bars."""
    return bars_data([], [], title=TITLE, empty=str(why))


def columns(classes: Sequence[str], named: Sequence[tuple[str, int, np.ndarray, str]], **more: Any) -> dict[str, Any]:
    """Bars of (name, colour, probabilities, what it is) beside each other."""
    return bars_data(classes, [Series(*one) for one in named], **more)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
