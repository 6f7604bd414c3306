"""What programs may ask of this tab, with typed arguments. No file of the server is named: a picture is an example's id, or rows of grey values."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from models.shared.method import Method
from workbench.context import Context
from workbench.parts.events import spoken
from workbench.parts.segments import encode
from workbench.pictures import Shown
from workbench.tabs.self_cleansing.desk import predictor_of
from workbench.tabs.self_cleansing.scan import examples
from workbench.working_scan import scan, shrunk

FIRST = examples()[0].id
MAX_PIXELS = 4_000_000


def publish(context: Context, method: Method) -> None:
    """Register the functions with the Blocks being built."""

    def self_cleansing(
        request: gr.Request,
        picture: str = FIRST,
        pixels: list = [],
        task: str = "plain",
        setting: str = "missing-30",
        network: str = "cleansed",
        weights: str = "last",
    ) -> dict:
        """Outline the lesions of one picture with a network that learned from labels with planted errors.

        Args:
            picture: Id of an example, used when no pixels are given.
            pixels: The picture itself, rows of grey values from 0 to 255.
            task: plain (made-up liver slices, never turned in training), liver (the same, turned; where it ships) or busi (breast ultrasound).
            setting: Which errors were planted into its training labels, such as none, missing-30, for busi none, asymmetric-50.
            network: cleansed, noisy, or with setting none clean; some settings have ablations such as pixel_gate.
            weights: last, best or teacher.

        Returns:
            Each structure's mask as run lengths in reading order (outside first), and its pixels.
        """
        with spoken():
            made = scan(context, request, Shown(str(picture))).pixels if not pixels else read_pixels(pixels)
            predictor = predictor_of(context, request, str(task), str(setting), str(network), str(weights))
            result = predictor.run(predictor.prepare(made))
        masks = {name: encode(result.mask == number) for number, name in enumerate(predictor.structures, 1)}
        return {"size": list(result.mask.shape), "run_lengths": masks, "pixels": result.pixels, "network": network, "setting": setting}

    def self_cleansing_suspects(task: str = "plain", setting: str = "missing-30", network: str = "cleansed", first: int = 20) -> dict:
        """The training pictures of a recorded study whose labels are most suspicious; made-up pictures, so the truth is told beside.

        Args:
            task: plain, or liver where it ships.
            setting: Which errors were planted, such as missing-30.
            network: cleansed, noisy, or an ablation.
            first: How many, 1 to 300.

        Returns:
            Picture number, probability of being noisy, 1 − soft Dice, pixels of the proposed correction, and whether the label truly is wrong.
        """
        from models.self_cleansing.casebook import load_cases

        with spoken():
            ranked = load_cases(str(task), str(setting), str(network)).ranked()[: max(1, min(300, int(first)))]
        return {"suspects": [{name: value for name, value in vars(one).items() if name != "name"} for one in ranked]}

    gr.api(self_cleansing, api_name="self_cleansing", concurrency_id="model", concurrency_limit=1)
    gr.api(self_cleansing_suspects, api_name="self_cleansing_suspects", concurrency_id="model", concurrency_limit=1)


def read_pixels(pixels: Any) -> np.ndarray:
    """Rows of a call as a picture of at most the working size. ValueError in a sentence."""
    try:
        rows = np.asarray(pixels, dtype=np.float64)
    except (TypeError, ValueError):
        rows = np.empty(0)
    if rows.ndim != 2 or not 0 < rows.size <= MAX_PIXELS or not ((rows >= 0) & (rows <= 255)).all():
        raise ValueError(
            f"pixels must be rows of equal length with grey values from 0 to 255, at most {MAX_PIXELS / 1e6:g} million of them."
        )
    return shrunk(np.rint(rows).astype(np.uint8))
