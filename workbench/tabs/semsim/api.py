"""What programs may ask of this tab, with typed arguments. No file of the server is named: a picture is an example's id, or rows of grey values."""

from __future__ import annotations

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts.events import spoken
from workbench.parts.segments import encode
from workbench.tabs.semsim.desk import predictor_of
from workbench.tabs.semsim.names import SHIPPED
from workbench.tabs.semsim.scan import examples
from workbench.working_scan import given_pixels

FIRST = examples()[0].id


def publish(context: Context, method: Method) -> None:
    """Register the functions with the Blocks being built."""

    def semsim(
        request: gr.Request,
        picture: str = FIRST,
        pixels: list = [],
        network: str = "semsim",
        labelled: int = 0,
        tau: float = 0.95,
        t_aff: float = 0.1,
        t_cr: float = 0.1,
    ) -> dict:
        """Outline the structures of one slice, and tell what each pseudo-label would keep.

        Args:
            picture: Id of an example, used when no pixels are given.
            pixels: The picture itself, rows of grey values from 0 to 255.
            network: semsim, fixmatch, supervised, semsim_literal, or a part taken out.
            labelled: How many labelled slices it was trained with; 0: the fewest.
            tau: Confidence from which a pseudo-label counts.
            t_aff: Temperature of the affinity.
            t_cr: Temperature of the prototype query.

        Returns:
            Each structure's mask as run lengths in reading order (outside first), and the kept share of each pseudo-label.
        """
        with spoken():
            from models.semsim.results import Options

            values, _ = given_pixels(context, request, picture, pixels)
            predictor = predictor_of(context, request, SHIPPED, network, labelled)
            result = predictor.run(predictor.prepare(values), Options(tau=tau, t_aff=t_aff, t_cr=t_cr))
        masks = {name: encode(result.mask == number) for number, name in enumerate(predictor.structures, 1)}
        return {
            "size": list(result.mask.shape),
            "run_lengths": masks,
            "kept": {one.name: one.kept_fraction for one in result.pseudo},
            "network": predictor.arm,
            "labelled": predictor.labelled,
        }

    def semsim_affinity(
        request: gr.Request, row: int, column: int, picture: str = FIRST, pixels: list = [], temperature: float = 0.1
    ) -> dict:
        """Whom one pixel listens to: its row of the affinity, and what the labelled slices say of it.

        Args:
            row: Row of the pixel.
            column: Column of the pixel.
            picture: Id of an example, used when no pixels are given.
            pixels: The picture itself, rows of grey values from 0 to 255.
            temperature: 1 is the paper's equation as printed.

        Returns:
            The row as a grid of weights that add up to 1, the weight on each class, and cosines for each labelled slice and class.
        """
        with spoken():
            values, _ = given_pixels(context, request, picture, pixels)
            predictor = predictor_of(context, request, SHIPPED, "semsim", 0)
            prepared = predictor.prepare(values)
            found = predictor.affinity(prepared, (row, column), temperature)
            said = predictor.similarity(prepared, (row, column))
        return {
            "weights": [[round(float(v), 6) for v in line] for line in found.row],
            "by_class": dict(zip(predictor.classes, map(float, found.by_class), strict=True)),
            "evenness": found.entropy,
            "cosines": [[None if v != v else round(float(v), 5) for v in one] for one in said.values],
            "agreement": said.agreement,
        }

    for function in (semsim, semsim_affinity):
        gr.api(function, api_name=function.__name__, concurrency_id="model", concurrency_limit=1)
