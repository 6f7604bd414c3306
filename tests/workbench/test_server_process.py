"""`app.py` as people start it: a process of its own, asked over a real socket; its functions called by a real client."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from models.shared.method import methods
from workbench.visitors import COOKIE

pytestmark = pytest.mark.slow  # a real server of its own

A, B = "a" * 32, "b" * 32
LONG = {"task": "breast_cancer_mlp", "optimisers": ["sofim"], "steps": 20_000}


@pytest.fixture(scope="module")
def here(run_server):
    """The server of most tests: this machine only, nobody logs in."""
    return run_server(GRADIO_HEARTBEAT_INTERVAL="0.5")  # so that a client notices its own closing soon


@pytest.fixture(scope="module")
def connect():
    """Clients that are closed after the module, so that no heartbeat outlives the server."""
    made = []

    def make(server, **options):
        made.append(Client(server.url, verbose=False, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture(scope="module")
def client(here, connect):
    return connect(here)


def look(server, job_id, cookie=A):
    return httpx.get(f"{server.url}/lightbox/jobs/{job_id}/events", cookies={COOKIE: cookie}).json()


# -- the process --------------------------------------------------------------------------------------------------------------------------


def test_health_and_page_are_answered_without_torch_in_the_process(here):
    assert httpx.get(f"{here.url}/").status_code == 200
    health = httpx.get(f"{here.url}/health").json()
    assert (health["status"], health["device"]) == ("ok", "not known yet")
    maps = Path(f"/proc/{here.pid}/maps")
    if not maps.exists():
        pytest.skip("this system does not list a process's libraries")
    assert "libtorch" not in maps.read_text()


def test_no_banner_for_this_machine_only(here):
    assert "no login" not in here.stderr()
    assert f"http://127.0.0.1:{here.port}" in here.stderr()


@pytest.mark.slow
def test_a_public_address_brings_the_banner_and_gradios_own_port_variable_counts(run_server):
    public = run_server(host="0.0.0.0", port_name="GRADIO_SERVER_PORT")
    assert "listens on 0.0.0.0: everyone who can reach this machine can use it" in public.stderr()
    assert "There is no login. Set WORKBENCH_USERS=name:password" in public.stderr()
    assert httpx.get(f"{public.url}/health").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/lightbox/jobs/../../etc/passwd",
        "/lightbox/jobs/%2e%2e/events",
        f"/lightbox/jobs/{'x' * 22}/files/../../../job.json",
        "//etc/passwd",
        "/lightbox/static/../../app.py",
        "/lightbox/jobs/%00/events",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/gradio_api/file=../../../../etc/passwd",
        "/gradio_api//file=/etc/passwd",
        "/gradio_api/file=%00",
        "/gradio_api/file=C:%5cWindows",
    ],
)
def test_raw_path_probes_leak_nothing(here, path):
    connection = http.client.HTTPConnection("127.0.0.1", here.port, timeout=10)
    connection.putrequest("GET", path, skip_accept_encoding=True)  # sent as it stands: no client has tidied the path
    connection.endheaders()
    answer = connection.getresponse()
    text = answer.read().decode("utf-8", "replace")
    connection.close()
    assert answer.status in (400, 403, 404, 422)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not any(word in text for word in ("root:", "Traceback", "import ", str(here.home)))


# -- the functions programs call ----------------------------------------------------------------------------------------------------------


def test_names_and_arguments_of_the_functions_are_stable(client):
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    arguments = {
        name: [item["parameter_name"] for item in named[name]["parameters"]]
        for name in ("/sofim", "/sofim_race", "/sofim_events", "/sofim_stop")
    }
    race = ["task", "optimisers", "steps", "seeds", "settings"]
    assert arguments == {"/sofim": race, "/sofim_race": race, "/sofim_events": ["job", "after"], "/sofim_stop": ["job"]}
    ids = {method.id for method in methods()}
    assert {f"/{method}" for method in ids} <= set(named)
    assert all(any(name == f"/{method}" or name.startswith(f"/{method}_") for method in ids) for name in named)
    assert all(item["parameter_has_default"] for item in named["/sofim"]["parameters"])
    assert "Race optimisers" in named["/sofim"]["description"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"task": "moon_landing"}, "There is no task called 'moon_landing'; choose one of "),
        ({"optimisers": ["sofi"]}, "There is no optimiser called 'sofi'; choose among "),
        ({"optimisers": []}, "Choose at least one optimiser to race."),
        ({"optimisers": "sofim"}, "optimisers must be a list of names"),
        ({"optimisers": ["adam", "adam"]}, "is in the race twice"),
        ({"steps": "many"}, "Steps must be a whole number, but it is 'many'."),
        ({"steps": -1}, "Steps must lie between 1 and "),
        ({"seeds": 0}, "seeds must lie between 1 and "),
        ({"settings": {"sofim": 3}}, "settings must give, for each optimiser,"),
        ({"settings": {"lbfgs": {}}}, "settings speaks of 'lbfgs', which is not among the optimisers of this race."),
        ({"settings": {"sofim": {"lr": -1}}}, "lr of SOFIM must lie between"),
        ({"settings": {"sofim": {"speed": 1}}}, "SOFIM has no setting called 'speed'"),
    ],
)
@pytest.mark.parametrize("function", ["/sofim", "/sofim_race"])
def test_a_race_that_cannot_be_run_is_refused_with_a_sentence(client, here, function, arguments, sentence):
    with pytest.raises(AppError) as refused:
        client.predict(**arguments, api_name=function)
    assert sentence in str(refused.value)
    assert "Traceback" not in str(refused.value)
    assert httpx.get(f"{here.url}/health").json()["queue"]["running"] == 0
    assert "Traceback" not in here.stderr()


@pytest.mark.parametrize(("function", "more"), [("/sofim_events", {"after": 0}), ("/sofim_stop", {})])
@pytest.mark.parametrize("job", ["", "nonsense", "x" * 22, "../../etc"])
def test_a_run_that_is_not_there_is_a_sentence(client, function, more, job):
    with pytest.raises(AppError, match="This run is not here"):
        client.predict(job=job, **more, api_name=function)


@pytest.mark.slow
def test_a_short_race_returns_one_row_for_each_optimiser(client):
    answer = client.predict(
        task="breast_cancer_mlp", optimisers=["sofim", "adam"], steps=30, settings={"sofim": {"lr": 0.05, "id": "adam"}}, api_name="/sofim"
    )
    assert (answer["state"], answer["error"]) == ("done", "")
    assert [row["arm"] for row in answer["rows"]] == ["sofim", "adam"]
    for row in answer["rows"]:
        assert (row["n"], row["diverged"]) == (1, 0)
        assert 0.5 < row["best_accuracy"] <= 1.0
    events = client.predict(job=answer["job"], api_name="/sofim_events")["events"]
    assert [arm["hyper"]["lr"] for arm in events[0]["arms"] if arm["id"] == "sofim"] == [0.05]


@pytest.mark.slow
def test_a_race_is_started_followed_and_stopped_by_a_program(client, here, wait_for):
    job = client.predict(**LONG, api_name="/sofim_race")["job"]
    page = wait_for(lambda: now if (now := client.predict(job=job, api_name="/sofim_events"))["events"] else None, 60)
    assert (page["events"][0]["kind"], page["state"], page["finished"]) == ("meta", "running", False)
    assert client.predict(job=job, after=page["cursor"], api_name="/sofim_events")["cursor"] >= page["cursor"]
    with pytest.raises(AppError, match="after must be a whole number"):
        client.predict(job=job, after="soon", api_name="/sofim_events")
    assert client.predict(job=job, api_name="/sofim_stop") == {"job": job}
    last = wait_for(lambda: now if (now := client.predict(job=job, api_name="/sofim_events"))["finished"] else None)
    assert last["state"] == "stopped"
    curves = httpx.get(f"{here.url}/lightbox/jobs/{job}/files/curves.csv", cookies=client.cookies)
    assert (last["events"][-1]["kind"], last["events"][-1]["stopped"], curves.status_code) == ("result", True, 200)
    assert curves.text.startswith("optimiser,seed,step,seconds_s,words_moved,quantity,value,unit")


@pytest.mark.slow
def test_a_program_without_cookies_finds_its_run_by_the_id(here, wait_for):
    event = httpx.post(f"{here.url}/gradio_api/call/v2/sofim_race", json=LONG).json()["event_id"]
    said = httpx.get(f"{here.url}/gradio_api/call/sofim_race/{event}").text
    job = json.loads(said.partition("data: ")[2])[0]["job"]
    assert look(here, job)["job"]["state"] == "running"
    httpx.post(f"{here.url}/gradio_api/call/v2/sofim_stop", json={"job": job})
    wait_for(lambda: look(here, job)["finished"])


@pytest.mark.slow
def test_a_program_with_a_cookie_keeps_its_runs_to_itself(here, connect, wait_for):
    ann, bob = (connect(here, httpx_kwargs={"cookies": {COOKIE: cookie}}) for cookie in (A, B))
    job = ann.predict(**LONG, api_name="/sofim_race")["job"]
    assert look(here, job)["job"]["state"] == "running"
    assert "This run is not here" in look(here, job, B)["detail"]
    for function in ("/sofim_events", "/sofim_stop"):
        with pytest.raises(AppError, match="This run is not here"):
            bob.predict(job=job, api_name=function)
    ann.predict(job=job, api_name="/sofim_stop")
    wait_for(lambda: look(here, job)["finished"])


@pytest.mark.slow
def test_what_a_page_started_stops_when_its_connection_ends(here, connect, wait_for):
    first, second = (connect(here, httpx_kwargs={"cookies": {COOKIE: A}}) for _ in range(2))
    jobs = [page.predict(**LONG, api_name="/sofim_race")["job"] for page in (first, second)]
    first.close()
    wait_for(lambda: look(here, jobs[0])["finished"], 60)
    assert "nobody was watching" in look(here, jobs[0])["job"]["error"]
    assert look(here, jobs[1])["job"]["state"] == "running"
    second.predict(job=jobs[1], api_name="/sofim_stop")
    wait_for(lambda: look(here, jobs[1])["finished"])


@pytest.mark.slow
def test_with_logins_a_run_belongs_to_the_name_that_started_it(run_server, connect, wait_for):
    server = run_server(WORKBENCH_USERS="ann:one,bob:two")
    with pytest.raises(Exception, match="Could not login"):
        connect(server, auth=("ann", "wrong"))
    ann, bob = connect(server, auth=("ann", "one")), connect(server, auth=("bob", "two"))
    job = ann.predict(**LONG, api_name="/sofim_race")["job"]
    with pytest.raises(AppError, match="This run is not here"):
        bob.predict(job=job, api_name="/sofim_stop")
    browser = httpx.Client(base_url=server.url)
    assert browser.get(f"/lightbox/jobs/{job}/events").status_code == 401
    browser.post("/login", data={"username": "ann", "password": "one"})
    assert browser.get(f"/lightbox/jobs/{job}/events").json()["job"]["state"] == "running"
    ann.predict(job=job, api_name="/sofim_stop")
    wait_for(lambda: browser.get(f"/lightbox/jobs/{job}/events").json()["finished"])
