"""Long work as the screen sees it: start, follow, steer, stop, refuse, keep. Real worker processes, tiny works."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from workbench.jobs import JobManager, JobNotFound, JobRefused
from workbench.jobs.folder import JobFolder

WORKS = Path(__file__).parent
OPTIONS = {"warm": False, "allow": r"jobs_works:[a-z_]+", "paths": [WORKS], "terminate_after_s": 0.4, "kill_after_s": 0.8}


def wait_for(condition, seconds=20.0):
    """The first true value of `condition`; fails when it stays false."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.005)
    pytest.fail("what was waited for did not happen")


def follow(manager, job):
    """(job, all events) once it is over."""
    events, cursor = [], 0
    end = time.monotonic() + 30
    while time.monotonic() < end:
        page = manager.events(job.id, cursor)
        events += page.events
        cursor = page.cursor
        if page.finished:
            return page.job, events
        time.sleep(0.005)
    pytest.fail("the job did not end")


def is_zombie(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def on_disk(root, job) -> JobFolder:
    (path,) = Path(root).glob(f"*/{job.id}")
    return JobFolder(path)


@pytest.fixture
def managers(tmp_path):
    """Makes managers on tmp_path/jobs; stops every job afterwards."""
    made = []

    def make(**options):
        made.append(JobManager(tmp_path / "jobs", **{**OPTIONS, **options}))
        return made[-1]

    yield make
    for manager in made[:-1]:
        manager.close()
    for owner in ("ann", "bob"):
        for job in made[-1].list(owner):
            made[-1].stop(job.id)
    wait_for(lambda: made[-1].snapshot()["running"] == 0)
    made[-1].close()


@pytest.fixture
def jobs(managers):
    return managers()


def start(manager, work, config=None, owner="ann", **more):
    return manager.start(f"jobs_works:{work}", config or {}, owner=owner, title="A test", **more)


# -- following --------------------------------------------------------------------------------------------------------


def test_a_job_runs_to_its_end_and_tells_every_step(jobs):
    job = start(jobs, "count", {"n": 3})
    assert (job.state, job.place, job.title, job.owner) == ("running", 0, "A test", "ann")
    last, events = follow(jobs, job)
    assert (last.state, last.error, last.config) == ("done", "", {"n": 3})
    assert last.created <= last.started <= last.ended
    assert [(event["kind"], event["i"]) for event in events] == [("step", 0), ("step", 1), ("step", 2)]
    assert all(event["t"] >= 0 for event in events)


def test_pages_hold_only_what_is_new_and_whole(jobs, tmp_path):
    job, _ = follow(jobs, start(jobs, "count", {"n": 2}))
    file = on_disk(tmp_path / "jobs", job).events
    file.write_bytes(b'{"i":0}\n{"i":1}\n{"i":2')
    first = jobs.events(job.id, 0, limit_bytes=10)
    assert (first.events, first.cursor, first.more, first.finished) == ([{"i": 0}], 8, True, False)
    second = jobs.events(job.id, first.cursor)
    assert (second.events, second.cursor, second.more, second.finished) == ([{"i": 1}], 16, False, True)
    assert jobs.events(job.id, second.cursor).events == []
    with file.open("ab") as handle:
        handle.write(b"}\n")
    assert jobs.events(job.id, second.cursor).events == [{"i": 2}]


@pytest.mark.parametrize(
    ("cursor", "expected"),
    [(-5, [{"i": 0}, {"i": 1}]), (3, [{"i": 1}]), (8, [{"i": 1}]), (15, []), (10**12, [])],
)
def test_a_wrong_cursor_moves_on_to_the_next_whole_line(jobs, tmp_path, cursor, expected):
    job, _ = follow(jobs, start(jobs, "count", {"n": 1}))
    on_disk(tmp_path / "jobs", job).events.write_bytes(b'{"i":0}\n{"i":1}\n')
    assert jobs.events(job.id, cursor).events == expected


def test_a_line_longer_than_the_page_is_still_delivered(jobs, tmp_path):
    job, _ = follow(jobs, start(jobs, "count", {"n": 1}))
    line = json.dumps({"text": "y" * 5000}).encode() + b"\n"
    on_disk(tmp_path / "jobs", job).events.write_bytes(line + b'{"i":1}\n')
    page = jobs.events(job.id, 0, limit_bytes=100)
    assert (len(page.events[0]["text"]), page.cursor, page.more) == (5000, len(line), True)


def test_a_diverged_loss_reaches_the_browser_as_null(jobs, tmp_path):
    job, (first, second) = follow(jobs, start(jobs, "strange_numbers"))
    assert first.pop("t") >= 0
    assert first == {"loss": None, "high": None, "series": [1.0, None], "pair": [1, 2], "key": {"3": "x"}}
    assert (second["array"], second["scalar"]) == ([[1.5, None]], 0.25)
    text = on_disk(tmp_path / "jobs", job).events.read_text()
    assert "NaN" not in text
    assert "Infinity" not in text


def test_an_event_that_is_too_long_is_replaced_by_a_note(jobs):
    job, events = follow(jobs, start(jobs, "too_long"))
    assert job.state == "done"
    assert [event["kind"] for event in events] == ["dropped", "after"]
    assert (events[0]["of"], events[0]["bytes"] > 1_000_000) == ("points", True)


# -- steering ---------------------------------------------------------------------------------------------------------


def test_commands_arrive_in_order(jobs):
    job = start(jobs, "echo")
    for value in range(3):
        jobs.send(job.id, {"do": "set", "value": value})
    wait_for(lambda: len(jobs.events(job.id).events) == 4)
    jobs.send(job.id, {"do": "set", "value": math.inf})
    wait_for(lambda: len(jobs.events(job.id).events) == 5)
    jobs.stop(job.id)
    last, events = follow(jobs, job)
    assert last.state == "stopped"
    assert [event["command"]["value"] for event in events[1:]] == [0, 1, 2, None]
    jobs.send(job.id, {"do": "set", "value": 9})  # too late: quietly dropped
    jobs.stop(job.id)
    assert jobs.get(job.id).state == "stopped"


@pytest.mark.parametrize("command", [{"x": "y" * 70_000}, {"x": object()}])
def test_commands_that_cannot_be_sent_are_refused(jobs, command):
    job = start(jobs, "echo")
    with pytest.raises(JobRefused, match="command"):
        jobs.send(job.id, command)


def test_work_that_heeds_the_stop_tells_its_last_event_and_keeps_its_files(jobs):
    job = start(jobs, "farewell")
    wait_for(lambda: jobs.events(job.id).events)
    jobs.stop(job.id)
    last, events = follow(jobs, job)
    assert last.state == "stopped"
    assert events[-1]["kind"] == "result"
    assert jobs.result(job.id)["curves.csv"].read_text() == "whole"


def test_a_stopped_job_makes_no_further_step_and_cleans_up(jobs):
    job = start(jobs, "forever")
    wait_for(lambda: jobs.events(job.id).events)
    jobs.stop(job.id)
    asked = len(jobs.events(job.id).events)
    last, events = follow(jobs, job)
    assert (last.state, last.error) == ("stopped", "")
    assert len(events) <= asked + 2  # the step under way when it was asked, and one that began while the page was read
    files = jobs.result(job.id)
    assert list(files) == ["last.txt"]
    assert files["last.txt"].read_text() == f"stopped at {len(events) - 1}"


def test_a_job_that_does_not_listen_is_told_to_end(jobs):
    job = start(jobs, "deaf")
    wait_for(lambda: jobs.events(job.id).events)
    jobs.stop(job.id)
    last, _ = follow(jobs, job)
    assert (last.state, last.error, jobs.result(job.id)) == ("stopped", "", {})


def test_a_job_that_ignores_even_that_is_killed(jobs, tmp_path):
    job = start(jobs, "deaf", {"ignore_sigterm": True})
    (event,) = wait_for(lambda: jobs.events(job.id).events)
    jobs.stop(job.id)
    last, _ = follow(jobs, job)
    assert (last.state, jobs.result(job.id)) == ("stopped", {})
    wait_for(lambda: not psutil.pid_exists(event["pid"]))
    assert not on_disk(tmp_path / "jobs", job).partial.exists()


def test_helpers_of_a_job_do_not_outlive_it(jobs):
    _, (event,) = follow(jobs, start(jobs, "has_child"))
    wait_for(lambda: event["pid"] not in psutil.pids() or is_zombie(event["pid"]))


# -- failing ----------------------------------------------------------------------------------------------------------


def test_the_works_own_sentence_is_shown(jobs):
    job, events = follow(jobs, start(jobs, "says_why"))
    assert (job.state, len(events)) == ("failed", 1)
    assert job.error == "The learning rate is -1, but it must be above 0; choose a larger one."


@pytest.mark.parametrize("work", ["breaks", "not_an_event", "no_such_work"])
def test_accidents_are_told_in_general_words_and_logged(jobs, tmp_path, work):
    job, _ = follow(jobs, start(jobs, work))
    assert job.state == "failed"
    assert job.error.startswith("Something went wrong inside this run")
    assert "Traceback" in on_disk(tmp_path / "jobs", job).log.read_text()
    assert jobs.result(job.id) == {}


def test_a_killed_worker_is_noticed(jobs):
    job, events = follow(jobs, start(jobs, "dies"))
    assert (job.state, len(events), jobs.result(job.id)) == ("failed", 1, {})
    assert "ended unexpectedly" in job.error
    wait_for(lambda: jobs.snapshot()["running"] == 0)


# -- results ----------------------------------------------------------------------------------------------------------


def test_a_result_appears_whole_or_not_at_all(jobs, tmp_path):
    job = start(jobs, "writes", {"wait": True})
    wait_for(lambda: jobs.events(job.id).events)
    folder = on_disk(tmp_path / "jobs", job)
    assert (folder.partial / "curves.csv").exists()
    assert jobs.result(job.id) == {}
    jobs.send(job.id, {"do": "go on"})
    follow(jobs, job)
    files = jobs.result(job.id)
    assert list(files) == ["curves.csv", "weights/a.bin"]  # the unfinished b.bin.tmp is not there
    assert files["curves.csv"].read_text() == "step,loss\n1,0.5\n"
    assert not folder.partial.exists()


def test_links_in_a_result_are_not_served(jobs, tmp_path):
    job, _ = follow(jobs, start(jobs, "writes"))
    (on_disk(tmp_path / "jobs", job).result / "passwords").symlink_to("/etc/passwd")
    assert "passwords" not in jobs.result(job.id)


def test_others_on_the_machine_cannot_read_jobs(jobs, tmp_path):
    job, (event,) = follow(jobs, start(jobs, "surroundings"))
    assert (event["threads"], event["mode"], event["gradio"]) == ("1", "0o700", False)
    for path in [tmp_path / "jobs", *(tmp_path / "jobs").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert "ann" not in str(on_disk(tmp_path / "jobs", job).path.relative_to(tmp_path))


# -- the queue and refusals -------------------------------------------------------------------------------------------


def test_those_who_wait_see_their_place_and_move_up(managers):
    jobs = managers(max_running=1)
    first, second, third = (start(jobs, "forever"), start(jobs, "forever", owner="bob"), start(jobs, "count", owner="bob"))
    assert [(job.state, job.place) for job in (first, second, third)] == [("running", 0), ("queued", 1), ("queued", 2)]
    assert jobs.snapshot() == {"running": 1, "queued": 2, "max_running": 1}
    assert [job.id for job in jobs.list("bob")] == [third.id, second.id]
    jobs.stop(second.id)
    assert (jobs.get(second.id).state, jobs.get(third.id).place) == ("stopped", 1)
    jobs.stop(first.id)
    assert follow(jobs, third)[0].state == "done"


def test_one_visitor_cannot_take_all(managers):
    jobs = managers(max_running=1, per_owner=2)
    one, _ = start(jobs, "forever"), start(jobs, "forever")
    with pytest.raises(JobRefused, match="already have 2 runs"):
        start(jobs, "count")
    start(jobs, "count", owner="bob")
    jobs.stop(one.id)
    wait_for(lambda: jobs.get(one.id).over)
    start(jobs, "count")


def test_a_full_queue_refuses(managers):
    jobs = managers(max_running=1, max_queued=1)
    start(jobs, "forever")
    start(jobs, "forever")
    with pytest.raises(JobRefused, match="queue is full"):
        start(jobs, "count", owner="bob")


@pytest.mark.parametrize("work", ["os:system", "models.sofim.race", "models.a:b;c", "models..a:b", "models.a:__import__", "", "../x:y"])
def test_only_works_of_the_rooms_are_run(tmp_path, work):
    manager = JobManager(tmp_path, warm=False)
    with pytest.raises(JobRefused, match="cannot be run here"):
        manager.start(work, {}, owner="ann", title="")
    manager.close()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


@pytest.mark.parametrize("config", [{"x": "y" * 300_000}, {"x": lambda: None}])
def test_settings_that_cannot_be_kept_are_refused(jobs, config):
    with pytest.raises(JobRefused, match="settings"):
        start(jobs, "count", config)


@pytest.mark.parametrize(
    "job_id", ["", "../../etc/passwd", "a" * 22, "a/" * 11, "\0" * 22, "é" * 22, None, 7, b"a" * 22, "A" * 23, "a" * 21 + "\n"]
)
def test_probing_ids_all_get_the_same_answer(jobs, job_id):
    for ask in (jobs.get, jobs.events, jobs.result, jobs.stop, lambda key: jobs.send(key, {})):
        with pytest.raises(JobNotFound, match="not here"):
            ask(job_id)
    jobs.release_jobs([job_id])


# -- nobody watching --------------------------------------------------------------------------------------------------


def test_a_job_that_nobody_follows_ends_and_one_to_be_kept_goes_on(managers):
    jobs = managers(lease_s=0.6)
    left, kept, followed = start(jobs, "forever"), start(jobs, "forever", keep=True), start(jobs, "forever", owner="bob")
    assert followed.state == "queued"
    wait_for(lambda: jobs.events(followed.id).job.state == "running" and jobs.get(left.id).over)
    assert (jobs.get(left.id).state, "nobody was watching" in jobs.get(left.id).error) == ("stopped", True)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        assert jobs.events(followed.id).job.state == "running"
        time.sleep(0.05)
    assert jobs.get(kept.id).state == "running"


def test_a_waiting_job_that_nobody_follows_leaves_the_queue(managers):
    jobs = managers(max_running=1, lease_s=0.4)
    start(jobs, "forever", keep=True)
    waiting = start(jobs, "forever")
    assert waiting.place == 1
    wait_for(lambda: jobs.get(waiting.id).state == "stopped")


def test_closing_the_tab_stops_what_was_not_to_be_kept(jobs):
    left, kept, other = start(jobs, "forever"), start(jobs, "forever", keep=True), start(jobs, "forever", owner="bob")
    jobs.release("ann")
    assert follow(jobs, left)[0].state == "stopped"
    assert jobs.get(kept.id).state == "running"
    assert jobs.get(other.id).state in ("queued", "running")
    jobs.release_jobs([other.id, kept.id])
    assert follow(jobs, other)[0].state == "stopped"


# -- keeping ----------------------------------------------------------------------------------------------------------


def test_the_oldest_results_make_room_for_new_ones(managers):
    jobs = managers(workspace_bytes=250_000)
    done = [follow(jobs, start(jobs, "writes", {"size": 100_000}))[0] for _ in range(3)]
    start(jobs, "count", owner="bob")
    new = start(jobs, "count")
    assert {job.id for job in jobs.list("ann")} == {done[1].id, done[2].id, new.id}
    with pytest.raises(JobNotFound):
        jobs.result(done[0].id)


def test_a_running_job_that_fills_the_workspace_is_stopped(managers):
    jobs = managers(workspace_bytes=400_000, lease_s=1.0)
    job = start(jobs, "slow_partial_result", keep=True)
    wait_for(lambda: jobs.get(job.id).over)
    assert "workspace is full" in jobs.get(job.id).error


def test_old_jobs_are_forgotten(managers, tmp_path):
    jobs = managers(max_age_s=1.0, lease_s=0.4)
    job, _ = follow(jobs, start(jobs, "count"))
    wait_for(lambda: not jobs.list("ann"))
    wait_for(lambda: not list((tmp_path / "jobs").glob(f"*/{job.id}")))


# -- restart ----------------------------------------------------------------------------------------------------------


def test_two_servers_on_one_folder_are_refused(jobs, managers):
    with pytest.raises(JobRefused, match="Another server"):
        managers()


def test_a_new_server_finds_everything_again(managers, tmp_path):
    first = managers(max_running=1)
    done, _ = follow(first, start(first, "writes"))
    running, queued = start(first, "forever"), start(first, "count", {"n": 2}, owner="bob")
    wait_for(lambda: first.events(running.id).events)
    first.close()
    second = managers(max_running=1)
    assert [second.get(job.id).state for job in (done, running, queued)] == ["done", "running", "queued"]
    assert list(second.result(done.id)) == ["curves.csv", "weights/a.bin"]
    seen = len(second.events(running.id).events)
    wait_for(lambda: len(second.events(running.id).events) > seen)
    second.stop(running.id)
    assert follow(second, running)[0].state == "stopped"
    assert follow(second, queued)[0].state == "done"


def test_what_was_cut_off_is_told_and_half_results_are_gone(managers, tmp_path):
    first = managers()
    gone, never_begun = (follow(first, start(first, "count"))[0] for _ in range(2))
    first.close()
    for job in (gone, never_begun):
        folder = on_disk(tmp_path / "jobs", job)
        record = json.loads((folder.path / "job.json").read_text())
        # the id of a process that lives, but is another one: this very test
        (folder.path / "job.json").write_text(json.dumps({**record, "state": "running", "ended": None, "pid": os.getpid()}))
        folder.partial.mkdir()
        (folder.partial / "half.txt").write_text("half")
    on_disk(tmp_path / "jobs", never_begun).log.unlink()
    folder = on_disk(tmp_path / "jobs", gone)
    second = managers()
    assert second.get(gone.id).state == "interrupted"
    assert "restarted" in second.get(gone.id).error
    assert second.result(gone.id) == {}
    assert not folder.partial.exists()
    assert follow(second, never_begun)[0].state == "done"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id":"../../x"}', '{"unknown":1}', "null"])
def test_a_damaged_record_does_not_keep_the_server_from_starting(managers, tmp_path, text):
    folder = tmp_path / "jobs" / ("0" * 32) / ("a" * 22)
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(text)
    jobs = managers()
    with pytest.raises(JobNotFound):
        jobs.get("a" * 22)
    assert follow(jobs, start(jobs, "count"))[0].state == "done"


# -- the waiting worker, threads, rest --------------------------------------------------------------------------------


def test_the_next_worker_is_waiting_and_goes_with_the_server(managers):
    before = {child.pid for child in psutil.Process().children()}
    jobs = managers(warm=True, warm_delay_s=0.0, ahead=("json",))
    (standby,) = wait_for(lambda: [child for child in psutil.Process().children() if child.pid not in before])
    job = start(jobs, "count")
    assert job.pid == standby.pid
    assert follow(jobs, job)[0].state == "done"
    (following,) = wait_for(
        lambda: [child for child in psutil.Process().children() if child.pid not in before | {standby.pid}],
    )
    wait_for(lambda: jobs.snapshot()["running"] == 0)
    jobs.close()
    assert not psutil.pid_exists(following.pid)


def test_a_module_that_cannot_be_loaded_ahead_keeps_nobody_from_working(managers, capfd):
    jobs = managers(warm=True, warm_delay_s=0.0, ahead=("no_such_module",))
    wait_for(lambda: "no_such_module could not be loaded ahead" in capfd.readouterr().err)
    assert follow(jobs, start(jobs, "count"))[0].state == "done"


def test_many_threads_may_ask_at_once(managers):
    jobs = managers(max_running=2)
    seen = {}

    def visit(owner):
        job = start(jobs, "count", {"n": 20}, owner=owner)
        last, events = follow(jobs, job)
        seen[owner] = (last.state, [event["i"] for event in events], len(jobs.list(owner)))
        jobs.release(owner)

    threads = [threading.Thread(target=visit, args=(f"visitor {number}",)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {f"visitor {number}": ("done", list(range(20)), 1) for number in range(5)}


def test_an_idle_server_sleeps(managers, monkeypatch):
    rounds = []
    jobs = managers()
    look = jobs._supervisor._round
    monkeypatch.setattr(jobs._supervisor, "_round", lambda: rounds.append(1) or look())
    job = start(jobs, "forever")
    wait_for(lambda: jobs.events(job.id).events)
    rounds.clear()
    time.sleep(1.0)
    assert len(rounds) <= 5


def test_ends_are_noticed_where_the_system_does_not_announce_them(managers, monkeypatch):
    monkeypatch.setattr("workbench.jobs.processes._pidfd", lambda pid: None)
    jobs = managers(max_running=1)
    first, second = start(jobs, "count"), start(jobs, "dies")
    assert follow(jobs, first)[0].state == "done"
    assert follow(jobs, second)[0].state == "failed"


def test_nothing_is_started_on_a_full_disk(jobs, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(JobRefused, match="nearly full"):
        start(jobs, "count")


def test_a_file_larger_than_the_workspace_is_told_in_plain_words(managers):
    jobs = managers(workspace_bytes=50_000)
    job, _ = follow(jobs, start(jobs, "writes", {"size": 100_000}))
    assert (job.state, jobs.result(job.id)) == ("failed", {})
    assert "workspace is full" in job.error


def test_the_servers_start_loads_nothing_heavy():
    code = "import sys, workbench.jobs; print([name for name in ('torch', 'numpy', 'gradio', 'pydantic') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=WORKS.parents[1])
    assert done.stdout.strip() == "[]"
