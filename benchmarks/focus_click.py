"""From a click on a scan to its outline and to CLIP's new answers, in a real browser on the shipped networks: what people wait for in MedFocusCLIP.

    python -m benchmarks.focus_click [--clicks 30]

A server of its own is started, the tab opened, and single clicks are made, each on a segment of its own. Measured in the page: the outline of
that very click, and the bars that answer it. Medians and 95th percentiles are printed and kept in `benchmarks/results/focus_click.json`, with
the load of the machine at the time. Nothing fails on a time. Needs a Chromium (LIGHTBOX_CHROMIUM, /usr/bin/chromium or Playwright's own).
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
RESULTS = Path(__file__).parent / "results" / "focus_click.json"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
FIRST_MS = 300_000  # the first question loads the networks
CLICK = """async ([x, y]) => {
  const canvas = document.querySelector('#medfocusclip_canvas canvas'), bars = document.querySelector('#medfocusclip_bars .lb-chart');
  const frame = () => new Promise(requestAnimationFrame), box = canvas.getBoundingClientRect(), before = canvas.dataset.answered;
  const at = {clientX: box.x + x * box.width, clientY: box.y + y * box.height, bubbles: true, button: 0, pointerId: 1, pointerType: 'mouse'};
  const began = performance.now();
  for (const kind of ['pointerdown', 'pointerup']) canvas.dispatchEvent(new PointerEvent(kind, at));
  while (canvas.dataset.answered === before) { await frame(); if (performance.now() - began > 30000) return null; }
  const outlined = performance.now() - began;
  while (bars.dataset.seq !== canvas.dataset.answered) { await frame(); if (performance.now() - began > 30000) return null; }
  return [outlined, performance.now() - began];
}"""


def measure(url: str, clicks: int, pause_s: float) -> np.ndarray:
    """Milliseconds (clicks, 2): to the outline, to the bars. The first clicks are not counted."""
    from playwright.sync_api import sync_playwright

    found = os.environ.get("LIGHTBOX_CHROMIUM") or ("/usr/bin/chromium" if Path("/usr/bin/chromium").exists() else None)
    random = np.random.default_rng(0)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.goto(url)
        page.get_by_role("tab", name="MedFocusCLIP", exact=True).click()
        page.wait_for_selector("#medfocusclip_bars td", timeout=FIRST_MS)
        # a pointer made by a script cannot be captured, and need not be
        page.evaluate("() => { Element.prototype.setPointerCapture = () => {}; }")
        times = []
        for _ in range(clicks + 3):
            page.click("#medfocusclip_canvas button:has-text('Clear')")
            time.sleep(pause_s)
            times.append(page.evaluate(CLICK, (0.5 + random.uniform(-0.15, 0.15, 2)).tolist()))
        browser.close()
    if any(one is None for one in times):
        raise SystemExit("A click was not answered within 30 s; is the tab there, and the networks?")
    return np.array(times[3:])


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
    """Median and 95th percentile of both columns."""
    rows = dict(zip(("outlined", "answered"), times.T, strict=True))
    return {
        f"{name}_{label}_ms": round(float(np.percentile(values, q)), 1)
        for name, values in rows.items()
        for label, q in (("p50", 50), ("p95", 95))
    }


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=30)
    parser.add_argument(
        "--pause", type=float, default=1.5, help="seconds before each click, in which the answer to the emptied picture comes"
    )
    asked = parser.parse_args()
    load_before = os.getloadavg()[0]
    found = summary(serve_and_measure(asked.clicks, asked.pause))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {load_before:.1f} before and {os.getloadavg()[0]:.1f} after"
    record = {"clicks": asked.clicks, "pause_s": asked.pause, **found, "machine": machine, "python": platform.python_version()}
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
