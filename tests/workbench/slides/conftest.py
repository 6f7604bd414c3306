"""Drawn slides, visitors and stores."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.models.slides import made
from workbench.slides import Slides
from workbench.visitors import COOKIE


@pytest.fixture(scope="session")
def ann():
    """A request of a visitor with a cookie."""
    return SimpleNamespace(cookies={COOKIE: "a" * 32})


@pytest.fixture(scope="session")
def bob():
    """A request of another one."""
    return SimpleNamespace(cookies={COOKIE: "b" * 32})


@pytest.fixture(scope="session")
def pyramid(tmp_path_factory):
    """A small slide of JPEG tiles at scales 1 and 4."""
    levels = [made.picture(1500, 1100), made.picture(375, 275)]
    return made.write_pyramid(tmp_path_factory.mktemp("slide") / "pyramid.tif", levels, resolution=(20_000, 20_000))


@pytest.fixture
def stores(tmp_path):
    """Makes stores on tmp_path/home without an example; closed afterwards."""
    made_ones = []

    def make(**options):
        made_ones.append(Slides(tmp_path / "home", **({"example": None} | options)))
        return made_ones[-1]

    yield make
    for store in made_ones:
        store.close()


@pytest.fixture(scope="session")
def svs():
    """The real slide of the shared data."""
    if not made.SVS.is_file():
        pytest.skip("needs wsi-cmu1-small-region of the shared data")
    return made.SVS
