"""From a click on a patch to the new bars, in a real browser on the shipped model: the time people wait for ProMIM's answer.

    python -m benchmarks.patch_redraw [--clicks 60]

A server of its own is started, the tab opened, and single patches are clicked. Measured in the page: the drawing of the patch (to the next
frame) and the bars of that very mask. Medians and 95th percentiles are printed and kept in `benchmarks/results/patch_redraw.json`, with the
load of the machine at the time. Nothing fails on a time. Needs a Chromium (LIGHTBOX_CHROMIUM, /usr/bin/chromium or Playwright's own).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np

from benchmarks.cold_start import free_port

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "patch_redraw.json"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
GOAL_MS = 100
CLICK = """async (place) => {
  const grid = document.querySelector('#promim_grid .lb-patches'), box = grid.querySelector('[role=grid]'), bars = document.querySelector('#promim_bars .lb-chart');
  const at = box.querySelectorAll('[role=gridcell]')[place].getBoundingClientRect(), frame = () => new Promise(requestAnimationFrame);
  const began = performance.now();
  for (const kind of ['pointerdown', 'pointerup']) box.dispatchEvent(new PointerEvent(kind, {clientX: at.x + at.width / 2, clientY: at.y + at.height / 2, bubbles: true, button: 0, pointerId: 1}));
  await frame();
  const drawn = performance.now() - began, wanted = grid.dataset.seq;
  while (bars.dataset.seq !== wanted) { await frame(); if (performance.now() - began > 20000) return null; }
  return [drawn, performance.now() - began];
}"""


def measure(url: str, clicks: int, pause_s: float) -> np.ndarray:
    """Milliseconds (clicks, 2): to the drawn patch, to its bars. The first clicks are not counted."""
    from playwright.sync_api import sync_playwright

    found = os.environ.get("LIGHTBOX_CHROMIUM") or ("/usr/bin/chromium" if Path("/usr/bin/chromium").exists() else None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.goto(url)
        page.get_by_role("tab", name="ProMIM", exact=True).click()
        page.wait_for_selector("#promim_words .lb-card", timeout=300_000)  # the last view of the first look
        patches = page.locator("#promim_grid [role=gridcell]").count()
        order = np.random.default_rng(0).permutation(patches)
        times = []
        for number in range(clicks + 5):
            times.append(page.evaluate(CLICK, int(order[number % patches])))
            time.sleep(pause_s)
        browser.close()
    if any(one is None for one in times):
        raise SystemExit("The bars did not answer within 20 s; is the tab there, and the network?")
    return np.array(times[5:])


def serve_and_measure(clicks: int, pause_s: float) -> np.ndarray:
    """Start the app on a port of its own, measure, end it."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        env = os.environ | {"WORKBENCH_PORT": str(port), "WORKBENCH_HOST": "127.0.0.1", "WORKBENCH_HOME": home}
        process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_until_up(port)
            return measure(f"http://127.0.0.1:{port}/", clicks, pause_s)
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_up(port: int) -> None:
    for _ in range(1200):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise SystemExit("The server did not come up within two minutes.")


def summary(times: np.ndarray) -> dict[str, float]:
    """Median and 95th percentile of both columns, and the share of answers within the goal."""
    drawn, bars = times.T
    rows = {"patch_drawn": drawn, "bars_answered": bars}
    found = {
        f"{name}_{label}_ms": round(float(np.percentile(values, q)), 1)
        for name, values in rows.items()
        for label, q in (("p50", 50), ("p95", 95))
    }
    return found | {"within_goal": round(float((bars <= GOAL_MS).mean()), 3)}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=60)
    parser.add_argument(
        "--pause",
        type=float,
        default=1.5,
        help="seconds between clicks; below half a second the views of the prompt are worked out beside the bars",
    )
    asked = parser.parse_args()
    load_before = os.getloadavg()[0]
    found = summary(serve_and_measure(asked.clicks, asked.pause))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {load_before:.1f} before and {os.getloadavg()[0]:.1f} after"
    record = {
        "clicks": asked.clicks,
        "pause_s": asked.pause,
        "goal_ms": GOAL_MS,
        **found,
        "machine": machine,
        "python": platform.python_version(),
    }
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
