"""The slide that ships as the example: `python -m models.shared.data.histology.example [FILE]` draws it again.

Its patient is in no training, validation or test set. The expression of its spots is planted, so it is known and not stored: `section()` has it.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path

from models.shared.data.histology.pyramid import write_pyramid
from models.shared.data.histology.sections import Section, make_section
from models.shared.paths import assets_dir

PATIENT, SEED, WIDTH_UM, HEIGHT_UM, MPP, QUALITY = 900, 1, 4608.0, 3456.0, 0.5, 66
PATH = assets_dir() / "examples" / "phantom_slide.tif"


@lru_cache(maxsize=1)
def section() -> Section:
    """What is known of the example. Drawing its pixels takes half a minute; its maps and cells, a second."""
    return make_section(SEED, patient=PATIENT, width_um=WIDTH_UM, height_um=HEIGHT_UM, mpp=MPP)


def write(path: Path = PATH) -> None:
    """Draw the slide."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pyramid(path, section().pixels, MPP, quality=QUALITY)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else PATH)
