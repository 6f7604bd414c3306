"""The screen's side of a table of one's own: what is handed to a training, what is said, and that programs cannot name a file."""

from __future__ import annotations

import json

import httpx
import pytest

from models.shared.data import table_example
from models.sofim.race_config import read
from workbench.tabs.sofim import api
from workbench.tabs.sofim.train_table import look, part_of_config, shown, title_of

EXAMPLE = str(table_example.path())


def test_a_good_table_becomes_the_chosen_task():
    markup, path, label, task = look(EXAMPLE)
    assert "biopsy_table.csv:</span> 569 rows, 31 columns" in markup
    assert path == EXAMPLE
    assert str(table_example.path().parent) not in markup
    assert (label.choices, label.value) == ([("diagnosis", "diagnosis")], "diagnosis")
    assert task == "own_table"


@pytest.mark.parametrize("path", [None, "", "/no/such/file.csv"])
def test_an_upload_that_is_gone_is_a_sentence(path):
    markup, kept, label, _ = look(path)
    assert "Upload it again." in markup
    assert (kept, label.choices) == ("", [])


def test_a_header_is_shown_as_text_and_never_runs(tmp_path):
    file = tmp_path / "t.csv"
    head = "`${alert(1)}`<b>{{v}}"
    file.write_text("\n".join([f"{head},size,finding", *(f"same,{place % 7},{place % 2}" for place in range(40))]))
    markup = look(str(file))[0]
    for sign in ("`", "$", "{", "}", "<b>"):
        assert sign not in markup
    assert "&#96;&#36;&#123;alert(1)&#125;&#96;&lt;b&gt;" in markup


def test_a_training_is_given_the_table_only_where_the_task_is_the_table():
    assert part_of_config("digits_mlp", EXAMPLE, "diagnosis") == {}
    part = part_of_config("own_table", EXAMPLE, "diagnosis")
    assert part == {"table": EXAMPLE, "label": "diagnosis"}
    assert read({"task": "own_table", "arms": ["sofim"], **part}).task.title == "Your own table"


@pytest.mark.parametrize(
    ("path", "label", "sentence"),
    [
        ("", None, "Upload your table first"),
        (EXAMPLE, None, "Choose which column"),
        ("/no/such/file.csv", "diagnosis", "no longer on this server"),
    ],
)
def test_what_is_missing_is_said_before_a_run_is_spent(path, label, sentence):
    with pytest.raises(ValueError, match=sentence):
        part_of_config("own_table", path, label)


def test_the_table_has_a_name_and_brings_its_own_steps():
    assert title_of("own_table") == "Your own table"
    assert title_of("digits_mlp") == "Handwritten digits, small network"
    assert shown("own_table")[1] == 300
    assert shown("digits_mlp")[1] == 400


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("own_table", {}),
        ("own_table", {"sofim": {"table": EXAMPLE, "label": "diagnosis"}}),
        ("digits_mlp", {"sofim": {"table": EXAMPLE}}),
        ({"task": "own_table", "table": EXAMPLE}, {}),
    ],
)
def test_programs_cannot_hand_in_a_file(task, settings):
    with pytest.raises(ValueError, match=r"Train drawer of the page|no setting called 'table'|no task called"):
        api.race_config(task, ["sofim"], 10, 1, settings)


@pytest.fixture(scope="module")
def ask(run_server):
    """`ask(files)`: hands file records to the event of the upload button, as its page would, and gives the server's last word."""
    here = run_server()
    page = httpx.get(f"{here.url}/config").json()
    button = next(part["id"] for part in page["components"] if part["props"].get("elem_id") == "sofim_own_file")
    (event,) = [event["id"] for event in page["dependencies"] if button in event["inputs"]]

    def hand_in(record):
        sent = {"data": [record], "fn_index": event, "session_hash": "a-page", "trigger_id": button}
        httpx.post(f"{here.url}/gradio_api/queue/join", json=sent).raise_for_status()
        with httpx.stream("GET", f"{here.url}/gradio_api/queue/data?session_hash=a-page", timeout=30) as answer:
            said = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
        return next(one for one in said if one["msg"] == "process_completed")

    hand_in.url, hand_in.stderr = here.url, here.stderr
    return hand_in


def test_an_upload_is_read_and_its_contents_are_not_logged(ask):
    content = "size,finding\n" + "\n".join(f"Zaphod {place % 25},{place % 2}" for place in range(60))
    (path,) = httpx.post(f"{ask.url}/gradio_api/upload", files={"files": ("mine.csv", content)}).json()
    done = ask({"path": path, "meta": {"_type": "gradio.FileData"}})
    assert done["success"]
    assert "mine.csv:</span> 60 rows, 2 columns" in json.dumps(done, ensure_ascii=False)
    assert path not in json.dumps(done)
    assert "Zaphod" not in json.dumps(done) + ask.stderr()


def test_a_file_of_the_server_that_was_not_uploaded_is_not_read(ask, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("size,finding\n" + "\n".join(f"{place % 25},{place % 2}" for place in range(60)))
    for path in (EXAMPLE, str(other)):
        done = ask({"path": path, "meta": {"_type": "gradio.FileData"}})
        assert not done["success"], path
        assert "columns" not in json.dumps(done)
