"""The science's command line: `python -m models list | train | evaluate | data`.

A recipe's `train` yields events and ends with `{"kind": "result", "card": Card, "tensors": dict}`. Any event before it may carry
`step`, `steps`, `text` and `loss` for the progress line. Listing reads records and cards alone and loads no PyTorch.

Exit status: 0 when all is well, 1 when a number is off, a checkpoint is refused or a training failed, 2 for a wrong command, 130
when stopped from the keyboard.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Generator, Sequence
from pathlib import Path

from models.shared.checkpoints import Card, save
from models.shared.data import NotForShipping, may_ship
from models.shared.datacli import add_commands
from models.shared.evaluation import Evaluation, evaluate
from models.shared.method import Method, UnknownMethod, backbones, get, methods
from models.shared.paths import repository
from models.shared.progress import ProgressLine
from models.shared.summary import describe, markdown_table, metric_lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except UnknownMethod as fault:
        print(fault, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (head, for instance) went away; without this Python complains once more at exit.
        sys.stdout = None
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models", description="The methods of Lightbox: list, train, evaluate; their data: list, fetch."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="every method and shared encoder with its checkpoint and held-out numbers")
    listing.add_argument("--json", action="store_true", help="print a list of objects instead of text")
    listing.add_argument("--markdown", action="store_true", help="print the README's table instead of text")
    listing.set_defaults(run=_list)

    training = commands.add_parser("train", help="make the checkpoint and card of a method or shared encoder")
    training.add_argument("method", metavar="METHOD")
    training.add_argument("--preset", default="", help="which training preset (default: the method's first)")
    training.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:0 (default: auto)")
    training.add_argument("--seed", type=_seed, default=0, help="whole number from 0 (default: 0)")
    training.add_argument("--out", type=Path, help="folder, or file ending in .safetensors (default: the shipped checkpoint's place)")
    training.set_defaults(run=_train)

    checking = commands.add_parser("evaluate", help="compute a card's numbers again from its checkpoint")
    checking.add_argument("method", metavar="METHOD|all")
    checking.add_argument("--json", action="store_true", help="print a list of objects instead of text")
    checking.set_defaults(run=_evaluate)

    add_commands(commands)
    return parser


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed; use a whole number from 0")
    return int(text)


def _list(options: argparse.Namespace) -> int:
    if options.markdown:
        print(markdown_table(methods()))
        return 0
    known = [describe(method) for method in (*methods(), *backbones())]
    if options.json:
        _print_json(known)
        return 0
    if not known:
        print("No methods are installed.")
    for entry in known:
        counts = "" if entry["parameters"] is None else f"{entry['parameters']:,} parameters, {entry['trained_parameters']:,} trained"
        print(f"{entry['id']}  {entry['title']}  (arXiv {entry['arxiv']})")
        print(f"    {entry['problem'] or ', '.join(filter(None, (entry['checkpoint'] or 'no checkpoint yet', counts)))}")
        for line in metric_lines(entry["metrics"]):
            print(f"    {line}")
    return 0


def _train(options: argparse.Namespace) -> int:
    method = get(options.method)
    try:
        preset = method.preset(options.preset)
        recipe = method.recipe()
        out = _place(method, options.out)
        from models.shared.device import pick_device

        device = str(pick_device(options.device))
    except (ValueError, ModuleNotFoundError) as fault:
        print(fault, file=sys.stderr)
        return 2
    print(f"Training {method.title}, preset {preset.name}: {preset.about}", file=sys.stderr)
    result = _follow(recipe.train(preset.config, seed=options.seed, device=device))
    if isinstance(result, int):
        return result
    out = _allowed_place(method, out, result["card"])
    card = save(out, result["tensors"], result["card"])
    print(f"Written: {out} and {out.with_suffix('.json').name} (sha256 {card.sha256[:12]}…)")
    for line in metric_lines({name: metric.model_dump() for name, metric in card.metrics.items()}):
        print(f"    {line}")
    return 0


def _follow(events: Generator[dict, None, None]) -> dict | int:
    """Show a training's events; returns its result event, or the exit status when it was stopped or failed."""
    progress, result = ProgressLine(), None
    try:
        for event in events:
            progress.show(event)
            if event.get("kind") == "result":
                result = event
    except KeyboardInterrupt:
        events.close()  # lets the recipe put its working files in order
        progress.end()
        print("Stopped. No checkpoint was written.", file=sys.stderr)
        return 130
    except (ValueError, OSError) as fault:
        progress.end()
        print(f"The training could not go on: {fault}", file=sys.stderr)
        return 1
    progress.end()
    if result is None:
        print("The training ended without a result, so no checkpoint was written.", file=sys.stderr)
        return 1
    return result


def _place(method: Method, out: Path | None) -> Path:
    """The weights' path for `--out`; ValueError for a file of another kind."""
    if out is None:
        return method.checkpoint
    if out.suffix == ".safetensors":
        return out
    if out.suffix and not out.is_dir():
        raise ValueError(f"--out is {str(out)!r}; give a folder, or a file ending in .safetensors.")
    return out / method.checkpoint.name


def _allowed_place(method: Method, out: Path, card: Card) -> Path:
    """`out`, unless it is what ships with the program and the card's data forbid that: then a place that stays on this machine."""
    try:
        may_ship(use.name for use in card.datasets if use.kind == "real")
    except NotForShipping as fault:
        if out.resolve().is_relative_to(method.checkpoint.parent.resolve()):
            print(fault, file=sys.stderr)
            return repository() / "workspace" / out.name
    return out


def _evaluate(options: argparse.Namespace) -> int:
    everything = options.method == "all"
    chosen = (*methods(), *backbones()) if everything else (get(options.method),)
    present = [method for method in chosen if method.checkpoint.exists() or method.card.exists()]
    reports = [evaluate(method) for method in present]
    if options.json:
        _print_json([describe(report.method) | report.as_json() for report in reports])
    for report in [] if options.json else reports:
        _print_report(report)
    if not present:
        missing = "No method has a checkpoint yet" if everything else f"{chosen[0].title} has no checkpoint yet"
        print(f"{missing}; make one with: python -m models train METHOD", file=sys.stderr)
        return 0 if everything else 1
    return 1 if any(report.failed for report in reports) else 0


def _print_report(report: Evaluation) -> None:
    print(f"{report.method.id}  {report.method.title}: {report.status}" + (f". {report.message}" if report.message else ""))
    for name, recorded, recomputed, verdict in report.rows():
        again = "not recomputed" if recomputed is None else f"{recomputed:.6g}"
        print(f"    {name}: recorded {'none' if recorded is None else f'{recorded:.6g}'}, now {again}  {verdict}")


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))
