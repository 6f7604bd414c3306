"""What programs may ask of this tab, with typed arguments: the same work the page does, under stable names."""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.tabs.m2ost.desk import Desk
from workbench.tabs.m2ost.names import UNIT

MOST_SPOTS = 2_000


def publish(desk: Desk) -> None:
    """Register the functions with the Blocks being built."""

    def m2ost_slides(request: gr.Request) -> list[dict]:
        """The slides you may ask about.

        Returns:
            A list of {"id", "title"}.
        """
        return [{"id": id, "title": title} for title, id in desk.context.slides.choices(request)]

    def m2ost(
        request: gr.Request,
        slide: str = "",
        window: list[float] = [],
        network: str = "full",
        views: list[int] = [0, 1, 2],
        pitch_um: float = 100.0,
        flips: bool = False,
    ) -> dict:
        """Predicted gene expression at spots of a whole slide. Research use only: predicted from the picture, not measured.

        Args:
            slide: id of a slide (see m2ost_slides); empty for the first one.
            window: x, y, width and height in full-resolution pixels; empty for the whole slide. At most 2,000 spots are answered.
            network: which trained network: full, levels01, level0, level1, level2, no_dpe, no_ctmm, no_ccmm or no_both.
            views: which views it is given: 0 the spot, 1 twice as wide, 2 four times.
            pitch_um: distance of the spots in micrometres.
            flips: mean over eight flips and turns.

        Returns:
            {"genes", "unit", "spots": [{"x", "y", "values"}]}.
        """
        import numpy as np

        from models.m2ost.wrapper import spot_grid

        known = desk.context.slides.choices(request)
        if not slide and not known:
            raise gr.Error("There is no slide here; upload one in the page first.", print_exception=False)
        try:
            if window and len(window) != 4:
                raise ValueError("window must be x, y, width and height, or empty.")
            asked = desk.asked([slide or known[0][1], network, views, pitch_um, flips, False])
            predictor, source, mpp = desk.network_and_slide(request, asked)
            grid = spot_grid(source, pitch_um=asked.pitch_um, mpp=mpp)
            xy = grid.xy
            rows = np.arange(len(xy))
            if window:
                x, y, w, h = (float(number) for number in window)
                rows = np.flatnonzero((xy[:, 0] >= x) & (xy[:, 0] < x + w) & (xy[:, 1] >= y) & (xy[:, 1] < y + h))
            if len(rows) > MOST_SPOTS:
                raise ValueError(
                    f"That are {len(rows):,} spots, more than the {MOST_SPOTS:,} answered at once; give a smaller window or a wider pitch."
                )
            values: dict[int, Any] = {}
            levels = [level for level in asked.levels if level in predictor.levels]
            for chunk in predictor.predict(source, grid, rows, levels=levels, flips=asked.flips):
                values |= dict(zip(chunk.indices.tolist(), chunk.values.tolist(), strict=True))
        except ValueError as refused:
            raise gr.Error(str(refused), print_exception=False) from None
        spots = [
            {"x": float(xy[row, 0]), "y": float(xy[row, 1]), "values": [round(value, 4) for value in values[row]]} for row in rows.tolist()
        ]
        return {"genes": [gene.name for gene in predictor.genes], "unit": UNIT, "spots": spots}

    gr.api(m2ost_slides, api_name="m2ost_slides", concurrency_limit=None)
    gr.api(m2ost, api_name="m2ost", concurrency_id="model", concurrency_limit=1)
