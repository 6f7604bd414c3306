"""What programs may ask of this tab, with typed arguments. No file of the server is named: a picture is an example's id, or rows of grey values."""

from __future__ import annotations

import gradio as gr

from models.shared.method import Method
from workbench.context import Context
from workbench.parts.events import spoken
from workbench.parts.segments import encode
from workbench.tabs.resformer_mtl.desk import predictor_of
from workbench.tabs.resformer_mtl.scan import examples
from workbench.working_scan import given_pixels

FIRST = examples()[-1].id


def publish(context: Context, method: Method) -> None:
    """Register the function with the Blocks being built."""

    def resformer_mtl(
        request: gr.Request,
        picture: str = FIRST,
        pixels: list = [],
        task: str = "busi",
        network: str = "full",
        threshold: float = 0.5,
        row_mm: float = 0,
        column_mm: float = 0,
    ) -> dict:
        """Outline the lesion and name the class of one picture.

        Args:
            picture: Id of an example, used when no pixels are given.
            pixels: The picture itself, rows of grey values from 0 to 255.
            task: busi (breast ultrasound) or oct (retina).
            network: full, seg_only, cls_only, unet; for oct also no_transformer, no_dfe, last_scale, parallel, alpha_1.
            threshold: Probability above which a pixel is outlined, 0 to 1.
            row_mm: Height of a pixel of `pixels` in millimetres; 0: not known.
            column_mm: Width of a pixel of `pixels` in millimetres; 0: not known.

        Returns:
            Scores of the classes, lesions with their measures, and each structure's mask as run lengths in reading order (outside first).
        """
        with spoken():
            from models.resformer_mtl.results import Options

            values, spacing = given_pixels(context, request, picture, pixels, (row_mm, column_mm))
            predictor = predictor_of(context, request, task, network)
            result = predictor.run(predictor.prepare(values, spacing), Options(threshold=float(threshold)))
        scores = {} if result.scores is None else dict(zip(predictor.classes, map(float, result.scores), strict=True))
        lesions = [
            {
                "structure": predictor.structures[one.structure - 1],
                "area": one.area,
                "longest": one.longest,
                "across": one.across,
                "unit": one.unit,
            }
            for one in result.lesions
        ]
        masks = {name: encode(result.mask == number) for number, name in enumerate(predictor.structures, 1)}
        return {"size": list(result.mask.shape), "classes": scores, "lesions": lesions, "run_lengths": masks, "network": predictor.arm}

    gr.api(resformer_mtl, api_name="resformer_mtl", concurrency_id="model", concurrency_limit=1)
