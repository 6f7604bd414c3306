"""What the note room of EPIC and MITP works out itself, with untrained networks: verdict, ladder, lenses, changed words, comparison, files, own notes."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from functools import lru_cache
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

from models.epic.record import METHOD
from models.shared.prompt_interaction.checks import CONFIG, lively
from models.shared.prompt_interaction.plan import ARMS, Plan
from models.shared.prompt_interaction.seeing import Predictor
from workbench.context import Context
from workbench.note_room import NoteRoom, compare, explore, results, train
from workbench.note_room.cases import NUMBERS, examples, suggestions, truth
from workbench.note_room.desk import ALL_RUNGS, Desk
from workbench.parts.notes import ANYWHERE
from workbench.pictures import Shown
from workbench.tabs import epic, mitp
from workbench.visitors import COOKIE

ANN = SimpleNamespace(cookies={COOKIE: "a" * 32})
SOME = ("full", "off", "no_hub", "text_only")
NOTE = "brain MR: one large dark tumour in the left frontal region"
FIRST = examples()[0].id


@lru_cache(maxsize=8)
def load(arm, path=None, device="cpu"):
    return Predictor(lively(Plan((arm,)).config(arm)), arm)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    from workbench.jobs import JobManager
    from workbench.settings import Settings

    home = tmp_path_factory.mktemp("home")
    context = Context(Settings(home=home, warm=False), JobManager(home / "workspace", warm=False))
    for example in examples():
        context.pictures.offer(example)
    room = NoteRoom(METHOD, SOME, load, "", ("one", "two", "three"))
    yield Desk(room, context, *[None] * 7)
    context.close()


def values(note=NOTE, id=FIRST, network="full", tau=0.1, beta=1.0, uniform=False, until=ALL_RUNGS):
    return Shown(id), note, network, tau, beta, uniform, until


def test_both_tabs_have_five_drawers_and_differ_by_words_alone():
    assert [drawer.func for drawer in (epic.explore, epic.train)] == [drawer.func for drawer in (mitp.explore, mitp.train)]
    rooms = [drawer.args[1] for drawer in (epic.learn, mitp.learn)]
    assert [room.id for room in rooms] == ["epic", "mitp"]
    assert rooms[0].lesson != rooms[1].lesson
    for room in rooms:
        assert "reconstruction" in room.lesson
        assert set(room.arms) <= set(ARMS)
        assert all(room.short(arm) for arm in room.arms)


def test_every_phantom_offered_has_one_lesion_and_notes_whose_truth_is_known(desk):
    assert len(NUMBERS) == 4
    for example in examples()[: len(NUMBERS)]:
        picture = desk.context.pictures.get(ANN, Shown(example.id))
        told = [truth(picture, note)[0] for note in suggestions(picture)]
        assert {"agree", "contradict", "unrelated"} <= set(told)
    other = next((example for example in examples() if example.id.startswith(("asset:", "data:"))), None)
    if other is not None:
        picture = desk.context.pictures.get(ANN, Shown(other.id))
        assert suggestions(picture) == list(ANYWHERE)
        assert truth(picture, NOTE) is None


def test_an_answer_reaches_lens_words_ladder_gauges_verdict_and_chips(desk):
    lens, words, ladder, gauges, verdict, kept, turns, said, button = explore.answered(desk, ANN, (1, results.ALL, 1, *values()))
    (panel,) = lens.props["data"]["panels"]
    assert (panel["rows"], panel["columns"]) == load("full").clip.grid
    assert words.count("<small>") == len(NOTE.split())
    assert ladder.count('lb-rung"') == 3
    assert "nothing reads what its hub says" in ladder
    assert len(gauges.props["data"]["items"]) == 3
    assert "In truth it" in verdict
    assert kept.value == list(range(len(NOTE.split())))
    assert ("left → right", NOTE.replace("left", "right")) in turns.choices
    assert said == ""
    assert not button.visible
    _, words, lengths = explore.looked(desk.work(ANN, values()), 0, 2, 0)
    assert "Note prompt 3, rung 1" in words
    assert "as the layer left it" in lengths


def test_emptied_strange_and_wordless_notes(desk):
    waiting = explore.answered(desk, ANN, (1, -1, 1, *values("  ")))
    assert "Write a note" in waiting[4]
    strange = results.verdict(desk.work(ANN, values("a purple <i>dream</i> on the left side")))
    assert "<mark>purple</mark>" in strange
    assert "<i>dream" not in strange
    for note, sentence in (("…", "Write a note"), ("zyx " * 75, "too long")):
        with pytest.raises(gr.Error, match=sentence):
            explore.answered(desk, ANN, (1, -1, 1, *values(note)))


def test_words_are_turned_and_left_out(desk):
    markup, text, button = explore.changed(desk, ANN, NOTE.replace("left", "right"), "Said otherwise", values())
    assert "right" in text
    assert button.visible
    assert "moved by" in markup
    assert explore.changed(desk, ANN, NOTE, "", values())[0] == ""
    found = results.left_out(desk.work(ANN, values()))
    assert [item["label"] for item in found["items"]] == [f"without “{word}”" for word in NOTE.split()]


def test_networks_without_prompts_or_hub_say_so_and_settings_of_the_hub_are_heard(desk):
    off = desk.work(ANN, values(network="off"))
    assert results.NO_PROMPTS in results.ladder(off, 1, 1)
    assert results.NO_PROMPTS in results.words(off, 1, -1)
    assert results.depth(off).count("<tr") == 2
    assert "the hub is off" in results.ladder(desk.work(ANN, values(network="no_hub")), 1, 1)
    assert "never shown the picture" in results.verdict(desk.work(ANN, values(network="text_only")))
    shut = desk.work(ANN, values(until=1))
    assert "shut by hand" in results.ladder(shut, 1, 1)
    even = desk.work(ANN, values(uniform=True))
    assert np.allclose(even.answer.rungs[0].text_from_image, 1 / CONFIG.prompts)
    with pytest.raises(ValueError, match="temperature"):
        desk.work(ANN, values(tau=0))


def test_files_hold_every_share_and_their_stamp(desk):
    table, record = explore.taken(desk, desk.work(ANN, values()))
    rows = list(csv.reader(io.StringIO(table.decode())))
    assert len(rows) == 1 + 3 * 2 * CONFIG.prompts**2
    told = json.loads(record)
    assert told["note"] == NOTE
    assert told["made_by"]["method"] == "epic"
    assert np.allclose(np.sum(told["rungs"][0]["note_from_picture"], axis=-1), 1, atol=1e-5)


def test_compare_asks_every_network_counts_mistakes_and_measures_costs(desk, monkeypatch):
    bars, turned = compare.compared(desk, ANN, values())
    assert [one["label"] for one in bars.props["data"]["series"]] == ["EPIC", "No prompts", "Hub off", "Note alone"]
    assert turned.count("<tr") == 1 + len(SOME)
    monkeypatch.setattr(compare, "PICTURES", 4)
    counted = compare.confusions(desk.room, desk.context)
    assert counted.count("of 12 right") == 3
    cost = compare.costs(desk.room, desk.context)
    assert "63,587" in cost
    assert "Everything, towers too" in cost


def test_the_example_zip_is_taken_and_bad_ones_are_refused_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "EXAMPLE_PICTURES", 6)
    path = tmp_path / "notes.zip"
    path.write_bytes(train.example_zip())
    told, kept = train.look(str(path))
    assert kept == str(path)
    assert "6 pictures, 18 notes, the verdicts agree, contradict, unrelated" in told
    for files, sentence in (
        ({"a.png": ""}, "0 CSV files"),
        ({"a.csv": "picture,note\nx,y\n"}, "must name the columns"),
        ({"a.csv": "picture,note,verdict\n" + "x.png,secret words,yes\ny.png,b,no\n" * 8}, "1. picture that the table names is not"),
        ({"a.csv": "picture,note,verdict\nx.png,,yes\n"}, "Line 2"),
    ):
        bad = tmp_path / "bad.zip"
        with zipfile.ZipFile(bad, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        told, kept = train.look(str(bad))
        assert kept == ""
        assert sentence in told
        assert "secret" not in told
    assert train.look(str(tmp_path))[1] == ""
