"""The Evidence drawer: cards with foreign text, numbers as people read them, what is bold, what is said where no card can be trusted."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import escape, unescape

import gradio as gr
import pytest

from models.shared.checkpoints import Card, DatasetUse, Metric
from models.sofim import METHOD
from workbench.parts.evidence import evidence_drawer, number

FOREIGN = """<script>alert('1')</script> & "x" """
LOWER = ("test_loss", "steps_to")


def metric(value, half=0.0, **more):
    made = {"value": value, "low": value - half, "high": value + half, "n": 5, "interval": "t over 5 seeds"}
    return Metric(**{**made, **more})


def card_of(metrics, **more):
    use = DatasetUse(name="d", title="Digits", kind="real", licence="CC0", n_train=10, n_validation=2, n_test=5, note="Not medical.")
    made = {"method": "sofim", "title": "SOFIM", "config": {}, "datasets": (use,), "recipe": "python -m models train sofim"}
    made |= {"seed": 0, "seconds": 90.0, "hardware": "2 cores", "parameters": 4810, "trained_parameters": 4810, "metrics": metrics}
    return Card(**{**made, **more})


@pytest.fixture
def drawer(tmp_path, monkeypatch):
    """`drawer(card or text)`: all markup of the drawer over that card; None for no card at all."""
    monkeypatch.setattr("models.shared.method.assets_dir", lambda: tmp_path)

    def draw(card, method=METHOD, labels=None, paper="None read."):
        if card is not None:
            method.card.parent.mkdir(exist_ok=True)
            method.card.write_text(card if isinstance(card, str) else card.model_dump_json())
        with gr.Blocks() as page:
            evidence_drawer(method, labels=labels or {}, lower_is_better=LOWER, paper_numbers=paper)
        return [block.value for block in page.blocks.values() if isinstance(block, gr.HTML)]

    return draw


def bold(markup):
    return re.findall(r'<span class="lb-best">(.*?)</span>', markup)


def rows(markup):
    """Cells of each row of a table, tags taken out."""
    found = re.findall(r"<tr[^>]*>(.*?)</tr>", markup)
    return [[unescape(re.sub("<[^>]+>", "", cell)) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in found]


# -- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (-0.0, "0"),
        (0.95, "0.9500"),
        (0.98607, "0.9861"),
        (1.0, "1.000"),
        (-0.5, "−0.5000"),
        (0.062142, "0.0621"),
        (-0.0123, "−0.0123"),
        (0.001, "0.00100"),
        (0.00012345, "1.23e−04"),
        (-3e-9, "−3.00e−09"),
        (5e-324, "4.94e−324"),
        (12.345, "12.3"),
        (123.4, "123"),
        (43290, "43,290"),
        (-1234.4, "−1,234"),
        (99_999.4, "99,999"),
        (123_456, "1.23e+05"),
        (1.7e308, "1.70e+308"),
        (9.9996, "10.00"),
        (99.96, "100"),
        (0.09996, "0.100"),
        (0.99999, "1.000"),
    ],
)
def test_numbers_as_people_read_them(value, shown):
    assert number(value) == shown


# -- the tables -------------------------------------------------------------------------------------------------------


def test_the_best_of_each_column_is_bold_in_the_direction_of_its_measure(drawer):
    card = card_of(
        {
            "digits/test_accuracy": metric(0.96, 0.01),
            "digits/test_loss": metric(0.2),
            "digits/steps_to_test_loss": metric(60.0, unit="steps"),
            "digits/test_accuracy@adam": metric(0.95, 0.02),
            "digits/test_loss@adam": metric(0.1),
            "digits/steps_to_test_loss@adam": metric(40.0, unit="steps"),
            "digits/test_accuracy@sgd": metric(0.96, 0.03),
        }
    )
    (table,) = [markup for markup in drawer(card) if "<table>" in markup]
    assert rows(table) == [
        ["Method", "test accuracy", "test loss", "steps to test loss"],
        ["", "0.9600 0.9500 to 0.9700", "0.2000", "60"],
        ["adam", "0.9500 0.9300 to 0.9700", "0.1000", "40"],
        ["sgd", "0.9600 0.9300 to 0.9900", "–", "–"],
    ]
    assert bold(table) == ["0.9600", "0.1000", "40", "0.9600"]
    assert '<tr class="lb-own">' in table


def test_labels_name_arms_measures_and_tasks(drawer):
    labels = {"": "SOFIM", "adam": "ADAM", "loss": "Test loss", "digits": "Handwritten digits"}
    pieces = drawer(card_of({"digits/loss": metric(0.5, unit="nats"), "digits/loss@adam": metric(0.4, unit="nats")}), labels=labels)
    (table,) = [markup for markup in pieces if "<table>" in markup]
    assert "<h3>Handwritten digits (real data)</h3>" in table
    assert [row[0] for row in rows(table)] == ["Method", "SOFIM", "ADAM"]
    assert rows(table)[0][1] == "Test loss (nats)"


def test_the_footnote_says_how_each_interval_was_made(drawer):
    metrics = {
        "a/acc": metric(0.5, 0.1, n=114, interval="Wilson"),
        "a/steps": metric(50.0, 10.0, interval="range over 5 seeds", unit="steps"),
        "a/once": metric(3.0, n=1, interval="none, one run"),
    }
    (table,) = [markup for markup in drawer(card_of(metrics)) if "<table>" in markup]
    assert "Small figures: 95 % interval (Wilson); range over 5 seeds; n = 1 to 114." in table
    (single,) = [markup for markup in drawer(card_of({"a/once": metrics["a/once"]})) if "<table>" in markup]
    assert "<small>n = 1. Bold" in single


def test_in_short_counts_where_the_method_is_best_and_where_a_rival_is_clearly_better(drawer):
    metrics = {
        "a/test_loss": metric(0.2, 0.01), "a/test_loss@adam": metric(0.3, 0.01),
        "b/test_loss": metric(0.2, 0.01), "b/test_loss@adam": metric(0.1, 0.01),
        "c/test_loss": metric(0.2, 0.1), "c/test_loss@adam": metric(0.1, 0.1),
        "d/test_loss": metric(0.2, 0.01),
    }  # fmt: skip
    first = drawer(card_of(metrics))[0]
    assert "test loss: SOFIM has the best value on 1 of 3 tasks; on 1 a rival is better with intervals apart." in first
    assert "In short" not in drawer(card_of({"a/loss": metric(0.2)}))[0]


# -- phantoms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (("phantom", "phantom"), "(phantoms, not patients)"),
        (("real", "real"), "(real data)"),
        (("real", "phantom"), "(real data; phantoms, not patients)"),
    ],
)
def test_phantoms_are_called_phantoms(drawer, kinds, words):
    metrics = {"spheres/dice": metric(0.9, kind=kinds[0]), "spheres/dice@unet": metric(0.8, kind=kinds[1])}
    (table,) = [markup for markup in drawer(card_of(metrics)) if "<table>" in markup]
    assert f"<h3>spheres {words}</h3>" in table


def test_phantom_data_are_called_so_where_the_data_are_listed(drawer):
    use = DatasetUse(name="s", title="Spheres", kind="phantom", licence="CC0", n_train=1, n_validation=1, n_test=1)
    text = "".join(drawer(card_of({"s/dice": metric(0.9, kind="phantom")}, datasets=(use,))))
    assert "Spheres (phantoms, not patients, 1 train, 1 validation, 1 test, CC0)" in text
    assert "real data" not in text


# -- foreign text and broken cards ------------------------------------------------------------------------------------


def test_no_text_of_a_card_or_method_becomes_markup(drawer):
    use = DatasetUse(name=FOREIGN, title=FOREIGN, kind="real", licence=FOREIGN, n_train=1, n_validation=1, n_test=1, note=FOREIGN)
    one = metric(0.5, 0.1, unit=FOREIGN, interval=FOREIGN)
    plain = FOREIGN.replace("/", "|")  # a slash parts task and measure
    card = card_of(
        {f"{plain}/{plain}": one, f"{plain}/{plain}@{plain}": one}, title=FOREIGN, datasets=(use,), recipe=FOREIGN, hardware=FOREIGN,
        notes=FOREIGN, loses=(FOREIGN,), created=FOREIGN, version=FOREIGN, sha256=FOREIGN,
    )  # fmt: skip
    paper = replace(METHOD.paper, title=FOREIGN, authors=(FOREIGN,), venue=FOREIGN, read=FOREIGN)
    pieces = drawer(card, replace(METHOD, title=FOREIGN, paper=paper), paper=FOREIGN)
    text = "".join(pieces)
    assert len(pieces) == 5
    assert "<script" not in text
    assert text.count(escape(FOREIGN)) >= 15
    assert text.count(escape(plain)) >= 3


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        (None, "The card sofim.json is not here"),
        ("", "The card sofim.json cannot be read: the file as a whole"),
        ("{", "The card sofim.json cannot be read: the file as a whole"),
        ("[]", "The card sofim.json cannot be read"),
        ('{"<script>": 1}', "The card sofim.json cannot be read"),
    ],
)
def test_without_a_card_that_can_be_trusted_there_is_one_sentence(drawer, card, sentence):
    (markup,) = drawer(card)
    assert "<h3>No evidence yet</h3>" in markup
    assert sentence in markup
    assert "python -m models train sofim" in markup
    assert "<script" not in markup


@pytest.mark.parametrize(
    "change",
    [
        {"seconds": "soon"},
        {"unknown<script>": 1},
        {"metrics": {"a/b": {"value": 0.5, "low": 0.6, "high": 0.4, "n": 1, "interval": ""}}},
        {"metrics": {"a/b": {"value": None, "low": 0, "high": 0, "n": 1, "interval": ""}}},
        {"parameters": -1},
        {"format": 2},
    ],
)
def test_a_card_that_somebody_changed_into_nonsense_is_refused_with_one_sentence(drawer, change):
    record = json.loads(card_of({"a/b": metric(0.5)}).model_dump_json())
    (markup,) = drawer(json.dumps(record | change))
    assert "The card sofim.json cannot be read: " in markup
    assert "<script" not in markup
