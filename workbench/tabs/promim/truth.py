"""What a phantom shows, in the words of the class names: the one kind of picture on this tab whose answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from models.shared.data import phantoms
from workbench.examples import PhantomKey


@lru_cache(maxsize=256)
def drawn(key: PhantomKey) -> str:
    """The phantom's only lesion as a class name of its task would say it; its caption where it has none or several."""
    made = phantoms.sample(key.family, key.seed, size=key.side_px)
    if len(made.lesions) != 1:
        return made.caption
    (lesion,) = made.lesions
    return f"{lesion.density} {lesion.margin} {lesion.kind} in the {lesion.place}"


def place_of(key: PhantomKey | None, classes: Sequence[str]) -> int | None:
    """Which of the class names says what is drawn; None where none does or the picture is no phantom."""
    said = drawn(key) if key else None
    return classes.index(said) if said in classes else None


def group_of(key: PhantomKey, base: Sequence[str], new: Sequence[str]) -> str:
    """The half of a task's classes a phantom belongs to; "" where it belongs to neither."""
    said = drawn(key)
    return "base" if said in base else "new" if said in new else ""
