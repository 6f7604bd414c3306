"""Cold start: time to the first HTTP 200 of `app.py` against that of an empty Gradio page, in one run on the same machine.

    python -m benchmarks.cold_start [--repeats 5]

Each repeat starts both programs afresh, one after the other, alternating which goes first; medians and their ratio are printed and kept in
`benchmarks/results/cold_start.json`. Nothing fails on a time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "cold_start.json"
EMPTY = """
import os
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import gradio as gr
with gr.Blocks() as demo:
    gr.Markdown("empty")
demo.launch(server_name="127.0.0.1", server_port=int(os.environ["WORKBENCH_PORT"]), quiet=True)
"""


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def first_page(command: list[str], timeout_s: float = 120.0) -> float:
    """Seconds from starting a command to its first HTTP 200 at `/`; the command is ended afterwards."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        env = os.environ | {"WORKBENCH_PORT": str(port), "WORKBENCH_HOST": "127.0.0.1", "WORKBENCH_HOME": home}
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while time.perf_counter() - started < timeout_s:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                        if answer.status == 200:
                            return time.perf_counter() - started
                except (urllib.error.URLError, ConnectionError, TimeoutError):
                    time.sleep(0.01)
        finally:
            process.terminate()
            process.wait(timeout=20)
    raise TimeoutError(f"{command} served no page within {timeout_s:.0f} s")


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    programs = {"app": [sys.executable, "app.py"], "empty": [sys.executable, "-c", EMPTY]}
    for command in programs.values():
        first_page(command)  # fills the file cache for both
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for repeat in range(repeats):
        for name in sorted(programs, reverse=repeat % 2 == 1):
            seconds[name].append(first_page(programs[name]))
    ratios = [app / empty for app, empty in zip(seconds["app"], seconds["empty"], strict=True)]
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "repeats": repeats,
        "app_s": median(seconds["app"]),
        "empty_gradio_page_s": median(seconds["empty"]),
        "ratio": median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
        "aim": "at most 1.3",
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
