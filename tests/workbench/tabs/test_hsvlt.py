"""What the HSVLT tab works out itself, with untrained networks: list, thresholds, shares, looks, other words, pieces taken away, growth, comparison, files."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from functools import lru_cache
from importlib import import_module
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import torch

from models.hsvlt import wrapper
from models.hsvlt.config import Config
from models.hsvlt.findings import FINDINGS
from models.hsvlt.labels import label_vectors
from models.hsvlt.plan import ARMS, TASKS
from models.hsvlt.training import build
from workbench.context import Context
from workbench.parts.pixel_probe import Place
from workbench.pictures import Shown
from workbench.tabs.hsvlt import experiments, results
from workbench.tabs.hsvlt.desk import Desk
from workbench.tabs.hsvlt.evidence import real
from workbench.tabs.hsvlt.explore import answered, taken
from workbench.tabs.hsvlt.names import SCALES, labels
from workbench.tabs.hsvlt.scan import examples, truth
from workbench.visitors import COOKIE

compare = import_module("workbench.tabs.hsvlt.compare")  # the package gives its drawer that name
ANN = SimpleNamespace(cookies={COOKIE: "a" * 32})
SOME = ("full", "random_labels", "text_to_vision", "topdown")
FIRST, FOREIGN = examples()[0].id, next(one.id for one in examples() if not one.id.startswith("asset:chest"))
NODULE = "small nodule"


@lru_cache(maxsize=8)
def load(arm="full", *, path=None, device="cpu"):
    """An untrained network whose way back from words is no longer nothing."""
    vectors = label_vectors(FINDINGS, ARMS[arm].vectors)
    net = build(TASKS["findings"].config(ARMS[arm], vectors.shape[1]), 0)
    with torch.no_grad():
        for name, value in net.named_parameters():
            if "back.out" in name:
                value.copy_(torch.eye(len(value)))
    return wrapper.Predictor(net, vectors, FINDINGS, arm)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    from workbench.jobs import JobManager
    from workbench.settings import Settings

    home = tmp_path_factory.mktemp("home")
    context = Context(Settings(home=home, warm=False), JobManager(home / "workspace", warm=False))
    for example in examples():
        context.pictures.offer(example)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wrapper, "load_predictor", load)
        patch.setattr("workbench.tabs.hsvlt.names.card", lambda: SimpleNamespace(extra={"arms": dict.fromkeys(SOME)}))
        yield Desk(context, *[None] * 7)
    context.close()


def values(id=FIRST, arm="full", threshold=0.5, own=None, asked=FINDINGS, scales=SCALES):
    return Shown(id), arm, threshold, own or {}, list(asked), list(scales)


def test_an_answer_reaches_list_verdict_shares_maps_and_words(desk):
    listed, verdict, shares, looks, words = answered(desk, ANN, (False, NODULE, *values()))
    items = listed.props["data"]["items"]
    assert [one["label"].split(" · ")[0] for one in items] == list(FINDINGS)
    assert all(one["marks"][0]["value"] == 0.5 for one in items)
    assert "This phantom truly has" in verdict
    bars = shares.props["data"]["items"]
    assert [one["label"] for one in bars[:4]] == [f"Scale {k}" for k in SCALES]
    work = desk.work(ANN, values())
    assert sum(one["value"] for one in bars) == pytest.approx(work.answer.logit[FINDINGS.index(NODULE)], abs=1e-3)
    assert [(one["rows"], one["columns"]) for one in looks.props["data"]["panels"]] == [(24, 24), (12, 12), (6, 6), (3, 3)]
    assert words.count("<table") == 2
    stepped = results.looks(work, NODULE, True)["panels"]
    assert [one["title"] for one in stepped] == [
        "Block 1, scale 1",
        "Block 2, scale 2",
        "Block 3, scale 3",
        "Block 4, scale 3",
        "Block 5, scale 4",
    ]
    assert all("gate" in one["note"] for one in stepped)


def test_thresholds_for_all_and_for_one_decide_what_is_reported(desk):
    assert desk.work(ANN, values(threshold=0.0)).reported == FINDINGS
    one = desk.work(ANN, values(threshold=1.0, own={NODULE: 0.0}))
    assert one.reported == (NODULE,)
    assert f"Reported: <b>{NODULE}</b>" in results.verdict(one)
    table = compare.rated(desk, "full", 1.0, 0, {NODULE: 0.0})
    assert "0.00" in table
    assert "100 %" in table  # at a threshold of nought whatever is there is found
    assert table.count("nothing reported") == len(FINDINGS) - 1


def test_leaving_findings_out_moves_nothing_but_with_words_written_back_it_does(desk):
    plain = desk.work(ANN, values(asked=(NODULE, "band")))
    assert plain.moved < 1e-5
    assert "0.0000 %" in results.verdict(plain)
    assert desk.work(ANN, values(arm="text_to_vision", asked=(NODULE, "band"))).moved > 1e-4
    assert desk.work(ANN, values()).moved is None
    gone = results.shares(plain, "cavity")
    assert "not among the findings" in gone["empty"]
    assert "at least two" in results.semantics(desk.work(ANN, values(asked=(NODULE,))), NODULE)
    with pytest.raises(gr.Error, match="Choose at least one"):
        answered(desk, ANN, (False, NODULE, *values(asked=())))


def test_a_scale_left_out_by_hand_takes_its_share_away(desk):
    whole, without = desk.work(ANN, values()), desk.work(ANN, values(scales=(1, 2, 4)))
    assert np.allclose(whole.answer.logit - whole.answer.contributions[:, 2], without.answer.logit, atol=1e-5)
    assert "scale 3 adds nothing" in results.verdict(without)
    assert results.shares(desk.work(ANN, values(arm="topdown")), NODULE)["empty"] == results.NO_SHARES


def test_own_words_ask_with_another_vector_and_the_findings_name_with_its_own(desk):
    work = desk.work(ANN, values())
    same = work.predictor.reworded(work.prepared, NODULE, NODULE)
    assert same.probability == pytest.approx(same.own, abs=1e-6)
    assert same.cosine == pytest.approx(1, abs=1e-5)
    assert same.nearest == NODULE
    other = work.predictor.reworded(work.prepared, NODULE, "a <b>large</b> dark tumour")
    assert other.cosine < 0.999
    assert other.probability != same.probability
    assert results.reworded(work, NODULE, other)["items"][1]["value"] == pytest.approx(other.probability, abs=1e-4)
    maps = results.reworded_looks(work, NODULE, other)["panels"]
    assert len(maps) == 2
    for text, arm, sentence in (("…", "full", "Write a few words"), ("a spot", "random_labels", "without words")):
        with pytest.raises(wrapper.PictureRefused, match=sentence):
            load(arm).reworded(work.prepared, NODULE, text)


def test_a_piece_pointed_at_is_blurred_and_every_finding_asked_again(desk):
    work = desk.work(ANN, values())
    height, width = work.scan.size
    probe, gauges = experiments.pieced(work, Place(work.scan.id, width // 2, height // 2, 3), 24, NODULE)
    answer = probe.props["answer"]
    assert (answer["seq"], answer["rows"], answer["pixel"]) == (3, 48, [23, 23])
    assert f"“{NODULE}” with this piece blurred" in answer["note"]
    assert len(gauges.props["data"]["items"]) == len(FINDINGS)
    _, corner = work.predictor.covered(work.prepared, (0.0, 1.0), patch=8)
    assert corner[:8, -8:].all()
    assert corner.sum() == 64
    late = experiments.pieced(work, Place("another", 1, 1, 4), 24, NODULE)
    assert all(one == gr.skip() for one in late)
    maps = results.occluded(work, NODULE, 24)
    assert [one["rows"] for one in maps["panels"][1:]] == [7, 7]
    assert "looked most" in maps["about"]


def test_a_grown_finding_has_a_curve_for_each_scale_and_its_pictures(desk):
    curve, scales, table = experiments.grown(desk.work(ANN, values()), NODULE, 0)
    assert curve.props["data"]["lines"][0]["x"] == list(results.SIZES)
    assert len(scales.props["data"]["lines"]) == 4
    assert table.count("<img") == len(results.SIZES)
    assert experiments.grown(desk.work(ANN, values(arm="topdown")), NODULE, 0)[1].props["data"]["empty"] == results.NO_SHARES


def test_compare_asks_every_network_and_counts_on_fresh_pictures(desk, monkeypatch):
    monkeypatch.setattr(compare, "PICTURES", 12)
    compare._scores.cache_clear()
    decided, table = compare.compared(desk, ANN, values(threshold=0.0))
    there = truth(Shown(FIRST))
    assert [one["label"] for one in decided.props["data"]["items"]] == [
        "HSVLT",
        "Labels without words",
        "Words write back",
        "Decoder along the list",
    ]
    assert {one["text"] for one in decided.props["data"]["items"]} == {
        f"{len(there)} of 8 right"
    }  # at a threshold of nought all are reported
    assert f"Truly there: {', '.join(there)}" in decided.props["data"]["about"]
    assert table.count("<b>") == len(SOME) * len(FINDINGS)
    foreign, _ = compare.compared(desk, ANN, values(FOREIGN, threshold=1.0))
    assert foreign.props["data"]["items"][0]["text"] == "0 reported"
    table = compare.rated(desk, "full", 0.02, 3)
    assert table.count("<tr") == 1 + len(FINDINGS)
    compare._scores.cache_clear()


def test_files_hold_every_share_and_their_stamp(desk):
    table, record = taken(desk, desk.work(ANN, values(own={NODULE: 0.25})))
    rows = list(csv.DictReader(io.StringIO(table.decode())))
    assert [row["finding"] for row in rows] == list(FINDINGS)
    for row in rows:
        assert sum(float(row[f"scale_{k}"]) for k in SCALES) + float(row["bias"]) == pytest.approx(float(row["logit"]), abs=1e-4)
    told = json.loads(record)
    assert told["made_by"]["method"] == "hsvlt"
    assert told["findings"][FINDINGS.index(NODULE)]["threshold"] == 0.25


def test_foreign_pictures_are_called_so_and_names_are_known(desk):
    assert truth(Shown(FOREIGN)) is None
    assert "means nothing" in results.verdict(desk.work(ANN, values(FOREIGN)))
    assert set(labels()) >= {"findings", "brain", "busi", "", "stage_4", "map", "map_smallest", "shipped_map", "ap_small_nodule"}
    found = {"title": "Set <i>", "n": 9, "metrics": {"busi/map@stage_4": {"value": 0.5, "low": 0.4, "high": 0.6}}}
    assert "0.500 (0.400 to 0.600)" in real(found)
    assert "<i>" not in real(found)
    assert Config().labels == len(FINDINGS)


def test_the_tab_is_laid_out_without_libraries_that_compute():
    heavy = ["torch", "sklearn", "scipy", "matplotlib.pyplot", "pydicom", "nibabel"]
    code = f"import sys, workbench.tabs.hsvlt, models.hsvlt.record; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
