"""What reading CLIP's attention, or showing it a part of the patches, costs beside the plain forward: same weights and pictures, one process.

Run from the checkout: ``python benchmarks/clip_attention.py [--model lightbox-clip-small …] [--batch 1 …] [--repeats 15] [--threads 1] [--device cpu]``.
Prints a table and writes benchmarks/results/clip_attention.json. Weights are random, as speed does not depend on them. The plain
forward is open_clip's own ``encode_image`` with PyTorch's fused attention. Only ratios are meant to travel to other machines, and only
those taken while nothing else runs. Nothing fails on time.
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

from models.shared.backbones.clip import SMALL_MODEL, Clip, new_clip
from models.shared.device import hardware

OUT = Path(__file__).parent / "results" / "clip_attention.json"
KEPT = 0.25  # of the patches: a mask ratio of 75 %


def contenders(clip: Clip, x: torch.Tensor) -> dict[str, Callable[[], object]]:
    """Name → what is timed; the first is what the others are compared with."""
    kept = torch.rand(len(x), clip.patches, device=x.device).argsort(1)[:, : round(KEPT * clip.patches)]
    tokens = clip.tokenize(["a photo of a small hypoechoic lesion"] * 8)
    return {
        "plain forward (baseline)": lambda: clip.encode_image(x),
        "features and attention of all layers": lambda: clip.look(x, layers=range(clip.layers)),
        "features and attention of the last layer": lambda: clip.look(x, layers=[-1]),
        "a quarter of the patches": lambda: clip.image_features(x, kept),
        "8 texts, open_clip's forward": lambda: clip.model.encode_text(tokens),
        "8 texts, cut after their end": lambda: clip.encode_text(tokens),
    }


def time_ms(work: Callable[[], object], device: str) -> float:
    """Milliseconds of one call, the device's queue emptied before and after."""
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1e3


def measure(clip: Clip, batch: int, repeats: int, device: str) -> dict[str, dict[str, float]]:
    """Contender → median and quartiles of its time, and the median of its ratio to the baseline of the same round."""
    x = torch.randn(batch, 3, clip.image_size, clip.image_size, device=device)
    works = contenders(clip, x)
    for work in works.values():
        work()
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    order = list(works)
    for _ in range(repeats):
        for name in order:
            times[name].append(time_ms(works[name], device))
        order.append(order.pop(0))  # so that no one always runs after the same neighbour
    base = times[next(iter(works))]
    rows = {}
    for name, values in times.items():
        low, middle, high = statistics.quantiles(values, n=4)
        ratio = statistics.median(value / other for value, other in zip(values, base, strict=True))
        rows[name] = {"median_ms": middle, "quartile_low_ms": low, "quartile_high_ms": high, "ratio_to_baseline": ratio}
    return rows


def main() -> None:
    """Measure, print, write."""
    ask = argparse.ArgumentParser(description="Cost of CLIP's attention and of patch subsets beside the plain forward.")
    ask.add_argument("--model", nargs="+", default=[SMALL_MODEL, "ViT-B-16"])
    ask.add_argument("--batch", nargs="+", type=int, default=[1, 8])
    ask.add_argument("--repeats", type=int, default=15)
    ask.add_argument("--threads", type=int, default=1)
    ask.add_argument("--device", default="cpu")
    ask.add_argument("--out", type=Path, default=OUT, help="where the record is written")
    args = ask.parse_args()
    torch.set_num_threads(args.threads)
    record = {"hardware": hardware(args.device), "threads": args.threads, "repeats": max(args.repeats, 2), "runs": []}
    with torch.inference_mode():
        for model in args.model:
            clip = new_clip(model, device=args.device)
            for batch in args.batch:
                rows = measure(clip, batch, record["repeats"], args.device)
                record["runs"].append({"model": model, "parameters": clip.parameters, "batch": batch, "rows": rows})
                print(f"{model}, {batch} picture{'s' * (batch > 1)}, {args.threads} thread{'s' * (args.threads > 1)}, {record['hardware']}")
                for name, row in rows.items():
                    print(f"  {name:42s} {row['median_ms']:8.1f} ms   {row['ratio_to_baseline']:.2f} × baseline")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
