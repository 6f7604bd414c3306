"""One made-up section with everything that is known of it; pixels are drawn only where somebody asks for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from models.shared.data.histology.cells import nuclei
from models.shared.data.histology.fields import Layout, layout
from models.shared.data.histology.paint import paint

_PIECE_PX = 1024


@dataclass(frozen=True, eq=False)
class Section:
    """A section of a made-up patient. `layout` holds its maps, `cells` its nuclei."""

    layout: Layout
    mpp: float
    cells: np.ndarray = field(repr=False)
    """float64 (N, 4): x, y in µm, kind (see `cells.KINDS`), angle."""

    @property
    def seed(self) -> int:
        """The number that draws it again, with the patient's."""
        return self.layout.seed

    @property
    def patient(self) -> int:
        """The patient's number."""
        return self.layout.patient.number

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels of `mpp`."""
        return round(self.layout.width_um / self.mpp), round(self.layout.height_um / self.mpp)

    @cached_property
    def pixels(self) -> np.ndarray:
        """uint8 (H, W, 3): the whole section, drawn once and piece by piece (about 0.5 µs a pixel)."""
        width, height = self.size
        made = np.empty((height, width, 3), np.uint8)
        for top in range(0, height, _PIECE_PX):
            for left in range(0, width, _PIECE_PX):
                w, h = min(_PIECE_PX, width - left), min(_PIECE_PX, height - top)
                made[top : top + h, left : left + w] = self.read(left, top, w, h)
        return made

    def read(self, x: int, y: int, width: int, height: int) -> np.ndarray:
        """uint8 (height, width, 3): the same pixels as `pixels` has there, without drawing the rest."""
        return paint(self.layout, self.cells, self.mpp, (x, y, width, height))

    def spots(self, pitch_um: float, *, jitter_um: float = 0.0) -> np.ndarray:
        """float64 (N, 2): centres in µm of a square lattice over the tissue, at least 60 µm from its edge; `jitter_um` shakes the lattice as a whole."""
        shift = np.random.default_rng([7006, self.patient, self.seed]).uniform(-jitter_um, jitter_um, 2)
        columns, rows = (np.arange(pitch_um / 2, side, pitch_um) for side in (self.layout.width_um, self.layout.height_um))
        xy = np.stack(np.meshgrid(columns, rows), -1).reshape(-1, 2) + shift
        inside = (xy > 0).all(1) & (xy[:, 0] < self.layout.width_um) & (xy[:, 1] < self.layout.height_um)
        xy = xy[inside]
        return xy[self.layout.at(self.layout.tissue, xy) > 60]


def make_section(seed: int, *, patient: int, width_um: float = 4000.0, height_um: float = 3200.0, mpp: float = 0.5) -> Section:
    """The section with that seed of that patient; the same numbers always give the same section. ValueError for sizes that make no sense."""
    if not 0.1 <= mpp <= 8:
        raise ValueError(f"Sections are drawn at 0.1 to 8 µm a pixel, not {mpp:g}.")
    made = layout(seed, patient_number=patient, width_um=width_um, height_um=height_um)
    return Section(made, mpp, nuclei(made))
