"""Compare: the part of the slide that Explore shows, predicted by every network side by side, for one gene; and one spot's profile by all of them."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from models.m2ost.arms import ARMS
from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.charts import Heat, heat_overlay, heats_data
from workbench.parts.events import EVENT
from workbench.parts.look_panels import jpeg_url
from workbench.parts.slide_viewer import read as read_view
from workbench.tabs.m2ost.desk import DESKS, Desk, is_example
from workbench.tabs.m2ost.names import UNIT

SIDE = 18
"""Spots a side of the compared field."""
FIRST = ("full", "level0", "level2", "no_ctmm")
PICTURE_PX = 420
LEAST = 6
WAITING = "Opens with the part of the slide that the Explore drawer shows."


def compare(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    desk = DESKS.of(site)
    gr.Markdown("#### One field of the slide in Explore, predicted by several networks", container=False)
    with gr.Row(elem_classes="lb-controls"):
        arms = gr.CheckboxGroup(
            [(arm.title, arm.id) for arm in ARMS.values()], value=list(FIRST), label="Networks", elem_id="m2ost_compare_arms", scale=4
        )
        gene = gr.Dropdown(
            genes(method), value=None, label="Gene (empty: the one chosen in Explore)", elem_id="m2ost_compare_gene", scale=2, min_width=240
        )
    maps = heat_overlay(elem_id="m2ost_compare_maps", empty=WAITING, asks=True)
    table = html.show("", elem_id="m2ost_compare_table")

    def ask(request: gr.Request, arms: list[str], gene: str | None, value: Any, *values: Any) -> list[Any]:
        try:
            return compared(desk, request, arms, gene, value, values)
        except ValueError as refused:
            return [gr.HTML(data={"empty": str(refused)}), ""]

    for event in (maps.opened, arms.input, gene.input):
        event(ask, [arms, gene, desk.viewer, *desk.inputs], [maps, table], **EVENT | {"show_progress": "minimal"})


def genes(method: Method) -> list[str]:
    """Names of the shipped networks' genes."""
    from models.shared.checkpoints import CheckpointRefused, read_card

    try:
        return [row["name"] for row in read_card(method.card).extra["genes"]]
    except (FileNotFoundError, CheckpointRefused, KeyError):
        return []


def compared(desk: Desk, request: Any, arms: list[str], gene: str | None, value: Any, values: Any) -> list[Any]:
    """Data of the maps, and a table. ValueError with a sentence."""
    from models.m2ost.grid import SpotGrid
    from models.m2ost.wrapper import load_predictor

    asked, looked = desk.asked(values), read_view(value)
    facts = desk.context.slides.get(request, asked.slide)
    if not facts.mpp:
        raise ValueError("The size of a pixel is not known for this slide; give it under the slide in Explore.")
    chosen = [arm for arm in ARMS if arm in arms]
    if not chosen:
        raise ValueError("Choose at least one network.")
    source = desk.context.slides.source(request, asked.slide)
    left, top, width, height = looked.window or (0, 0, facts.width, facts.height)
    side, columns, rows = max(width, height), SIDE, SIDE  # a square around what is in sight, as the maps' panels are squares
    left, top, width, height = round(left + (width - side) / 2), round(top + (height - side) / 2), side, side
    xy = np.stack(
        np.meshgrid(left + (np.arange(columns) + 0.5) * width / columns, top + (np.arange(rows) + 0.5) * height / rows), -1
    ).reshape(-1, 2)
    xy = xy[on_tissue := _on_tissue(source, xy)]
    if len(xy) < LEAST:
        raise ValueError("Hardly any tissue is in sight in Explore; move the slide there until there is some.")
    grid = SpotGrid(xy.astype(np.float32), 55.0 / facts.mpp, facts.mpp)
    found: dict[str, np.ndarray] = {}
    predictor = None
    for arm in chosen:
        predictor = load_predictor(arm, device=desk.context.find_device())
        made = np.zeros((len(xy), len(predictor.genes)), np.float32)
        for chunk in predictor.predict(source, grid, np.arange(len(xy))):
            made[chunk.indices] = chunk.values
        found[arm] = made
    names = [one.name for one in predictor.genes]
    place = names.index(gene or looked.gene) if (gene or looked.gene) in names else 0
    low, high = predictor.genes[place].limits
    truth = _truth(facts, xy)
    maps = {ARMS[arm].title: found[arm][:, place] for arm in chosen}
    if truth is not None:
        maps = {"Planted truth": truth[:, place]} | maps
    heats = [
        Heat(
            title,
            _spread_out(np.clip(one - low, 0, high - low), on_tissue).reshape(rows, columns),
            _note(title, one, None if truth is None else truth[:, place]),
        )
        for title, one in maps.items()
    ]
    picture = source.read(left, top, width, height, out=(PICTURE_PX, max(1, round(PICTURE_PX * height / width))))
    about = f"{names[place]}: from {low:g} (no colour) to {high:g} {UNIT}, one scale for all. {columns} × {rows} spots over the window of Explore, {width * facts.mpp / 1000:.2f} mm wide."
    if truth is None:
        about += " Nothing was measured on this slide, so nobody can say here which is right."
    return [
        gr.HTML(
            data=heats_data(jpeg_url(picture), "The field of the slide", heats, title=names[place], about=about, unit=f"above {low:g}")
        ),
        _table(found, truth, names),
    ]


def _on_tissue(source: Any, xy: np.ndarray) -> np.ndarray:
    """(N,) bool: which places lie on tissue; a network answers on bare glass as well, but the answer means nothing."""
    from models.m2ost.grid import tissue_mask

    mask, scale = tissue_mask(source)
    rows, columns = (np.clip((xy[:, axis] / scale).astype(int), 0, mask.shape[1 - axis] - 1) for axis in (1, 0))
    return mask[rows, columns] & (xy >= 0).all(1) & (xy[:, 0] < source.width) & (xy[:, 1] < source.height)


def _spread_out(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Values at their places of the whole field, 0 elsewhere."""
    made = np.zeros(len(where), np.float32)
    made[where] = values
    return made


def _truth(facts: Any, xy: np.ndarray) -> np.ndarray | None:
    """Planted log(1 + CPM) without counting noise at these places of the example; None on any other slide."""
    if not is_example(facts):
        return None
    from models.shared.data.histology import example
    from models.shared.data.histology.genes import log_means

    means = log_means(example.section(), xy * example.MPP)
    share = np.exp(means - means.max(1, keepdims=True))
    return np.log1p(1e6 * share / share.sum(1, keepdims=True)).astype(np.float32)


def _note(title: str, one: np.ndarray, truth: np.ndarray | None) -> str:
    if truth is None or title == "Planted truth":
        return ""
    from models.m2ost.measures import correlations

    return f"r = {correlations(one[:, None], truth[:, None])[0]:.2f} with the truth"


def _table(found: dict[str, np.ndarray], truth: np.ndarray | None, names: list[str]) -> str:
    """With truth: correlation by gene, local and context, of this field. Without: how far the networks agree with the whole method."""
    from models.m2ost.measures import correlations
    from models.shared.data.histology import GENES

    if truth is not None:
        group = np.array([gene.group for gene in GENES])
        scores = {arm: correlations(one, truth) for arm, one in found.items()}
        rows = [
            [html.text(ARMS[arm].title), f"{r.mean():.2f}", f"{r[group == 'local'].mean():.2f}", f"{r[group == 'context'].mean():.2f}"]
            for arm, r in scores.items()
        ]
        return html.card(
            "This field, all genes",
            html.table(["Network", "By gene", "Local genes", "Context genes"], rows),
            "<p>Against the planted truth before counting noise; one field says little, the Evidence drawer has the held-out sections.</p>",
        )
    if len(found) < 2:
        return ""
    first = next(iter(found))
    rows = [[html.text(ARMS[arm].title), f"{correlations(one, found[first]).mean():.2f}"] for arm, one in found.items() if arm != first]
    return html.card(
        f"Agreement with “{ARMS[first].title}” over this field", html.table(["Network", f"By gene, mean of {len(names)}"], rows)
    )
