"""Safe headers on every answer, doors that stay shut, and no other web origin let in unasked."""

from __future__ import annotations

import threading

import httpx
import pytest
import safehttpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from workbench.headers import SafeHeaders

FOREIGN, LISTED = "https://foreign.example", "https://friend.example"
EXPECTED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


@pytest.fixture(scope="module")
def app(open_app):
    return open_app(max_upload_mb=1)


@pytest.fixture(scope="module")
def open_to_friend(open_app):
    return open_app(allow_origins=LISTED)


def rules(answer):
    """The content policy as {directive: words}."""
    parts = (part.split() for part in answer.headers["content-security-policy"].split(";"))
    return {name: words for name, *words in parts}


# -- on every answer --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/health", 200),
        ("HEAD", "/health", 200),
        ("POST", "/health", 404),
        ("GET", "/config", 200),
        ("GET", "/theme.css", 200),
        ("GET", "/lightbox/static/core.js", 200),
        ("GET", "/lightbox/static/none.js", 404),
        ("GET", "/lightbox/jobs/none/events", 404),
        ("GET", "/lightbox/jobs/none/events?after=x", 422),
        ("GET", "/nowhere", 404),
        ("GET", "/gradio_api/file=/etc/passwd", 403),
        ("GET", "/gradio_api/file=https://foreign.example/a.png", 404),
        ("POST", "/gradio_api/call/none", 422),
        ("OPTIONS", "/gradio_api/queue/join", 400),
        ("GET", "/breaks", 500),
    ],
)
def test_every_kind_of_answer_carries_the_safe_headers(app, visit, method, path, status):
    if path == "/breaks" and not any(getattr(route, "path", "") == path for route in app.routes):

        def breaks(_request):
            raise RuntimeError("secret detail")

        app.router.routes.insert(0, Route(path, breaks))
    preflight = {"origin": FOREIGN, "access-control-request-method": "POST"} if method == "OPTIONS" else {}
    answer = visit(app).request(method, path, headers=preflight)
    assert answer.status_code == status
    assert {name: answer.headers[name] for name in EXPECTED} == EXPECTED
    assert rules(answer)["default-src"] == ["'self'"]
    assert "secret" not in answer.text


def test_an_unchanged_script_is_answered_with_the_safe_headers_too(app, visit):
    browser = visit(app)
    mark = browser.get("/lightbox/static/core.js").headers["etag"]
    answer = browser.get("/lightbox/static/core.js", headers={"if-none-match": mark})
    assert answer.status_code == 304
    assert {name: answer.headers[name] for name in EXPECTED} == EXPECTED


def test_the_policy_lets_the_page_speak_to_its_own_server_only(app, visit):
    policy = rules(visit(app).get("/"))
    for directive, words in policy.items():
        assert set(words) <= {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}, directive
    assert policy["connect-src"] == ["'self'", "data:", "blob:"]
    assert (policy["object-src"], policy["frame-ancestors"], policy["base-uri"]) == (["'none'"], ["'self'"], ["'self'"])


def test_only_a_space_may_be_framed_by_another_site(open_app, visit):
    assert "frame-ancestors" not in rules(visit(open_app(space_id="someone/lightbox")).get("/health"))


def test_a_header_that_is_there_already_is_not_doubled():
    def own(_request):
        return PlainTextResponse("x", headers={"Referrer-Policy": "no-referrer"})

    app = SafeHeaders(Starlette(routes=[Route("/", own)]), framed=False, served=threading.Event())
    assert TestClient(app).get("/").headers.get_list("referrer-policy") == ["no-referrer"]


def test_the_first_page_out_is_noted_and_a_probe_is_not(open_app, visit):
    app = open_app()
    visit(app).get("/health")
    assert not app.state.served.is_set()
    visit(app).get("/")
    assert app.state.served.is_set()


# -- shut doors -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_fetching(monkeypatch):
    """Fails the test's final look when the server so much as looked up a foreign address."""
    fetched = []

    async def note(*args, **_options):
        fetched.append(args)
        raise ConnectionError("no fetching here")

    monkeypatch.setattr(safehttpx, "async_validate_url", note)
    monkeypatch.setattr(httpx.AsyncClient, "send", note)
    yield
    assert fetched == []


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "door",
    [
        "file=https://foreign.example/a.png",
        "file=http://127.0.0.1:22/",
        "file=HTTPS://foreign.example/a.png",
        "file=/https://foreign.example/a.png",
        "file%3Dhttps%3A%2F%2Fforeign.example%2Fa.png",
        "file=https%253A%252F%252Fforeign.example",
        "file/https://foreign.example/a.png",
        "file/http://169.254.169.254/latest",
        "proxy=https://foreign.example/",
        "proxy=https://someone.hf.space/x",
        "openapi.json",
        "process_recording",
    ],
)
def test_shut_doors_answer_404_and_nothing_is_fetched(app, visit, no_fetching, method, door):
    assert visit(app).request(method, f"/gradio_api/{door}").status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/docs", 404),
        ("/redoc", 404),
        ("/openapi.json", 404),
        ("/gradio_api/docs", 404),
        ("/gradio_api/runs", 404),
        ("/gradio_api/run-history/records", 404),
        ("/gradio_api/run-history/buckets", 404),
        ("/monitoring", 403),
        ("/monitoring/summary", 403),
        ("/monitoring/guess", 403),
        ("/gradio_api/profiling/traces", 404),
        ("/gradio_api/vibe-code", 403),
        ("/gradio_api/mcp/sse", 404),
    ],
)
def test_pages_for_developers_history_and_monitoring_are_off(app, visit, path, status):
    assert visit(app).get(path).status_code == status


def test_the_page_itself_says_that_no_history_is_kept(app, visit):
    config = visit(app).get("/config").json()
    assert config["run_history"] is False
    assert config["analytics_enabled"] is False
    assert config["footer_links"] == ["api"]


# -- other origins ------------------------------------------------------------------------------------------------------------------------


def allowed(answer):
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-allow-") and "methods" not in name}


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost", "0.0.0.0", "box.example", "10.0.0.5:7860"])
@pytest.mark.parametrize("origin", [FOREIGN, "null", "http://localhost:3000"])
@pytest.mark.parametrize("path", ["/health", "/config", "/gradio_api/info", "/lightbox/jobs/none/events"])
def test_no_foreign_origin_is_let_in_unless_listed(app, visit, host, origin, path):
    headers = {"host": host, "origin": origin}
    assert allowed(visit(app).get(path, headers=headers)) == {}
    asked = visit(app).options(path, headers=headers | {"access-control-request-method": "POST"})
    assert (asked.status_code, allowed(asked)) == (400, {})


@pytest.mark.parametrize("path", ["/health", "/config"])
def test_a_listed_origin_is_let_in_without_the_visitors_cookies_and_others_are_not(open_to_friend, visit, path):
    browser = visit(open_to_friend)
    assert allowed(browser.get(path, headers={"origin": LISTED})) == {"access-control-allow-origin": LISTED}
    assert allowed(browser.get(path, headers={"origin": FOREIGN})) == {}
    asked = browser.options(path, headers={"origin": LISTED, "access-control-request-method": "POST"})
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, LISTED)
    assert "access-control-allow-credentials" not in asked.headers


def test_a_foreign_form_cannot_start_anything(app, visit):
    sent = visit(app).post("/gradio_api/call/sofim_race", content='{"data": []}', headers={"origin": FOREIGN, "content-type": "text/plain"})
    assert sent.status_code == 422
