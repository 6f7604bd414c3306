"""What programs may ask of this tab, with typed arguments. No file of the server is named: a picture is an example's id, or rows of grey values."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from models.neural_tuning.plan import OWN
from workbench.context import Context
from workbench.parts.events import spoken
from workbench.parts.segments import encode
from workbench.tabs.neural_tuning.desk import MAX_TEXT, load
from workbench.tabs.neural_tuning.names import LAYERS, TASK_WORDS, TRAINED, arms
from workbench.tabs.neural_tuning.scan import examples
from workbench.working_scan import given_pixels

FIRST = examples()[0].id


def publish(context: Context) -> None:
    """Register the functions with the Blocks being built."""

    def neural_tuning(
        request: gr.Request,
        text: str,
        picture: str = FIRST,
        pixels: list = [],
        network: str = OWN,
        rho: float = TRAINED.rho,
        alpha: float = TRAINED.alpha,
        threshold: float = 0.5,
    ) -> dict:
        """Describe, outline, reason or draw, as a request asks.

        Args:
            text: The request, such as "outline the larger lesion"; sides are the patient's.
            picture: Id of an example, used when no pixels are given.
            pixels: The picture itself, rows of grey values from 0 to 255.
            network: full, or one of the shipped networks with a part changed, such as stn_off or probe.
            rho: Share of the neurons that is active for each token, above 0 up to 1.
            alpha: How much a layer keeps of the neurons below, 0 to 1.
            threshold: Probability above which a pixel is outlined, 0 to 1.

        Returns:
            The answer, its tokens, each outline as run lengths in reading order (outside first), the captions of the pictures nearest to what was drawn, and how often each neuron fired.
        """
        with spoken():
            values, _ = given_pixels(context, request, picture, pixels)
            predictor = load(network if network in arms() else OWN, context.find_device())
            dials = {"rho": None if rho == TRAINED.rho else float(rho), "alpha": None if alpha == TRAINED.alpha else float(alpha)}
            said = predictor.answer(predictor.prepare(values), str(text)[:MAX_TEXT], **dials)
        return {
            "network": predictor.arm,
            "answer": said.text,
            "tokens": list(said.strip),
            "size": list(values.shape[:2]),
            "outlines": [encode(one > float(threshold)) for one in said.outlines],
            "nearest": [one.caption for one in said.nearest],
            "shown_the_picture": said.looked,
            "unknown_words": list(said.unknown),
            "fires": [] if said.neurons is None else _plain((said.neurons.a > 0).mean(0)),
        }

    def raster(network: str = OWN, rho: float = TRAINED.rho) -> dict:
        """How often each neuron fires in each task, counted on 16 test phantoms.

        Args:
            network: One of the shipped networks with neurons.
            rho: Share of the neurons that is active for each token, above 0 up to 1.

        Returns:
            By task: share of tokens by layer and neuron; and the cosine of each two tasks by layer.
        """
        with spoken():
            predictor = load(network if network in arms() else OWN, context.find_device())
            found = predictor.raster(rho=None if rho == TRAINED.rho else float(rho))
        return {
            "layers": list(LAYERS),
            "frequency": dict(zip(TASK_WORDS, _plain(found.frequency()), strict=True)),
            "cosine": _plain(found.overlap()),
        }

    gr.api(neural_tuning, api_name="neural_tuning", concurrency_id="model", concurrency_limit=1)
    gr.api(raster, api_name="neural_tuning_raster", concurrency_id="model", concurrency_limit=1)


def _plain(values: np.ndarray) -> Any:
    return np.round(values.astype(float), 4).tolist()
