"""What remains of a race: the table of results and the files to take away.

`curves.csv` is in long form, one value a row with its unit beside it, so that it opens in any statistics program without a manual.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from models.sofim.arms import ARMS
from models.sofim.race_config import Change, RaceConfig
from models.sofim.race_lanes import Lane

CURVE_COLUMNS = ("optimiser", "seed", "step", "seconds_s", "words_moved", "quantity", "value", "unit")
TABLE_COLUMNS = (
    "optimiser",
    "seeds",
    "best_test_accuracy",
    "median_test_accuracy",
    "best_test_loss_nats",
    "median_test_loss_nats",
    "diverged",
)
UNITS = {
    "training_loss": "nats, one batch",
    "training_loss_smoothed": "nats, moving average of batches",
    "train_loss": "nats, fixed training rows",
    "test_loss": "nats, fixed test rows",
    "test_accuracy": "share of fixed test rows",
}


def _middle(values: Sequence[float]) -> float | None:
    finite = [value for value in values if math.isfinite(value)]
    return median(finite) if finite else None


def _target_row(lanes: Sequence[Lane], target: str) -> dict[str, object]:
    """Median over the seeds that reached the target; `reached` says how many of them did."""
    hits = [lane.reached[target] for lane in lanes if target in lane.reached]
    return {
        "reached": len(hits),
        "steps": _middle([hit.step for hit in hits]),
        "seconds": _middle([hit.seconds for hit in hits]),
        "words": _middle([hit.words for hit in hits]),
    }


def _row(arm_id: str, lanes: Sequence[Lane], config: RaceConfig) -> dict[str, object]:
    last = [lane.measurements[-1] for lane in lanes if lane.measurements and not lane.diverged]
    accuracy, loss = [m.test_accuracy for m in last], [m.test_loss for m in last if math.isfinite(m.test_loss)]
    return {
        "arm": arm_id,
        "label": ARMS[arm_id].label,
        "n": len(lanes),
        "best_accuracy": max(accuracy, default=None),
        "median_accuracy": _middle(accuracy),
        "best_loss": min(loss, default=None),
        "median_loss": _middle(loss),
        "diverged": sum(lane.ended_worse() for lane in lanes),
        "targets": {target: _target_row(lanes, target) for target in config.targets},
    }


def table(lanes: Sequence[Lane], config: RaceConfig) -> list[dict[str, object]]:
    """One row for each optimiser over its seeds; accuracy as a share, losses in nats, from the latest measurement of each lane."""
    return [_row(entry.id, [lane for lane in lanes if lane.arm.id == entry.id], config) for entry in config.entries]


def _curve_rows(lane: Lane) -> Iterator[tuple]:
    curve = lane.curve
    for step, seconds, words, loss, smooth in zip(*curve.values(), strict=True):
        head = (lane.arm.id, lane.seed, int(step), round(seconds, 6), words)
        yield (*head, "training_loss", loss, UNITS["training_loss"])
        yield (*head, "training_loss_smoothed", smooth, UNITS["training_loss_smoothed"])
    for now in lane.measurements:
        head = (lane.arm.id, lane.seed, now.step, round(now.seconds, 6), now.words)
        for quantity in ("train_loss", "test_loss", "test_accuracy"):
            yield (*head, quantity, getattr(now, quantity), UNITS[quantity])


def _write_csv(path: Path, header: Sequence[str], rows: Iterator[tuple]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _table_rows(rows: list[dict[str, object]]) -> Iterator[tuple]:
    for row in rows:
        plain = [row[name] for name in ("arm", "n", "best_accuracy", "median_accuracy", "best_loss", "median_loss", "diverged")]
        targets = [hit[name] for hit in row["targets"].values() for name in ("reached", "steps", "seconds", "words")]
        yield (*plain, *targets)


def write(out: Path, lanes: Sequence[Lane], config: RaceConfig, changes: Sequence[Change]) -> dict[str, str]:
    """Writes the curves, the table and the exact configuration (with what was turned in flight) into a folder; returns the names."""
    from models.sofim.snippet import as_python

    files = {"curves": "curves.csv", "table": "table.csv", "config": "config.json", "program": "reproduce.py"}
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    done = replace(config, changes=tuple(changes))
    _write_csv(out / files["curves"], CURVE_COLUMNS, (row for lane in lanes for row in _curve_rows(lane)))
    columns = [f"{target}_{name}" for target in config.targets for name in ("reached", "steps", "seconds_s", "words")]
    _write_csv(out / files["table"], (*TABLE_COLUMNS, *columns), _table_rows(table(lanes, config)))
    (out / files["config"]).write_text(json.dumps(done.as_dict(), indent=2) + "\n", encoding="utf-8")
    (out / files["program"]).write_text(as_python(done), encoding="utf-8")
    return files
