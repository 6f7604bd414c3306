"""What a further click on a prepared picture costs beside the mask decoder alone: same network, same process, alternating repeats.

Run from the checkout: ``python benchmarks/sam2_click.py [--repeats 30] [--threads 2] [--device cpu] [--side 512] [--out FILE]``.
Prints a table and writes benchmarks/results/sam2_click.json. The small network is measured with random weights when its file is not
here (time does not depend on them), the published Hiera-Tiny when its file is. "A further click" is what a visitor's click runs:
`prepare` on the same pixels (hash and cache), then `run` up to three masks in the picture's size, once for a picture of the network's
own size and once for a larger one, where enlarging the masks counts. Only ratios are meant to travel, and
only those taken while nothing else runs. Nothing fails on time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models.shared.backbones.segmenter import load_sam2
from models.shared.backbones.segmenter.network import build, decode
from models.shared.backbones.segmenter.wrapper import Sam2
from models.shared.checkpoints import CheckpointRefused
from models.shared.device import hardware, pick_device

OUT = Path(__file__).parent / "results" / "sam2_click.json"


def time_ms(work: Callable[[], object], device: str) -> float:
    """Milliseconds of one call, the device's queue emptied before and after."""
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1e3


def count_encodings(sam: Sam2, picture: np.ndarray, clicks: int) -> int:
    """How often the image encoder runs while one picture is opened and clicked."""
    calls: list[int] = []
    hook = sam._model.image_encoder.register_forward_hook(lambda *_: calls.append(1))
    for k in range(clicks):
        sam.run(sam.prepare(picture), [(10 + k, 20, 1)])
    hook.remove()
    return len(calls)


def measure(sam: Sam2, side: int, repeats: int, device: str) -> dict[str, float | int]:
    """Medians in milliseconds and the ratio of a click to the decoder, each taken in turn on one picture of `side` by `side`."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (side, side, 3), dtype=np.uint8)
    encodings = count_encodings(sam, picture, clicks=10)
    prepared = sam.prepare(picture)
    point = torch.tensor([[[100.0, 120.0]]], device=sam._model.device)
    label = torch.ones(1, 1, dtype=torch.int32, device=sam._model.device)

    def decoder() -> None:
        with torch.no_grad():
            decode(sam._model, prepared.features, point, label)

    works = {
        "decoder": decoder,
        "click": lambda: sam.run(sam.prepare(picture), [(100, 120, 1)]),
        "prepare_again": lambda: sam.prepare(picture),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            times[name].append(time_ms(work, device))
    fresh = [rng.integers(0, 255, picture.shape, dtype=np.uint8) for _ in range(3)]
    median = {f"{name}_ms": statistics.median(values) for name, values in times.items()}
    return {
        **median,
        "prepare_first_ms": statistics.median(time_ms(lambda one=one: sam.prepare(one), device) for one in fresh),
        "click_to_decoder": statistics.median(c / d for c, d in zip(times["click"], times["decoder"], strict=True)),
        "encodings_in_10_clicks": encodings,
        "parameters": sam.parameters,
        "image_size": sam.image_size,
    }


def contenders(device: str, side: int) -> dict[str, Sam2]:
    """The networks that can be measured on this machine."""
    try:
        small = load_sam2("small", device)
    except CheckpointRefused:
        small = Sam2(build("small", seed=0).to(pick_device(device)))
    found = {"small": small}
    try:
        for precision in ("float32", "bfloat16"):
            found[f"sam2_hiera_tiny, {precision}"] = load_sam2("sam2_hiera_tiny", device, side, precision=precision)
    except CheckpointRefused as fault:
        print(fault)
    return found


def main() -> None:
    """Measure, print, write."""
    ask = argparse.ArgumentParser(description="Cost of a further click beside the mask decoder alone.")
    ask.add_argument("--repeats", type=int, default=30)
    ask.add_argument("--threads", type=int, default=2)
    ask.add_argument("--device", default="cpu")
    ask.add_argument("--side", type=int, default=512, help="square the published network sees")
    ask.add_argument("--out", type=Path, default=OUT, help="where the record is written")
    args = ask.parse_args()
    torch.set_num_threads(args.threads)
    rows = {
        f"{name}, picture {side} px": measure(sam, side, max(args.repeats, 2), args.device)
        for name, sam in contenders(args.device, args.side).items()
        for side in (sam.image_size, 1024)
    }
    for name, row in rows.items():
        print(
            f"{name:44s} encoder {row['prepare_first_ms']:7.1f} ms, once in 10 clicks: {row['encodings_in_10_clicks'] == 1};"
            f" decoder {row['decoder_ms']:6.1f} ms, click {row['click_ms']:6.1f} ms = {row['click_to_decoder']:.2f} × decoder"
        )
    record = {"threads": args.threads, "device": args.device, "hardware": hardware(args.device), "repeats": args.repeats}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(record | {"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
