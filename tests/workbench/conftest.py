"""What the tests of the server frame share: the real app over small jobs, and the real `app.py` as a process."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from starlette.testclient import TestClient

from workbench.context import Context
from workbench.jobs import JobManager
from workbench.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL_JOBS = {
    "warm": False,
    "allow": r"jobs_works:[a-z_]+",
    "paths": [Path(__file__).parent],
    "terminate_after_s": 0.5,
    "kill_after_s": 1.0,
}
OURS = ("WORKBENCH_", "GRADIO_", "SPACE_", "XDG_CACHE_HOME")


def _wait_for(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    pytest.fail("what was waited for did not happen")


@pytest.fixture(scope="session")
def wait_for():
    """`wait_for(condition)`: the first true value; fails when it stays false."""
    return _wait_for


@pytest.fixture
def bare_environment(monkeypatch):
    """No variable that Lightbox reads is set; returns monkeypatch."""
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    return monkeypatch


def _settle(manager, ids):
    for job_id in ids:
        manager.stop(job_id)
    _wait_for(lambda: manager.snapshot()["running"] == 0)


@pytest.fixture(scope="module")
def open_context(tmp_path_factory):
    """Makes contexts whose jobs are the small works of jobs_works.py; stops what was started through `context.begin(work, owner)`."""
    made = []

    def make(settings=None, **limits):
        home = tmp_path_factory.mktemp("home")
        settings = settings or Settings(home=home, warm=False)
        context = Context(settings, JobManager(settings.home / "workspace", **{**SMALL_JOBS, **limits}))
        started = []

        def begin(work, owner, config=None, **options):
            job = context.jobs.start(f"jobs_works:{work}", config or {}, owner=owner, title=work, **options)
            started.append(job.id)
            return job

        context.begin = begin
        made.append((context, started))
        return context

    yield make
    for context, started in made:
        _settle(context.jobs, started)
        context.close()


@pytest.fixture(scope="module")
def open_app(tmp_path_factory, open_context):
    """Makes the whole app over such a context; the values given are those of Settings. Its context is `app.state.context`."""
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))

        def make(**values):
            from workbench.server import create_app

            settings = Settings(home=tmp_path_factory.mktemp("home"), warm=False, **values)
            patch.setattr(Context, "open", lambda settings: open_context(settings, max_running=4, per_owner=8))
            return create_app(settings)

        yield make
        stack.close()


@pytest.fixture(scope="module")
def visit():
    """`visit(app)`: a browser of its own, with its own cookies, that shows answer 500 instead of raising."""
    return lambda app, **options: TestClient(app, raise_server_exceptions=False, **options)


@pytest.fixture(scope="module")
def run_server(tmp_path_factory):
    """Starts `app.py` with the given environment on a free port; ended after the module. `.url`, `.pid`, `.home`, `.stderr()`."""
    processes = []

    def start(*, port_name="WORKBENCH_PORT", host="127.0.0.1", **environment):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        folder = tmp_path_factory.mktemp("server")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        ours = {"WORKBENCH_HOME": str(folder), "WORKBENCH_WARM": "0", "WORKBENCH_HOST": host, port_name: str(port), **environment}
        ours |= {"GRADIO_TEMP_DIR": str(folder / "uploads"), "OMP_NUM_THREADS": "1"}
        log = folder / "stderr.txt"
        with log.open("wb") as sink:
            process = subprocess.Popen([sys.executable, "app.py"], cwd=REPOSITORY, env=kept | ours, stdout=sink, stderr=sink)
        processes.append(process)
        url = f"http://127.0.0.1:{port}"

        def answers():
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{url}/health").status_code == 200

        _wait_for(answers, 90)
        return SimpleNamespace(url=url, port=port, pid=process.pid, home=folder, process=process, stderr=log.read_text)

    yield start
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(20)
