"""Slides from people who mean harm, or whose disks do: files made up to crash, to swell or to lie, and addresses made up to reach what is not theirs.

Every file is refused with one sentence or, where nothing is wrong with it after all, planned; in a process of its own within its limits, and the server
goes on. Every odd address is answered 404.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image

from models.shared.slides import SlideRefused
from tests.models.slides.made import SVS, picture, write_jpeg_pyramid, write_pyramid
from workbench.slides import Slides, probe
from workbench.visitors import COOKIE

pytestmark = pytest.mark.hostile
ROOT = Path(__file__).resolve().parents[2]
ANN, BOB = "a" * 32, "b" * 32
MEMORY_MB, CPU_S = 900, 20

CHILD = """
import json, os, resource, sys, tempfile, time
from pathlib import Path
import imagecodecs, numpy, openslide, tifffile, PIL.Image
from models.shared.slides import SlideRefused, by_openslide
from workbench.slides import probe
from workbench.slides.examine import examine
from workbench.slides.facts import SlideGone
from workbench.slides.serving import Record, Serving, signature
if "painted" in sys.argv:  # everything through OpenSlide, as for the formats that it alone reads
    by_openslide.tile_levels = lambda *_: None
sys.stderr = open(os.devnull, "w")
def serve(path, folder):
    known = signature(path)
    plan = examine(path, folder)
    record, serving = Record("id", None, "", path, folder, plan, "mark", known), Serving()
    tiles = broken = 0
    for number, level in enumerate(plan.levels):
        for place in range(min(level.nx * level.ny, 100)):
            tiles += 1
            try:
                serving.stored(record, number, place % level.nx, place // level.nx) or serving.made(record, number, place % level.nx, place // level.nx)
            except SlideGone:
                broken += 1
    return f"{tiles} tiles, {broken} broken"
for path in json.load(sys.stdin):
    if os.fork() == 0:
        probe._limit(60)
        start = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            try:
                said = ["planned", serve(Path(path), Path(folder))]
            except SlideRefused as refused:
                said = ["refused", str(refused)]
            except MemoryError:
                said = ["refused", probe.SWELLED]
            except BaseException as escaped:
                said = ["escaped", repr(escaped)]
        said += [time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]
        print(json.dumps(said), flush=True)
        os._exit(0)
    if os.wait()[1]:
        print(json.dumps(["crashed", "", 0, 0]), flush=True)
"""


def examined(paths, painted=False):
    """[(planned and its tiles served, refused, escaped or crashed; the sentence; processor seconds; peak MB)] of files, each in a process of its own under the real limits."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *(["painted"] if painted else [])],
        input=json.dumps([str(path) for path in paths]),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=env,
        timeout=280,
        check=True,
    )
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def one_sentence(text, path):
    """Plain words: no path, no name of a Python class, an advice after what was wrong."""
    assert 20 < len(text) < 300
    assert text.endswith(".")
    assert str(path.parent) not in text
    assert "Error" not in text
    assert "Traceback" not in text


# ------------------------------------------------------------------ files
def tiff_of(entries, *, after=b"", loop=False):
    """A little-endian TIFF of one directory with (tag, type, count, value or offset); with `loop` it names itself as the next one."""
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\x00" + struct.pack("<I", 8) + directory + struct.pack("<I", 8 if loop else 0) + after


def tiled(width, height, tile, **more):
    """Entries of a tiled RGB page whose tiles' places are given by `more`."""
    offsets, counts, n = more.get("offsets", 8), more.get("counts", 8), more.get("n", 1)
    return [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, more.get("coding", 7)), (262, 3, 1, 6), (277, 3, 1, 3), (284, 3, 1, 1),
        (322, 4, 1, tile), (323, 4, 1, tile), (324, 4, n, offsets), (325, 4, n, counts),
    ]  # fmt: skip


def png_header(width, height, data=b""):
    """A PNG that claims a size."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


def overwrite(path, tags, page=0):
    """Change tags of a TIFF in place."""
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for name, value in tags.items():
            tiff.pages[page].tags[name].overwrite(value)
    return path


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """name → path of every hostile file, with what its refusal must say."""
    folder = tmp_path_factory.mktemp("bad")
    files: dict[str, tuple[Path, str]] = {}

    def put(name, content, sentence):
        (folder / name).write_bytes(content)
        files[name] = (folder / name, sentence)

    def keep(path, sentence):
        files[path.name] = (path, sentence)

    small = [picture(1100, 900), picture(275, 225)]
    whole = write_jpeg_pyramid(folder / "whole.tif", small).read_bytes()
    keep(write_pyramid(folder / "tiles4096.tif", [picture(4096, 4096)[:, :, :]], tile=(4096, 4096)), "4,096 × 4,096")
    keep(
        overwrite(write_jpeg_pyramid(folder / "claims_more.tif", small), {"ImageWidth": 90_000, "ImageLength": 90_000}),
        "does not fit its content",
    )
    keep(overwrite(write_jpeg_pyramid(folder / "claims_less_tiles.tif", small), {"ImageWidth": 500}), "does not fit its content")
    keep(overwrite(write_jpeg_pyramid(folder / "no_width.tif", small), {"ImageWidth": 0}), "")
    places = overwrite(write_jpeg_pyramid(folder / "outside.tif", small), {"TileOffsets": [10**9] * 20})
    keep(places, "cut short")
    keep(overwrite(write_jpeg_pyramid(folder / "long_tiles.tif", small), {"TileByteCounts": [2**31] * 20}), "cut short")
    put("cut_data.tif", whole[: len(whole) // 2], "")
    put("cut_head.tif", whole[:60], "")
    put("huge_tiles.tif", tiff_of(tiled(2**31 - 1, 2**31 - 1, 16)), "")
    put("huge_sparse.tif", tiff_of(tiled(10**6, 10**6, 256, n=2**28, offsets=300, counts=300), after=bytes(400)), "")
    put("loop.tif", tiff_of(tiled(512, 512, 256, n=4, offsets=200, counts=200), after=bytes(300), loop=True), "")
    put("zero.tif", tiff_of(tiled(0, 0, 256)), "")
    put("no_tags.tif", tiff_of([]), "")
    put("zero_tile.tif", tiff_of(tiled(512, 512, 0)), "")
    put("bomb.png", png_header(60_000, 60_000, zlib.compress(bytes(1 << 20))), "100 million pixels")
    put("short.png", png_header(9_000, 9_000, zlib.compress(bytes(1000))), "damaged")
    put("zero.png", png_header(0, 100), "")
    Image.fromarray(picture(64, 64)).save(folder / "ok.jpg")
    jpeg = (folder / "ok.jpg").read_bytes()
    start = jpeg.index(b"\xff\xc0")
    put("bomb.jpg", jpeg[: start + 5] + struct.pack(">HH", 65_500, 65_500) + jpeg[start + 9 :], "100 million pixels")
    put("scans.jpg", jpeg[:-2] + b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00\x01" * 200 + b"\xff\xd9", "far more passes")
    put("alone.mrxs", jpeg, "packed in one ZIP")
    put("text.svs", b"II*\x00" + b"no slide " * 100, "")
    put("empty.svs", b"", "no slide of a known kind")
    if SVS.is_file():
        real = SVS.read_bytes()
        put("cut.svs", real[: len(real) * 2 // 3], "")
        put("cut_little.svs", real[:-5000], "")
        put("holed.svs", real[:400_000] + bytes(600_000) + real[1_000_000:], "")
    deep = folder / "chain.tif"
    with tifffile.TiffWriter(deep) as tiff:
        for _ in range(300):
            tiff.write(np.zeros((16, 16, 3), np.uint8), tile=(16, 16), photometric="rgb", metadata=None)
    keep(deep, "more pages")
    return files


def test_every_hostile_file_is_refused_with_one_sentence_within_the_limits(bad):
    answers = examined([path for path, _ in bad.values()])
    assert len(answers) == len(bad)
    for (name, (path, wanted)), (kind, said, seconds, peak) in zip(bad.items(), answers, strict=True):
        assert kind == "refused", (name, kind, said)
        assert wanted in said, (name, said)
        one_sentence(said, path)
        assert seconds < CPU_S, (name, seconds)
        assert peak < MEMORY_MB, (name, peak)


def mutants(data, count, seed):
    """Copies of a file with a few bytes changed, most of them in its first kilobyte and its directories, or cut, or with a stretch doubled."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 12))):
            near = int(rng.integers(0, 700)) if number % 2 else int(rng.integers(0, len(changed)))
            changed[near % len(changed)] = int(rng.integers(0, 256))
        if number % 7 == 3:
            changed = changed[: int(rng.integers(16, len(changed)))]
        if number % 7 == 5:
            place = int(rng.integers(0, len(changed)))
            changed[place:place] = changed[place : place + 500]
        yield bytes(changed)


@pytest.mark.parametrize("coding", ["jpeg", "lzw", "painted"])
def test_mutants_of_a_small_pyramid_never_crash_nor_escape(tmp_path, coding):
    levels = [picture(600, 500), picture(150, 125)]
    path = tmp_path / "whole.tif"
    write_jpeg_pyramid(path, levels, apart=True) if coding != "lzw" else write_pyramid(path, levels, compression="lzw")
    paths = []
    for number, content in enumerate(mutants(path.read_bytes(), 30, 11)):
        paths.append(tmp_path / f"mutant{number}.tif")
        paths[-1].write_bytes(content)
    answers = examined([path, *paths], painted=coding == "painted")
    assert answers[0][0] == "planned"
    assert {kind for kind, *_ in answers} <= {"planned", "refused"}, [said for kind, said, *_ in answers if kind in ("escaped", "crashed")]
    for kind, said, seconds, peak in answers:
        if kind == "refused":
            one_sentence(said, tmp_path / "x")
        assert seconds < CPU_S
        assert peak < MEMORY_MB


# ------------------------------------------------------------------ the process
def test_a_process_that_crashes_hangs_or_swells_is_a_sentence(tmp_path, monkeypatch):
    good = write_jpeg_pyramid(tmp_path / "g.tif", [picture(300, 300)])
    for body, wanted in (
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", probe.CRASHED),
        ("import time; time.sleep(60)", probe.SLOW),
        ("while True: pass", probe.SLOW),
        ("x = bytearray(1 << 40)", probe.SWELLED),
        ("print('no answer of ours'); import os; os._exit(0)", probe.CRASHED),
        ("raise ValueError('escaped')", probe.CRASHED),
    ):
        fake = tmp_path / "fake"
        shutil.rmtree(fake, ignore_errors=True)
        shutil.copytree(ROOT / "workbench", fake / "workbench", ignore=shutil.ignore_patterns("tabs", "jobs", "__pycache__"))
        (fake / "models").symlink_to(ROOT / "models")
        (fake / "workbench" / "slides" / "examine.py").write_text(f"def examine(*given, **more):\n    {body}\n")
        monkeypatch.setattr(probe, "ROOT", fake)
        with pytest.raises(SlideRefused) as told:
            probe.probe(good, tmp_path, wall_s=4.0, cpu_s=1)
        assert str(told.value) == wanted, body


def test_the_process_is_told_no_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_USERS", "ann:secret")
    seen = {}

    def popen(*given, **more):
        seen.update(more["env"])
        raise OSError("enough")

    monkeypatch.setattr(probe.subprocess, "Popen", popen)
    with pytest.raises(OSError, match="enough"):
        probe.probe(tmp_path / "x", tmp_path)
    assert seen
    assert not any(name.startswith("WORKBENCH_") for name in seen)


def test_hostile_uploads_leave_the_store_as_it_was(tmp_path, bad):
    store = Slides(tmp_path / "home", example=None)
    request = SimpleNamespace(cookies={COOKIE: ANN})
    good = store.add(request, write_jpeg_pyramid(tmp_path / "good.tif", [picture(500, 400)]))
    (tmp_path / "link.tif").symlink_to("/etc/passwd")
    for path in (bad["loop.tif"][0], bad["claims_more.tif"][0], bad["bomb.png"][0], tmp_path / "link.tif", Path("/etc"), Path("/dev/zero")):
        with pytest.raises(SlideRefused) as told:
            store.add(request, path)
        one_sentence(str(told.value), path)
    assert [id for _, id in store.choices(request)] == [good.id]
    assert len(list((tmp_path / "home" / "uploads").iterdir())) == 1
    assert store.serving.stored(store.fetch(request, good.id), 0, 0, 0)
    store.close()


def test_one_damaged_tile_does_not_spoil_the_others(tmp_path):
    path = write_pyramid(tmp_path / "p.tif", [picture(2500, 2500), picture(625, 625)], compression="lzw")
    with tifffile.TiffFile(path) as tiff:
        offset, count = tiff.pages[0].dataoffsets[33], tiff.pages[0].databytecounts[33]
    content = bytearray(path.read_bytes())
    content[offset : offset + count] = bytes(count)
    store = Slides(tmp_path / "home", example=path)
    record = None
    for _ in range(20):  # the damaged place may be among those read for trial
        path.write_bytes(content)
        try:
            record = store.fetch(None, "example")
            break
        except SlideRefused:
            os.utime(path)
    assert record is not None
    answered = {}
    for place in range(100):
        try:
            answered[place] = store.serving.made(record, len(record.plan.levels) - 1, place % 10, place // 10)
        except ValueError:
            answered[place] = b""
    assert [place for place, data in answered.items() if not data] == [33]
    store.close()
