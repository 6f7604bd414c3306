"""A stand-in for a method's work that a batch test can watch: every piece leaves a file, says which process made it, and takes its time."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from workbench.batch.m2ost import Plan

PIECES = 8


@dataclass(frozen=True)
class Options:
    pause_s: float = 0.2
    always_dies: bool = False


def plan(slide: str, folder: str, options: Options) -> Plan:
    if "bad" in slide:
        raise ValueError("This slide is bad; bring another one.")
    where = Path(folder)
    where.mkdir(parents=True, exist_ok=True)
    todo = tuple(number for number in range(PIECES) if not (where / f"piece-{number}").exists())
    return Plan(folder, slide, PIECES * 10, PIECES, todo, done=(where / "done").exists())


def run(slide: str, folder: str, options: Options, number: int) -> int:
    where = Path(folder)
    (where / f"running-{os.getpid()}").write_text(str(number))
    if options.always_dies and number == 3:
        os.kill(os.getpid(), 9)
    time.sleep(options.pause_s)
    with (where / "log").open("a") as log:
        log.write(f"{number}\n")
    (where / f"piece-{number}").write_text("whole")
    (where / f"running-{os.getpid()}").unlink()
    return 10


def join(folder: str, options: Options) -> dict:
    where = Path(folder)
    assert all((where / f"piece-{number}").read_text() == "whole" for number in range(PIECES))
    (where / "done").write_text("")
    return {"files": ["done"]}
