"""What programs may ask of this tab, with typed arguments. No file of the server is named: a picture is an example's id, or rows of grey values."""

from __future__ import annotations

import gradio as gr

from models.mit.plan import OWN
from workbench.context import Context
from workbench.parts.events import spoken
from workbench.parts.segments import encode
from workbench.tabs.mit.desk import MAX_TEXT, load
from workbench.tabs.mit.names import NOTES, OUTLINE, arms
from workbench.tabs.mit.scan import examples
from workbench.working_scan import given_pixels

FIRST = examples()[0].id


def publish(context: Context) -> None:
    """Register the functions with the Blocks being built."""

    def mit(request: gr.Request, note: str, picture: str = FIRST, pixels: list = [], network: str = OWN, strength: float = 1.0) -> dict:
        """Say whether a note agrees with a picture, with the gate of every head.

        Args:
            note: What is said of the picture.
            picture: Id of an example, used when no pixels are given.
            pixels: The picture itself, rows of grey values from 0 to 255.
            network: full, or one of the shipped networks with a part changed, such as off, paper or tokens.
            strength: The infusion dial, 0 (the language model alone) to 1.5.

        Returns:
            The probability of each verdict, the same from the language model alone, words it never met, and the gates by infused layer and head.
        """
        with spoken():
            from models.mit.wrapper import VERDICTS

            values, _ = given_pixels(context, request, picture, pixels)
            predictor = load(network if network in arms(NOTES) else OWN, context.find_device())
            reading = predictor.judge(predictor.prepare(values), str(note)[:MAX_TEXT], strength=float(strength))
        return {
            "network": predictor.arm,
            "probability": dict(zip(VERDICTS, reading.probability.tolist(), strict=True)),
            "language_model_alone": dict(zip(VERDICTS, reading.alone.tolist(), strict=True)),
            "unknown_words": list(reading.unknown),
            "layers": list(reading.layers),
            "gates": reading.gate.tolist(),
        }

    def outline(
        request: gr.Request,
        phrase: str,
        picture: str = FIRST,
        pixels: list = [],
        network: str = OWN,
        strength: float = 1.0,
        threshold: float = 0.5,
    ) -> dict:
        """Outline the lesion that a phrase means.

        Args:
            phrase: Which lesion, such as "the larger lesion"; sides are the patient's.
            picture: Id of an example, used when no pixels are given.
            pixels: The picture itself, rows of grey values from 0 to 255.
            network: full, or one of the shipped networks with a part changed, such as off, paper or tokens.
            strength: The infusion dial, 0 (the language model alone) to 1.5.
            threshold: Probability above which a pixel is outlined, 0 to 1.

        Returns:
            Highest probability, words it never met, and the mask as run lengths in reading order (outside first).
        """
        with spoken():
            values, _ = given_pixels(context, request, picture, pixels)
            predictor = load(network if network in arms(OUTLINE) else OWN, context.find_device())
            reading = predictor.outline(predictor.prepare(values), str(phrase)[:MAX_TEXT], strength=float(strength))
        mask = reading.probability > float(threshold)
        return {
            "network": predictor.arm,
            "size": list(mask.shape),
            "highest_probability": float(reading.probability.max()),
            "unknown_words": list(reading.unknown),
            "run_lengths": encode(mask),
        }

    gr.api(mit, api_name="mit", concurrency_id="model", concurrency_limit=1)
    gr.api(outline, api_name="mit_outline", concurrency_id="model", concurrency_limit=1)
