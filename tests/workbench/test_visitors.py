"""Who is asking, what belongs to whom, and what a closed page takes with it."""

from __future__ import annotations

import re
import threading
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from workbench.jobs import JobNotFound
from workbench.visitors import COOKIE, Pages, VisitorCookie, from_cookies, visitor_of

A, B = "a" * 32, "b" * 32


def asker(cookie=None, page=None, username=None):
    """A stand-in for Gradio's request: these three are all that is looked at."""
    return SimpleNamespace(cookies={COOKIE: cookie} if cookie else {}, session_hash=page, username=username)


# -- the id ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["", "short", "a" * 21, "a" * 65, "user:ann" + "a" * 20, "../../../../../../../etc", "a" * 30 + "\n", "ä" * 30]
)
def test_a_cookie_of_another_form_is_no_visitor(value):
    assert from_cookies({COOKIE: value}) is None


def test_nobody_has_an_id_without_cookies():
    assert (from_cookies({}), from_cookies(None)) == (None, None)


@pytest.mark.parametrize(
    ("request_", "owner"),
    [
        (asker(cookie=A), A),
        (asker(cookie=A, page="p1"), A),
        (asker(cookie=A, page="p1", username="ann"), "user:ann"),
        (asker(page="p1"), "page:p1"),
        (asker(cookie="forged", page="p1"), "page:p1"),
        (asker(), "page:unknown"),
        (asker(cookie=A, username=""), A),
        (SimpleNamespace(cookies={COOKIE: A}, state=SimpleNamespace(username="bob")), "user:bob"),
        (SimpleNamespace(cookies={COOKIE: A}, state=SimpleNamespace()), A),
    ],
)
def test_the_login_name_comes_before_the_cookie_and_the_cookie_before_the_page(request_, owner):
    assert visitor_of(request_) == owner


# -- the cookie -----------------------------------------------------------------------------------------------------------------------


def seen_as(request: Request) -> PlainTextResponse:
    return PlainTextResponse(visitor_of(request))


@pytest.fixture
def app():
    return VisitorCookie(Starlette(routes=[Route("/", seen_as)]))


def test_the_cookie_is_given_once_and_cannot_be_read_by_scripts(app):
    browser = TestClient(app)
    first = browser.get("/").headers["set-cookie"]
    assert re.fullmatch(r"lightbox_visitor=[A-Za-z0-9_-]{32}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax", first)
    again = browser.get("/")
    assert "set-cookie" not in again.headers
    assert again.text == first.split(";")[0].partition("=")[2]


def test_two_visitors_get_different_cookies(app):
    ids = {TestClient(app).get("/").headers["set-cookie"].split(";")[0] for _ in range(20)}
    assert len(ids) == 20


@pytest.mark.parametrize(
    ("headers", "base", "site"),
    [
        ({"x-forwarded-proto": "https"}, "http://box", "SameSite=None; Secure; Partitioned"),
        ({"x-forwarded-proto": "https, http"}, "http://box", "SameSite=None; Secure; Partitioned"),
        ({"x-forwarded-proto": "http"}, "http://box", "SameSite=Lax"),
        ({}, "http://box", "SameSite=Lax"),
        ({}, "https://box", "SameSite=None; Secure; Partitioned"),
    ],
)
def test_over_https_the_cookie_also_works_inside_a_frame(app, headers, base, site):
    answer = TestClient(app, base_url=base).get("/", headers=headers)
    assert answer.headers["set-cookie"].endswith("HttpOnly; " + site)


@pytest.mark.parametrize("others", ["filter[kind]=1; ", 'prefs={"a": 1, "b": 2}; ', "a,b=2; ", "=; ;; ", "name; ", 'quoted="x y"; '])
def test_odd_cookies_of_other_programs_do_not_make_a_known_visitor_a_new_one(app, others):
    answer = TestClient(app).get("/", headers={"cookie": f"{others}{COOKIE}={A}"})
    assert answer.text == A
    assert "set-cookie" not in answer.headers


def test_a_forged_cookie_is_replaced(app):
    assert COOKIE in TestClient(app).get("/", headers={"cookie": f"{COOKIE}=../../x"}).headers["set-cookie"]


# -- pages and their jobs ---------------------------------------------------------------------------------------------------------------


def test_pages_are_told_apart_and_forgotten_once_closed():
    pages = Pages()
    for page, job in (("p1", "j1"), ("p1", "j2"), ("p2", "j3"), (None, "j4"), ("", "j5")):
        pages.add(page, job)
    assert pages.close("p1") == {"j1", "j2"}
    assert (pages.close("p1"), pages.close(None), pages.close("p2")) == (set(), set(), {"j3"})


def test_pages_lose_nothing_when_many_threads_add():
    pages = Pages()
    threads = [threading.Thread(target=lambda k=k: [pages.add("p", f"{k}-{i}") for i in range(200)]) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pages.close("p")) == 1600


@pytest.fixture(scope="module")
def context(open_context):
    return open_context(max_running=4, per_owner=8)


def test_closing_a_page_stops_what_it_started_and_nothing_else(context, wait_for):
    def start(page, keep=False):
        return context.start("jobs_works:forever", {}, asker(A, page), title="t", keep=keep)

    mine, kept, others = start("p1"), start("p1", keep=True), start("p2")
    context.page_closed(asker(A, "p3"))  # a page that started nothing
    context.page_closed(asker(A, None))
    assert {context.jobs.get(job.id).state for job in (mine, kept, others)} == {"running"}
    context.page_closed(asker(A, "p1"))
    wait_for(lambda: context.jobs.get(mine.id).over)
    assert (context.jobs.get(mine.id).state, "nobody was watching" in context.jobs.get(mine.id).error) == ("stopped", True)
    assert {context.jobs.get(job.id).state for job in (kept, others)} == {"running"}
    context.page_closed(asker(A, "p2"))
    wait_for(lambda: context.jobs.get(others.id).over)
    assert context.jobs.get(kept.id).state == "running"
    context.jobs.stop(kept.id)
    wait_for(lambda: context.jobs.get(kept.id).over)


def test_closing_a_page_takes_its_waiting_job_out_of_the_line(open_context):
    context = open_context(max_running=1)
    first = context.begin("forever", A)
    waiting = context.start("jobs_works:forever", {}, asker(B, "p9"), title="t")
    assert context.jobs.get(waiting.id).place == 1
    context.page_closed(asker(B, "p9"))
    assert (context.jobs.get(waiting.id).state, context.jobs.get(first.id).state) == ("stopped", "running")


def test_a_closed_page_whose_jobs_are_gone_already_is_no_error(context):
    context.pages.add("p7", "x" * 22)
    context.page_closed(asker(A, "p7"))


def test_a_job_is_there_for_its_owner_alone(context):
    job = context.begin("count", A)
    assert context.own_job(job.id, asker(A)).id == job.id
    for stranger in (asker(B), asker(page=A), asker(), asker(username=A), asker(cookie=A, username="ann")):
        with pytest.raises(JobNotFound) as hidden:
            context.own_job(job.id, stranger)
        with pytest.raises(JobNotFound) as unknown:
            context.own_job("x" * 22, stranger)
        assert str(hidden.value) == str(unknown.value)


def test_a_job_of_a_client_without_cookies_is_found_by_its_id_alone(context):
    job = context.start("jobs_works:count", {}, asker(page="client"), title="t")
    assert context.own_job(job.id, asker(page="other")).owner == "page:client"
