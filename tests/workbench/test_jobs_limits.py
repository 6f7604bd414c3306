"""Long work and its limits: the queue, refusals, jobs that nobody watches, and what room results may take."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from workbench.jobs import JobManager, JobNotFound, JobRefused

# -- the queue and refusals -------------------------------------------------------------------------------------------


def test_those_who_wait_see_their_place_and_move_up(managers, start, follow):
    jobs = managers(max_running=1)
    first, second, third = (start(jobs, "forever"), start(jobs, "forever", owner="bob"), start(jobs, "count", owner="bob"))
    assert [(job.state, job.place) for job in (first, second, third)] == [("running", 0), ("queued", 1), ("queued", 2)]
    assert jobs.snapshot() == {"running": 1, "queued": 2, "max_running": 1}
    assert [job.id for job in jobs.list("bob")] == [third.id, second.id]
    jobs.stop(second.id)
    assert (jobs.get(second.id).state, jobs.get(third.id).place) == ("stopped", 1)
    jobs.stop(first.id)
    assert follow(jobs, third)[0].state == "done"


def test_one_visitor_cannot_take_all(managers, start, wait_for):
    jobs = managers(max_running=1, per_owner=2)
    one, _ = start(jobs, "forever"), start(jobs, "forever")
    with pytest.raises(JobRefused, match="already have 2 runs"):
        start(jobs, "count")
    start(jobs, "count", owner="bob")
    jobs.stop(one.id)
    wait_for(lambda: jobs.get(one.id).over)
    start(jobs, "count")


def test_a_full_queue_refuses(managers, start):
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
def test_settings_that_cannot_be_kept_are_refused(jobs, config, start):
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


def test_many_threads_may_ask_at_once(managers, start, follow):
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


def test_nothing_is_started_on_a_full_disk(jobs, monkeypatch, start):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(JobRefused, match="nearly full"):
        start(jobs, "count")


# -- nobody watching --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_job_that_nobody_follows_ends_and_one_to_be_kept_goes_on(managers, start, wait_for):
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


def test_a_waiting_job_that_nobody_follows_leaves_the_queue(managers, start, wait_for):
    jobs = managers(max_running=1, lease_s=0.4)
    start(jobs, "forever", keep=True)
    waiting = start(jobs, "forever")
    assert waiting.place == 1
    wait_for(lambda: jobs.get(waiting.id).state == "stopped")


def test_closing_the_tab_stops_what_was_not_to_be_kept(jobs, start, follow):
    left, kept, other = start(jobs, "forever"), start(jobs, "forever", keep=True), start(jobs, "forever", owner="bob")
    jobs.release("ann")
    assert follow(jobs, left)[0].state == "stopped"
    assert jobs.get(kept.id).state == "running"
    assert jobs.get(other.id).state in ("queued", "running")
    jobs.release_jobs([other.id, kept.id])
    assert follow(jobs, other)[0].state == "stopped"


# -- keeping ----------------------------------------------------------------------------------------------------------


def test_the_oldest_results_make_room_for_new_ones(managers, start, follow):
    jobs = managers(workspace_bytes=250_000)
    done = [follow(jobs, start(jobs, "writes", {"size": 100_000}))[0] for _ in range(3)]
    start(jobs, "count", owner="bob")
    new = start(jobs, "count")
    assert {job.id for job in jobs.list("ann")} == {done[1].id, done[2].id, new.id}
    with pytest.raises(JobNotFound):
        jobs.result(done[0].id)


def test_a_running_job_that_fills_the_workspace_is_stopped(managers, start, wait_for):
    jobs = managers(workspace_bytes=400_000, lease_s=1.0)
    job = start(jobs, "slow_partial_result", keep=True)
    wait_for(lambda: jobs.get(job.id).over)
    assert "workspace is full" in jobs.get(job.id).error


@pytest.mark.slow
def test_old_jobs_are_forgotten(managers, tmp_path, start, follow, wait_for):
    jobs = managers(max_age_s=1.0, lease_s=0.4)
    job, _ = follow(jobs, start(jobs, "count"))
    wait_for(lambda: not jobs.list("ann"))
    wait_for(lambda: not list((tmp_path / "jobs").glob(f"*/{job.id}")))


def test_a_file_larger_than_the_workspace_is_told_in_plain_words(managers, start, follow):
    jobs = managers(workspace_bytes=50_000)
    job, _ = follow(jobs, start(jobs, "writes", {"size": 100_000}))
    assert (job.state, jobs.result(job.id)) == ("failed", {})
    assert "workspace is full" in job.error
