"""Pictures that belong to nobody and are there on first open: phantoms, named by family and seed, and scans the host has put in the data folder.

An example's id is all that is needed to draw it again, so a page may begin with one before anybody has asked for anything. Phantoms are always
called so, wherever they are shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.shared.data import phantoms
from models.shared.paths import assets_dir, data_root
from workbench.imaging import Study
from workbench.imaging.windows import FULL_8_BIT

SIDE_PX = 256
_PHANTOM = re.compile(r"phantom:([a-z_]{1,40}):([0-9]{1,9}):([0-9]{2,3})")
_SIDES_PX = range(64, 513)


@dataclass(frozen=True)
class Example:
    """One example as the gallery offers it."""

    id: str
    label: str
    """Short, in plain words; a phantom's says that it is one."""


@dataclass(frozen=True)
class PhantomKey:
    """What `phantoms.sample(family, seed, size=side_px)` needs to draw the picture again with its masks and facts."""

    family: str
    seed: int
    side_px: int = SIDE_PX

    @property
    def id(self) -> str:
        """The example's id."""
        return f"phantom:{self.family}:{self.seed}:{self.side_px}"

    @property
    def title(self) -> str:
        """ "Brain-MR-like phantom no. 20000003, drawn by the program"."""
        name = phantoms.title(self.family)
        return f"{name[0].upper()}{name[1:]} no. {self.seed}, drawn by this program"

    def another(self) -> PhantomKey:
        """The phantom of the next seed in the same split; after the last one the split begins again."""
        seeds = phantoms.SPLITS[phantoms.split_of(self.seed)]
        return PhantomKey(self.family, seeds[(self.seed - seeds.start + 1) % len(seeds)], self.side_px)


def phantom(family: str, number: int, *, split: str = "test", side_px: int = SIDE_PX) -> Example:
    """The `number`-th phantom of a split as an example, labelled as a phantom. ValueError for an unknown family or split."""
    key = PhantomKey(family, phantoms.split_seeds(split, 1, number)[0], side_px)
    label = phantoms.title(family)
    return Example(key.id, f"{label[0].upper()}{label[1:]}")


def from_data(folder: str, names: Iterable[str], label: str) -> tuple[Example, ...]:
    """Files of a folder under WORKBENCH_DATA as examples; those that are not there are left out, so the answer may be empty."""
    found = [f"{folder}/{name}" for name in names if (data_root() / folder / name).is_file()]
    return tuple(Example(f"data:{place}", label) for place in found)


def from_assets(names: Iterable[str], label: str) -> tuple[Example, ...]:
    """Files that ship with the program, in assets/examples; all of them were drawn by it."""
    return tuple(Example(f"asset:{name}", label) for name in names if (assets_dir() / "examples" / name).is_file())


def title_of(id: str) -> str:
    """What an example that comes from a file is called."""
    return "Phantom, drawn by this program" if id.startswith("asset:") else "Example scan from this server's data folder"


def data_path(id: str) -> Path | None:
    """The file of a "data:" id inside the data folder, or of an "asset:" id among the program's examples; None for other ids and for whatever leads outside."""
    kind, _, place = id.partition(":")
    roots = {"data": data_root, "asset": lambda: assets_dir() / "examples"}
    if kind not in roots:
        return None
    root = roots[kind]().resolve()
    path = (root / place).resolve()
    return path if path.is_relative_to(root) else None


def phantom_key(id: str) -> PhantomKey | None:
    """The phantom an id stands for; None when it stands for none that can be drawn."""
    named = _PHANTOM.fullmatch(id)
    if named is None:
        return None
    key = PhantomKey(named[1], int(named[2]), int(named[3]))
    possible = (
        key.family in phantoms.families() and key.side_px in _SIDES_PX and any(key.seed in seeds for seeds in phantoms.SPLITS.values())
    )
    return key if possible else None


def draw(key: PhantomKey) -> Study:
    """The phantom as a Study of one grey frame, 0 to 255."""
    made = phantoms.sample(key.family, key.seed, size=key.side_px)
    pixels = np.rint(made.image * 255).astype(np.float32)
    pixels.flags.writeable = False
    return Study(
        pixels=pixels, frames=1, frame=0, spacing_mm=(made.spacing_mm, made.spacing_mm), modality="phantom", source="png",
        window=tuple(FULL_8_BIT[1:]), windows=(FULL_8_BIT,), photometric="MONOCHROME2", warnings=(), content_hash=key.id,
    )  # fmt: skip
