"""A small made-up section, an untrained small network as a predictor, and an inbox that a test can steer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.m2ost import checks
from models.m2ost.wrapper import Gene, Predictor
from models.shared.data.histology import Section, make_section


class Inbox:
    """What a job sees of the outside. `orders` are handed over one a poll; it stops after `stop_after` looks."""

    def __init__(self, out: Path, *, stop_after: int = 10**9, orders: list[list[dict]] | None = None) -> None:
        self.out, self._left, self._orders = out, stop_after, orders or []

    @property
    def stopping(self) -> bool:
        self._left -= 1
        return self._left < 0

    def poll(self) -> list[dict]:
        return self._orders.pop(0) if self._orders else []


@pytest.fixture(scope="session")
def section() -> Section:
    return make_section(0, patient=3, width_um=1400, height_um=1000, mpp=1.0)


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    genes = [Gene(f"made-up {n}", "local", (4.0, 8.0), None) for n in range(7)]
    return Predictor(checks.small().float(), genes, np.full(7, 5.0, np.float32), sha256="0" * 64, title="Untrained")
