"""What the screen is told of a network: answers of several notes, words, rungs, cost; notes read back; training on own notes."""

from __future__ import annotations

import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from models.epic.own import train_own
from models.epic.wrapper import load_predictor
from models.shared.data import DataDamaged, phantoms
from models.shared.data.phantoms.note_reading import said, truth, turns, unknown_words
from models.shared.data.phantoms.notes import VERDICTS, note
from models.shared.data.pictures import encode_png
from models.shared.prompt_interaction import cost
from models.shared.prompt_interaction.checks import CONFIG, lively
from models.shared.prompt_interaction.seeing import HubSettings, NoteRefused, Predictor, moved

NOTE = "brain MR: one small, ill-defined bright tumour on the left side"
PICTURE = np.random.default_rng(0).random((96, 128))


@pytest.fixture(scope="module")
def predictor():
    return Predictor(lively())


def test_notes_are_read_back_as_they_were_meant():
    random = np.random.default_rng(0)
    for family in phantoms.families():
        for item in phantoms.batch(family, phantoms.split_seeds("test", 6)):
            if len(item.lesions) == 1:
                for verdict in VERDICTS:
                    made = note(item, verdict, random)
                    assert truth(item, made.text) == (verdict, (made.wrong,) if made.wrong else ())
                    assert unknown_words(made.text) == []


def test_longer_traits_win_and_turned_notes_are_possible():
    text = "liver CT: one slightly dark lesion in the right anterior section"
    assert [one.value for one in said(text)] == ["slightly dark", "right", "anterior"]
    turned = {one.text for one in turns(text)}
    assert "liver CT: one slightly dark lesion in the right posterior section" in turned
    assert not any("left anterior" in one or "right medial" in one for one in turned)  # no phantom has such a place


def test_answers_in_one_pass_are_those_of_each_note_alone(predictor):
    prepared = predictor.prepare(PICTURE)
    without = predictor.without_each_word(prepared, NOTE)
    assert len(without) == len(NOTE.split())
    alone = predictor.answer(prepared, without[2].note)
    assert np.allclose(alone.probability, without[2].probability, atol=1e-5)
    whole = predictor.answer(prepared, NOTE)
    assert moved(whole, whole) == [0.0, 0.0, 0.0]
    assert max(moved(whole, alone)) > 0
    for rung in whole.rungs:
        assert np.allclose(rung.text_from_image.sum(-1), 1, atol=1e-5)
        assert (rung.words.sum(-1) < 1).all()
        assert (rung.patches.sum((1, 2)) < 1).all()
        assert all(0 <= one <= 1 + 1e-6 for one in rung.evenness)
    assert np.allclose(predictor.by_depth(prepared, NOTE)[-1], whole.probability, atol=1e-6)
    closed = predictor.answer(prepared, NOTE, HubSettings(beta=0.0)).probability
    assert np.allclose(predictor.by_depth(prepared, NOTE)[0], closed, atol=1e-5)


def test_what_cannot_be_asked_is_refused(predictor):
    prepared = predictor.prepare(PICTURE)
    for text in ("", "...", "word " * 90):
        with pytest.raises(NoteRefused):
            predictor.answer(prepared, text)
    with pytest.raises(NoteRefused):
        predictor.prepare(np.full((4, 4), 7.0))


def test_costs_grow_from_head_to_everything():
    made = cost.measured(lively().clip, CONFIG)
    assert [one.trained for one in made] == sorted(one.trained for one in made)
    assert [one.memory_bytes for one in made] == sorted(one.memory_bytes for one in made)
    assert made[1].trained == 63_587
    assert made[2].share == 1


def test_own_notes_train_a_network_that_answers_in_their_words(tmp_path):
    path, verdicts = tmp_path / "own.zip", ("yes", "no")
    drawn = phantoms.batch("brain_mr", phantoms.split_seeds("validation", 8))
    with zipfile.ZipFile(path, "w") as archive:
        for number, item in enumerate(drawn):
            archive.writestr(f"p/{number}.png", encode_png(item.image[::2, ::2]))
        lines = [f"{number}.png;tumour {word};{word}" for number in range(8) for word in verdicts]
        archive.writestr("notes.csv", "picture;note;verdict\n" + "\n".join(lines))
    inbox = SimpleNamespace(out=tmp_path, stopping=False)
    events = list(train_own({"path": str(path), "steps": 10, "batch": 2}, inbox))
    assert [event["kind"] for event in events] == ["meta", "points", "scores", "result"]
    assert events[0]["n_test"] == 4
    assert events[-1]["files"]
    own = load_predictor("full", path=tmp_path / "prompts.safetensors")
    assert own.verdicts == ("no", "yes")
    assert own.answer(own.prepare(PICTURE), "tumour yes").probability.shape == (2,)
    with pytest.raises(ValueError, match="cannot be started"):
        next(train_own({"path": str(path), "steps": 1}, inbox))
    with pytest.raises(DataDamaged):
        next(train_own({"path": str(tmp_path / "none.zip")}, inbox))
