"""Loading uploads in child processes, so that a crash, an escaped error, time and memory can be told for each one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CHILD = """
import json, os, resource, sys, time
import imagecodecs, nibabel, numpy, pydicom, tifffile, PIL.Image
import nibabel.fileslice, pydicom.pixels, pydicom.pixels.decoders
from workbench.imaging import InputRefused, load
for path in json.load(sys.stdin):
    if os.fork() == 0:
        start = time.process_time()  # processor seconds: a busy machine must not fail a test
        try:
            study = load(path)
            said, kind = list(study.warnings), "loaded"
            study.display()
        except InputRefused as refusal:
            said, kind = [str(refusal)], "refused"
        except BaseException as escaped:
            said, kind = [repr(escaped)], "escaped"
        seconds = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps([kind, said, seconds, peak]), flush=True)
        os._exit(0)
    if os.wait()[1]:
        print(json.dumps(["crashed", [], 0, 0]), flush=True)
"""

Answer = tuple[str, list[str], float, float]


@pytest.fixture(scope="session")
def load_in_children() -> Callable[[list[Path]], tuple[list[Answer], list[str]]]:
    """paths → (one answer each, log lines).

    An answer is (refused, loaded, escaped or crashed; the sentences; processor seconds; peak MB). One child process imports the
    libraries and forks once per file, so time and peak memory (`ru_maxrss`) are those of a single load.
    """

    def run(paths: list[Path]) -> tuple[list[Answer], list[str]]:
        root = Path(__file__).parents[2]
        env = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        names = json.dumps([str(path) for path in paths])
        done = subprocess.run(
            [sys.executable, "-c", CHILD], input=names, capture_output=True, text=True, cwd=root, env=env, timeout=240, check=True
        )
        return [tuple(json.loads(line)) for line in done.stdout.splitlines()], done.stderr.splitlines()

    return run
