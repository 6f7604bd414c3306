"""What the MiT tab works out itself, with untrained networks: both answers, the dial, the swapped picture, parts left out, heads, comparison, costs, files."""

from __future__ import annotations

import csv
import io
import json
from functools import lru_cache
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

from models.mit.plan import ARMS, TASKS, read_plan
from models.mit.record import METHOD
from models.shared.backbones.language.record import METHOD as LANGUAGE
from workbench.context import Context
from workbench.parts.outline_files import contents
from workbench.parts.segments import Segment
from workbench.pictures import Shown
from workbench.tabs.mit import desk as desks
from workbench.tabs.mit import results, scan
from workbench.tabs.mit.compare import costs, noted, outlines, reckoned
from workbench.tabs.mit.controls import another
from workbench.tabs.mit.desk import Desk
from workbench.tabs.mit.explore import MEASURES, drawn, judged, outlined, taken
from workbench.tabs.mit.names import LAYERS, PARTS, SHORT, TERMS, labels, twin
from workbench.visitors import COOKIE

pytestmark = pytest.mark.skipif(not LANGUAGE.checkpoint.is_file(), reason="the small language model is not in this copy")
ANN = SimpleNamespace(cookies={COOKIE: "a" * 32})
ONE, TWO, CHEST = (example.id for example in scan.examples()[:3])
NOTE, PHRASE = "liver CT: one large bright lesion", "the bigger lesion"
ALL, BOTH = [name for _, name in PARTS], [name for _, name in TERMS]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    from models.mit.study_data import towers
    from models.mit.training import build
    from models.mit.wrapper import Predictor, look
    from models.shared.packing import pack
    from workbench.jobs import JobManager
    from workbench.settings import Settings

    clip, decoder = towers()
    blank = look(clip, clip.preprocess(np.zeros((8, 8), np.uint8)))

    @lru_cache(maxsize=16)
    def load(arm, device="cpu"):
        made = {}
        for task in (one for one in TASKS.values() if arm in one.arms):
            net = build(task, task.config(arm), decoder, blank, 5)
            made[task.id] = (task.config(arm), pack(net.state_dict()))
        return Predictor(clip, decoder, read_plan({}), made, arm)

    home = tmp_path_factory.mktemp("home")
    context = Context(Settings(home=home, warm=False), JobManager(home / "workspace", warm=False))
    for example in scan.examples():
        context.pictures.offer(example)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desks, "load", load)
        yield Desk(context, *[None] * 12)
    context.close()


def values(id=ONE, note=NOTE, phrase=PHRASE, network="full", dial=1.0, parts=ALL, terms=BOTH, layers=LAYERS, told=None, threshold=0.3):
    return Shown(id), note, phrase, network, dial, parts, terms, layers, None if told is None else Shown(told), threshold


def test_every_answer_reaches_bars_verdict_heads_words_and_changes(desk):
    bars, verdict, about, cells, words, changes, walked = judged(desk, ANN, ("gate", None, *values()))
    data = bars.props["data"]
    assert [one["label"] for one in data["series"]] == ["With this picture", "Language model alone"]
    assert sum(data["series"][0]["values"]) == pytest.approx(1, abs=1e-3)
    assert data["truth"] == 0  # the phantom's lesion is large and bright
    assert "In truth it agrees" in verdict
    assert "Weights that answer" in verdict
    assert len(cells.choices) == 8
    assert about.count("nth-of-type") == 8
    assert words.count("class='lb-words'") == 2
    assert changes.count("<tr>") == 3
    assert walked == ""
    chosen = judged(desk, ANN, ("cosine", "3:1", *values()))
    assert "Layer 3, head 2" in chosen[4]


def test_with_the_dial_at_nought_the_answer_is_the_language_models_alone(desk):
    for network in ("full", "paper"):
        work = desk.judged(ANN, values(network=network, dial=0.0))
        assert np.array_equal(work.reading.probability, work.reading.alone)
        assert "exactly the answer" in results.dial(work)
        turned = desk.judged(ANN, values(network=network))
        assert np.abs(turned.reading.probability - turned.reading.alone).max() > 1e-3
    assert "no dial" in results.dial(desk.judged(ANN, values(network="tokens")))
    assert results.dial(desk.judged(ANN, values(network="off"))) == results.ALWAYS
    table = results.walk(desk.judged(ANN, values()), desk.work(ANN, values()))
    assert table.count("<tr>") == 1 + len(results.DIALS)


def test_a_swapped_picture_keeps_the_words_and_moves_the_answer(desk):
    work = desk.judged(ANN, values(told=CHEST))
    assert work.swapped
    assert not np.array_equal(work.reading.probability, work.own.probability)
    assert np.array_equal(work.own.probability, desk.judged(ANN, values()).reading.probability)
    assert len(results.bars(work)["series"]) == 3
    assert "Chest-radiograph-like phantom" in results.verdict(work)
    assert "orange" in results.gates(work, "delta", None)[0]
    assert results.NO_OTHER in results.gates(desk.judged(ANN, values()), "delta", None)[0]
    blind = desk.judged(ANN, values(network="off", told=CHEST))
    assert np.array_equal(blind.reading.probability, blind.own.probability)
    assert "still drawn on this one" in drawn(desk, ANN, (False, *values(told=CHEST)))[1]
    assert another(Shown(ONE), None).id != ONE
    told = [another(Shown(ONE), None)]
    for _ in scan.examples()[2:]:
        told.append(another(Shown(ONE), told[-1]))
    assert ONE not in {one.id for one in told}
    assert len(set(told)) == len(scan.examples()) - 1


def test_parts_left_out_by_hand_are_named_and_a_network_trained_so_is_offered(desk):
    keys = desk.judged(ANN, values(parts=["keys"]))
    assert "without values, feed-forward units" in results.verdict(keys)
    assert "choose “Keys alone”" in results.verdict(keys)
    assert keys.reading.change["values"].max() == keys.reading.change["units"].max() == 0
    last = desk.judged(ANN, values(layers=[3], terms=["learned"]))
    assert last.reading.layers == (3,)
    assert np.allclose(last.reading.gate, last.reading.level)
    assert "without cosine, layer 2" in results.verdict(last)
    nothing = desk.judged(ANN, values(parts=[]))
    assert np.array_equal(nothing.reading.probability, nothing.reading.alone)
    assert "language model alone" in results.weights(nothing)
    assert results.NO_GATES in results.gates(nothing, "gate", None)[0]
    assert [twin("notes", TASKS["notes"].config(arm)) for arm in ("paper", "no_rescale", "last")] == ["paper", "no_rescale", "last"]


def test_a_network_not_trained_to_outline_lets_mits_own_answer_and_says_so(desk):
    work = desk.work(ANN, values(network="ffn"))
    assert work.predictor.arm == "full"
    assert "was not trained for this question" in results.outline_verdict(work)


def test_the_phrase_outlines_follows_the_threshold_and_knows_its_truth(desk):
    sizes = [int(desk.work(ANN, values(threshold=t)).mask.sum()) for t in (0.05, 0.5, 0.95)]
    assert sizes[0] >= sizes[1] >= sizes[2]
    assert sizes[0] > sizes[2]
    canvas, said = drawn(desk, ANN, (True, *values(threshold=0.05)))
    assert canvas.props["given"]["segments"]
    assert canvas.props["heat"]["rows"] <= 86
    assert "Outlined" in said
    work = desk.work(ANN, values(TWO))
    larger, other = (scan.truth_of_phrase(text)(work.scan)[0] for text in (PHRASE, "the dark lesion"))
    assert larger.sum() > other.sum() > 0
    assert not (larger & other).any()
    assert scan.truth_of_phrase("the purple lesion")(work.scan)[0] is None
    assert drawn(desk, ANN, (False, *values(phrase=" ")))[0].props["given"]["segments"] == []


def test_unknown_words_are_marked_and_empty_boxes_wait(desk):
    assert "<mark>purple</mark>" in results.verdict(desk.judged(ANN, values(note="one purple lesion")))
    assert "<mark>purple</mark>" in drawn(desk, ANN, (False, *values(phrase="the purple lesion")))[1]
    assert "<b>x" not in results.verdict(desk.judged(ANN, values(note="one <b>x</b> lesion")))
    assert "Write a note" in judged(desk, ANN, ("gate", None, *values(note="  ")))[1]
    with pytest.raises(gr.Error, match="Shorten"):
        judged(desk, ANN, ("gate", None, *values(note="mass " * 90)))


def test_what_is_brushed_by_hand_is_measured_and_the_numbers_are_taken_along(desk):
    made = desk.scan(ANN, Shown(TWO))
    mask = np.zeros(made.size, bool)
    mask[10:30, 40:90] = True
    marks = {"picture": made.id, "size": list(made.size), "segments": [Segment(0, "s", mask).for_browser()]}
    assert "Dice" in MEASURES.now(desk, ANN, (Shown(TWO), marks, None, PHRASE))
    files = dict(contents(desk.context, ANN, outlined(desk, ANN, (marks, *values(TWO))), "mit"))
    assert files["mit-segmentation.dcm"]
    assert PHRASE.encode() in files["mit.json"]
    table, record = taken(desk, desk.judged(ANN, values(dial=0.5)))
    rows = list(csv.reader(io.StringIO(table.decode())))
    assert len(rows) == 1 + 8
    told = json.loads(record)
    assert told["dial"] == 0.5
    assert told["parts"]["layers"] == [2, 3]
    assert len(told["language_model_alone"]) == 3


def test_compare_asks_every_network_and_costs_are_measured(desk):
    chart, table = noted(desk, ANN, values())
    assert len(chart.props["data"]["series"]) == len(TASKS["notes"].arms)
    assert ">0 %<" in table  # the text alone does not move
    pictures = outlines(desk, ANN, None, values(TWO))
    assert pictures.count("<img") == len(TASKS["outline"].arms)
    assert "overlap (IoU)" in pictures
    cost = costs(desk, ANN, values())
    assert [SHORT[arm] in cost for arm in ("full", "off", "tokens")] == [True] * 3
    assert cost.count(" ms") == 3
    infused, alone, before = (item["value"] for item in reckoned(60)["items"])
    assert alone < infused < 1.01 * alone
    assert before > 8 * alone


def test_every_example_offers_notes_and_phrases_and_names_are_complete(desk):
    for example in scan.examples():
        picture = desk.scan(ANN, Shown(example.id)).picture
        assert len(scan.notes_to_try(picture)) >= 3
        assert len(scan.phrases_to_try(picture)) >= 3
    first = desk.scan(ANN, Shown(ONE)).picture
    assert {scan.truth_of_note(first, note)[0] for note in scan.notes_to_try(first)} == {"agree", "contradict", "unrelated"}
    assert ONE.endswith(".png")
    assert set(SHORT) == set(ARMS) <= set(labels())
    assert METHOD.id == "mit"
