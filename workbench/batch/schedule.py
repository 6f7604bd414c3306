"""The course of a batch: plan every slide, share the pieces out, join what is whole; a lost worker's task is tried again, a bad slide stops only itself."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from workbench.batch.workers import Lost, Workers

TRIES = 4
"""Of one task before its slide is given up: a worker killed from outside is bad luck, four in a row are the task's fault."""
AHEAD = 3
"""Tasks handed out per worker: enough that none waits, few enough that the cluster's queue stays short with a million spots."""


@dataclass
class Slide:
    """One slide on its way. `error` is the sentence that stopped it."""

    path: str
    folder: str
    spots: int = 0
    pieces: int = 0
    left: set[int] = field(default_factory=set)
    error: str = ""
    done: bool = False


@dataclass(frozen=True)
class Task:
    """A step of one slide: "plan", "piece" (with its number) or "join"."""

    slide: Slide
    step: str
    number: int = -1
    tries: int = 1


def folders(paths: Sequence[str], out: Path) -> list[Slide]:
    """Each slide with a folder of its own named after it; equal names get a number."""
    taken: dict[str, int] = {}
    slides = []
    for path in paths:
        stem = Path(path).stem or "slide"
        taken[stem] = taken.get(stem, 0) + 1
        slides.append(Slide(path, str(out / (stem if taken[stem] == 1 else f"{stem}-{taken[stem]}"))))
    return slides


def carry_out(work: ModuleType, slides: Sequence[Slide], options: Any, workers: Workers, *, count: int) -> Iterator[dict[str, Any]]:
    """Do it all; yields what happens: {"kind": "planned" | "progress" | "lost" | "failed" | "joined", …}.

    work: module with plan, run and join (see `workbench.batch.m2ost`). count: workers there are.
    """
    waiting, running = deque(Task(slide, "plan") for slide in slides), {}
    began, done, total, before = time.monotonic(), 0, 0, 0
    while waiting or running:
        while waiting and len(running) < AHEAD * count:
            task = waiting.popleft()
            if not task.slide.error:
                running[_submit(work, task, options, workers)] = task
        if not running:
            continue
        for handle in workers.some(running):
            task = running.pop(handle)
            slide = task.slide
            try:
                result = workers.result(handle)
            except Lost as fault:
                yield {
                    "kind": "lost",
                    "slide": slide.path,
                    "step": task.step,
                    "number": task.number,
                    "tries": task.tries,
                    "why": str(fault),
                }
                if task.tries < TRIES:
                    waiting.appendleft(Task(slide, task.step, task.number, task.tries + 1))
                elif not slide.error:
                    slide.error = "The process that worked on this slide died each time it was tried; there may be too little memory, or the file harms the reader."
                    yield {"kind": "failed", "slide": slide.path, "why": slide.error}
                continue
            except Exception as fault:  # noqa: BLE001 - whatever a slide does must not stop the others
                if not slide.error:
                    slide.error = (
                        str(fault) if isinstance(fault, ValueError) else f"Something went wrong inside ({type(fault).__name__}: {fault})."
                    )
                    yield {"kind": "failed", "slide": slide.path, "why": slide.error}
                continue
            if task.step == "plan":
                slide.spots, slide.pieces, slide.left, slide.done = result.spots, result.pieces, set(result.todo), result.done
                yield {
                    "kind": "planned",
                    "slide": slide.path,
                    "spots": slide.spots,
                    "pieces": slide.pieces,
                    "todo": len(slide.left),
                    "done": slide.done,
                }
                waiting.extend(Task(slide, "piece", number) for number in sorted(slide.left))
                total += slide.spots
                before += 0 if slide.left else slide.spots
                if not slide.left and not slide.done:
                    waiting.append(Task(slide, "join"))
            elif task.step == "piece":
                slide.left.discard(task.number)
                done += result
                yield {"kind": "progress", "slide": slide.path, "spots": done, "of": total - before, "seconds": time.monotonic() - began}
                if not slide.left:
                    waiting.appendleft(Task(slide, "join"))
            else:
                slide.done = True
                yield {"kind": "joined", "slide": slide.path, "folder": slide.folder, "files": result["files"]}


def _submit(work: ModuleType, task: Task, options: Any, workers: Workers) -> Any:
    slide = task.slide
    steps: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
        "plan": (work.plan, (slide.path, slide.folder, options)),
        "piece": (work.run, (slide.path, slide.folder, options, task.number)),
        "join": (work.join, (slide.folder, options)),
    }
    function, arguments = steps[task.step]
    return workers.submit(function, *arguments)
