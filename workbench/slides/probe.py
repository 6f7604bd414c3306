"""Examining a slide in a process of its own, with limits on memory, processor time, file size and wall time.

    plan = probe(path, folder)      # SlideRefused: one sentence

Whatever the libraries underneath do with a damaged or a made-up file, the server goes on: a process that crashes, hangs or swells is ended, and the
file is refused. `python -m workbench.slides.probe` is that process: it reads what to do from standard input and answers in one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from models.shared.slides import SlideRefused
from workbench.slides import limits
from workbench.slides.facts import Plan

ROOT = Path(__file__).resolve().parents[2]
_TURNS = threading.BoundedSemaphore(2)  # examinations at once
CRASHED = "The slide could not be read: the reading stopped with an error that a sound file does not cause; please export it again."
SLOW = "The slide took too long to read, which a sound file does not; please export it as a pyramidal TIFF with tiles of 256 or 512."
SWELLED = "Reading the slide takes more memory than is allowed; please export it as a pyramidal TIFF with tiles of 256 or 512."


def probe(path: Path, folder: Path, *, native: bool = True, wall_s: float = limits.CHILD_WALL_S, cpu_s: int = limits.CHILD_CPU_S) -> Plan:
    """The plan of the slide at `path`; files made for it are left in `folder`. Raises SlideRefused."""
    asked = json.dumps({"path": str(path), "folder": str(folder), "native": native, "cpu_s": cpu_s})
    env = {name: value for name, value in os.environ.items() if not name.startswith(("WORKBENCH_", "GRADIO_"))}  # no passwords for it
    env |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "workbench.slides.probe"]
    with (
        _TURNS,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            env=env,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        try:
            said, _ = process.communicate(asked, timeout=wall_s)
        except BaseException as stopped:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(stopped, subprocess.TimeoutExpired):
                raise SlideRefused(SLOW) from None
            raise
    return _understood(process.returncode, said)


def _understood(code: int, said: str) -> Plan:
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        raise SlideRefused(SLOW)
    try:
        answer = json.loads(said.splitlines()[-1])
        if "refused" in answer:
            raise SlideRefused(str(answer["refused"]))
        return Plan.from_json(answer["plan"])
    except SlideRefused:
        raise
    except (ValueError, KeyError, TypeError, IndexError):
        raise SlideRefused(CRASHED) from None


def _limit(cpu_s: int) -> None:
    for what, value in (
        (resource.RLIMIT_AS, limits.CHILD_MEMORY_BYTES),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, limits.CHILD_FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 512),
    ):
        hard = resource.getrlimit(what)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (bound, bound))


def main() -> None:
    """What the process does."""
    asked: dict[str, Any] = json.load(sys.stdin)
    _limit(asked["cpu_s"])
    answer: dict[str, Any]
    try:
        from workbench.slides.examine import examine

        answer = {"plan": examine(Path(asked["path"]), Path(asked["folder"]), native=asked["native"]).to_json()}
    except SlideRefused as refused:
        answer = {"refused": str(refused)}
    except MemoryError:
        answer = {"refused": SWELLED}
    except OSError:
        answer = {"refused": "The slide cannot be read from the disk, or there is no room to prepare it; please try again later."}
    print(json.dumps(answer), flush=True)
    os._exit(0)  # without the libraries' own clearing up, in which a damaged file may yet crash


if __name__ == "__main__":
    main()
