"""Slide tiles per second of server processor time, over HTTP, against the server that openslide-python shows as its example.

    python -m benchmarks.tiles [--side 20000] [--tiles 2000] [--repeats 3]

A slide of `side` × `side` pixels is drawn into a temporary folder (levels 1-4-16-64, JPEG tiles of 256 pixels). In the same run, one after the other:
- deepzoom: a small FastAPI server that does what openslide-python's `deepzoom_server.py` does: `DeepZoomGenerator(tile_size=254, overlap=1).get_tile`
  and JPEG at quality 75;
- passthrough: this app, the slide's own tiles;
- decoded: this app, told to pack every tile anew;
- painted: the same, with OpenSlide doing the decoding, as for the formats that only OpenSlide reads (NDPI, MRXS …): most of the time of both is then its own.
All are asked for the tiles of the same views, over 6 connections that stay open, as a browser's. Views lie at scales that the slide has a level for and, apart
from them, at scales between, where both that decode have to make smaller pictures. Processor seconds are those of the server process, so that other work on
the machine counts little. Ratios are printed and kept in `benchmarks/results/tiles.json`; nothing fails on a time.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

from benchmarks.cold_start import free_port

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "tiles.json"
KINDS = ("deepzoom", "passthrough", "decoded", "painted")
CONNECTIONS = 6
VIEW = (1600, 1000)  # screen pixels
STORED, BETWEEN = (1, 4, 16), (2, 8)
GOALS = {"passthrough": 10.0, "decoded": 1.5}
COOKIE = {"cookie": "lightbox_visitor=" + "b" * 32}


# ------------------------------------------------------------------ the slide
def draw_slide(path: Path, side: int, seed: int = 0) -> None:
    """A pyramid in the colours of H&E, about 11 KiB a tile at JPEG quality 80."""
    import tifffile
    from PIL import Image

    rng = np.random.default_rng(seed)
    size = 2048
    fine, coarse = (
        np.asarray(Image.fromarray(rng.integers(0, 256, (n, n), np.uint8)).resize((size, size), Image.Resampling.BICUBIC), float)
        for n in (700, 60)
    )
    depth = (0.6 * fine + 0.4 * coarse)[..., None] / 255
    texture = (
        (np.array([238, 205, 226]) * (1 - depth) + np.array([90, 50, 130]) * depth + rng.normal(0, 5, (size, size, 1)))
        .clip(0, 255)
        .astype(np.uint8)
    )

    def tiles(count: int) -> Iterator[np.ndarray]:
        for _ in range(count):
            x, y = rng.integers(0, size - 256, 2)
            yield np.ascontiguousarray(texture[y : y + 256, x : x + 256])

    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for scale in (1, 4, 16, 64):
            edge = -(-side // scale)
            grid = -(-edge // 256)
            tiff.write(
                tiles(grid * grid), shape=(edge, edge, 3), dtype=np.uint8, tile=(256, 256), photometric="rgb", compression="jpeg",
                compressionargs={"level": 80}, subfiletype=0 if scale == 1 else 1, metadata=None, resolution=(40_000, 40_000), resolutionunit="CENTIMETER",
            )  # fmt: skip


# ------------------------------------------------------------------ the servers
def serve_deepzoom(slide_path: str, port: int) -> None:
    """openslide-python's example, in FastAPI instead of Flask: same generator, same settings, same cache, same encoding."""
    import uvicorn
    from fastapi import FastAPI, Response
    from openslide import OpenSlide, OpenSlideCache
    from openslide.deepzoom import DeepZoomGenerator

    slide = OpenSlide(slide_path)
    slide.set_cache(OpenSlideCache(128 << 20))
    generator = DeepZoomGenerator(slide, tile_size=254, overlap=1, limit_bounds=True)
    app = FastAPI()

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {"levels": generator.level_count}

    @app.get("/slide_files/{level}/{column}_{row}.jpeg")
    def tile(level: int, column: int, row: int) -> Response:
        picture = generator.get_tile(level, (column, row))
        stream = io.BytesIO()
        picture.save(stream, "jpeg", quality=75, icc_profile=picture.info.get("icc_profile"))
        return Response(stream.getvalue(), media_type="image/jpeg")

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


def serve_app(kind: str) -> None:
    """This app as it is served; for the kinds that decode, slides are examined so that every tile is packed anew."""
    if kind != "passthrough":
        from workbench.slides import examined, limits

        examined.probe = partial(examined.probe, native=False)
        limits.ENCODED_BYTES = 0  # the other server keeps no packed tiles either
    if kind == "painted":
        from models.shared.slides import by_openslide

        by_openslide.tile_levels = lambda *_: None
    from workbench.server import serve
    from workbench.settings import settings

    serve(settings())


@dataclass
class Server:
    """One of the servers, running."""

    kind: str
    port: int
    process: psutil.Process
    facts: dict[str, Any]
    """What this app tells a page about the slide; {} for the other."""

    def cpu_s(self) -> float:
        """Processor seconds so far, all threads."""
        return sum(self.process.cpu_times()[:2])


@contextmanager
def running(kind: str, slide: Path) -> Iterator[Server]:
    """A server as a process of its own."""
    from workbench.slides.hosted import HostedSlides

    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        (hosted,) = HostedSlides([slide.parent], None, Path(home, "slides", "key")).all()
        ours = {
            "WORKBENCH_PORT": str(port),
            "WORKBENCH_HOST": "127.0.0.1",
            "WORKBENCH_HOME": home,
            "WORKBENCH_SLIDES": str(slide.parent),
            "WORKBENCH_WARM": "0",
        }
        command = [sys.executable, "-m", "benchmarks.tiles", "--serve", kind, "--slide", str(slide), "--port", str(port)]
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | ours | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_until_up(port)
            facts = {} if kind == "deepzoom" else json.loads(_get(port, f"/lightbox/slides/{hosted.id}/about"))
            yield Server(kind, port, psutil.Process(process.pid), facts)
        finally:
            process.terminate()
            process.wait(30)


def _get(port: int, path: str) -> bytes:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=COOKIE)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return answer.read()


def _wait_until_up(port: int) -> None:
    for _ in range(1200):
        try:
            _get(port, "/health")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
        else:
            return
    raise SystemExit("The server did not come up within two minutes.")


# ------------------------------------------------------------------ what is asked for
def views(side: int, scale: int, count: int, seed: int) -> list[tuple[float, float]]:
    """Upper left corners, level-0 pixels, of `count` views at a scale; where the slide is smaller than a view, the corner itself."""
    rng = np.random.default_rng(seed)
    return [
        (float(rng.uniform(0, max(1, side - VIEW[0] * scale))), float(rng.uniform(0, max(1, side - VIEW[1] * scale)))) for _ in range(count)
    ]


def tiles_of(view: tuple[float, float], scale: int, side: int, tile: int) -> Iterator[tuple[int, int]]:
    """Columns and rows of a view's tiles of `tile` pixels in a level of that scale."""
    edge = -(-side // scale)
    left, top = int(view[0] / scale), int(view[1] / scale)
    right, bottom = min(left + VIEW[0], edge), min(top + VIEW[1], edge)
    for row in range(top // tile, -(-bottom // tile)):
        for column in range(left // tile, -(-right // tile)):
            yield column, row


def addresses(server: Server, side: int, scales: tuple[int, ...], tiles: int, seed: int) -> list[str]:
    """Addresses of at least `tiles` different tiles, view by view, in equal parts of each scale as far as it has them."""
    if server.facts:
        levels = {round(side / level["w"]): number for number, level in enumerate(server.facts["levels"])}
        form, edge = f"/{server.facts['url']}{{}}/{{}}_{{}}.jpeg", 256
    else:
        levels = {scale: int(np.ceil(np.log2(side))) - int(np.log2(scale)) for scale in scales}
        form, edge = "/slide_files/{}/{}_{}.jpeg", 254
    found: dict[str, None] = {}
    for scale in scales:
        mine: dict[str, None] = {}
        for view in views(side, scale, 400, seed + scale):
            mine |= dict.fromkeys(form.format(levels[scale], *place) for place in tiles_of(view, scale, side, edge))
            if len(mine) >= tiles // len(scales):
                break
        found |= mine
    return list(found)


def fetch(port: int, paths: list[str]) -> tuple[np.ndarray, int]:
    """Milliseconds of each answer and bytes in all, over CONNECTIONS connections that take the next address when they are free."""
    times, lock, queue, total = [], threading.Lock(), iter(paths), [0]

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while True:
            with lock:
                path = next(queue, None)
            if path is None:
                return
            began = time.perf_counter()
            connection.request("GET", path, headers=COOKIE)
            answer = connection.getresponse()
            data = answer.read()
            took = time.perf_counter() - began
            if answer.status != 200:
                raise SystemExit(f"{path} answered {answer.status}")
            with lock:
                times.append(took * 1e3)
                total[0] += len(data)

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(times) != len(paths):
        raise SystemExit("Not every tile was answered; see above.")
    return np.array(times), total[0]


def measure(server: Server, side: int, scales: tuple[int, ...], tiles: int, seed: int) -> dict[str, float]:
    """One pass over fresh views."""
    paths = addresses(server, side, scales, tiles, seed)
    before, began = server.cpu_s(), time.perf_counter()
    times, nbytes = fetch(server.port, paths)
    cpu, wall = server.cpu_s() - before, time.perf_counter() - began
    p50, p95 = np.percentile(times, [50, 95])
    return {
        "tiles": len(paths), "per_cpu_s": len(paths) / cpu, "cpu_ms": 1e3 * cpu / len(paths), "per_s": len(paths) / wall, "p50_ms": p50, "p95_ms": p95,
        "kib": nbytes / len(paths) / 1024,
    }  # fmt: skip


def compare(slide: Path, side: int, tiles: int, repeats: int) -> dict[str, dict[str, float]]:
    """Medians over the repeats of every server at stored scales, and of those that decode at the scales between."""
    with ExitStack() as stack:
        servers = [stack.enter_context(running(kind, slide)) for kind in KINDS]
        runs: dict[str, list[dict[str, float]]] = {}
        for server in servers:
            measure(server, side, STORED, 200, 999)  # libraries loaded, files in the page cache
        for repeat in range(repeats):
            for server in servers if repeat % 2 == 0 else servers[::-1]:
                wanted = tiles if server.kind == "passthrough" else tiles // 3
                runs.setdefault(f"{server.kind}, stored scales", []).append(measure(server, side, STORED, wanted, 1000 * repeat))
                if server.kind != "passthrough":
                    runs.setdefault(f"{server.kind}, scales between", []).append(
                        measure(server, side, BETWEEN, tiles // 6, 1000 * repeat + 500)
                    )
    return {name: {key: float(f"{median(run[key] for run in several):.4g}") for key in several[0]} for name, several in runs.items()}


def main() -> None:
    """Measure, print, keep; or be one of the servers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=20_000)
    parser.add_argument("--tiles", type=int, default=3_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--serve", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--slide", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve_deepzoom(asked.slide, asked.port) if asked.serve == "deepzoom" else serve_app(asked.serve)
        return
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        slide = Path(folder, "slides", "drawn.tif")
        slide.parent.mkdir()
        draw_slide(slide, asked.side)
        size = slide.stat().st_size
        found = compare(slide, asked.side, asked.tiles, asked.repeats)
    rates = {name: row["per_cpu_s"] for name, row in found.items()}
    ratios = {name: rate / rates[f"deepzoom, {name.partition(', ')[2]}"] for name, rate in rates.items() if not name.startswith("deepzoom")}
    record = {
        "side": asked.side, "file_mb": round(size / 1e6), "repeats": asked.repeats, "connections": CONNECTIONS, "servers": found,
        "ratios": {name: round(ratio, 2) for name, ratio in ratios.items()}, "goals": GOALS,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {load_before:.1f} before and {os.getloadavg()[0]:.1f} after",
        "python": platform.python_version(), "openslide": version("openslide-python"), "uvicorn": version("uvicorn"),
    }  # fmt: skip
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
