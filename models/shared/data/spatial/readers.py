"""The four formats: legacy ST as its authors publish it, Visium folders, h5ad files, and plain tables of counts and places.

Files of others: sizes are looked at before values are read, and every fault becomes one sentence.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import io as matrix_io
from scipy import sparse
from scipy.spatial import cKDTree

from models.shared.data.spatial.record import MAX_BYTES, Expression, SpatialRefused, check_size

if TYPE_CHECKING:
    import pandas as pd

ARRAY_PITCH_UM = 200.0
"""Distance of neighbouring spots on the legacy array; spots are 100 µm wide."""
VISIUM_SPOT_UM = 55.0
Files = Mapping[str, Callable[[], bytes]]
"""Name inside a folder or zip → its bytes."""


@contextmanager
def _spoken(what: str) -> Iterator[None]:
    """Whatever a parser raises on a damaged file, as one sentence."""
    try:
        yield
    except SpatialRefused:
        raise
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError, RuntimeError, AttributeError, UnicodeError, csv.Error) as fault:
        raise SpatialRefused(
            f"{what} cannot be read ({type(fault).__name__}: {' '.join(str(fault).split())[:100]}); export it again."
        ) from fault


def inflated(data: bytes) -> bytes:
    """The bytes, unpacked where they are gzip, and never more than MAX_BYTES."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    with gzip.open(io.BytesIO(data)) as file:
        made = file.read(MAX_BYTES + 1)
    if len(made) > MAX_BYTES:
        raise SpatialRefused(f"A packed table grows beyond {MAX_BYTES >> 20} MB; bring a smaller one.")
    return made


def _table(data: bytes, *, index: int | None = 0) -> pd.DataFrame:
    import pandas as pd

    data = inflated(data)
    line = data[: 1 << 16].partition(b"\n")[0]
    separator = max("\t,;", key=lambda sign: line.count(sign.encode()))
    rows = data.count(b"\n")
    check_size(rows, line.count(separator.encode()) + 1)
    return pd.read_csv(io.BytesIO(data), sep=separator, index_col=index)


def _nearest(xy: np.ndarray) -> float:
    """Median distance to the nearest neighbour."""
    distance, _ = cKDTree(xy).query(xy, k=2)
    return float(np.median(distance[:, 1]))


def read_legacy(counts: bytes, selection: bytes, *, section: str = "", patient: str = "") -> Expression:
    """Legacy ST: counts with rows "<x>x<y>", and a table of x, y, pixel_x, pixel_y; joined by rounded array position. The size of a pixel follows from the array's 200 µm."""
    with _spoken("The table of counts"):
        table = _table(counts)
        names = [str(name) for name in table.index]
        values = sparse.csr_matrix(table.to_numpy(np.float32))
    with _spoken("The table of spots"):
        places = _table(selection, index=None)
        at = {
            (round(float(x)), round(float(y))): (float(px), float(py))
            for x, y, px, py in places[["x", "y", "pixel_x", "pixel_y"]].itertuples(index=False)
        }
        rows, xy = [], []
        for row, name in enumerate(names):
            x, _, y = name.partition("x")
            found = at.get((round(float(x)), round(float(y))))
            if found is not None:
                rows.append(row)
                xy.append(found)
    if len(rows) < 3:
        raise SpatialRefused(
            "Fewer than three spots of the two tables belong together; rows of the counts must be named like 10x12, as in the table of spots."
        )
    xy = np.array(xy)
    mpp = ARRAY_PITCH_UM / _nearest(xy)
    left = len(names) - len(rows)
    notes = (f"{left} spots of the counts have no place and were left out.",) if left else ()
    return Expression(values[rows], tuple(str(name) for name in table.columns), xy, 100.0 / mpp, mpp, section, patient, notes)


def read_tables(counts: bytes, places: bytes, *, section: str = "") -> Expression:
    """Plain tables: counts with a spot's name in the first column and one column a gene; places with the same names and columns x and y in pixels of the picture."""
    with _spoken("The table of counts"):
        table = _table(counts)
        values = sparse.csr_matrix(table.to_numpy(np.float32))
    with _spoken("The table of places"):
        where = _table(places)
        lower = {str(name).strip().lower(): name for name in where.columns}
        x, y = (
            next((lower[name] for name in (axis, f"pixel_{axis}", f"{axis}_px", f"{axis}_pixel") if name in lower), None) for axis in "xy"
        )
        if x is None or y is None:
            raise SpatialRefused("The table of places needs columns named x and y, in pixels of the picture.")
        both = where.index.astype(str)
        known = {name: row for row, name in enumerate(both)}
        rows = [row for row, name in enumerate(table.index.astype(str)) if name in known]
        xy = where[[x, y]].to_numpy(np.float64)[[known[str(table.index[row])] for row in rows]]
    if len(rows) < 3:
        raise SpatialRefused(
            "Fewer than three spots have both counts and a place; the first column of both tables must hold the same names."
        )
    return Expression(values[rows], tuple(str(name) for name in table.columns), xy, None, None, section)


def read_visium(files: Files, *, section: str = "") -> Expression:
    """A Visium folder: filtered_feature_bc_matrix (.h5, or a folder of .mtx), spatial/tissue_positions (with or without a heading), spatial/scalefactors_json.json."""

    def find(*ends: str) -> bytes | None:
        return next((read() for name, read in files.items() if name.lower().endswith(ends)), None)

    positions, factors = find("tissue_positions.csv", "tissue_positions_list.csv"), find("scalefactors_json.json")
    if positions is None:
        raise SpatialRefused("The folder holds no spatial/tissue_positions.csv, so nobody knows where its spots lie.")
    hdf = find("feature_bc_matrix.h5")
    with _spoken("The matrix of counts"):
        barcodes, genes, counts = _visium_h5(hdf) if hdf is not None else _visium_mtx(find)
    with _spoken("The table of positions"):
        lines = list(csv.reader(io.StringIO(inflated(positions).decode("utf-8-sig"))))
        lines = lines[1:] if lines and not lines[0][1].strip().isdigit() else lines  # newer files carry a heading
        at = {
            line[0]: (float(line[5]), float(line[4])) for line in lines if len(line) >= 6 and line[1].strip() == "1"
        }  # row before column: y before x
    rows = [row for row, name in enumerate(barcodes) if name in at]
    if len(rows) < 3:
        raise SpatialRefused(
            "Fewer than three spots of the matrix lie in the tissue according to its positions; the two belong to different sections."
        )
    diameter = None
    if factors is not None:
        with _spoken("The scale factors"):
            diameter = float(json.loads(factors)["spot_diameter_fullres"])
    mpp = VISIUM_SPOT_UM / diameter if diameter else None
    return Expression(counts[rows], genes, np.array([at[barcodes[row]] for row in rows]), diameter, mpp, section)


def _visium_h5(data: bytes) -> tuple[list[str], tuple[str, ...], sparse.csr_matrix]:
    import h5py

    with h5py.File(io.BytesIO(data)) as file:
        group = file["matrix"]
        genes, spots = (int(number) for number in group["shape"][:2])
        check_size(spots, genes, stored=group["data"].shape[0])
        matrix = sparse.csc_matrix((group["data"][:].astype(np.float32), group["indices"][:], group["indptr"][:]), shape=(genes, spots))
        names = tuple(name.decode() for name in group["features"]["name"][:])
        return [name.decode() for name in group["barcodes"][:]], _unique(names), matrix.T.tocsr()


def _visium_mtx(find: Callable[..., bytes | None]) -> tuple[list[str], tuple[str, ...], sparse.csr_matrix]:
    parts = [find(f"{name}.gz", name) for name in ("matrix.mtx", "features.tsv", "barcodes.tsv")]
    if any(part is None for part in parts):
        raise SpatialRefused(
            "The folder holds no filtered_feature_bc_matrix, neither as .h5 nor as matrix.mtx with features.tsv and barcodes.tsv."
        )
    matrix, features, barcodes = (inflated(part) for part in parts)
    genes, spots, stored, *_ = matrix_io.mminfo(io.BytesIO(matrix))
    check_size(spots, genes, stored=stored)
    counts = sparse.csr_matrix(matrix_io.mmread(io.BytesIO(matrix)).T, dtype=np.float32)
    rows = list(csv.reader(io.StringIO(features.decode()), delimiter="\t"))
    return barcodes.decode().split(), _unique(tuple(row[1] if len(row) > 1 else row[0] for row in rows)), counts


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    """Gene names that occur twice get a number, as scanpy gives it."""
    seen: dict[str, int] = {}
    made = []
    for name in names:
        seen[name] = seen.get(name, -1) + 1
        made.append(f"{name}-{seen[name]}" if seen[name] else name)
    return tuple(made)


def read_h5ad(path: Path, *, section: str = "") -> Expression:
    """An h5ad file through anndata: raw counts in X (or layers["counts"]), places in obsm["spatial"] in pixels of the full picture."""
    import anndata
    import h5py

    with _spoken("The h5ad file"):
        with h5py.File(path) as file:  # sizes first: anndata would read whatever is there
            _check_h5ad(file)
        table = anndata.read_h5ad(path)
        if "spatial" not in table.obsm:
            raise SpatialRefused("The h5ad file holds no obsm['spatial'], so nobody knows where its spots lie.")
        raw = table.layers.get("counts", table.X)
        counts = sparse.csr_matrix(raw, dtype=np.float32)
        xy = np.asarray(table.obsm["spatial"], np.float64)[:, :2]
        diameter = _diameter(table.uns)
    if counts.nnz and np.abs(counts.data[:10_000] - np.rint(counts.data[:10_000])).max() > 1e-3:
        raise SpatialRefused(
            "The h5ad file holds no raw counts, but values that were normalised already; put the counts into X or layers['counts']."
        )
    mpp = VISIUM_SPOT_UM / diameter if diameter else None
    return Expression(counts, _unique(tuple(str(name) for name in table.var_names)), xy, diameter, mpp, section)


def _check_h5ad(file: Any) -> None:
    if "X" not in file or "obs" not in file:
        raise SpatialRefused("This is no h5ad file of spots and genes: it holds no X.")
    x = file["X"]
    if hasattr(x, "shape"):
        check_size(*x.shape[:2], stored=int(np.prod(x.shape)))
    else:
        check_size(*(int(number) for number in x.attrs["shape"][:2]), stored=x["data"].shape[0])
    total = 0

    def add(_name: str, item: Any) -> None:
        nonlocal total
        total += int(getattr(item, "nbytes", 0) or 0)

    file.visititems(add)
    if total > 4 * MAX_BYTES:
        raise SpatialRefused(f"The h5ad file unpacks to more than {4 * MAX_BYTES >> 30} GB; bring one section with its counts alone.")


def _diameter(uns: Any) -> float | None:
    """scanpy's place for the scale factors: uns["spatial"][<library>]["scalefactors"]["spot_diameter_fullres"]."""
    try:
        library = next(iter(uns["spatial"].values()))
        return float(library["scalefactors"]["spot_diameter_fullres"])
    except (KeyError, StopIteration, AttributeError, TypeError, ValueError):
        return None
