"""A table that somebody brings: an h5ad file, or a zip of a Visium folder, of a legacy section, or of two plain tables."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from models.shared.data import DataDamaged
from models.shared.data.archives import Limits, Member, members
from models.shared.data.spatial.readers import inflated, read_h5ad, read_legacy, read_tables, read_visium
from models.shared.data.spatial.record import Expression, SpatialRefused

PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".svs", ".ndpi")
_TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".txt")
_LIMITS = Limits(members=2_000, file_bytes=768 << 20, total_bytes=2 << 30, packed=(".tsv.gz", ".csv.gz", ".mtx.gz"))
WANTED = "an h5ad file, or a zip with a Visium folder, with counts and a selection of the older arrays, or with two tables: counts (one row a spot) and places (x, y)"


def read_upload(path: Path) -> Expression:
    """The table in a file. SpatialRefused with a sentence."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as fault:
        raise SpatialRefused(f"The table cannot be opened ({fault.strerror}); upload it again.") from None
    if head == b"\x89HDF\r\n\x1a\n":
        return read_h5ad(path, section=path.stem)
    if not head.startswith(b"PK"):
        raise SpatialRefused(f"This is no table of a known kind; bring {WANTED}.")
    try:
        with members(path, _LIMITS) as files:
            return _of_zip(files, path.stem)
    except DataDamaged as fault:
        raise SpatialRefused(str(fault)) from fault


def _of_zip(files: list[Member], section: str) -> Expression:
    names = [PurePosixPath(one.name).name.lower() for one in files]
    if any(name.startswith("tissue_positions") for name in names):
        return read_visium({one.name: one.read for one in files}, section=section)
    tables = [one for one in files if one.name.lower().endswith(_TABLES)]
    selection = [one for one in tables if "selection" in PurePosixPath(one.name).name.lower()]
    if selection:
        others = [one for one in tables if one not in selection and "cluster" not in one.name.lower()]
        if len(selection) == len(others) == 1:
            return read_legacy(others[0].read(), selection[0].read(), section=section)
        raise SpatialRefused("The zip holds more than one section; bring one table of counts and one selection.")
    if len(tables) != 2:
        raise SpatialRefused(f"The zip holds {len(tables)} tables where two are needed; bring {WANTED}.")
    first, second = (one.read() for one in tables)
    # the wider one holds the counts
    wide, narrow = (first, second) if _columns(first) >= _columns(second) else (second, first)
    return read_tables(wide, narrow, section=section)


def _columns(data: bytes) -> int:
    line = inflated(data)[: 1 << 20].partition(b"\n")[0]
    return max(line.count(sign) for sign in (b"\t", b",", b";"))
