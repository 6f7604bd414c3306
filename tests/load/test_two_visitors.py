"""Twelve visitors at once, each with a picture of its own marked in its pixels: nobody is ever shown another's, by any door of the real server.

The doors: the upload and the gallery of every room that takes a picture, the route that pictures are fetched by, and another's page id.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier

import httpx
import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.load, pytest.mark.timeout(1800)]

REPOSITORY = Path(__file__).resolve().parents[2]
VISITORS = 12
SIDE_PX = 48


def mark(number: int) -> np.ndarray:
    """A picture that no other visitor has: flat, in a shade of its own."""
    return np.full((SIDE_PX, SIDE_PX), 10 + 15 * number, np.uint8)


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of `app.py` on a home of its own."""
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WORKBENCH_", "GRADIO_", "SPACE_"))}
    ours = {"WORKBENCH_HOME": str(home), "WORKBENCH_PORT": str(port), "WORKBENCH_WARM": "0", "OMP_NUM_THREADS": "1"}
    with (home / "log.txt").open("wb") as sink:
        process = subprocess.Popen([sys.executable, "app.py"], cwd=REPOSITORY, env=kept | ours, stdout=sink, stderr=sink)
    address, end = f"http://127.0.0.1:{port}", time.monotonic() + 600
    while time.monotonic() < end:
        assert process.poll() is None, (home / "log.txt").read_text()
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{address}/health").status_code == 200:
                break
        time.sleep(0.2)
    yield address
    process.terminate()
    process.wait(20)


@dataclass(frozen=True)
class Door:
    """One room's picture input, as its page knows it: the numbers of its parts and of the events behind them."""

    room: str
    upload: int
    strip: int
    on_upload: dict
    on_choice: dict


@pytest.fixture(scope="module")
def doors(server):
    page = httpx.get(f"{server}/config", timeout=600).json()
    ids = {part["props"].get("elem_id") or "": part["id"] for part in page["components"]}

    def event(part: int) -> dict:
        return next(event for event in page["dependencies"] if any(target[0] == part for target in event["targets"]))

    found = []
    for name in ids:
        stem = name.removesuffix("_file")
        # a slide's input has no gallery of pictures; tests/hostile/test_slides_addresses.py looks at those
        if name.endswith("_input_file") and f"{stem}_examples" in ids:
            upload, strip = ids[name], ids[f"{stem}_examples"]
            found.append(Door(stem.removesuffix("_input"), upload, strip, event(upload), event(strip)))
    if not found:
        pytest.skip("no room takes a picture in this copy")
    return found


@dataclass
class Visitor:
    """A browser with cookies of its own and one open page."""

    number: int
    address: str
    page: str = ""
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.page = f"page{self.number:04d}"
        self.http = httpx.Client(base_url=self.address, timeout=600, cookies={"lightbox_visitor": f"visitor{self.number:02d}" + "x" * 24})

    def fire(self, event: dict, part: int, value: object, *, page: str = "") -> list:
        """An event of the page, as the browser sends it; what the server answers for the event's outputs."""
        page = page or self.page
        # a State's value stays on the server: the page sends nothing for it
        data = [value if number == part else None for number in event["inputs"]]
        sent = {"data": data, "fn_index": event["id"], "session_hash": page, "trigger_id": part, "event_data": None}
        self.http.post("/gradio_api/queue/join", json=sent).raise_for_status()
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": page}) as answer:
            for line in answer.iter_lines():
                said = json.loads(line[6:]) if line.startswith("data: ") else {}
                if said.get("msg") == "process_completed":
                    assert said["success"], said
                    return said["output"]["data"]
        raise AssertionError("the server did not answer")

    def bring(self, door: Door, pixels: np.ndarray) -> dict:
        """Upload a picture through a room; what the gallery is then told of "Your picture"."""
        (path,) = self.http.post("/gradio_api/upload", files={"files": ("scan.png", png(pixels))}).json()
        record = {"path": path, "orig_name": "scan.png", "meta": {"_type": "gradio.FileData"}}
        return told(self.fire(door.on_upload, door.upload, record), door, door.on_upload)["own"]

    def look(self, url: str) -> httpx.Response:
        return self.http.get("/" + url)


def told(outputs: list, door: Door, event: dict) -> dict:
    """What an answer says to the gallery."""
    return outputs[event["outputs"].index(door.strip)]["props"]


def shade(answer: httpx.Response) -> set[int]:
    return set(np.unique(np.asarray(Image.open(io.BytesIO(answer.content)))).tolist())


@pytest.fixture
def visitors(server):
    made = [Visitor(number, server) for number in range(VISITORS)]
    yield made
    for one in made:
        one.http.close()


def test_everybody_at_once_sees_their_own_picture_and_nobody_elses(visitors, doors):
    start = Barrier(VISITORS)

    def work(visitor: Visitor) -> list[str]:
        start.wait()
        urls = []
        for turn in range(3):
            for door in doors:
                own = visitor.bring(door, mark(visitor.number) + np.uint8(turn))
                assert shade(visitor.look(own["url"])) == {10 + 15 * visitor.number + turn}
                urls.append(own["url"])
        return urls

    with ThreadPoolExecutor(VISITORS) as pool:
        urls = list(pool.map(work, visitors))
    assert len({url for mine in urls for url in mine}) == VISITORS * 3  # the same picture in two rooms is one
    for visitor in visitors:
        for other, mine in zip(visitors, urls, strict=True):
            answers = {visitor.look(url).status_code for url in mine}
            assert answers == ({200} if other is visitor else {404})


def test_the_same_picture_of_two_visitors_is_two_and_neither_can_use_the_others_name_for_it(visitors, doors):
    ann, bob = visitors[:2]
    first, second = ann.bring(doors[0], mark(0)), bob.bring(doors[0], mark(0))
    assert first["id"] != second["id"]
    assert (ann.look(second["url"]).status_code, bob.look(first["url"]).status_code) == (404, 404)


def test_another_visitors_picture_cannot_be_asked_for_in_the_gallery(visitors, doors):
    ann, bob = visitors[:2]
    for door in doors:
        foreign, own = ann.bring(door, mark(3)), bob.bring(door, mark(7))
        answer = bob.fire(door.on_choice, door.strip, {"id": foreign["id"], "seq": 1})
        assert foreign["id"] not in json.dumps(answer)
        assert told(answer, door, door.on_choice)["current"] == own["id"]


def test_another_visitors_page_id_opens_nothing(visitors, doors):
    ann, bob = visitors[:2]
    for door in doors:
        foreign = ann.bring(door, mark(3))
        # Bob's browser takes part in Ann's page: the State there is hers, but he is not
        answer = bob.fire(door.on_choice, door.strip, {"id": foreign["id"], "seq": 1}, page=ann.page)
        assert "not kept on the server any more" in json.dumps(answer)
        assert foreign["url"] not in json.dumps(answer)


def test_without_cookies_nothing_of_a_visitor_can_be_fetched(visitors, doors):
    own = visitors[0].bring(doors[0], mark(0))
    assert httpx.get(f"{visitors[0].address}/{own['url']}").status_code == 404
