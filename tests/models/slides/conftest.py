"""The drawn slides of `made`, as fixtures, and the real one."""

from __future__ import annotations

import pytest

from tests.models.slides import made


@pytest.fixture(scope="session")
def picture():
    """`picture(width, height)`: see `made.picture`."""
    return made.picture


@pytest.fixture(scope="session")
def write_pyramid():
    """`write_pyramid(path, levels, **options)`: see `made.write_pyramid`."""
    return made.write_pyramid


@pytest.fixture(scope="session")
def svs():
    """The real slide of the shared data."""
    if not made.SVS.is_file():
        pytest.skip("needs wsi-cmu1-small-region of the shared data")
    return made.SVS
