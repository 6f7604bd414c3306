"""The noise lab's job: a live training told as JSON after every epoch, whose pictures can be looked at, judged and corrected afterwards.

    yield from run({"kind": "missing", "alpha": 0.3, "labels": {"7": pack_label(mask)}}, inbox)
    cases = read_cases(path of "cases.npz"); cases.case(7); cases.ranked

The configuration is that of `live.LiveConfig`, and `labels`: painted or corrected labels of single pictures, by number. Events: `meta`; `step` with the
`fraction` done, a few a second; `epoch` in the form in which a card keeps a study's epochs, with `ranked`; `result` with the files left in `inbox.out`.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from models.self_cleansing.live import STRUCTURES, Epoch, LiveConfig, LiveMaterial, Step, live, material, read_config
from models.self_cleansing.results import Case, OptionRefused, Suspect
from models.shared.checkpoints import write_atomically

FILES = {"cases": "cases.npz", "ranking": "suspects.csv", "table": "epochs.csv"}
LISTED = 40
TOLD_S = 0.25
_ARRAYS = ("picture", "given", "truth", "probability", "prediction", "loss", "w", "kappa", "cleansed", "provenance", "right")
_SMALL = {"picture": np.float16, "probability": np.float16, "loss": np.float16, "w": np.float16, "kappa": np.float16}


class Inbox(Protocol):
    """How the job talks to a running training."""

    out: Path

    @property
    def stopping(self) -> bool: ...


def pack_label(mask: np.ndarray) -> str:
    """A label uint8 (S, S) as a short text."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(mask, np.uint8).tobytes(), 9)).decode()


def unpack_label(text: str, side: int) -> np.ndarray:
    """The inverse of `pack_label`: uint8 (side, side). OptionRefused for what is no such label."""
    try:
        decoder = zlib.decompressobj()
        data = decoder.decompress(base64.b64decode(text, validate=True), side * side + 1)  # never more than asked for, whatever was sent
    except (ValueError, binascii.Error, zlib.error, TypeError):
        data = b""
    mask = np.frombuffer(data, np.uint8)
    if mask.size != side * side or mask.max(initial=0) > len(STRUCTURES):
        raise OptionRefused(f"A painted label is a mask of {side}×{side} pixels with numbers from 0 to {len(STRUCTURES)}.")
    return mask.reshape(side, side)


def with_painted(made: LiveMaterial, painted: Mapping[str, str]) -> np.ndarray:
    """The planted labels (N, S, S) with the painted ones in their places. OptionRefused for a picture that is not there."""
    labels = made.planted.labels.copy()
    for number, text in painted.items():
        if not str(number).isdecimal() or int(number) >= len(labels):
            raise OptionRefused(f"There are {len(labels)} training pictures, numbered from 0; there is none with the number {number}.")
        labels[int(number)] = unpack_label(text, labels.shape[1])
    return labels


def run(config: Mapping[str, object], inbox: Inbox) -> Iterator[dict]:
    """The job. OptionRefused in a sentence, before the first event, for what cannot be run."""
    given = {key: value for key, value in config.items() if key not in ("labels", "device")}
    painted, checked = dict(config.get("labels") or {}), read_config(given)
    made = material(checked)
    labels = with_painted(made, painted)
    wrong = (labels != made.truth).any(axis=(1, 2))
    yield {
        "kind": "meta",
        "n": len(labels),
        "epochs": checked.epochs,
        "warmup": checked.warmup,
        "structures": list(STRUCTURES),
        "truth": True,
        "note": f"{len(labels)} made-up liver slices, {int(wrong.sum())} of them with wrong labels; {len(painted)} labels painted or corrected by hand.",
    }
    last, told, stopped, rows, began = None, 0.0, False, [], time.perf_counter()
    for one in live(checked, labels, cases=tuple(range(len(labels)))):
        if inbox.stopping:
            stopped = True
            break
        if isinstance(one, Step):
            if time.perf_counter() - told > TOLD_S:
                told = time.perf_counter()
                yield {"kind": "step", "fraction": one.fraction, "left_s": (told - began) * (1 - one.fraction) / max(one.fraction, 1e-6)}
            continue
        last = one
        event = epoch_event(one)
        rows.append(event)
        yield event
    yield _result(inbox, last, rows, stopped)


def epoch_event(one: Epoch) -> dict:
    """An epoch in the form in which a card keeps a study's, with the most suspicious pictures."""
    return {
        "kind": "epoch",
        "epoch": one.epoch,
        "epochs": one.epochs,
        "loss": one.loss,
        "test": one.test_dice,
        "cleansing": one.cleansing,
        "ranked": listed(one.ranked),
        **{name: one.told[name] for name in ("pictures", "pixels", "pixel_level", "labels", "provenance")},
    }


def listed(ranked: Sequence[Suspect]) -> list[dict]:
    """The first lines of a ranking as plain values."""
    return [vars(one) for one in ranked[:LISTED]]


def _result(inbox: Inbox, last: Epoch | None, rows: list[dict], stopped: bool) -> dict:
    if last is None:
        return {"kind": "result", "stopped": stopped, "files": {}}
    out, data = Path(inbox.out), io.BytesIO()
    arrays = {name: np.stack([getattr(case, name) for case in last.cases]).astype(_SMALL.get(name, np.uint8)) for name in _ARRAYS}
    np.savez_compressed(
        data,
        **arrays,
        s=np.array([case.s for case in last.cases]),
        picture_w=np.array([case.picture_w for case in last.cases]),
        planted=np.array([case.planted for case in last.cases]),
    )
    write_atomically(out / FILES["cases"], data.getvalue())
    write_atomically(
        out / FILES["ranking"],
        _csv(("place", "picture", "probability_noisy", "one_minus_soft_dice", "pixels_changed", "truly_wrong"), _ranking(last)),
    )
    write_atomically(out / FILES["table"], _csv(_HEAD, _table(rows)))
    return {"kind": "result", "stopped": stopped, "files": dict(FILES)}


_HEAD = (
    "epoch",
    "training_loss",
    "test_dice",
    "labels_dice_before",
    "labels_dice_after",
    "pictures_auroc",
    "precision",
    "recall",
    "pixels_auroc",
)


def _table(rows: list[dict]) -> list[tuple]:
    return [
        (
            one["epoch"],
            one["loss"],
            one["test"],
            one["labels"]["dice_before"],
            one["labels"]["dice_after"],
            *(one["pictures"].get(name) for name in ("auroc", "precision", "recall")),
            one["pixel_level"]["auroc"],
        )
        for one in rows
    ]


def _ranking(last: Epoch) -> list[tuple]:
    return [(place, one.index, one.noisy, one.s, one.flips, int(bool(one.corrupted))) for place, one in enumerate(last.ranked, 1)]


def _csv(head: Sequence[str], rows: Sequence[Sequence]) -> bytes:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(head)
    table.writerows(["" if v is None else f"{v:.5g}" if isinstance(v, float) else v for v in row] for row in rows)
    return text.getvalue().encode()


@dataclass(frozen=True, eq=False)
class LabCases:
    """The training pictures of a finished lab run, as its last epoch saw them."""

    arrays: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.arrays["s"])

    @property
    def given(self) -> np.ndarray:
        """uint8 (N, S, S)."""
        return self.arrays["given"]

    @property
    def proposed(self) -> np.ndarray:
        """uint8 (N, S, S): labels after cleansing."""
        return self.arrays["cleansed"]

    @property
    def first(self) -> int:
        """The number of the most suspicious picture, as in `results.ranking`."""
        return int(np.lexsort((-self.arrays["s"], np.round(self.arrays["picture_w"], 6)))[0])

    def case(self, index: int) -> Case:
        """One picture. OptionRefused for a number that is not there."""
        if not 0 <= index < len(self):
            raise OptionRefused(f"There are {len(self)} training pictures, numbered from 0; there is none with the number {index}.")
        found = {name: self.arrays[name][index] for name in _ARRAYS}
        found |= {name: found[name].astype(np.float32) for name in _SMALL}
        one = self.arrays
        return Case(
            index=index,
            planted=str(one["planted"][index]),
            s=float(one["s"][index]),
            picture_w=float(one["picture_w"][index]),
            **found | {"right": found["right"] > 0},
        )


def read_cases(path: Path) -> LabCases:
    """What a lab run left. OptionRefused for a file that is none."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return LabCases({name: file[name] for name in (*_ARRAYS, "s", "picture_w", "planted")})
    except (OSError, ValueError, KeyError, zlib.error) as fault:
        raise OptionRefused("What this run left cannot be read any more; start it again.") from fault


def preview(config: LiveConfig, painted: Mapping[str, str] | None = None) -> tuple[LiveMaterial, np.ndarray]:
    """Pictures and labels as a run with this configuration would take them."""
    made = material(config)
    return made, with_painted(made, painted or {})
