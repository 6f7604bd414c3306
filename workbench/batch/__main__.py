"""The command line of a batch. Exit code 0 when every slide is done, 1 when one could not be, 2 for arguments that make no sense."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from workbench.batch import m2ost
from workbench.batch.schedule import carry_out, folders
from workbench.batch.workers import Here, NoCluster, RayCluster
from workbench.settings import settings

WORKS = {"m2ost": m2ost}


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m workbench.batch", description=__doc__.splitlines()[0])
    parser.add_argument("method", choices=WORKS, help="what is predicted")
    parser.add_argument("slides", nargs="+", metavar="SLIDE", help="whole-slide files")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="one folder a slide is made in it; run again to go on")
    parser.add_argument("--arm", default="full", help="which of the shipped networks (default: full)")
    parser.add_argument("--weights", default="", metavar="FILE", help="weights of your own")
    parser.add_argument("--pitch-um", type=float, default=100.0, help="distance of the spots, µm (default: 100)")
    parser.add_argument("--mpp", type=float, help="µm per pixel, for slides that do not say")
    parser.add_argument("--flips", action="store_true", help="mean over flips and rotations, and its spread")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes on this machine (default: one per core)")
    parser.add_argument(
        "--ray", default=settings().ray, metavar="ADDRESS", help="send the work to a Ray cluster: local, auto or ray://host:port"
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON an event")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run a batch and say on standard output how it goes."""
    asked = _arguments(argv)
    if asked.workers < 1 or not 5 <= asked.pitch_um <= 5000:
        print("--workers must be at least 1 and --pitch-um between 5 and 5000.", file=sys.stderr)
        return 2
    paths = [str(Path(slide).resolve()) for slide in asked.slides]
    weights = str(Path(asked.weights).resolve()) if asked.weights else ""
    options = m2ost.Options(arm=asked.arm, weights=weights, flips=asked.flips, pitch_um=asked.pitch_um, mpp=asked.mpp)
    slides = folders(paths, asked.out.resolve())
    try:
        workers = RayCluster(asked.ray, count=asked.workers) if asked.ray else Here(asked.workers)
    except NoCluster as why:
        print(why, file=sys.stderr)
        return 2
    try:
        for event in carry_out(WORKS[asked.method], slides, options, workers, count=asked.workers):
            print(json.dumps(event) if asked.json else _said(event), flush=True)
    finally:
        workers.close()
    failed = [slide for slide in slides if not slide.done]
    if not asked.json:
        print(f"{len(slides) - len(failed)} of {len(slides)} slides are done.")
    return 1 if failed else 0


def _said(event: dict) -> str:
    name = Path(event["slide"]).name
    match event["kind"]:
        case "planned":
            return f"{name}: {event['spots']:,} spots" + (
                ", done before" if event["done"] else f", {event['todo']} of {event['pieces']} pieces to do"
            )
        case "progress":
            rate = event["spots"] / max(event["seconds"], 1e-9)
            left = (event["of"] - event["spots"]) / max(rate, 1e-9)
            return f"{event['spots']:,} of {event['of']:,} spots, {rate:,.0f} a second, about {max(left, 0):,.0f} s left"
        case "lost":
            return f"{name}: a worker was lost ({event['step']}, try {event['tries']}); it is tried again"
        case "failed":
            return f"{name}: not done. {event['why']}"
        case _:
            return f"{name}: done, {', '.join(event['files'])} in {event['folder']}"


if __name__ == "__main__":
    raise SystemExit(main())
