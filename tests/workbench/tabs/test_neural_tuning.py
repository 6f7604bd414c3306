"""What the Neural Tuning tab works out itself, with untrained networks: answers, rasters, dials, silencing, four requests, comparison, files."""

from __future__ import annotations

import csv
import io
import json
import sys
from functools import lru_cache
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import torch

from models.neural_tuning.config import stn_parameters
from models.neural_tuning.plan import ARMS, OWN, read_plan
from models.shared.backbones.language.record import METHOD as LANGUAGE
from models.shared.backbones.language.tasks import TASKS
from workbench.context import Context
from workbench.parts.outline_files import contents
from workbench.parts.segments import Segment
from workbench.pictures import Shown
from workbench.tabs.neural_tuning import board, neurons, results, scan
from workbench.tabs.neural_tuning import desk as desks
from workbench.tabs.neural_tuning.desk import Desk, settings_of
from workbench.tabs.neural_tuning.explore import MEASURES, answered, likened, looked, outlined, remembered, taken
from workbench.tabs.neural_tuning.names import DEPTH, LAYERS, SHORT, TASK_WORDS, TRAINED, labels, neuron_choices, read_neuron
from workbench.visitors import COOKIE

pytestmark = pytest.mark.skipif(not LANGUAGE.checkpoint.is_file(), reason="the small language model is not in this copy")
comparing = sys.modules["workbench.tabs.neural_tuning.compare"]  # the package gives the drawer's function under this name
ANN = SimpleNamespace(cookies={COOKIE: "a" * 32})
ONE, CT = (example.id for example in scan.examples()[:2])
OUTLINE, DRAW = "outline the lesion", "draw liver CT: one large dark lesion"
NETWORKS = (OWN, "stn_off")


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """Untrained networks whose task tokens come often."""
    from models.neural_tuning import study, training
    from models.neural_tuning.study_data import cases, towers
    from models.neural_tuning.wrapper import Predictor
    from models.shared.packing import pack
    from workbench.jobs import JobManager
    from workbench.settings import Settings

    clip, decoder = towers()
    plan = read_plan({"pool": 8, "batch": 4, "seeds": 1, "variants": 1})
    data = cases(plan, "train", 8, variants=1, clip=clip, decoder=decoder)
    painter = {study.PAINTER + name: value for name, value in training.Painter(data.seen.feature.shape[-1]).state_dict().items()}
    shared = pack(painter) | pack({study.GALLERY: data.seen.feature.float()})

    @lru_cache(maxsize=4)
    def load(arm, device="cpu"):
        net = training.build(plan, plan.config(arm), decoder, data.seen, 0)
        with torch.no_grad():
            net.words_out.mul_(60)
        kept = {study.NET + name: value for name, value in pack(net.state_dict()).items()} | shared
        made = Predictor(clip, decoder, plan, plan.config(arm), kept, kept, arm)
        made._cases[16] = made.shown(4)  # four phantoms instead of sixteen
        made.raster = lambda **dials: Predictor.raster(made, pictures=4, **dials)
        made.silence = lambda task, n: Predictor.silence(made, task, n, pictures=4)
        return made

    home = tmp_path_factory.mktemp("home")
    context = Context(Settings(home=home, warm=False), JobManager(home / "workspace", warm=False))
    for example in scan.examples():
        context.pictures.offer(example)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desks, "load", load)
        patch.setattr(desks, "arms", lambda: list(NETWORKS))
        patch.setattr(comparing, "arms", lambda: list(NETWORKS))
        yield Desk(context, *[None] * 10)
    context.close()


def values(words=OUTLINE, id=ONE, network=OWN, rho=TRAINED.rho, alpha=TRAINED.alpha, dense=False, silenced=(), threshold=0.5):
    return Shown(id), words, network, rho, alpha, dense, list(silenced), threshold


def asked(desk, words=OUTLINE, *, view=neurons.THIS, kind=neurons.EVERY, neuron=None, memory=(), **how):
    return answered(desk, ANN, (view, kind, neuron, list(memory), *values(words, **how)))


def test_two_tasks_run_one_after_the_other_have_rasters_that_differ(desk):
    canvas, told, _, about, cells, driven, memory = asked(desk)
    assert "It answers" in told
    known = scan.requests_to_try(desk.scan(ANN, Shown(ONE)).picture)["outline"][0]
    assert "A true answer" in asked(desk, known.upper())[1]
    assert len(likened(desk, ANN, values()).props["data"]["items"]) == len(TASKS)
    assert len(cells.choices) == len(LAYERS) * TRAINED.neurons
    assert about.count("nth-of-type") == len(cells.choices)
    assert "Layer" in driven
    assert "picture" in canvas.props["given"]
    again = asked(desk, DRAW, memory=memory)
    assert "not shown the picture" in again[1]
    assert "Against the answer before" in again[3]
    first, second = (np.asarray(one["fires"][neurons.EVERY]) for one in again[-1])
    assert np.abs(first - second).mean() > 0.02
    assert "orange" in asked(desk, DRAW, view=neurons.DELTA, memory=again[-1])[3]
    assert remembered(again[-1], again[-1][-1]) == again[-1]
    assert neurons.NO_BEFORE in asked(desk, view=neurons.DELTA)[3]


def test_every_view_of_the_neurons_and_what_drives_one(desk):
    work = desk.work(ANN, values())
    for _, view in neurons.VIEWS:
        _, cells, driven = looked(work, view, "answer", "1:6", [])
        if view == neurons.DELTA:
            assert not cells.choices
            continue
        assert cells.value == "1:6"
        assert f"ayer {LAYERS[1]}, neuron 7" in driven
        assert ("<table" in driven) == (view != neurons.THIS)
    blind = desk.work(ANN, values(DRAW))
    assert neurons.NO_TOKEN in neurons.raster(blind, neurons.THIS, "visual", None, None)[0]
    assert neurons.panels(work.raster()).count("lb-raster") == len(TASKS) + 1


def test_dials_change_what_fires_and_those_left_where_they_were_leave_every_network_as_trained(desk):
    assert settings_of(values()).dials == {"rho": None, "alpha": None, "dense": False}
    few = desk.work(ANN, values(rho=0.25))
    assert np.allclose(few.fires.mean(-1), 0.25)
    assert "not as it was trained" in results.setting(few)
    assert "as trained" in results.setting(desk.work(ANN, values()))
    still = desk.work(ANN, values(rho=0.25, silenced=["0:3", "1:9", "7:7", "x"]))
    assert still.settings.silenced == ((0, 3), (1, 9))
    assert still.fires[0, 3] == still.fires[1, 9] == 0
    assert "neuron 4" in results.setting(still)
    assert [read_neuron(id) for _, id in neuron_choices()][-1] == (1, 31)


def test_a_network_without_neurons_answers_and_says_so(desk):
    work = desk.work(ANN, values(network="stn_off", rho=0.1, silenced=["0:3"]))
    assert work.answer.neurons is None
    assert "no neurons" in results.setting(work)
    shown = asked(desk, network="stn_off", memory=[])
    assert neurons.NO_NEURONS in shown[3]
    assert likened(desk, ANN, values(network="stn_off")).props["data"]["empty"] == neurons.NO_NEURONS
    assert shown[-1] == []
    assert results.as_rows(work)[1] == []


def test_outlines_and_drawings_come_from_the_marked_tokens(desk):
    works = [desk.work(ANN, values(words, threshold=0.01)) for words in (OUTLINE, DRAW, "how many lesions are there? outline them")]
    assert any(work.answer.marks for work in works)
    for work in works:
        spelled = results.spelled(work)
        assert spelled.count("→ outline") == len(work.answer.marks) == len(work.masks)
        assert len(work.segments()) == sum(mask.any() for mask in work.masks)
        assert bool(results.drawn(work)) == (work.answer.feature is not None)
        if work.answer.feature is not None:
            assert results.drawn(work).count("<img") == 4


def test_truth_is_known_for_phantoms_and_unknown_words_and_bad_input_are_told(desk):
    for example in scan.examples():
        picture = desk.scan(ANN, Shown(example.id)).picture
        tries = scan.requests_to_try(picture)
        assert list(tries) == list(TASKS)
        assert all(tries.values())
    made = desk.scan(ANN, Shown(CT))
    meant = [scan.mask_of(words)(made)[0] for words in scan.requests_to_try(made.picture)["reason"]]
    assert all(mask is None or mask.any() for mask in meant)
    assert any(mask is not None for mask in meant)
    assert scan.mask_of("outline the purple lesion")(made)[0] is None
    assert "<mark>purple</mark>" in asked(desk, "outline the purple lesion")[1]
    assert "<b>x" not in asked(desk, "outline <b>x</b>")[1]
    assert "Write a request" in asked(desk, "  ")[1]
    with pytest.raises(gr.Error, match="Shorten"):
        asked(desk, "a " * 140)


def test_four_requests_stand_side_by_side_and_an_empty_one_is_left_out(desk):
    texts = [some[0] for some in scan.requests_to_try(desk.scan(ANN, Shown(ONE)).picture).values()]
    shown = board.answered(desk, ANN, texts, values())
    assert [shown.count(f"<h3>{words}</h3>") for words in TASK_WORDS.values()] == [1] * 4
    assert shown.count("lb-raster") == 4
    assert shown.count("<tr>") == 1 + 4
    assert board.answered(desk, ANN, ["", texts[1], "", ""], values()).count("<h3>") == 1
    assert "at least one" in board.answered(desk, ANN, [" "] * 4, values())
    alike = neurons.cosines([np.eye(2), np.eye(2), 1 - np.eye(2)])
    assert np.allclose(alike, [[1, 1, 0], [1, 1, 0], [0, 0, 1]])


def test_compare_asks_every_network_counts_and_silences_with_its_control(desk):
    table = comparing.networks(desk, ANN, None, values())
    assert [SHORT[arm] in table for arm in NETWORKS] == [True, True]
    panels, shared, memory = comparing.counted(desk, 0.4, 1.0, "cosine", "answer")
    assert "Difference" in panels
    assert shared.count("<table") == len(LAYERS) + 1
    assert [one["value"] for one in memory.props["data"]["items"]] == pytest.approx([1] * 4, abs=1e-3)  # α = 1 repeats the layer below
    lost = comparing.lost(desk, "draw", 5)
    assert "at random, draw 2" in lost
    assert lost.count("<tr>") == 1 + 4
    assert lost.count("neuron") >= 5


def test_a_selective_loss_is_told_from_a_shared_one():
    whole = dict.fromkeys(TASKS, 0.8)
    random = [whole, {**whole, "draw": 0.7}]
    for without, said in (
        ({**whole, "draw": 0.2}, "Only “Draw” (by 62 %)"),
        ({**whole, "draw": 0.5, "outline": 0.3}, "are shared"),
        ({**whole, "outline": 0.3}, "but not “Draw”"),
        ({**whole, "draw": 0.68}, "No task loses"),
    ):
        assert said in comparing.reading(whole, without, random, "draw")
    assert f"{stn_parameters(4096, 128):,}" in comparing.paper_size()
    assert "25.17 million" in comparing.paper_size()


def test_what_is_brushed_by_hand_is_measured_and_files_are_taken_along(desk):
    made = desk.scan(ANN, Shown(CT))
    words = scan.requests_to_try(made.picture)["outline"][0]
    mask = np.zeros(made.size, bool)
    mask[10:30, 40:90] = True
    marks = {"picture": made.id, "size": list(made.size), "segments": [Segment(0, "s", mask).for_browser()]}
    assert "Dice" in MEASURES.now(desk, ANN, (Shown(CT), marks, None, words))
    files = dict(contents(desk.context, ANN, outlined(desk, ANN, (marks, *values(words, CT))), "neural_tuning"))
    assert files["neural_tuning-segmentation.dcm"]
    work = desk.work(ANN, values(rho=0.25))
    table, record = taken(desk, work)
    rows = list(csv.reader(io.StringIO(table.decode())))
    assert len(rows) == 1 + int((work.answer.neurons.a > 0).sum())
    told = json.loads(record)
    assert told["rho"] == 0.25
    assert told["request"] == OUTLINE
    assert np.array(told["fires"]).shape == (len(LAYERS), TRAINED.neurons)


def test_names_are_complete(desk):
    assert set(SHORT) == set(ARMS) <= set(labels())
    assert list(TASK_WORDS) == list(TASKS)
    assert desks.load(OWN).decoder.layers == DEPTH
    assert tuple(number + 1 for number in desks.load(OWN).net.layers) == LAYERS
