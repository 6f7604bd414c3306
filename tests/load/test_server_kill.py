"""The server killed with no warning in the middle of real races: the next one on the same home finds them, follows them and stops them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from workbench.jobs import JobManager

pytestmark = [pytest.mark.load, pytest.mark.timeout(300)]

REPOSITORY = Path(__file__).resolve().parents[2]
VISITOR, STRANGER = "v" * 32, "s" * 32
FILES = {"curves.csv", "table.csv", "config.json", "reproduce.py"}
ENDLESS = {"task": "breast_cancer_mlp", "arms": [{"id": "sofim"}, {"id": "adam"}], "steps": 20_000, "pace": 50}
SHORT = {"task": "breast_cancer_mlp", "arms": [{"id": "sofim"}], "steps": 150, "pace": 50}


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    pytest.fail("what was waited for did not happen")


class Server:
    """`app.py` on a free port over `home`."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        ours = {
            "WORKBENCH_HOME": str(home),
            "WORKBENCH_PORT": str(port),
            "WORKBENCH_WARM": "0",
            "WORKBENCH_MAX_JOBS": "4",
            "OMP_NUM_THREADS": "1",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WORKBENCH_", "GRADIO_", "SPACE_"))}
        self.log = home / f"server-{port}.txt"
        with self.log.open("wb") as sink:
            self.process = subprocess.Popen([sys.executable, "app.py"], cwd=REPOSITORY, env=kept | ours, stdout=sink, stderr=sink)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", cookies={"lightbox_visitor": VISITOR}, timeout=20)
        wait_for(self._answers, 90)

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(httpx.TransportError):
            return self.http.get("/health").status_code == 200
        return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.http.close()

    def follow(self, job_id: str, after: int = 0) -> dict:
        answer = self.http.get(f"/lightbox/jobs/{job_id}/events", params={"after": after})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def file(self, job_id: str, name: str) -> httpx.Response:
        return self.http.get(f"/lightbox/jobs/{job_id}/files/{name}")

    def call(self, function: str, **arguments) -> dict:
        """One of the functions programs call, with the visitor's cookie."""
        event = self.http.post(f"/gradio_api/call/v2/{function}", json=arguments).json()["event_id"]
        return json.loads(self.http.get(f"/gradio_api/call/{function}/{event}").text.partition("data: ")[2])[0]


@pytest.fixture
def home(tmp_path):
    yield tmp_path
    for record in tmp_path.glob("workspace/*/*/job.json"):  # whatever a failed test left running
        worker = json.loads(record.read_text()).get("pid", 0)
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if worker and "workbench.jobs.worker" in psutil.Process(worker).cmdline():
                os.killpg(worker, signal.SIGKILL)


@pytest.fixture
def serve(home):
    """Starts servers on the home, one after the other."""
    made = []

    def start():
        made.append(Server(home))
        return made[-1]

    yield start
    for server in made:
        if server.process.poll() is None:
            server.kill()


def begin(home: Path, races: list[tuple[dict, bool]]) -> list[str]:
    """Start real races for the visitor, as (configuration, keep): a manager has the home for a moment, and the workers outlive it."""
    manager = JobManager(home / "workspace", max_running=4, per_owner=8, warm=False)
    ids = [manager.start("models.sofim.race:race", config, owner=VISITOR, title="race", keep=keep).id for config, keep in races]
    manager.close()
    return ids


def records(home: Path) -> dict[str, dict]:
    return {record.parent.name: json.loads(record.read_text()) for record in home.glob("workspace/*/*/job.json")}


def steps_told(events: list[dict]) -> list[int]:
    return [int(step) for event in events if event["kind"] == "points" for step in event["lanes"].get("sofim#0", {}).get("step", [])]


def test_races_outlive_a_killed_server_and_the_next_one_follows_and_stops_them(home, serve):
    (kept,) = begin(home, [(ENDLESS, True)])
    first = serve()
    left = first.call("sofim_race", task="digits_cnn", optimisers=["sofim", "adahessian"], steps=20_000)["job"]  # a child of the server
    assert {job: record["keep"] for job, record in records(home).items()} == {kept: True, left: False}
    cursors = {
        job: wait_for(lambda job=job: page["cursor"] if steps_told((page := first.follow(job))["events"]) else 0) for job in (kept, left)
    }
    first.kill()
    sizes = {record: record.stat().st_size for record in home.glob("workspace/*/*/events.jsonl")}
    assert len(sizes) == 2
    wait_for(lambda: all(record.stat().st_size > size for record, size in sizes.items()))  # both train on with nobody there

    second = serve()
    assert set(records(home)) == {kept, left}
    for job in (kept, left):
        page = second.follow(job, cursors[job])
        assert (page["job"]["state"], page["job"]["keep"]) == ("running", job == kept)
        wait_for(lambda job=job, page=page: steps_told(second.follow(job, page["cursor"])["events"]))
        assert second.http.get(f"/lightbox/jobs/{job}/events", headers={"cookie": f"lightbox_visitor={STRANGER}"}).status_code == 404
        assert {second.file(job, name).status_code for name in FILES} == {404}
    assert second.http.get("/health").json()["queue"]["running"] == 2

    for job in (kept, left):
        assert second.call("sofim_stop", job=job) == {"job": job}
    for job in (kept, left):
        last = wait_for(lambda job=job: page if (page := second.follow(job))["finished"] else None)
        assert last["job"]["state"] == "stopped"
        told = steps_told(last["events"])
        assert told == list(range(told[0], told[0] + len(told)))  # nothing lost, nothing twice, across both servers
        assert (last["events"][-1]["kind"], last["events"][-1]["stopped"]) == ("result", True)
        assert {second.file(job, name).status_code for name in FILES} == {200}
    wait_for(lambda: second.http.get("/health").json()["queue"]["running"] == 0)


def test_a_race_that_ends_while_no_server_runs_is_served_whole_by_the_next(home, serve):
    (job,) = begin(home, [(SHORT, True)])
    first = serve()
    wait_for(lambda: first.follow(job)["events"])
    assert first.file(job, "curves.csv").status_code == 404
    first.kill()
    wait_for(lambda: records(home)[job]["state"] == "done")
    second = serve()
    last = second.follow(job)
    assert (last["job"]["state"], last["finished"], last["events"][-1]["kind"]) == ("done", True, "result")
    assert set(last["events"][-1]["files"].values()) == FILES
    curves = second.file(job, "curves.csv").text.splitlines()
    steps = [int(line.split(",")[2]) for line in curves[1:] if ",training_loss," in line]
    assert steps == list(range(1, 151))
    assert json.loads(second.file(job, "config.json").text)["steps"] == 150


def test_server_and_workers_killed_together_leave_a_sentence_and_no_half_result(home, serve):
    kept, left = begin(home, [(ENDLESS, True), (ENDLESS, False)])
    first = serve()
    for job in (kept, left):
        wait_for(lambda job=job: steps_told(first.follow(job)["events"]))
    first.kill()
    for record in records(home).values():
        os.killpg(record["pid"], signal.SIGKILL)
        wait_for(
            lambda record=record: not psutil.pid_exists(record["pid"]) or psutil.Process(record["pid"]).status() == psutil.STATUS_ZOMBIE
        )
    second = serve()
    for job in (kept, left):
        last = second.follow(job)
        assert (last["job"]["state"], last["finished"]) == ("interrupted", True)
        assert "restarted" in last["job"]["error"]
        told = steps_told(last["events"])
        assert told == list(range(told[0], told[0] + len(told)))
        assert {second.file(job, name).status_code for name in FILES} == {404}
    assert list(home.glob("workspace/*/*/result*")) == []
    assert second.http.get("/health").json()["queue"]["running"] == 0


def test_a_home_in_use_is_refused_with_a_sentence_and_the_first_server_goes_on(home, serve):
    first = serve()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WORKBENCH_", "GRADIO_", "SPACE_"))}
    again = subprocess.run(
        [sys.executable, "app.py"],
        cwd=REPOSITORY,
        env=kept | {"WORKBENCH_HOME": str(home), "WORKBENCH_PORT": "0", "WORKBENCH_WARM": "0"},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert again.returncode != 0
    assert "Another server already looks after the runs in" in again.stderr
    assert first.http.get("/health").status_code == 200
