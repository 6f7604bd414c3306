"""What programs may ask of this tab, with typed arguments. No file of the server is named: a picture is an example's id, or rows of grey values."""

from __future__ import annotations

import gradio as gr

from workbench.context import Context
from workbench.parts.events import spoken
from workbench.tabs.hsvlt.desk import predictor_of
from workbench.tabs.hsvlt.scan import examples
from workbench.working_scan import given_pixels

FIRST = examples()[0].id


def publish(context: Context) -> None:
    """Register the function with the Blocks being built."""

    def hsvlt(
        request: gr.Request, picture: str = FIRST, pixels: list = [], findings: list = [], network: str = "full", threshold: float = 0.5
    ) -> dict:
        """Name the findings of one picture, each by itself, with the share of every scale.

        Args:
            picture: Id of an example, used when no pixels are given.
            pixels: The picture itself, rows of grey values from 0 to 255.
            findings: Which findings to ask for; none: all of them.
            network: full, or one of the shipped networks with a part changed, such as stage_4.
            threshold: Probability from which a finding is reported, 0 to 1.

        Returns:
            For each finding its probability, whether it is reported, its logit, bias and what each scale adds.
        """
        with spoken():
            values, _ = given_pixels(context, request, picture, pixels)
            predictor = predictor_of(context, network)
            answer = predictor.answer(predictor.prepare(values), [str(one) for one in findings] or None)
        return {
            "network": predictor.arm,
            "findings": [
                {
                    "finding": name,
                    "probability": float(answer.probability[row]),
                    "reported": bool(answer.probability[row] >= threshold),
                    "logit": float(answer.logit[row]),
                    "bias": float(answer.bias[row]),
                    "by_scale": {str(stage): float(v) for stage, v in zip(answer.stages, answer.contributions[row], strict=True)},
                }
                for row, name in enumerate(answer.names)
            ],
        }

    gr.api(hsvlt, api_name="hsvlt", concurrency_id="model", concurrency_limit=1)
