"""Small slides, drawn here: a picture with soft colours, written as pyramids and flat files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

SVS = Path(os.environ.get("WORKBENCH_DATA", "/nowhere")) / "wsi-cmu1-small-region" / "CMU-1-Small-Region.svs"


@pytest.fixture(scope="session")
def picture():
    """`picture(width, height)`: uint8 (height, width, 3), smooth, no two places alike."""

    def draw(width, height, seed=0):
        rng = np.random.default_rng(seed)
        small = rng.integers(30, 250, (max(2, height // 12), max(2, width // 12), 3), np.uint8)
        return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))

    return draw


@pytest.fixture(scope="session")
def write_pyramid():
    """`write_pyramid(path, levels, **options)`: each level a page of tiles; options as tifffile takes them."""

    def write(path, levels, tile=(256, 256), compression="jpeg", photometric="rgb", resolution=None, **options):
        scale = {"resolution": resolution, "resolutionunit": "CENTIMETER"} if resolution else {}
        with tifffile.TiffWriter(path, bigtiff=options.pop("bigtiff", False)) as tiff:
            for number, level in enumerate(levels):
                tiff.write(
                    level,
                    tile=tile,
                    compression=compression,
                    photometric=photometric,
                    metadata=None,
                    subfiletype=int(number > 0),
                    **scale,
                    **options,
                )
        return path

    return write


@pytest.fixture(scope="session")
def svs():
    """The real slide of the shared data."""
    if not SVS.is_file():
        pytest.skip("needs wsi-cmu1-small-region of the shared data")
    return SVS
