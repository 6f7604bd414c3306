"""Addresses made up to reach slides that are not theirs, files that are no slides, or places that are not there: every one is answered 404."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from urllib.parse import unquote

import pytest

from tests.models.slides.made import picture, write_jpeg_pyramid
from workbench.context import Context
from workbench.jobs import JobManager
from workbench.settings import Settings
from workbench.visitors import COOKIE

pytestmark = pytest.mark.hostile
ANN, BOB = "a" * 32, "b" * 32


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The app, a slide of Ann's, one of Bob's and the example."""
    from workbench.server import create_app

    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        settings = Settings(home=home, warm=False)
        context = Context(settings, JobManager(home / "workspace", warm=False))
        patch.setattr(Context, "open", lambda settings: context)
        app = create_app(settings)
    slide = write_jpeg_pyramid(home / "s.tif", [picture(1100, 900), picture(275, 225)])
    mine, theirs = (context.slides.add(SimpleNamespace(cookies={COOKIE: cookie}), slide) for cookie in (ANN, BOB))
    yield SimpleNamespace(app=app, context=context, mine=mine, theirs=theirs, slide=slide)
    context.close()


def ask(app, raw, cookie=ANN, method="GET"):
    """(status, body) of an address exactly as given: clients would tidy it up."""
    answer = {"status": 0, "body": b""}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": unquote(raw.partition("?")[0]),
        "raw_path": raw.encode("utf-8", "surrogatepass"), "query_string": raw.partition("?")[2].encode(), "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2), "headers": [(b"host", b"127.0.0.1"), (b"cookie", f"{COOKIE}={cookie}".encode())], "state": {},
    }  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        if message["type"] == "http.response.start":
            answer["status"] = message["status"]
        else:
            answer["body"] += message.get("body", b"")

    # in a thread of its own: browser tests of the same run leave an event loop running in this one
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, asyncio.wait_for(app(scope, receive, send), 20)).result()
    return answer["status"], answer["body"]


def odd_addresses(mine, theirs):
    """More than fifty shapes; every one must be answered 404."""
    base, top, ok = f"/lightbox/slides/{mine.id}", len(mine.levels) - 1, f"/{mine.url}"
    climbs = [
        "..",
        "%2e%2e",
        "..%2f..",
        "%252e%252e",
        "....//",
        "..\\..",
        "%c0%ae%c0%ae",
        "..;",
        "․․",
        "．．",
        "%2e%2e%5c",
        "..%00",
        "~",
        "%00",
    ]
    for climb in climbs:
        yield f"/lightbox/slides/{climb}/about"
        yield f"/lightbox/slides/{climb}/{climb}/{climb}/etc/passwd"
        yield f"{base}/{climb}/0/0_0.jpeg"
        yield f"{ok}{climb}/0_0.jpeg"
        yield f"{ok}0/{climb}.jpeg"
    yield from ("/lightbox/slides", "/lightbox/slides/", base, f"{base}/", f"{base}/about/x", f"{ok}", f"{ok}0", f"{ok}0/")
    yield from (
        f"/lightbox/slides/{name}/about"
        for name in ("slide.tif", "/etc/passwd", "%2fetc%2fpasswd", "file:///etc/passwd", "x" * 5000, "'", "é", "\U0001f9ec")
    )
    for level in (-1, top + 1, 99, 100, 10**9, "00000", "1e0", "0x0", "٠", "²", "", "0%00", " 0", "+0"):
        yield f"{ok}{level}/0_0.jpeg"
    columns, rows = mine.levels[top].nx, mine.levels[top].ny
    for place in (
        f"{columns}_0",
        f"0_{rows}",
        "-1_0",
        "0_-1",
        "999999_999999",
        f"{10**30}_0",
        "0",
        "0_0_0",
        "_",
        "0_",
        "_0",
        "0.0_0",
        "0x1_0",
        "٠_٠",
        "0,0",
        "0_0%0a",
    ):
        yield f"{ok}{top}/{place}.jpeg"
    for ending in (".png", ".jpg", "", ".jpeg.png", ".jpeg/", ".jpeg%00", ".jpeg%0a", ".JPEG", ".tif"):
        yield f"{ok}0/0_0{ending}"
    for mark in ("0" * 20, mine.mark[:-1], mine.mark + "0", mine.mark.upper() if mine.mark.upper() != mine.mark else "F" * 20, "", "*"):
        yield f"{base}/{mark}/0/0_0.jpeg"
    yield from (f"/{theirs.url}0/0_0.jpeg", f"/lightbox/slides/{theirs.id}/about", f"/{theirs.thumb}", f"/lightbox/slides/{'f' * 32}/about")
    yield from (
        f"/lightbox/slides/{mine.id.upper()}/{mine.mark}/0/0_0.jpeg",
        f"//lightbox/slides/{mine.id}/{mine.mark}/0/0_0.jpeg",
        f"/x/lightbox/slides/{mine.id}/{mine.mark}/0/0_0.jpeg",
    )
    yield from (
        f"{ok}label.jpeg",
        f"{ok}macro.jpeg",
        f"{base}/label",
        f"{base}/macro.jpeg",
        f"{base}/slide.tif",
        f"{base}/plan.json",
        f"{base}/index.npy",
    )


def test_every_odd_address_is_answered_404(served):
    tried = list(odd_addresses(served.mine, served.theirs))
    assert len(set(tried)) >= 120
    secrets = (served.slide.read_bytes()[:64], b"root:")
    for address in tried:
        status, body = ask(served.app, address)
        assert status == 404, (address, status, body[:200])
        assert not any(secret in body for secret in secrets), address
        assert str(served.slide.parent).encode() not in body
    assert ask(served.app, f"/{served.mine.url}0/0_0.jpeg")[0] == 200  # all of that in between: the server goes on
    assert ask(served.app, f"/{served.theirs.url}0/0_0.jpeg", cookie=BOB)[0] == 200


def test_what_is_another_visitors_looks_like_what_is_not_there(served):
    missing = served.theirs.id[:-1] + ("0" if served.theirs.id[-1] != "0" else "1")
    for form in (
        "/lightbox/slides/{}/about",
        f"/lightbox/slides/{{}}/{served.theirs.mark}/0/0_0.jpeg",
        f"/lightbox/slides/{{}}/{served.theirs.mark}/thumb.jpeg",
    ):
        assert ask(served.app, form.format(served.theirs.id)) == ask(served.app, form.format(missing))
        for cookie in ("", "x", "a" * 31, ANN + "a", "../" * 10):
            assert ask(served.app, form.format(served.theirs.id), cookie=cookie)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_do_nothing(served, method):
    assert ask(served.app, f"/{served.mine.url}0/0_0.jpeg", method=method)[0] in (404, 405)
