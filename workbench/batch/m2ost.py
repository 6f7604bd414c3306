"""The work of one slide: lay the spots, predict them piece by piece, join the pieces. Three functions that any process of any machine may run.

A slide's folder under the batch's output:

    plan.json      what is being done: slide, weights, options, number of pieces; another plan throws the pieces away
    spots.npz      the spots
    piece-00007.npz, …   predictions of one piece; gone once joined
    predictions.csv, predictions.h5ad, done.json    the result

All files appear whole or not at all. Memory holds one piece, and while joining one piece at a time for the table.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.shared.checkpoints import write_atomically
from models.shared.slides import open_source
from models.shared.version import VERSION
from workbench.exports import NOTE, csv_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.m2ost.wrapper import Predictor, SpotGrid

PIECE = 2048
"""Spots in one piece: seconds of work, so that little is lost with a worker and much can be shared out."""
H5AD_BYTES = 512 << 20
"""Of predictions; a larger table is written as CSV alone, since an h5ad file is made in memory."""


@dataclass(frozen=True)
class Options:
    """What is asked of every slide. `weights`: a file of one's own; '' for the shipped ones."""

    arm: str = "full"
    weights: str = ""
    levels: tuple[int, ...] = (0, 1, 2)
    flips: bool = False
    pitch_um: float = 100.0
    mpp: float | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class Plan:
    """A slide's work: which pieces there are, and which of them are still to do."""

    folder: str
    slide: str
    spots: int
    pieces: int
    todo: tuple[int, ...] = field(default=())
    done: bool = False


def plan(slide: str, folder: str, options: Options) -> Plan:
    """Open the slide, lay the spots (unless that was done before) and say what is left to do.

    SlideRefused, or another ValueError, with a sentence for a slide that cannot be used.
    """
    from models.m2ost.wrapper import spot_grid

    where = Path(folder)
    where.mkdir(parents=True, exist_ok=True)
    predictor, source = _predictor(options), open_source(slide, mpp=options.mpp)
    try:
        asked = {
            "version": 1,
            "slide": Path(slide).name,
            "fingerprint": source.fingerprint,
            "mpp": source.mpp,
            "weights": predictor.sha256,
            "options": {key: value for key, value in asdict(options).items() if key not in ("device", "weights")},
        }
        asked = json.loads(json.dumps(asked))
        kept = _read(where / "plan.json")
        if {key: kept.get(key) for key in asked} != asked:
            _clear(where)
            grid = spot_grid(source, pitch_um=options.pitch_um)
            write_atomically(where / "spots.npz", _npz(xy=grid.xy, diameter=np.float64(grid.diameter)))
            count = len(grid.xy)
            kept = asked | {"spots": count, "pieces": -(-count // PIECE), "path": str(Path(slide).resolve())}
            write_atomically(where / "plan.json", (json.dumps(kept, indent=1) + "\n").encode())
    finally:
        source.close()
    if (where / "done.json").exists():
        return Plan(folder, slide, kept["spots"], kept["pieces"], done=True)
    todo = tuple(number for number in range(kept["pieces"]) if not _piece(where, number).exists())
    return Plan(folder, slide, kept["spots"], kept["pieces"], todo)


def run(slide: str, folder: str, options: Options, number: int) -> int:
    """Predict one piece and write it; the number of its spots."""
    where = Path(folder)
    xy, grid = _grid(where, options)
    indices = np.arange(number * PIECE, min((number + 1) * PIECE, len(xy)))
    predictor, source = _predictor(options), open_source(slide, mpp=options.mpp)
    values = np.full((len(indices), len(predictor.genes)), np.nan, np.float32)
    spread = np.full_like(values, np.nan) if options.flips else None
    try:
        for chunk in predictor.predict(source, grid, indices, levels=options.levels, flips=options.flips):
            at = np.asarray(chunk.indices) - indices[0]
            values[at] = chunk.values
            if spread is not None:
                spread[at] = chunk.spread
    finally:
        source.close()
    if np.isnan(values).any():
        raise RuntimeError(f"{int(np.isnan(values).any(1).sum())} spots of piece {number} were not predicted")
    write_atomically(_piece(where, number), _npz(values=values) if spread is None else _npz(values=values, spread=spread))
    return len(indices)


def join(folder: str, options: Options) -> dict[str, Any]:
    """Write the tables from the pieces, then take the pieces away. Returns what `done.json` holds."""
    where = Path(folder)
    kept = _read(where / "plan.json")
    predictor = _predictor(options)
    with np.load(where / "spots.npz") as spots:
        xy = spots["xy"]
    names = [gene.name for gene in predictor.genes]
    files = ["predictions.csv"]
    _write_csv(where, xy, kept["mpp"], names, kept["pieces"])
    if len(xy) * len(names) * 4 <= H5AD_BYTES:
        _write_h5ad(where, xy, names, kept)
        files.append("predictions.h5ad")
    done = {
        "slide": kept["slide"],
        "spots": len(xy),
        "genes": len(names),
        "files": files,
        "weights": kept["weights"],
        "lightbox": VERSION,
        "note": NOTE,
    }
    write_atomically(where / "done.json", (json.dumps(done, indent=1) + "\n").encode())
    for number in range(kept["pieces"]):
        _piece(where, number).unlink(missing_ok=True)
    return done


def _predictor(options: Options) -> Predictor:
    import torch

    from models.m2ost.wrapper import load_predictor

    if options.device == "cpu":
        torch.set_num_threads(1)  # one process a core: more threads would only take each other's
    return load_predictor(options.arm, path=options.weights or None, device=options.device)


def _grid(where: Path, options: Options) -> tuple[np.ndarray, SpotGrid]:
    from models.m2ost.wrapper import SpotGrid

    with np.load(where / "spots.npz") as spots:
        return spots["xy"], SpotGrid(xy=spots["xy"], diameter=float(spots["diameter"]))


def _pieces(where: Path, count: int, name: str = "values") -> Iterator[np.ndarray]:
    for number in range(count):
        with np.load(_piece(where, number)) as piece:
            yield piece[name]


def _write_csv(where: Path, xy: np.ndarray, mpp: float | None, names: list[str], count: int) -> None:
    """The table, streamed: one piece in memory at a time."""
    handle, name = tempfile.mkstemp(dir=where, prefix=".predictions.")
    try:
        with os.fdopen(handle, "w", newline="", encoding="utf-8") as file:
            file.write(csv_bytes(["x_px", "y_px", "x_um", "y_um", *names], []).decode())
            writer, row = csv.writer(file, lineterminator="\r\n"), 0
            for values in _pieces(where, count):
                for one in values:
                    x, y = xy[row]
                    micron = [f"{x * mpp:.2f}", f"{y * mpp:.2f}"] if mpp else ["", ""]
                    writer.writerow([f"{x:.1f}", f"{y:.1f}", *micron, *(f"{value:.4f}" for value in one)])
                    row += 1
        os.chmod(name, 0o644)
        os.replace(name, where / "predictions.csv")
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _write_h5ad(where: Path, xy: np.ndarray, names: list[str], kept: dict[str, Any]) -> None:
    import anndata
    import pandas as pd

    table = anndata.AnnData(
        X=np.concatenate(list(_pieces(where, kept["pieces"]))) if kept["pieces"] else np.zeros((0, len(names)), np.float32),
        obs=pd.DataFrame(index=[f"spot {number}" for number in range(len(xy))]),
        var=pd.DataFrame(index=names),
        obsm={"spatial": xy.astype(np.float64)},
        uns={
            "lightbox": {
                "what": "predicted, not measured",
                "weights_sha256": kept["weights"],
                "slide_fingerprint": kept["fingerprint"],
                "unit": "log(1+CPM)",
            }
        },
    )
    with tempfile.TemporaryDirectory(dir=where, prefix=".h5ad.") as folder:
        table.write_h5ad(Path(folder) / "predictions.h5ad")
        os.replace(Path(folder) / "predictions.h5ad", where / "predictions.h5ad")


def _piece(where: Path, number: int) -> Path:
    return where / f"piece-{number:05d}.npz"


def _npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _clear(where: Path) -> None:
    """Take away what another plan left, and nothing that is not ours."""
    for name in ("plan.json", "spots.npz", "done.json", "predictions.csv", "predictions.h5ad"):
        (where / name).unlink(missing_ok=True)
    for path in where.glob("piece-*.npz"):
        path.unlink()
    for path in where.glob(".h5ad.*"):
        shutil.rmtree(path, ignore_errors=True)
