"""A real app on a free port, a real Chromium, and a page that remembers every request and every script error."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SHOTS = Path(__file__).parent / "shots"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)


def choose_room(page: Page, title: str) -> None:
    """Open a room's tab; on a narrow screen the last ones stand in a menu."""
    page.wait_for_selector("#rooms [role=tab]")
    page.wait_for_timeout(300)  # tabs move into the menu once the page knows its width
    tab = page.locator("#rooms [role=tablist]").first.get_by_role("tab", name=title, exact=True)
    if tab.count():
        tab.click()
    else:
        page.locator("#rooms .overflow-menu > button").first.click()
        page.locator("#rooms .overflow-dropdown").first.get_by_text(title, exact=True).click()


class App:
    """The running server as a test sees it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/"

    def health(self) -> dict:
        with urllib.request.urlopen(self.url + "health", timeout=10) as answer:
            return json.load(answer)

    def wait(self, condition: Callable[[dict], bool], *, within_s: float = 20) -> dict:
        """The first health answer that fulfils the condition; fails with the last one otherwise."""
        until, seen = time.monotonic() + within_s, {}
        while time.monotonic() < until:
            seen = self.health()
            if condition(seen):
                return seen
            time.sleep(0.05)
        raise AssertionError(f"not within {within_s} s; last: {seen}")


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("home")
    env = os.environ | {"WORKBENCH_PORT": str(port), "WORKBENCH_HOST": "127.0.0.1", "WORKBENCH_HOME": str(home)}
    with (home / "app.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=env, stdout=log, stderr=log)
        running = App(port)
        try:
            _wait_until_up(running, process, home / "app.log")
            yield running
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait_until_up(app: App, process: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            app.health()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the app did not come up:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="session")
def playwright_() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def chromium(playwright_: Playwright) -> Iterator[Browser]:
    found = os.environ.get("LIGHTBOX_CHROMIUM") or ("/usr/bin/chromium" if Path("/usr/bin/chromium").exists() else None)
    browser = playwright_.chromium.launch(executable_path=found, args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture
def open_page(app: App, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Open the app in a fresh browser context; `page.requests_seen` and `page.errors_seen` record what happens. Script errors fail the test."""
    contexts, pages = [], []

    def opened(*, width: int = 1440, height: int = 1000, dark: bool = False, path: str = "") -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", accept_downloads=True
        )
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.requests_seen, page.errors_seen = [], []
        page.on("request", lambda request: page.requests_seen.append(request.url))
        page.on("pageerror", lambda error: page.errors_seen.append(str(error)))
        page.goto(app.url + path)
        page.wait_for_selector("#rooms [role=tab]")
        contexts.append(context)
        pages.append(page)
        return page

    yield opened
    errors = [error for page in pages for error in page.errors_seen]
    for context in contexts:
        context.close()
    app.wait(lambda seen: seen["queue"]["running"] == 0 and seen["queue"]["queued"] == 0)
    assert not errors


@pytest.fixture
def shot() -> Callable[[Page, str], None]:
    """Keep a picture of the whole page for the eye."""

    def keep(page: Page, name: str) -> None:
        SHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SHOTS / f"{name}.png", full_page=True)

    return keep
