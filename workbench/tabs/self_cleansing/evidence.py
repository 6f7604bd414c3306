"""Evidence: whether the bars set beforehand are reached, what the studies found, real data apart, and the whole card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from models.shared.checkpoints import Card, Metric
from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.evidence import evidence_drawer, number
from workbench.tabs.self_cleansing.names import LOWER, MEASURES, PLACES, SHORT, card_of, labels, setting_words

REAL = ("dice_last", "dice_best", "hd95_last", "picture_auroc", "label_dice_before", "label_dice_after")


def evidence(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    card = card_of(method)
    if card is not None:
        html.show(bars(card), elem_id="self_cleansing_bars")
        with gr.Accordion("What our studies found, sentence by sentence", open=False):
            html.show(html.card("Findings", html.bullets(card.extra["findings"])), elem_id="self_cleansing_found")
        html.show("".join(real(one, card) for one in card.extra["real"]), elem_id="self_cleansing_real")
    evidence_drawer(method, labels=labels(), lower_is_better=LOWER, paper_numbers=paper(card) if card else "")


def paper(card: Card) -> str:
    """The paper's own numbers as the abstract gives them."""
    rows = "; ".join(f"{one['what']} {one['value']}" for one in card.extra["paper"]["rows"])
    return f"{rows}. {card.extra['paper']['source']}"


def bars(card: Card) -> str:
    """The two bars of this room and how far each setting is from them."""
    limit, half = card.extra["bars"]["auroc"], card.extra["bars"]["recovered"]
    found = [[_place(one), _metric(card, one, "picture_auroc"), _met(one["picture_auroc"] >= limit)] for one in card.extra["detection"]]
    head = ["Planted errors", "AUROC (95 % interval over the trainings)", f"Bar: {limit:g}"]
    first = html.card(
        "Are wrong labels found?",
        "<p>How surely a wrongly labelled training picture is ranked above a rightly labelled one; 0.5 is guessing.</p>",
        html.table(head, found),
    )
    rows = [
        [
            _place(one),
            html.text(one["model"]),
            number(one["clean"]),
            number(one["noisy"]),
            number(one["cleansed"]),
            _share(one),
            _reached(one),
        ]
        for one in card.extra["recovered"]
    ]
    head = [
        "Planted errors",
        "Model",
        "True labels",
        "Wrong labels",
        "Cleansed",
        "Won back",
        f"Bar: {half:.0%}",
    ]
    note = (
        "<p>Overlap (Dice) on test pictures: what errors in the training labels cost, and how much of it cleansing wins back (small figures: 95 % interval, trainings and pictures redrawn). L: last epoch, B: best epoch on validation. Where "
        "errors cost next to nothing, there is nothing to win back, and no share is told.</p>"
    )
    return first + html.card("Is the segmentation won back?", note, html.table(head, rows))


def _place(one: Mapping[str, Any]) -> str:
    return f"{html.text(PLACES.get(one['task'], one['task']))}<br><small>{html.text(setting_words(one['setting']))}</small>"


def _metric(card: Card, one: Mapping[str, Any], name: str) -> str:
    metric = card.metrics.get(f"{one['task']}-{one['setting']}/{name}") or _real_metric(card, one, name)
    return number(one[name]) + (f" <small>{number(metric.low)} to {number(metric.high)}, n = {metric.n}</small>" if metric else "")


def _real_metric(card: Card, one: Mapping[str, Any], name: str) -> Metric | None:
    for section in card.extra["real"]:
        found = section["metrics"].get(f"{one['task']}-{one['setting']}/{name}")
        if found:
            return Metric.model_validate(found)
    return None


def _met(yes: bool) -> str:
    return "<span class='lb-good'>reached</span>" if yes else "<span class='lb-bad'>missed</span>"


def _share(one: Mapping[str, Any]) -> str:
    if one["share"] is None:
        return f"nothing to win back <small>(errors cost {number(one['lost'])})</small>"
    span = f" <small>{one['low']:.0%} to {one['high']:.0%}</small>" if one.get("low") is not None else ""
    return f"{one['share']:.0%}{span}".replace("-", "−")


def _reached(one: Mapping[str, Any]) -> str:
    return "–" if one["reached"] is None else _met(one["reached"])


def real(section: Mapping[str, Any], card: Card) -> str:
    """A real set: licence, how many pictures, and its numbers."""
    places: dict[str, dict[str, dict[str, Any]]] = {}
    for name, metric in section["metrics"].items():
        plain, _, arm = name.partition("@")
        place, _, measure = plain.rpartition("/")
        if measure in REAL:
            places.setdefault(f"{place}@{arm}", {})[measure] = metric
    told = [measure for measure in REAL if any(measure in found for found in places.values())]
    rows = []
    for key, found in places.items():
        place, _, arm = key.partition("@")
        setting = place.partition("-")[2]
        cells = [_value(found.get(measure)) for measure in told]
        rows.append(
            [
                f"{html.text(SHORT[arm or 'cleansed'])}<br><small>{html.text(setting_words(setting))}</small>",
                *cells,
            ]
        )
    ships = "Weights ship." if section["ships_weights"] else "Its licence lets no weights ship, so only numbers stand here."
    about = f"Real data. Licence: {section['licence']}. {section['n_train']} training, {section['n_validation']} validation and {section['n_test']} test pictures. {ships}"
    return html.card(
        f"Real data: {section['title']}",
        f"<p>{html.text(about)}</p><p><small>{html.text(section['note'])}</small></p>",
        html.table(["Trained on", *(MEASURES[one] for one in told)], rows),
    )


def _value(metric: Mapping[str, Any] | None) -> str:
    if metric is None:
        return "–"
    return f"{number(metric['value'])} <small>{number(metric['low'])} to {number(metric['high'])}, n = {metric['n']}</small>"
