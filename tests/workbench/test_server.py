"""The whole app over HTTP: health, whose job is whose, files, logins, private files, uploads, a path prefix, the banner.

The jobs are small works; `test_server_process.py` has the same server as a process, with real races.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from urllib.parse import urljoin

import pytest

import workbench
from workbench import server
from workbench.settings import Settings
from workbench.visitors import COOKIE

REPOSITORY = Path(__file__).resolve().parents[2]
UNKNOWN = "x" * 22
MISSING = {"detail": "This run is not here: it was deleted, or the link is incomplete. Start it again, or choose one from the list."}


@pytest.fixture(scope="module")
def app(open_app):
    return open_app(max_upload_mb=1)


@pytest.fixture(scope="module")
def login_app(open_app):
    return open_app(users="ann:one,bob:two")


@pytest.fixture(scope="module")
def ann(app, visit):
    """A visitor with a cookie of her own; `ann.id` is what her work belongs to."""
    browser = visit(app)
    browser.get("/")
    browser.id = browser.cookies[COOKIE]
    return browser


@pytest.fixture(scope="module")
def bob(app, visit):
    browser = visit(app)
    browser.get("/")
    return browser


@pytest.fixture(scope="module")
def finished(app, ann, wait_for):
    """A job of Ann's that is over, with a.bin in a folder and curves.csv as its result."""
    context = app.state.context
    job = context.begin("writes", ann.id)
    return wait_for(lambda: context.jobs.get(job.id) if context.jobs.get(job.id).state == "done" else None)


# -- health -----------------------------------------------------------------------------------------------------------------------------


def test_health_says_what_is_served_and_how_busy_it_is(app, visit):
    answer = visit(app).get("/health").json()
    assert set(answer) == {"status", "version", "device", "methods", "checkpoints", "queue"}
    assert (answer["status"], answer["version"]) == ("ok", workbench.__version__)
    assert "sofim" in answer["methods"]
    assert set(answer["checkpoints"]) == set(answer["methods"])
    assert all(mark is None or re.fullmatch("[0-9a-f]{64}", mark) for mark in answer["checkpoints"].values())
    assert answer["queue"]["max_running"] == 4
    assert set(answer["queue"]) == {"running", "queued", "max_running"}


def test_health_counts_running_jobs(app, ann, wait_for):
    job = app.state.context.begin("forever", ann.id)
    assert ann.get("/health").json()["queue"]["running"] >= 1
    app.state.context.jobs.stop(job.id)
    wait_for(lambda: ann.get("/health").json()["queue"]["running"] == 0)


# -- whose job it is --------------------------------------------------------------------------------------------------------------------


def test_the_owner_follows_a_job_to_its_end(finished, ann):
    first = ann.get(f"/lightbox/jobs/{finished.id}/events").json()
    assert [event["kind"] for event in first["events"]] == ["half", "result"]
    assert first["finished"] is True
    assert first["job"] == {"id": finished.id, "title": "writes", "state": "done", "place": 0, "keep": False, "error": ""}
    rest = ann.get(f"/lightbox/jobs/{finished.id}/events?after={first['cursor']}").json()
    assert (rest["events"], rest["cursor"]) == ([], first["cursor"])


@pytest.mark.parametrize("cursor", ["-5", "0", "1", "99999999999999999999999"])
def test_any_cursor_is_harmless(finished, ann, cursor):
    assert ann.get(f"/lightbox/jobs/{finished.id}/events?after={cursor}").status_code == 200


@pytest.mark.parametrize("path", ["events", "files/curves.csv", "files/none"])
def test_somebody_elses_job_looks_like_one_that_does_not_exist(finished, app, bob, visit, path):
    for stranger in (bob, visit(app), visit(app, cookies={COOKIE: "user:ann"})):
        hidden, unknown = (stranger.get(f"/lightbox/jobs/{job_id}/{path}") for job_id in (finished.id, UNKNOWN))
        assert (hidden.status_code, hidden.json()) == (404, MISSING)
        assert (unknown.status_code, unknown.json()) == (404, MISSING)


def test_a_finished_file_is_an_attachment_under_its_own_name(finished, ann):
    curves = ann.get(f"/lightbox/jobs/{finished.id}/files/curves.csv")
    assert (curves.status_code, curves.text) == (200, "step,loss\n1,0.5\n")
    assert curves.headers["content-disposition"] == 'attachment; filename="curves.csv"'
    assert curves.headers["content-type"].startswith("text/csv")
    assert curves.headers["x-content-type-options"] == "nosniff"


def test_a_file_in_a_folder_of_the_result_can_be_fetched_too(finished, ann):
    weights = ann.get(f"/lightbox/jobs/{finished.id}/files/weights/a.bin")
    assert (weights.status_code, weights.content) == (200, bytes(10))
    assert weights.headers["content-disposition"] == 'attachment; filename="a.bin"'


def test_there_are_no_files_before_the_end(app, ann, wait_for):
    jobs = app.state.context.jobs
    job = app.state.context.begin("writes", ann.id, {"wait": True})
    wait_for(lambda: jobs.events(job.id).events)  # curves.csv is written by now
    early = ann.get(f"/lightbox/jobs/{job.id}/files/curves.csv")
    assert (early.status_code, early.json()["detail"]) == (404, "This job has no such file, or it is not finished yet.")
    jobs.send(job.id, {"do": "go on"})
    wait_for(lambda: jobs.get(job.id).over)
    assert ann.get(f"/lightbox/jobs/{job.id}/files/curves.csv").status_code == 200
    assert ann.get(f"/lightbox/jobs/{job.id}/files/b.bin.tmp").status_code == 404


PROBES = [
    "..",
    "%2e%2e",
    "../job.json",
    "..%2fjob.json",
    "%2e%2e%2fjob.json",
    "..%5cjob.json",
    "%252e%252e%252fjob.json",
    "weights/../../job.json",
    "weights%2f..%2f..%2fworker.log",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "%00",
    "curves.csv%00.png",
    "curves.csv/",
    "CURVES.CSV",
    "%ff",
    "a" * 5000,
    "",
    "weights",
]


@pytest.mark.parametrize("name", PROBES)
def test_path_probes_for_files_find_nothing(finished, ann, name):
    answer = ann.get(f"/lightbox/jobs/{finished.id}/files/{name}")
    assert answer.status_code in (404, 422)
    assert not any(word in answer.text for word in ("root:", "owner", "Traceback", str(REPOSITORY)))


@pytest.mark.parametrize("job_id", [*PROBES, "short", "x" * 23, "-" * 21 + "\u00e4", UNKNOWN + "%0a", "'; drop table jobs", "$HOME"])
def test_malformed_ids_find_nothing(ann, job_id):
    answer = ann.get(f"/lightbox/jobs/{job_id}/events")
    assert answer.status_code in (404, 422)
    assert not any(word in answer.text for word in ("root:", "owner", "Traceback", str(REPOSITORY)))


def test_a_deleted_job_is_not_found_even_between_two_looks(app, ann, finished, monkeypatch):
    from workbench.jobs import JobNotFound

    def gone(*_args):
        raise JobNotFound

    for method, path in (("events", "events"), ("result", "files/curves.csv")):
        monkeypatch.setattr(app.state.context.jobs, method, gone)
        answer = ann.get(f"/lightbox/jobs/{finished.id}/{path}")
        assert (answer.status_code, answer.json()) == (404, MISSING)


# -- logins -----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def signed_in(login_app, visit):
    def sign_in(name, password):
        browser = visit(login_app)
        browser.get("/")
        assert browser.post("/login", data={"username": name, "password": password}).json() == {"success": True}
        return browser

    return sign_in


def settings_in(page):
    """What the page hands to the browser, as Gradio writes it into the first script."""
    return json.JSONDecoder().raw_decode(page.text.partition("window.gradio_config = ")[2])[0]


def test_without_login_the_page_asks_for_one_and_shows_nothing(login_app, visit, ann):
    page = visit(login_app).get("/")
    assert page.status_code == 200
    assert settings_in(page)["auth_required"] is True
    assert (settings_in(page)["components"], settings_in(page)["dependencies"]) == ([], [])
    assert len(settings_in(ann.get("/"))["components"]) > 20


@pytest.mark.parametrize(
    "path",
    ["/config", "/gradio_api/info", f"/lightbox/jobs/{UNKNOWN}/events", f"/lightbox/jobs/{UNKNOWN}/files/a", "/lightbox/jobs/x/events"],
)
def test_without_login_the_rest_is_refused(login_app, visit, path):
    stranger = visit(login_app)
    assert stranger.get(path).status_code == 401
    token = f"access-token-unsecure-{login_app.routes[-1].app.cookie_id}"
    for value in ("", "guess", "None", UNKNOWN):
        assert stranger.get(path, headers={"cookie": f"{token}={value}"}).status_code == 401


def test_without_login_nothing_can_be_started_or_uploaded(login_app, visit):
    stranger = visit(login_app)
    assert stranger.post("/gradio_api/call/sofim_race", json={"data": []}).status_code == 401
    assert stranger.post("/gradio_api/queue/join", json={"data": [], "session_hash": "s", "fn_index": 0}).status_code == 401
    assert stranger.post("/gradio_api/upload", files={"files": ("a.txt", b"x")}).status_code == 401


def test_health_stays_open_with_logins(login_app, visit):
    assert visit(login_app).get("/health").json()["status"] == "ok"


@pytest.mark.parametrize(("name", "password"), [("ann", "two"), ("ann", ""), ("eve", "one"), ("ann", "one "), ("ANN", "one"), ("", "")])
def test_a_wrong_password_is_refused(login_app, visit, name, password):
    browser = visit(login_app)
    assert browser.post("/login", data={"username": name, "password": password}).status_code in (400, 422)
    assert browser.get("/config").status_code == 401


def test_two_people_do_not_see_each_others_jobs(login_app, signed_in):
    ann, bob = signed_in("ann", "one"), signed_in("bob", "two")
    job = login_app.state.context.begin("count", "user:ann")
    assert ann.get(f"/lightbox/jobs/{job.id}/events").status_code == 200
    hidden = bob.get(f"/lightbox/jobs/{job.id}/events")
    assert (hidden.status_code, hidden.json()) == (404, MISSING)
    assert signed_in("ann", "one").get(f"/lightbox/jobs/{job.id}/events").status_code == 200  # from another machine, too


def test_a_login_ends_with_logging_out(signed_in):
    browser = signed_in("bob", "two")
    assert browser.get("/config").status_code == 200
    browser.get("/logout", follow_redirects=False)
    assert browser.get("/config").status_code == 401


# -- private files and uploads ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["file={}", "file/{}", "file=/{}", "file=./{}"])
def test_no_file_of_the_machine_the_source_or_a_workspace_is_served(app, ann, bob, finished, form):
    home = app.state.context.settings.home
    (record,) = home.glob(f"workspace/*/{finished.id}/job.json")
    assert hashlib.sha256(ann.id.encode()).hexdigest()[:32] == record.parents[1].name
    secrets = [
        "/etc/passwd",
        str(REPOSITORY / "app.py"),
        "app.py",
        "workbench/settings.py",
        str(home),
        str(record),
        str(record.parent / "result" / "curves.csv"),
    ]
    for browser in (ann, bob):
        for secret in secrets:
            answer = browser.get(f"/gradio_api/{form.format(secret)}")
            assert answer.status_code == 403, secret
            assert len(answer.text) < 300


@pytest.mark.parametrize(
    "path",
    [
        "/static/%2e%2e/%2e%2e/app.py",
        "/assets/..%2f..%2fapp.py",
        "/svelte/../app.py",
        "/lightbox/static/%2e%2e/%2e%2e/app.py",
        "/lightbox/static/..%2f..%2fapp.py",
    ],
)
def test_static_folders_cannot_be_left(ann, path):
    answer = ann.get(path)
    assert answer.status_code in (403, 404)
    assert "import" not in answer.text


def test_uploads_up_to_the_limit_are_taken_and_larger_ones_refused(ann):
    def upload(size):
        return ann.post("/gradio_api/upload", files={"files": ("scan.bin", b"\0" * size)})

    assert upload(1_000_000).status_code == 200
    refused = upload(1_048_577)
    assert (refused.status_code, "exceeded" in refused.text) == (413, True)


# -- behind a path prefix ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def behind_proxy(open_app, visit):
    """The app as a proxy shows it that takes /lightbox off every path."""
    inner = open_app(root_path="/lightbox")

    async def proxy(scope, receive, send):
        if scope["type"] == "http":
            assert scope["path"].startswith("/lightbox/"), scope["path"]
            plain = scope["path"].removeprefix("/lightbox")
            scope = {**scope, "path": plain, "raw_path": plain.encode()}
        await inner(scope, receive, send)

    return visit(proxy)


def test_behind_a_prefix_the_pages_own_links_stay_relative_and_work(behind_proxy):
    head = settings_in(behind_proxy.get("/lightbox/"))["head"]
    ours = re.findall(r'<(?:script|link)[^>]* (?:src|href)="([^"]+)"', head)
    assert len(ours) == 5  # four style sheets and the one script
    for link in ours:
        assert not link.startswith(("/", "http"))
        assert behind_proxy.get(urljoin("http://testserver/lightbox/", link)).status_code == 200


def test_behind_a_prefix_gradio_knows_its_public_address(behind_proxy):
    assert behind_proxy.get("/lightbox/config").json()["root"] == "http://testserver/lightbox"
    behind_https = behind_proxy.get("/lightbox/config", headers={"x-forwarded-proto": "https", "x-forwarded-host": "box.example"})
    assert behind_https.json()["root"] == "https://box.example/lightbox"


def test_behind_a_prefix_health_and_jobs_answer(behind_proxy):
    assert behind_proxy.get("/lightbox/health").json()["status"] == "ok"
    assert behind_proxy.get(f"/lightbox/lightbox/jobs/{UNKNOWN}/events").json() == MISSING


# -- starting ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "warned"),
    [
        ({"host": "0.0.0.0"}, True),
        ({"host": "192.0.2.9"}, True),
        ({"host": "127.0.0.1"}, False),
        ({"host": "0.0.0.0", "users": "ann:one"}, False),
        ({"host": "0.0.0.0", "space_id": "someone/lightbox"}, False),
    ],
)
def test_only_a_public_address_without_login_brings_the_banner(monkeypatch, capsys, tmp_path, values, warned):
    served = {}
    monkeypatch.setattr(server, "create_app", lambda settings: "app")
    monkeypatch.setattr(server.uvicorn, "run", lambda app, **options: served.update(options))
    server.serve(Settings(home=tmp_path, port=8123, **values))
    said = capsys.readouterr().err
    assert ("There is no login" in said) is warned
    assert "one" not in said.replace("everyone", "")
    assert (served["host"], served["port"]) == (values["host"], 8123)
