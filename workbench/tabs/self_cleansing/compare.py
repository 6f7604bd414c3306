"""Compare: the same scan through networks that learned from right, wrong and cleansed labels, and with one part of the method changed; and how each came about, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np

from models.shared.method import Method
from workbench.context import Context
from workbench.parts import html
from workbench.parts.events import EVENT, spoken
from workbench.parts.look_panels import jpeg_url
from workbench.parts.noise_board import Curve, curves, curves_data
from workbench.parts.outline_measures import amount, measures, reference_of, union
from workbench.tabs.self_cleansing.desk import DESKS, Desk, Work
from workbench.tabs.self_cleansing.names import COLOURS, SHORT, arm_choices, card_of, setting_words
from workbench.tabs.self_cleansing.scan import truth

SIDE_PX = 256
TINTS = np.array([(86, 180, 233), (230, 159, 0), (0, 158, 115)], np.float32)
CURVES = ("clean", "noisy", "cleansed")


def compare(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    desk = DESKS.of(site)
    gr.Markdown(
        "#### The scan of “Outline a scan” through every network\n"
        "All learned from the same pictures in the same order; what differs is their labels, or one part of the method. Choose other planted errors in Explore.",
        container=False,
    )
    table = html.show("", elem_id="self_cleansing_compare_table")
    chart = curves(elem_id="self_cleansing_memorised", asks=True)

    def ask(request: gr.Request, reference: Any, *values: Any) -> list[Any]:
        with spoken():
            return [compared(desk, request, reference, values), gr.HTML(data=memorised(method, values[1], values[2]))]

    inputs = [desk.reference, *desk.inputs]
    chart.opened(ask, inputs, [table, chart], **EVENT)
    for event in (desk.shown.change, desk.setting.change, desk.network.change):
        event(ask, inputs, [table, chart], **EVENT)


def places(desk: Desk, request: Any, network: str, setting: str) -> list[tuple[str, str]]:
    """(setting, arm) of what is compared: true labels, then the setting's networks, the method first."""
    facts = desk.facts(request, network)
    if network.startswith("job:"):
        return [("own", "cleansed")]
    clean = [("none", "clean")] if "clean" in facts["arms"].get("none", {}) and setting != "none" else []
    own = [(setting, arm) for _, arm in arm_choices(facts, setting)]
    return [*own[:1], *clean, *own[1:]]


def compared(desk: Desk, request: Any, kept: Any, values: Sequence[Any]) -> str:
    """The table; values as `Desk.inputs`."""
    shown, network, setting, _, model, smallest = values
    works = [desk.work(request, (shown, network, where, arm, model, smallest)) for where, arm in places(desk, request, network, setting)]
    reference, known = reference_of(works[0].scan, kept, truth)
    rows = [[_figure(work), html.text(SHORT.get(work.arm, work.arm)), _outlined(work), _fit(work, reference)] for work in works]
    head = ["Outline", "Network", "Outlined", f"Against the reference ({known})" if reference is not None else "Against a reference"]
    return html.table(head, rows)


def memorised(method: Method, network: str, setting: str) -> dict[str, Any]:
    """Test Dice after every epoch for true, wrong and cleansed labels."""
    from models.self_cleansing import insight
    from models.self_cleansing.results import OptionRefused

    card = card_of(method)
    lines = []
    for arm in CURVES:
        try:
            found = insight.curves(insight.epochs(card.extra if card else {}, network, "none" if arm == "clean" else setting, arm))
        except OptionRefused:
            continue
        lines.append(Curve(SHORT[arm], COLOURS[arm], found["epoch"], found["test"]))
    warmup = card.extra["tasks"].get(network, {}).get("training", {}).get("warmup") if card else None
    title = f"Dice on test pictures while training ({setting_words(setting)}; first training, no choice is made on it)"
    empty = "The card keeps no epochs of these trainings: of real pictures, and of your own, only the end is kept."
    return curves_data(lines, title=title, x="epoch", y="Dice", marks=[(warmup, "end of warm-up")] if warmup and lines else [], empty=empty)


def _figure(work: Work) -> str:
    pixels = work.scan.pixels
    canvas = (np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels).astype(np.float32)
    for number in range(1, int(work.result.mask.max()) + 1):
        inside = work.result.mask == number
        canvas[inside] += 0.5 * (TINTS[(number - 1) % len(TINTS)] - canvas[inside])
    step = max(1, round(max(canvas.shape[:2]) / SIDE_PX))
    words = f"{SHORT.get(work.arm, work.arm)}: the outline laid over the scan"
    return f'<img src="{jpeg_url(np.rint(canvas[::step, ::step]).astype(np.uint8))}" alt="{html.text(words)}" width="160">'


def _outlined(work: Work) -> str:
    found = measures(work.scan, work.segments())
    total = sum(one.area for _, one in found)
    return f"{len(found)} region{'s' * (len(found) > 1)}, {amount(total)} {found[0][1].unit}²" if found else "nothing"


def _fit(work: Work, reference: np.ndarray | None) -> str:
    if reference is None:
        return "bring a reference mask in Explore"
    import torch

    from models.shared.segmentation_metrics import dice

    now = union(work.segments(), reference.shape)
    value = float(dice(torch.from_numpy(now)[None], torch.from_numpy(reference)[None])[0]) if now.any() or reference.any() else 1.0
    return f"Dice {value:.3f}"
