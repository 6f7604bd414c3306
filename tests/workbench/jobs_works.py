"""Small pieces of work for the tests of workbench.jobs; they are run in worker processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time


def count(config, inbox):
    """`n` events, `pause` seconds apart."""
    for i in range(config.get("n", 3)):
        yield {"kind": "step", "i": i}
        time.sleep(config.get("pause", 0))


def forever(config, inbox):
    """Steps of 10 ms until stopped; its clean-up leaves a file."""
    try:
        i = 0
        while True:
            yield {"kind": "step", "i": i, "pid": os.getpid()}
            i += 1
            time.sleep(0.01)
    finally:
        (inbox.out / "last.txt").write_text(f"stopped at {i}")


def echo(config, inbox):
    """Repeats every command until the stop; yields only when there is something to say."""
    yield {"kind": "ready"}
    while not inbox.stopping:
        for command in inbox.poll():
            yield {"kind": "heard", "command": command}
        time.sleep(0.005)


def farewell(config, inbox):
    """Heeds the stop itself and has something left to say and to keep."""
    while not inbox.stopping:
        yield {"kind": "step"}
        time.sleep(0.01)
    (inbox.out / "curves.csv").write_text("whole")
    yield {"kind": "result", "files": {"curves": "curves.csv"}}


def strange_numbers(config, inbox):
    yield {"loss": float("nan"), "high": float("inf"), "series": [1.0, float("-inf")], "pair": (1, 2), "key": {3: "x"}}
    import numpy as np

    yield {"array": np.array([[1.5, np.nan]], dtype=np.float32), "scalar": np.float32(0.25), "path": inbox.out}


def too_long(config, inbox):
    yield {"kind": "points", "text": "x" * 1_000_001}
    yield {"kind": "after"}


def not_an_event(config, inbox):
    yield [1, 2]


def says_why(config, inbox):
    yield {"kind": "step"}
    raise ValueError("The learning rate is -1, but it must be above 0; choose a larger one.")


def breaks(config, inbox):
    (inbox.out / "half.txt").write_text("half")
    yield {"kind": "step"}
    raise RuntimeError("secret detail /etc/x")


def writes(config, inbox):
    """A result of two files, one in a folder, beside an unfinished one."""
    (inbox.out / "curves.csv").write_text("step,loss\n1,0.5\n")
    yield {"kind": "half"}
    while config.get("wait") and not inbox.poll():
        time.sleep(0.005)
    (inbox.out / "weights").mkdir()
    (inbox.out / "weights" / "a.bin").write_bytes(b"\0" * config.get("size", 10))
    (inbox.out / "b.bin.tmp").write_bytes(b"unfinished")
    yield {"kind": "result"}


def deaf(config, inbox):
    """Heeds neither the stop nor, when asked so, SIGTERM."""
    import signal

    if config.get("ignore_sigterm"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (inbox.out / "half.txt").write_text("half")
    yield {"kind": "deaf", "pid": os.getpid()}
    while True:
        time.sleep(0.05)


def dies(config, inbox):
    (inbox.out / "half.txt").write_text("half")
    yield {"kind": "step"}
    os.kill(os.getpid(), 9)


def has_child(config, inbox):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield {"kind": "child", "pid": child.pid}


def surroundings(config, inbox):
    stat = os.stat(inbox.out)
    yield {"threads": os.environ["OMP_NUM_THREADS"], "mode": oct(stat.st_mode & 0o777), "gradio": "gradio" in sys.modules}


def slow_partial_result(config, inbox):
    """Never finishes writing its result."""
    with open(inbox.out / "big.bin", "wb") as file:
        while True:
            file.write(b"\1" * 4096)
            file.flush()
            yield {"kind": "wrote", "bytes": file.tell(), "pid": os.getpid()}
            time.sleep(0.005)


def slow_steps(config, inbox):
    """Looks for the stop before every step; a step takes 0.3 s, and at the end there is something left to say and to keep."""
    done = 0
    while not inbox.stopping:
        yield {"kind": "begun", "i": done}
        time.sleep(0.3)
        done += 1
        yield {"kind": "step", "i": done}
    (inbox.out / "curves.csv").write_text(f"{done} steps")
    yield {"kind": "result", "steps": done}


def looks_and_stays(config, inbox):
    """Looks for the stop at every step, and goes on all the same."""
    (inbox.out / "half.txt").write_text("half")
    while True:
        yield {"kind": "step", "stopping": inbox.stopping}
        time.sleep(0.01)
