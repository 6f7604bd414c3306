"""What a slide's genes cost: spots per second in one go against one at a time, cost per spot and memory as slides grow, and the wait for the first window.

    python -m benchmarks.m2ost [--side 50000] [--spots 1500]

The same trained network reads the same slide both ways in one run: `predict` shares each stretch of the rasters among the spots that need it and answers in batches; the plain
way asks for one spot after the other. Then a slide of `side` × `side` pixels is written into a temporary folder, and pieces of grids of growing size are predicted on it, in a
process of their own each, whose peak memory is taken. One thread. Ratios are printed and kept in `benchmarks/results/m2ost.json`; nothing fails on a time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from models.m2ost.wrapper import Predictor
    from models.shared.slides import SlideSource

RESULTS = Path(__file__).parent / "results" / "m2ost.json"
EXAMPLE = Path(__file__).resolve().parents[1] / "assets" / "examples" / "phantom_slide.tif"
PITCHES = ((800.0, "10³"), (250.0, "10⁴"), (79.0, "10⁵"), (25.0, "10⁶"))
PIECE = 1024


def together_and_alone(spots: int) -> dict[str, float]:
    """Spots per second both ways on the example slide, the same spots, a fresh reader each."""
    from models.m2ost.wrapper import load_predictor, spot_grid
    from models.shared.slides import open_source

    predictor, made = load_predictor("full"), {}
    with_open = open_source(EXAMPLE)
    grid = spot_grid(with_open, pitch_um=56.0)
    with_open.close()
    rows = np.arange(len(grid.xy))[: 2 * spots]
    for name, count in (("together", len(rows)), ("one at a time", min(spots // 4, 300))):
        source = open_source(EXAMPLE)
        some = rows[:count]
        began = time.perf_counter()
        if name == "together":
            done = sum(len(chunk.indices) for chunk in predictor.predict(source, grid, some))
        else:
            done = sum(_alone(predictor, source, grid.xy[row], grid.mpp) for row in some)
        made[name] = done / (time.perf_counter() - began)
        source.close()
    return made


def _alone(predictor: Predictor, source: SlideSource, xy: np.ndarray, mpp: float) -> int:
    """The plain way: read the spot's own fields at the network's size, one after the other, and ask about them alone."""
    side, views = predictor.network.image, []
    for level in predictor.levels:
        width = round(predictor.field_um * 2**level / mpp)
        views.append(source.read(round(xy[0] - width / 2), round(xy[1] - width / 2), width, width, out=(side, side)))
    return len(predictor.answer(np.stack(views)[None])[0])


def first_window() -> float:
    """Seconds from the start of the job to the last spot of a window of 1.5 × 1.2 mm at 100 µm."""
    from models.m2ost.slide_run import predict_slide

    class Inbox:
        stopping = False

        def __init__(self, out: Path) -> None:
            self.out = out

        @staticmethod
        def poll() -> list:
            return []

    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        for event in predict_slide({"path": str(EXAMPLE), "window": [3000, 2400, 3000, 2400]}, Inbox(Path(out))):
            if event["kind"] == "progress" and event["stage"] == "whole slide":
                break
        return time.perf_counter() - began


def large(path: Path, side: int) -> None:
    """Write a slide by repeating a drawn block, each time turned or mirrored, so that no two neighbours are alike."""
    from models.shared.data.histology import make_section, write_large

    block = make_section(5, patient=7, width_um=2048, height_um=2048, mpp=0.5).read(0, 0, 4096, 4096)

    def at(x: int, y: int, w: int, h: int) -> np.ndarray:
        rows, columns = np.arange(y, y + h), np.arange(x, x + w)
        up = np.where((rows // 4096) % 2, 4095 - rows % 4096, rows % 4096)
        across = np.where((columns // 4096) % 2, 4095 - columns % 4096, columns % 4096)
        return block[up[:, None], across[None, :]]

    write_large(path, side, side, 0.5, at)


def piece_of(path: str, pitch: float) -> dict[str, float]:
    """Lay the grid, predict three pieces of it (first, middle, last); in a process of its own."""
    import torch

    from models.m2ost.wrapper import load_predictor, spot_grid
    from models.shared.slides import open_source

    torch.set_num_threads(1)
    predictor, source = load_predictor("full"), open_source(path)
    list(predictor.predict(source, spot_grid(source, pitch_um=400.0), [0, 1]))  # what happens once is not counted
    began = time.perf_counter()
    grid = spot_grid(source, pitch_um=pitch)
    laid, count = time.perf_counter() - began, len(grid.xy)
    rows = np.unique(
        np.concatenate(
            [np.arange(start, min(start + PIECE, count)) for start in (0, max(0, count // 2 - PIECE // 2), max(0, count - PIECE))]
        )
    )
    began = time.perf_counter()
    done = sum(len(chunk.indices) for chunk in predictor.predict(source, grid, rows))
    seconds = time.perf_counter() - began
    return {
        "spots": count,
        "laid_s": laid,
        "ms_per_spot": 1000 * seconds / done + 1000 * laid / count,
        "peak_mb": _peak_mb(),
    }


def _peak_mb() -> float:
    """Of this process since it began; what `getrusage` tells starts from the parent's."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=50_000)
    parser.add_argument("--spots", type=int, default=1500)
    parser.add_argument("--piece", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.piece:
        print(json.dumps(piece_of(asked.piece[0], float(asked.piece[1]))))
        return
    import torch

    torch.set_num_threads(1)
    rates = together_and_alone(asked.spots)
    found = {
        "together_per_s": rates["together"],
        "alone_per_s": rates["one at a time"],
        "ratio": rates["together"] / rates["one at a time"],
        "first_window_s": first_window(),
    }
    print(
        f"together {rates['together']:.0f} spots/s, one at a time {rates['one at a time']:.0f}: {found['ratio']:.1f} ×; first window {found['first_window_s']:.2f} s"
    )
    with tempfile.TemporaryDirectory() as folder:
        found["sizes"], found["grids"] = [], []
        for side in sorted({5_000, 16_000, asked.side}):
            path = Path(folder) / f"{side}.tif"
            large(path, side)
            one = _own_process(path, 100.0)
            found["sizes"].append({"side": side, "file_mb": path.stat().st_size / 1e6} | one)
            print(f"{side:,} px: {one['spots']:,} spots, peak {one['peak_mb']:.0f} MB, {one['ms_per_spot']:.2f} ms a spot")
        for pitch, name in PITCHES:
            one = _own_process(path, pitch)
            found["grids"].append({"pitch_um": pitch} | one)
            print(
                f"about {name}: {one['spots']:,} spots laid in {one['laid_s']:.2f} s, {one['ms_per_spot']:.2f} ms a spot, peak {one['peak_mb']:.0f} MB"
            )
    found |= {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _own_process(path: Path, pitch: float) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.m2ost", "--piece", str(path), str(pitch)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
