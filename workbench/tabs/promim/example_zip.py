"""How the example ZIP of the Train drawer was made: brain-like phantoms in one folder a class, so that it can be made again and tested.

python -m workbench.tabs.promim.example_zip
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from models.shared.data import phantoms
from models.shared.data.pictures import encode_png
from workbench.tabs.promim.own_zip import EXAMPLE

FAMILY, EACH, SIDE_PX = "brain_mr", 12, 128
FOLDERS = {"none": "no_tumour", "glioma-like": "glioma_like_tumour", "meningioma-like": "meningioma_like_tumour"}
"""Class of the phantoms → folder."""
_DAY_ONE = (1980, 1, 1, 0, 0, 0)  # the same bytes whenever it is made


def write(path: Path) -> None:
    """Make the ZIP: validation phantoms, other seeds for each class."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for place, (label, folder) in enumerate(FOLDERS.items()):
            for number, seed in enumerate(phantoms.split_seeds("validation", EACH, place * EACH)):
                made = phantoms.sample(FAMILY, seed, size=SIDE_PX, label=label)
                archive.writestr(zipfile.ZipInfo(f"{folder}/{number:02d}.png", _DAY_ONE), encode_png(made.image))


if __name__ == "__main__":
    write(EXAMPLE)
