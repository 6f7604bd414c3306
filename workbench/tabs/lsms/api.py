"""What programs may ask of this tab, with typed arguments. No file of the server is named: a picture is an example's id, or rows of grey values."""

from __future__ import annotations

import gradio as gr

from workbench.context import Context
from workbench.parts.events import spoken
from workbench.parts.segments import encode
from workbench.tabs.lsms.desk import MAX_PHRASE, predictor_of
from workbench.tabs.lsms.scan import examples
from workbench.working_scan import given_pixels

FIRST = examples()[0].id


def publish(context: Context) -> None:
    """Register the function with the Blocks being built."""

    def lsms(
        request: gr.Request,
        phrase: str,
        picture: str = FIRST,
        pixels: list = [],
        network: str = "full",
        threshold: float = 0.5,
        row_mm: float = 0,
        column_mm: float = 0,
    ) -> dict:
        """Outline the lesion that a phrase names.

        Args:
            phrase: What to outline, such as "the large dark lesion in the right lobe"; sides are the patient's.
            picture: Id of an example, used when no pixels are given.
            pixels: The picture itself, rows of grey values from 0 to 255.
            network: full, or one of the shipped networks with a part taken out, such as no_language or no_scale.
            threshold: Probability above which a pixel is outlined, 0 to 1.
            row_mm: Height of a pixel of `pixels` in millimetres; 0: not known.
            column_mm: Width of a pixel of `pixels` in millimetres; 0: not known.

        Returns:
            Whether anything fits the phrase, unknown words, doubt, lesions with measures, and the mask as run lengths in reading order (outside first).
        """
        with spoken():
            from models.shared.lesion_measures import measure

            values, spacing = given_pixels(context, request, picture, pixels, (row_mm, column_mm))
            predictor = predictor_of(context, network)
            prepared = predictor.prepare(values)
            answer = predictor.ask(prepared, str(phrase)[:MAX_PHRASE])
            mask = answer.mask(float(threshold))
            found = measure(mask, spacing)
            doubt = predictor.uncertain(prepared, str(phrase)[:MAX_PHRASE]).doubt
        return {
            "size": list(mask.shape),
            "matching_lesion": answer.found,
            "highest_probability": answer.highest,
            "doubt": doubt,
            "unknown_words": list(answer.unknown),
            "lesions": [{"area": one.area, "longest": one.longest, "across": one.across, "unit": one.unit} for one in found],
            "run_lengths": encode(mask),
            "network": predictor.arm,
        }

    gr.api(lsms, api_name="lsms", concurrency_id="model", concurrency_limit=1)
