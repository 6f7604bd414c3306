"""What one SOFIM step costs beside torch.optim.SGD with momentum: same weights, same gradients, one process, alternating repeats.

Run from the checkout: ``python benchmarks/optimizer_step.py [--million 55] [--repeats 15] [--threads 2] [--device cpu] [--out FILE]``.
Prints a table and writes benchmarks/results/optimizer_step.json. The tensor sizes are those of a vision transformer with its many
small biases and norms, repeated until the asked number of parameters is reached. Only ratios are meant to travel to other machines,
and only those taken while nothing else runs; on a busy machine ``--threads 1`` is steadier. Nothing fails on time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models.shared.device import hardware
from models.sofim import SOFIM

WIDTH = 512
BLOCK_SHAPES = ((3 * WIDTH, WIDTH), (3 * WIDTH,), (WIDTH, WIDTH), (WIDTH,), (4 * WIDTH, WIDTH), (4 * WIDTH,), (WIDTH, 4 * WIDTH), (WIDTH,))
NORM_SHAPES = ((WIDTH,),) * 4
OUT = Path(__file__).parent / "results" / "optimizer_step.json"

Maker = Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer]
CONTENDERS: dict[str, Maker] = {
    "SGD momentum 0.9, foreach (baseline)": lambda p: torch.optim.SGD(p, lr=1e-6, momentum=0.9, foreach=True),
    "SOFIM": lambda p: SOFIM(p, lr=1e-6),
    "SOFIM, variant B": lambda p: SOFIM(p, lr=1e-6, variant="B"),
    "SOFIM per tensor": lambda p: SOFIM(p, lr=1e-6, granularity="tensor"),
    "SOFIM, readable walks": lambda p: SOFIM(p, lr=1e-6, foreach=False),
    "Adam, foreach": lambda p: torch.optim.Adam(p, lr=1e-6, foreach=True),
}


def make_parameters(million: float, device: str) -> list[torch.nn.Parameter]:
    """Transformer-shaped tensors, at least ``million`` million parameters in all, each with a gradient."""
    shapes: list[tuple[int, ...]] = [(1000, WIDTH), (1000,)]
    while sum(torch.Size(s).numel() for s in shapes) < million * 1e6:
        shapes += [*BLOCK_SHAPES, *NORM_SHAPES]
    generator = torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(s, generator=generator).to(device)) for s in shapes]
    for p in params:
        p.grad = torch.randn(p.shape, generator=generator).to(device) * 1e-2
    return params


def time_step_ms(optimizer: torch.optim.Optimizer, device: str) -> float:
    """Milliseconds of one step, the device's queue emptied before and after."""
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter()
    optimizer.step()
    if device != "cpu":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1e3


def measure(params: list[torch.nn.Parameter], repeats: int, device: str) -> dict[str, list[float]]:
    """Contender → milliseconds of each repeat. The order turns with each repeat, so that no one always runs after the same neighbour."""
    optimizers = {name: make(params) for name, make in CONTENDERS.items()}
    for optimizer in optimizers.values():
        optimizer.step()
        optimizer.step()
    times: dict[str, list[float]] = {name: [] for name in optimizers}
    order = list(optimizers)
    for _ in range(repeats):
        for name in order:
            times[name].append(time_step_ms(optimizers[name], device))
        order.append(order.pop(0))
    return times


def report(times: dict[str, list[float]], params: list[torch.nn.Parameter], device: str) -> dict:
    """The record written to disk: medians, quartiles and ratios to the baseline."""
    base = statistics.median(times[next(iter(times))])
    rows = {}
    for name, values in times.items():
        low, middle, high = statistics.quantiles(values, n=4)
        rows[name] = {"median_ms": middle, "quartile_low_ms": low, "quartile_high_ms": high, "ratio_to_baseline": middle / base}
    return {
        "parameters": sum(p.numel() for p in params),
        "tensors": len(params),
        "threads": torch.get_num_threads(),
        "device": device,
        "hardware": hardware(device),
        "torch": torch.__version__,
        "repeats": len(next(iter(times.values()))),
        "rows": rows,
    }


def main() -> None:
    """Measure, print, write."""
    ask = argparse.ArgumentParser(description="Cost of a SOFIM step beside SGD with momentum.")
    ask.add_argument("--million", type=float, default=55, help="parameters, in millions")
    ask.add_argument("--repeats", type=int, default=15)
    ask.add_argument("--threads", type=int, default=2)
    ask.add_argument("--device", default="cpu")
    ask.add_argument("--out", type=Path, default=OUT, help="where the record is written")
    args = ask.parse_args()
    torch.set_num_threads(args.threads)
    params = make_parameters(args.million, args.device)
    record = report(measure(params, max(args.repeats, 2), args.device), params, args.device)
    print(f"{record['parameters']:,} parameters in {record['tensors']} tensors, {record['threads']} threads, {record['hardware']}")
    for name, row in record["rows"].items():
        print(f"  {name:38s} {row['median_ms']:8.1f} ms   {row['ratio_to_baseline']:.2f} × baseline")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
