"""Laws: what a method's equations promise, held against the code that trains, live in a Learn drawer and in the tests.

A room lists its laws and offers ``checks()``; a law's ``measure`` returns the largest difference found, or for a yes/no law the size of its violation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One live check. ``difference`` is compared with ``tolerance``; ``meaning`` is for people who do not read equations."""

    name: str
    oracle: int
    """Number of the oracle in the method's specification."""
    meaning: str
    difference: float
    tolerance: float
    passed: bool


@dataclass(frozen=True)
class Law:
    """A check before it is run: ``measure`` returns the difference."""

    name: str
    oracle: int
    meaning: str
    tolerance: float
    measure: Callable[[], float]


def run(laws: Iterable[Law]) -> list[Check]:
    """Runs every law; a law that is not kept comes back with ``passed=False``."""
    results = []
    for law in laws:
        difference = law.measure()
        results.append(Check(law.name, law.oracle, law.meaning, difference, law.tolerance, bool(difference <= law.tolerance)))
    return results
