"""What the tests of long work and of the server frame share: managers of tiny works, the real app over small jobs, and the real `app.py` as a process."""

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
import psutil
import pytest
from starlette.testclient import TestClient

from workbench.context import Context
from workbench.jobs import JobManager
from workbench.jobs.folder import JobFolder
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


@pytest.fixture
def managers(tmp_path):
    """Makes managers of small works on tmp_path/jobs; stops every job of "ann" and "bob" afterwards."""
    made = []

    def make(**options):
        made.append(JobManager(tmp_path / "jobs", **{**SMALL_JOBS, **options}))
        return made[-1]

    yield make
    for manager in made[:-1]:
        manager.close()
    if made:
        _settle(made[-1], [job.id for owner in ("ann", "bob") for job in made[-1].list(owner)])
        made[-1].close()


@pytest.fixture
def jobs(managers):
    """One such manager."""
    return managers()


@pytest.fixture(scope="session")
def start():
    """`start(manager, work, config)`: starts one of the works of jobs_works.py."""

    def begin(manager, work, config=None, owner="ann", **more):
        return manager.start(f"jobs_works:{work}", config or {}, owner=owner, title="A test", **more)

    return begin


@pytest.fixture(scope="session")
def follow():
    """`follow(manager, job)`: (job, all its events) once it is over."""

    def read_on(manager, job):
        events, cursor = [], 0
        end = time.monotonic() + 30
        while time.monotonic() < end:
            page = manager.events(job.id, cursor)
            events += page.events
            cursor = page.cursor
            if page.finished:
                return page.job, events
            time.sleep(0.005)
        return pytest.fail("the job did not end")

    return read_on


@pytest.fixture
def on_disk(tmp_path):
    """`on_disk(job)`: the folder of a job of `managers`."""

    def find(job):
        (path,) = (tmp_path / "jobs").glob(f"*/{job.id}")
        return JobFolder(path)

    return find


@pytest.fixture(scope="session")
def is_zombie():
    """`is_zombie(pid)`: whether a process has ended and only its parent has not asked yet how."""

    def ended(pid):
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return ended


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
