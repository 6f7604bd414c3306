"""Processes killed with no warning (SIGKILL) in the middle of long work: nothing is lost, nothing half-written is served."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from workbench.jobs import JobManager

pytestmark = pytest.mark.load

REPOSITORY = Path(__file__).resolve().parents[2]
WORKS = REPOSITORY / "tests" / "workbench"
OPTIONS = {"warm": False, "allow": r"jobs_works:[a-z_]+", "paths": [WORKS]}

SERVER = """
import json, sys, time
from pathlib import Path
from workbench.jobs import JobManager
root, works, starts = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
limits = {"max_running": 1, "per_owner": 20, "lease_s": 60}
jobs = JobManager(root, warm=True, warm_delay_s=0.0, ahead=("json",), allow=r"jobs_works:[a-z_]+", paths=[works], **limits)
made = [jobs.start("jobs_works:" + work, config, owner="ann", title=work).id for work, config in starts]
print(json.dumps(made), flush=True)
while True:
    time.sleep(1)
"""


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.005)
    pytest.fail("what was waited for did not happen")


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def event_count(root, job_id):
    (file,) = root.glob(f"*/{job_id}/events.jsonl")
    return file.read_bytes().count(b"\n")


class Server:
    """A process with a JobManager in it, as the real server is."""

    def __init__(self, root, starts):
        command = [sys.executable, "-c", SERVER, str(root), str(WORKS), json.dumps(starts)]
        self.process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE)
        self.ids = json.loads(self.process.stdout.readline())

    def kill(self):
        """SIGKILL; returns the workers it leaves behind."""
        workers = psutil.Process(self.process.pid).children()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        return workers


@pytest.fixture
def root(tmp_path):
    return tmp_path / "jobs"


@pytest.fixture
def restart(root):
    """A new manager on the same folder; its jobs are stopped at the end."""
    made = []

    def make():
        made.append(JobManager(root, **OPTIONS))
        return made[-1]

    yield make
    for manager in made:
        for job in manager.list("ann"):
            manager.stop(job.id)
        wait_for(lambda manager=manager: manager.snapshot()["running"] == 0)
        manager.close()


def test_a_worker_killed_in_mid_run_leaves_its_events_and_a_sentence(restart):
    jobs = restart()
    job = jobs.start("jobs_works:forever", {}, owner="ann", title="")
    wait_for(lambda: len(jobs.events(job.id).events) > 5)
    os.kill(jobs.get(job.id).pid, signal.SIGKILL)
    last = wait_for(lambda: jobs.get(job.id) if jobs.get(job.id).over else None)
    assert (last.state, "ended unexpectedly" in last.error) == ("failed", True)
    events = jobs.events(job.id).events
    assert [event["i"] for event in events] == list(range(len(events)))
    assert len(events) > 5
    assert jobs.result(job.id) == {}
    again = jobs.start("jobs_works:count", {}, owner="ann", title="")
    wait_for(lambda: jobs.get(again.id).state == "done")


def test_the_work_outlives_a_killed_server_and_the_next_one_follows_and_stops_it(root, restart):
    server = Server(root, [["forever", {}], ["count", {"n": 2}]])
    running, queued = server.ids
    wait_for(lambda: event_count(root, running) > 5)
    workers = wait_for(lambda: children if len(children := psutil.Process(server.process.pid).children()) == 2 else None)
    server.kill()
    before = event_count(root, running)
    wait_for(lambda: event_count(root, running) > before + 5)  # it goes on with nobody there
    jobs = restart()
    assert jobs.get(running).state == "running"
    assert wait_for(lambda: jobs.get(queued).state == "done")  # there is a second place to run in now
    cursor = jobs.events(running).cursor
    wait_for(lambda: jobs.events(running, cursor).events)
    jobs.stop(running)
    wait_for(lambda: jobs.get(running).state == "stopped")
    assert list(jobs.result(running)) == ["last.txt"]
    events = jobs.events(running).events
    assert [event["i"] for event in events] == list(range(len(events)))
    wait_for(lambda: not any(alive(worker.pid) for worker in workers))  # the one in waiting ended with its server


def test_a_found_worker_that_does_not_listen_can_still_be_killed(root):
    server = Server(root, [["deaf", {"ignore_sigterm": True}]])
    (job_id,) = server.ids
    wait_for(lambda: event_count(root, job_id) == 1)
    server.kill()
    jobs = JobManager(root, **OPTIONS, terminate_after_s=0.2, kill_after_s=0.4)
    pid = jobs.events(job_id).events[0]["pid"]
    jobs.stop(job_id)
    wait_for(lambda: jobs.get(job_id).state == "stopped")
    assert not alive(pid)
    assert jobs.result(job_id) == {}
    jobs.close()


def test_a_job_whose_server_is_dead_ends_when_its_lease_is_over(root, restart):
    server = Server(root, [["forever", {}]])
    (job_id,) = server.ids
    wait_for(lambda: event_count(root, job_id) > 1)
    server.kill()
    (lease,) = root.glob(f"*/{job_id}/lease")
    os.utime(lease, (time.time() - 61, time.time() - 61))
    (record,) = root.glob(f"*/{job_id}/job.json")
    wait_for(lambda: json.loads(record.read_text())["state"] == "stopped")
    jobs = restart()
    assert (jobs.get(job_id).state, "nobody was watching" in jobs.get(job_id).error) == ("stopped", True)


def test_server_and_worker_killed_while_a_result_is_written_serve_nothing_half(root, restart):
    server = Server(root, [["slow_partial_result", {}]])
    (job_id,) = server.ids
    wait_for(lambda: event_count(root, job_id) > 10)
    (worker,) = [child for child in psutil.Process(server.process.pid).children() if f'"pid":{child.pid},' in _events(root, job_id)]
    server.kill()
    worker.kill()
    (partial,) = root.glob(f"*/{job_id}/result.partial")
    assert (partial / "big.bin").stat().st_size > 0
    wait_for(lambda: not alive(worker.pid))
    jobs = restart()
    job = jobs.get(job_id)
    assert (job.state, "restarted" in job.error) == ("interrupted", True)
    assert jobs.result(job_id) == {}
    assert not partial.exists()


def _events(root, job_id):
    (file,) = root.glob(f"*/{job_id}/events.jsonl")
    return file.read_text()


def test_a_worker_killed_at_any_moment_of_its_end_leaves_all_of_the_result_or_nothing(restart):
    jobs = restart()
    whole = {"curves.csv": 16, "weights/a.bin": 300_000}
    random.seed(1)
    outcomes = set()
    for _ in range(25):
        job = jobs.start("jobs_works:writes", {"wait": True, "size": 300_000}, owner="ann", title="")
        wait_for(lambda job=job: jobs.events(job.id).events)
        jobs.send(job.id, {"do": "go on"})
        time.sleep(random.uniform(0.0, 0.02))
        with contextlib.suppress(ProcessLookupError):  # it may have ended just before
            os.kill(job.pid, signal.SIGKILL)
        last = wait_for(lambda job=job: jobs.get(job.id) if jobs.get(job.id).over else None)
        files = {name: file.stat().st_size for name, file in jobs.result(job.id).items()}
        assert files in ({}, whole)
        assert files == whole or last.state != "done"
        outcomes.add(last.state)
        wait_for(lambda: jobs.snapshot()["running"] == 0)
    assert outcomes <= {"done", "failed"}


def test_a_server_killed_again_and_again_always_comes_back(root, restart):
    random.seed(2)
    ids = []
    for _ in range(6):
        server = Server(root, [["count", {"n": 20, "pause": 0.005}]])
        ids += server.ids
        time.sleep(random.uniform(0.0, 0.3))
        server.kill()
    jobs = restart()
    wait_for(lambda: all(jobs.get(job_id).over for job_id in ids))
    for job_id in ids:
        job, events = jobs.get(job_id), jobs.events(job_id).events
        assert [event["i"] for event in events] == list(range(len(events)))
        assert job.state in ("done", "interrupted")
        assert (len(events) == 20) >= (job.state == "done")
