"""Trainings on pictures a visitor brings as a zip: DICOM and the other kinds of `workbench.imaging` beside PNG and JPEG.

The models know no DICOM and import nothing from here; a job that needs both is started as

    context.start("workbench.zip_pictures:train", {"recipe": "models.promim.own:train_own", …}, request, title=…)

and the recipe, `train_own(config, inbox, decode=…)`, hands `decode` and `DECODES` on to `models.shared.data.folders.load`. This file is imported by the job's
own process: it must not load Gradio.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from workbench.imaging import load

WORK = "workbench.zip_pictures:train"
DECODES = (".dcm", ".dicom", ".tif", ".tiff", ".bmp", ".webp", ".nii", ".nii.gz")
"""Endings that `decode` is for; PNG and JPEG are read by the models themselves."""
_RECIPE = re.compile(r"models(\.[a-z][a-z_0-9]*)+:[a-z][a-z_0-9]*")
_SUFFIX = re.compile(r"\.[a-z]{2,6}")


def decode(data: bytes, name: str) -> np.ndarray:
    """A file's bytes as the picture a viewer shows: uint8 (H, W) or (H, W, 3); of a stack the first frame, of a volume the middle slice.

    `name` gives its ending only. Raises `InputRefused`, a ValueError with one sentence, for whatever cannot be read.
    """
    suffix = PurePosixPath(name).suffix.lower()
    handle, path = tempfile.mkstemp(prefix="picture-", suffix=suffix if _SUFFIX.fullmatch(suffix) else "")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        return load(path).display()
    finally:
        os.unlink(path)


def train(config: dict[str, Any], inbox: Any) -> Iterator[dict[str, Any]]:
    """The job: the recipe named in `config["recipe"]`, with `decode`. ValueError when it names no recipe of the models."""
    named = str(config.get("recipe", ""))
    if not _RECIPE.fullmatch(named):
        raise ValueError("These settings name no training; choose one that the page offers.")
    module, _, name = named.partition(":")
    recipe = getattr(import_module(module), name)
    yield from recipe({key: value for key, value in config.items() if key != "recipe"}, inbox, decode=decode)
