"""A table of one's own as a task: trained like any other, taken away under its file's name alone, and run again from the program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.shared.checkpoints import load
from models.shared.data import DataDamaged, table_example
from models.sofim import race_config, tasks
from models.sofim.race_config import ConfigRefused
from models.sofim.snippet import as_python
from models.sofim.training import train

ROOT = Path(__file__).resolve().parents[3]
FOLDER = "a-folder-nobody-may-see"


class Box:
    stopping = False

    def __init__(self, out):
        self.out = out

    def poll(self):
        return []


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / FOLDER
    folder.mkdir()
    return Path(shutil.copy(table_example.path(), folder / "biopsy_table.csv"))


def config(path, **more):
    return {"task": "own_table", "table": str(path), "label": "diagnosis", "arms": ["sofim"], "steps": 40, "device": "cpu"} | more


def test_the_task_fits_its_table(path):
    task = tasks.own_table(path, "diagnosis")
    assert task == tasks.own_table(str(path), "diagnosis")
    assert sum(p.numel() for p in tasks.make_model(task, 0).parameters()) == 1_058  # 30·32+32 + 32·2+2
    data = tasks.data_of(task)
    assert tasks.make_model(task, 0)(data.test.x).shape == (114, 2)
    assert tasks.data_of(task) is data
    assert task.about == "569 rows of 30 values, 2 classes, through one hidden layer."
    # 214 of 341 training rows are benign: entropy 0.6604 nats, so 0.165 and 0.330; (1 + 0.6276) / 2
    assert task.targets == {"train_loss": 0.165, "test_loss": 0.33, "test_accuracy": 0.814}
    assert tasks.availability(task).here
    race_config.check_runs_here(task)


def test_the_listed_tasks_still_read_their_own_data():
    assert len(tasks.data_of(tasks.get("breast_cancer_mlp")).test) == 114
    assert "own_table" not in tasks.TASKS


def test_a_replaced_file_is_read_again(path):
    before = tasks.data_of(tasks.own_table(path, "diagnosis"))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:301]))
    os.utime(path, ns=(1, 1))
    after = tasks.data_of(tasks.own_table(path, "diagnosis"))
    assert len(before.train) + len(before.validation) + len(before.test) == 569
    assert len(after.train) + len(after.validation) + len(after.test) == 300


def test_what_is_written_out_names_the_file_and_no_folder(path, monkeypatch):
    checked = race_config.read(config(path))
    written = checked.as_dict()
    assert (written["table"], written["label"]) == ("biopsy_table.csv", "diagnosis")
    monkeypatch.chdir(path.parent)
    assert race_config.read(written) == race_config.read(config("biopsy_table.csv"))


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"table": None}, "This task needs a table of your own"),
        ({"table": ""}, "This task needs a table of your own"),
        ({"table": ["x"]}, "This task needs a table of your own"),
        ({"table": "a\0b"}, "This task needs a table of your own"),
        ({"label": None}, "Choose which column of your table is the label"),
        ({"label": 3}, "Choose which column of your table is the label"),
        ({"task": "digits_mlp"}, "belong to the task own_table alone"),
        ({"task": "digits_mlp", "table": None}, "belong to the task own_table alone"),
    ],
)
def test_wrong_configurations_are_one_sentence(path, more, sentence):
    with pytest.raises(ConfigRefused, match=sentence):
        race_config.read(config(path, **more))


@pytest.mark.parametrize(
    ("more", "sentence"), [({"label": "absent"}, "not in this table"), ({"table": "gone.csv"}, "no longer on this server")]
)
def test_a_table_or_label_that_is_not_there_is_one_sentence_before_the_first_event(path, tmp_path, more, sentence):
    with pytest.raises(DataDamaged, match=sentence) as refused:
        next(train(config(path, **more), Box(tmp_path)))
    assert isinstance(refused.value, ValueError)  # what a job shows to people
    assert FOLDER not in str(refused.value)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Files and events of a training on the example, copied into a folder whose name must not be told."""
    folder, out = tmp_path_factory.mktemp(FOLDER), tmp_path_factory.mktemp("out")
    source = Path(shutil.copy(table_example.path(), folder / "biopsy_table.csv"))
    return out, list(train(config(source), Box(out))), source


def test_a_training_ends_in_weights_with_a_card(trained):
    out, events, _ = trained
    assert events[0]["title"] == "Your own table"
    assert events[-1]["files"]["weights"] == "weights.safetensors"
    tensors, card = load(out / "weights.safetensors")
    assert {tuple(value.shape) for value in tensors.values()} == {(32, 30), (32,), (2, 32), (2,)}
    accuracy = card.metrics["own_table/test_accuracy"]
    assert accuracy.n == 114
    assert accuracy.value > 0.85
    assert card.datasets[0].licence == "not known"


def test_nothing_of_a_training_tells_the_servers_folder(trained):
    out, events, source = trained
    assert source.parent.name not in json.dumps(events)
    for file in out.iterdir():
        assert source.parent.name.encode() not in file.read_bytes(), file.name
    assert json.loads((out / "config.json").read_text())["table"] == "biopsy_table.csv"


@pytest.mark.slow
def test_the_program_beside_the_table_prints_the_same_numbers(trained, tmp_path):
    out, events, source = trained
    text = (out / "reproduce.py").read_text()
    assert "Needs the table that CONFIG names, in the folder of this program." in text
    place = tmp_path / "taken away"
    place.mkdir()
    shutil.copy(out / "reproduce.py", place)
    command, env = [sys.executable, str(place / "reproduce.py")], os.environ | {"PYTHONPATH": str(ROOT)}
    shutil.copy(source, place)
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=True)
    last = [event for event in events if event["kind"] == "eval"][-1]["lanes"]["sofim#0"]
    printed = done.stdout.strip().split("\t")
    assert printed[:4] == ["sofim#0", "step 40", f"test loss {last['test_loss']:.6f}", f"test accuracy {last['test_accuracy']:.6f}"]


def test_a_files_name_cannot_put_code_into_the_program(path):
    wicked = path.rename(path.with_name("\"\"\"\nimport os\n'''{config}.csv"))
    text = as_python(config(wicked))
    compile(text, "reproduce.py", "exec")
    assert "\nimport os\n" not in text
