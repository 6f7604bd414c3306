"""Neural Tuning's study and what the screen asks: data, plans, a quick training with its card, answers, rasters, silencing; and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.neural_tuning import examples, recipe, study, training
from models.neural_tuning.measures import everything, given, headline
from models.neural_tuning.plan import ARMS, PRESETS, PlanRefused, read_plan
from models.neural_tuning.study_data import cases, specs, towers
from models.neural_tuning.wrapper import Predictor, RequestRefused, asks_to_draw
from models.shared.backbones.language.record import METHOD as LANGUAGE
from models.shared.backbones.language.tasks import TASKS
from models.shared.packing import pack

pytestmark = pytest.mark.skipif(not LANGUAGE.checkpoint.is_file(), reason="the small language model is not in this copy")
QUICK = read_plan({"pool": 16, "tests": 8, "steps": 2, "batch": 4, "seeds": 1, "variants": 2})


@pytest.fixture(scope="module")
def data():
    clip, decoder = towers()
    return cases(QUICK, "train", 16, variants=2, clip=clip, decoder=decoder)


def kept(net, data):
    found = {study.NET + name: value for name, value in pack(net.state_dict()).items()}
    painter = training.Painter(data.seen.feature.shape[-1])
    return (
        found
        | pack({study.PAINTER + name: value for name, value in painter.state_dict().items()})
        | pack({study.GALLERY: data.seen.feature.float()})
    )


@pytest.fixture(scope="module")
def predictor(data):
    """An untrained network whose task tokens come often."""
    clip, decoder = towers()
    net = training.build(QUICK, QUICK.config("full"), decoder, data.seen, 0)
    with torch.no_grad():
        net.words_out.mul_(60)
    tensors = kept(net, data)
    return Predictor(clip, decoder, QUICK, QUICK.config("full"), tensors, tensors)


@pytest.fixture(scope="module")
def prepared(predictor):
    return predictor.prepare((examples.example("liver_ct", 12, 3, 128).phantom.image * 255).astype(np.uint8))


def test_cases_hold_every_task_with_outlines_of_what_is_meant(data):
    assert set(data.turns) == set(TASKS)
    tokens = towers()[1].tokenizer
    assert (data.lesions.flatten(2).any(-1).sum(1) == data.counts).all()
    assert {1, 2, 3} <= set(data.counts.tolist())
    for task, rows in data.turns.items():
        for row, some in enumerate(rows):
            assert len(some) == 2
            for one in some:
                assert one.answer[-1] == tokens.eos_id
                assert (tokens.image_id in one.answer) == (task == "draw")
                assert all(lesion < int(data.counts[row]) for lesion in one.objects)
    assert data.specs == specs("train", 16)
    assert data.thumbs.shape == (16, 32, 32)
    assert 0 <= float(data.thumbs.min()) < float(data.thumbs.max()) <= 1


def test_every_step_shares_its_pictures_among_the_four_tasks():
    parts = next(training.quarters(QUICK, 16, 2, 0))
    assert [task for task, _, _ in parts] == list(TASKS)
    rows = torch.cat([rows for _, rows, _ in parts])
    assert len(rows.unique()) == len(rows) == QUICK.batch


def test_every_arm_trains_what_it_should(data):
    decoder = towers()[1]
    for arm in ARMS:
        net = training.build(QUICK, QUICK.config(arm), decoder, data.seen, 0)
        before = {name: value.clone() for name, value in net.state_dict().items()}
        told = list(training.fit(net, data, QUICK, seed=0))
        assert np.isfinite(told[-1][1])
        still = {name for name, value in net.state_dict().items() if torch.equal(value, before[name])}
        # with zero init the first step moves W_b alone; two steps move all
        assert still == ({"project.weight", "words_in"} if arm == "probe" else set()), arm
        assert bool(net.layers) == (arm not in ("stn_off", "probe"))


def test_the_same_seed_trains_the_same_network(data):
    decoder, nets = towers()[1], []
    for _ in range(2):
        net = training.build(QUICK, QUICK.config("full"), decoder, data.seen, 3)
        list(training.fit(net, data, QUICK, seed=3))
        nets.append(net.state_dict())
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])


def test_swapping_pictures_changes_words_but_not_how_many_there_are(data):
    net = training.build(QUICK, QUICK.config("full"), towers()[1], data.seen, 0)
    rows = range(8)
    own, other = (given(net.eval(), data, "outline", rows, swapped=swapped) for swapped in (False, True))
    assert (own["words"][:, 1] == other["words"][:, 1]).all()
    assert (own["overlap"][..., 0] < 0).tolist() == (other["overlap"][..., 0] < 0).tolist()
    numbers = headline(everything(net, data))
    assert set(numbers) == set(TASKS)
    assert all(np.isfinite(value) for value in numbers.values())


def test_plans_are_read_and_wrong_ones_refused():
    plan = read_plan({})
    assert {run.arm for run in plan.runs[:3]} == {"full", "stn_off", "probe"}
    assert set(plan.arms) == set(ARMS)
    assert {preset.name for preset in PRESETS} == {"embedded", "cpu", "quick"}
    for preset in PRESETS:
        read_plan(preset.config)
    for bad in ({"colour": 1}, {"arms": ["stn_off"]}, {"seeds": 0}, {"batch": 6}, {"pool": 3}):
        with pytest.raises(PlanRefused):
            read_plan(bad)


def test_an_answer_shows_outlines_pictures_and_neurons(predictor, prepared):
    said = predictor.answer(prepared, "which lesion is the most suspicious? outline it")
    assert said.looked
    objects = [place for place, word in enumerate(said.strip) if word.startswith("<object")]
    assert set(said.marks) <= set(objects)
    assert said.outlines.shape == (len(said.marks), 128, 128)
    assert "<" not in said.text
    visual, text = said.neurons.word[:65], said.neurons.word[65:]
    assert visual[0] == "whole picture"
    assert text[0] == "<bos>"
    assert tuple(text[-len(said.strip) - 1 : -1]) == said.strip
    assert ((said.neurons.a > 0).sum(-1) == 13).all()
    drawing = predictor.answer(prepared, "draw liver CT: one large dark lesion")
    assert not drawing.looked
    assert drawing.neurons.word[0] == "<bos>"
    other = predictor.prepare(np.zeros((90, 70), np.uint8))
    assert predictor.answer(other, "draw liver CT: one large dark lesion").strip == drawing.strip
    found = [one for one in (said, drawing) if one.feature is not None]
    for one in found:
        assert len(one.nearest) == 3
        assert one.nearest[0].cosine >= one.nearest[1].cosine
        assert one.painted.shape == (32, 32)
    assert found or said.marks  # the rows of the task tokens were made loud, so something is drawn or outlined
    assert predictor.answer(prepared, "describe this purple picture").unknown == ("purple",)


def test_what_is_drawn_without_being_shown_the_picture():
    assert [asks_to_draw(words) for words in ("draw a large mass", "Imagine liver CT and draw it", "draw the border of the mass", "outline the mass")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_rasters_follow_the_dial_and_silencing_has_its_control(predictor):
    sparse, dense = predictor.raster(rho=0.25, pictures=4), predictor.raster(rho=1.0, pictures=4)
    assert sparse.frequency().shape == (4, 2, 32)
    assert np.allclose(sparse.frequency().mean(-1), 8 / 32)
    assert dense.frequency().mean() > sparse.frequency().mean()
    counts = predictor.overlap(sparse)["counts"]
    assert set(counts) == {"shared", "silent", *TASKS}
    lost = predictor.silence("draw", 4, draws=1, pictures=4)
    assert len(lost.neurons) == 4
    assert set(lost.whole) == set(lost.without) == set(lost.random[0]) == set(TASKS)
    assert lost.without != lost.whole


def test_what_cannot_be_used_is_a_sentence(predictor, prepared):
    for words, dials, match in (
        ("  ", {}, "Write a request"),
        ("mass " * 90, {}, "Shorten"),
        ("mass", {"rho": 0.0}, "share"),
        ("mass", {"silenced": [(2, 0)]}, "not among"),
    ):
        with pytest.raises(RequestRefused, match=match):
            predictor.answer(prepared, words, **dials)
    with pytest.raises(RequestRefused):
        predictor.prepare(np.zeros((2, 2, 2, 2)))
    with pytest.raises(RequestRefused, match="Choose one of"):
        predictor.silence("poems", 2)


def test_a_network_without_neurons_answers_and_says_that_it_has_none(predictor, prepared, data):
    net = training.build(QUICK, QUICK.config("stn_off"), predictor.decoder, data.seen, 0)
    alone = Predictor(predictor.clip, predictor.decoder, QUICK, QUICK.config("stn_off"), kept(net, data), kept(net, data), "stn_off")
    assert alone.answer(prepared, "describe this picture").neurons is None
    with pytest.raises(RequestRefused, match="no neurons"):
        alone.raster()


def test_examples_are_what_they_say():
    for family, number, count in (examples.PLAIN, *examples.NUMBERED):
        one = examples.example(family, number, count, 128)
        assert 1 <= len(one.phantom.lesions) <= count
        assert [said.task for said in one.exchanges] == list(TASKS)


@pytest.mark.slow
def test_the_quick_preset_trains_and_its_card_is_computed_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    quick = {**PRESETS[2].config, "arms": ["full", "stn_off"], "pool": 16, "tests": 6, "steps": 2, "paint": 3}
    *told, last = recipe.train(quick)
    assert told
    card = last["card"]
    again = recipe.evaluate(card, last["tensors"])
    assert set(again) == {name for name in card.metrics if "shipped" in name}
    assert len(again) == 4 * len(quick["arms"])
    assert all(abs(value.value - card.metrics[name].value) <= recipe.tolerance(name) for name, value in again.items())
    assert study.pending(read_plan(quick)) == []
    assert len(card.extra["findings"]) == 4
    assert card.metrics["outline/miou@all_lesions"].value > 0.2
    assert set(card.extra["neurons"]) == {"full"}
    assert set(card.extra["neurons"]["full"]["silenced"]["numbers"]) == {"none", *TASKS, "random 1", "random 2", "random 3"}
    assert card.extra["trained"]["full"]["neurons"] == 2 * (96 * 32 + 32 + 32 * 192)
    assert card.extra["trained"]["stn_off"]["neurons"] == 0
