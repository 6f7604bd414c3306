"""Long work as the screen sees it: start, follow, steer, stop, fail, keep a result. Real worker processes, tiny works."""

from __future__ import annotations

import json
import math

import psutil
import pytest

from workbench.jobs import JobRefused

# -- following --------------------------------------------------------------------------------------------------------


def test_a_job_runs_to_its_end_and_tells_every_step(jobs, start, follow):
    job = start(jobs, "count", {"n": 3})
    assert (job.state, job.place, job.title, job.owner) == ("running", 0, "A test", "ann")
    last, events = follow(jobs, job)
    assert (last.state, last.error, last.config) == ("done", "", {"n": 3})
    assert last.created <= last.started <= last.ended
    assert [(event["kind"], event["i"]) for event in events] == [("step", 0), ("step", 1), ("step", 2)]
    assert all(event["t"] >= 0 for event in events)


def test_pages_hold_only_what_is_new_and_whole(jobs, start, follow, on_disk):
    job, _ = follow(jobs, start(jobs, "count", {"n": 2}))
    file = on_disk(job).events
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
def test_a_wrong_cursor_moves_on_to_the_next_whole_line(jobs, cursor, expected, start, follow, on_disk):
    job, _ = follow(jobs, start(jobs, "count", {"n": 1}))
    on_disk(job).events.write_bytes(b'{"i":0}\n{"i":1}\n')
    assert jobs.events(job.id, cursor).events == expected


def test_a_line_longer_than_the_page_is_still_delivered(jobs, start, follow, on_disk):
    job, _ = follow(jobs, start(jobs, "count", {"n": 1}))
    line = json.dumps({"text": "y" * 5000}).encode() + b"\n"
    on_disk(job).events.write_bytes(line + b'{"i":1}\n')
    page = jobs.events(job.id, 0, limit_bytes=100)
    assert (len(page.events[0]["text"]), page.cursor, page.more) == (5000, len(line), True)


def test_a_diverged_loss_reaches_the_browser_as_null(jobs, start, follow, on_disk):
    job, (first, second) = follow(jobs, start(jobs, "strange_numbers"))
    assert first.pop("t") >= 0
    assert first == {"loss": None, "high": None, "series": [1.0, None], "pair": [1, 2], "key": {"3": "x"}}
    assert (second["array"], second["scalar"]) == ([[1.5, None]], 0.25)
    text = on_disk(job).events.read_text()
    assert "NaN" not in text
    assert "Infinity" not in text


def test_an_event_that_is_too_long_is_replaced_by_a_note(jobs, start, follow):
    job, events = follow(jobs, start(jobs, "too_long"))
    assert job.state == "done"
    assert [event["kind"] for event in events] == ["dropped", "after"]
    assert (events[0]["of"], events[0]["bytes"] > 1_000_000) == ("points", True)


# -- steering ---------------------------------------------------------------------------------------------------------


def test_commands_arrive_in_order(jobs, start, follow, wait_for):
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
def test_commands_that_cannot_be_sent_are_refused(jobs, command, start):
    job = start(jobs, "echo")
    with pytest.raises(JobRefused, match="command"):
        jobs.send(job.id, command)


def test_work_that_heeds_the_stop_tells_its_last_event_and_keeps_its_files(jobs, start, follow, wait_for):
    job = start(jobs, "farewell")
    wait_for(lambda: jobs.events(job.id).events)
    jobs.stop(job.id)
    last, events = follow(jobs, job)
    assert last.state == "stopped"
    assert events[-1]["kind"] == "result"
    assert jobs.result(job.id)["curves.csv"].read_text() == "whole"


def test_a_stop_in_the_middle_of_a_step_leaves_the_work_its_last_event_and_its_files(managers, start, wait_for, follow):
    jobs = managers(terminate_after_s=10.0, kill_after_s=15.0)  # the patience itself is not under test
    job = start(jobs, "slow_steps")
    wait_for(lambda: jobs.events(job.id).events)  # the first step is under way: it has looked, and will look again only after yielding
    jobs.stop(job.id)
    last, events = follow(jobs, job)
    assert (last.state, last.error) == ("stopped", "")
    assert [event["kind"] for event in events] == ["begun", "step", "result"]
    assert events[-1]["steps"] == 1
    assert {name: file.read_text() for name, file in jobs.result(job.id).items()} == {"curves.csv": "1 steps"}


def test_work_that_looks_at_the_stop_and_goes_on_is_told_to_end(jobs, start, wait_for, follow):
    job = start(jobs, "looks_and_stays")
    wait_for(lambda: jobs.events(job.id).events)
    jobs.stop(job.id)
    last, events = follow(jobs, job)
    assert (last.state, last.error, jobs.result(job.id)) == ("stopped", "", {})
    assert [event["stopping"] for event in events] == sorted(event["stopping"] for event in events)
    assert events[-1]["stopping"] is True


def test_a_stopped_job_makes_no_further_step_and_cleans_up(jobs, start, follow, wait_for):
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


def test_a_job_that_does_not_listen_is_told_to_end(jobs, start, follow, wait_for):
    job = start(jobs, "deaf")
    wait_for(lambda: jobs.events(job.id).events)
    jobs.stop(job.id)
    last, _ = follow(jobs, job)
    assert (last.state, last.error, jobs.result(job.id)) == ("stopped", "", {})


@pytest.mark.slow
def test_a_job_that_ignores_even_that_is_killed(jobs, start, follow, wait_for, on_disk):
    job = start(jobs, "deaf", {"ignore_sigterm": True})
    (event,) = wait_for(lambda: jobs.events(job.id).events)
    jobs.stop(job.id)
    last, _ = follow(jobs, job)
    assert (last.state, jobs.result(job.id)) == ("stopped", {})
    wait_for(lambda: not psutil.pid_exists(event["pid"]))
    assert not on_disk(job).partial.exists()


def test_helpers_of_a_job_do_not_outlive_it(jobs, start, follow, wait_for, is_zombie):
    _, (event,) = follow(jobs, start(jobs, "has_child"))
    wait_for(lambda: event["pid"] not in psutil.pids() or is_zombie(event["pid"]))


# -- failing ----------------------------------------------------------------------------------------------------------


def test_the_works_own_sentence_is_shown(jobs, start, follow):
    job, events = follow(jobs, start(jobs, "says_why"))
    assert (job.state, len(events)) == ("failed", 1)
    assert job.error == "The learning rate is -1, but it must be above 0; choose a larger one."


@pytest.mark.parametrize("work", ["breaks", "not_an_event", "no_such_work"])
def test_accidents_are_told_in_general_words_and_logged(jobs, work, start, follow, on_disk):
    job, _ = follow(jobs, start(jobs, work))
    assert job.state == "failed"
    assert job.error.startswith("Something went wrong inside this run")
    assert "Traceback" in on_disk(job).log.read_text()
    assert jobs.result(job.id) == {}


def test_a_killed_worker_is_noticed(jobs, start, follow, wait_for):
    job, events = follow(jobs, start(jobs, "dies"))
    assert (job.state, len(events), jobs.result(job.id)) == ("failed", 1, {})
    assert "ended unexpectedly" in job.error
    wait_for(lambda: jobs.snapshot()["running"] == 0)


# -- results ----------------------------------------------------------------------------------------------------------


def test_a_result_appears_whole_or_not_at_all(jobs, start, follow, wait_for, on_disk):
    job = start(jobs, "writes", {"wait": True})
    wait_for(lambda: jobs.events(job.id).events)
    folder = on_disk(job)
    assert (folder.partial / "curves.csv").exists()
    assert jobs.result(job.id) == {}
    jobs.send(job.id, {"do": "go on"})
    follow(jobs, job)
    files = jobs.result(job.id)
    assert list(files) == ["curves.csv", "weights/a.bin"]  # the unfinished b.bin.tmp is not there
    assert files["curves.csv"].read_text() == "step,loss\n1,0.5\n"
    assert not folder.partial.exists()


def test_links_in_a_result_are_not_served(jobs, start, follow, on_disk):
    job, _ = follow(jobs, start(jobs, "writes"))
    (on_disk(job).result / "passwords").symlink_to("/etc/passwd")
    assert "passwords" not in jobs.result(job.id)


def test_others_on_the_machine_cannot_read_jobs(jobs, tmp_path, start, follow, on_disk):
    job, (event,) = follow(jobs, start(jobs, "surroundings"))
    assert (event["threads"], event["mode"], event["gradio"]) == ("1", "0o700", False)
    for path in [tmp_path / "jobs", *(tmp_path / "jobs").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert "ann" not in str(on_disk(job).path.relative_to(tmp_path))
