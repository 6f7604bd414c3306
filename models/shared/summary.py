"""A method and its card as plain values, for `python -m models list` and whoever reads its JSON. Loads no PyTorch when a card is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from models.shared.checkpoints import Card, CheckpointRefused, read_card
from models.shared.method import Method
from models.shared.paths import repository


def describe(method: Method) -> dict:
    """Id, title, arXiv id, parameter counts, checkpoint, its checksum and its recorded metrics.

    `checkpoint` is None while there is none, and its path counts from the repository's root. `problem` is a sentence when the
    card or the weights are damaged or one of the two is missing, else None.
    """
    card, problem = _card(method)
    counts = (card.parameters, card.trained_parameters) if card else method.parameters() or (None, None)
    return {
        "id": method.id,
        "title": method.title,
        "arxiv": method.paper.arxiv,
        "parameters": counts[0],
        "trained_parameters": counts[1],
        "checkpoint": _from_root(method.checkpoint) if method.checkpoint.exists() else None,
        "sha256": card.sha256 if card else None,
        "metrics": {name: metric.model_dump() for name, metric in card.metrics.items()} if card else {},
        "problem": problem,
    }


def metric_lines(metrics: Mapping[str, Mapping]) -> list[str]:
    """One line for each metric: name, value, interval, number of cases; phantoms are called phantoms."""
    width = max((len(name) for name in metrics), default=0)
    return [
        f"{name:<{width}}  {m['value']:.4g}{_unit(m)}  95 % {m['low']:.4g} to {m['high']:.4g} ({m['interval']}, n={m['n']})"
        + (" phantom" if m["kind"] == "phantom" else "")
        for name, m in metrics.items()
    ]


def markdown_table(known: Sequence[Method]) -> str:
    """The README's table of methods, one row each; a test fails when the README holds another one."""
    lines = ["| method | question it answers | paper | shipped weights |", "|---|---|---|---|"]
    for method in known:
        entry = describe(method)
        weights = f"{entry['trained_parameters']:,} trained" if entry["checkpoint"] and entry["trained_parameters"] else "none yet"
        lines.append(
            f"| **{method.title}** (`{method.id}`) | {method.question} | {method.paper.title}, arXiv {method.paper.arxiv} | {weights} |"
        )
    return "\n".join(lines)


def _unit(metric: Mapping) -> str:
    return f" {metric['unit']}" if metric["unit"] else ""


def _card(method: Method) -> tuple[Card | None, str | None]:
    if not method.card.exists() and not method.checkpoint.exists():
        return None, None
    try:
        card = read_card(method.card)
    except CheckpointRefused as fault:
        return None, str(fault)
    missing = None if method.checkpoint.exists() else f"The card is here, but the weights {method.checkpoint.name} are not."
    return card, missing


def _from_root(path: Path) -> str:
    return path.relative_to(repository()).as_posix() if path.is_relative_to(repository()) else str(path)
