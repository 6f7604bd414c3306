"""How many phantoms of each family one processor core draws in a second: batches of 64 at 128 pixels.

Run from the checkout: ``OMP_NUM_THREADS=1 python benchmarks/phantoms.py [--size 128] [--batch 64] [--repeats 5] [--out FILE]``.
Prints a table and writes benchmarks/results/phantoms.json; the median repeat counts. Processor
time is measured, so that other work on the machine does not pass for slowness. Nothing fails on time.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models.shared.data import phantoms
from models.shared.device import hardware

OUT = Path(__file__).parent / "results" / "phantoms.json"


def images_per_second(family: str, size: int, batch: int, repeats: int) -> float:
    """The median over ``repeats`` batches of different seeds, after one that warms the tables up."""
    phantoms.batch(family, phantoms.split_seeds("train", batch), size=size)
    rates = []
    for repeat in range(repeats):
        seeds = phantoms.split_seeds("train", batch, start=batch * (repeat + 1))
        start = time.process_time()
        phantoms.batch(family, seeds, size=size)
        rates.append(batch / (time.process_time() - start))
    return statistics.median(rates)


def main() -> None:
    """Measure, print, write."""
    ask = argparse.ArgumentParser(description="Phantoms drawn in a second by one core.")
    ask.add_argument("--size", type=int, default=128)
    ask.add_argument("--batch", type=int, default=64)
    ask.add_argument("--repeats", type=int, default=5)
    ask.add_argument("--out", type=Path, default=OUT, help="where the record is written")
    args = ask.parse_args()
    rows = {family: images_per_second(family, args.size, args.batch, args.repeats) for family in phantoms.families()}
    for family, rate in rows.items():
        print(f"  {family:20s} {rate:7.0f} images/s")
    record = {
        "size": args.size,
        "batch": args.batch,
        "repeats": args.repeats,
        "threads": int(os.environ["OMP_NUM_THREADS"]),
        "hardware": hardware("cpu"),
        "numpy": np.__version__,
        "images_per_s": {family: round(rate, 1) for family, rate in rows.items()},
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
