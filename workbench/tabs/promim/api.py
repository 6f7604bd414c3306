"""What programs may ask of this tab, with typed arguments: the same work the page does, under stable names."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from models.promim.arms import ARMS
from models.promim.records import Mask, Options
from workbench.pictures import Shown
from workbench.tabs.promim.desk import Desk
from workbench.tabs.promim.names import examples
from workbench.zip_pictures import decode

if TYPE_CHECKING:
    from models.promim.wrapper import Explorer

MOST_BYTES = 32 << 20  # of a picture sent as text
FIRST = examples()[0].id


def picture_of(desk: Desk, request: Any, named: str) -> np.ndarray:
    """Pixels, uint8 (H, W) or (H, W, 3), of an example's id or of a file's bytes in base64. ValueError with a sentence."""
    if desk.context.pictures.is_example(named):
        return desk.context.pictures.get(request, Shown(named)).pixels
    if len(named) > MOST_BYTES * 4 // 3:
        raise ValueError(f"The picture is larger than {MOST_BYTES >> 20} MB; send a smaller one.")
    try:
        return decode(base64.b64decode(named.partition("base64,")[2] or named, validate=True), "")
    except (binascii.Error, ValueError) as fault:
        if isinstance(fault, binascii.Error):
            raise ValueError("picture must be the id of an example, or a file’s bytes in base64.") from None
        raise


def options_of(
    explorer: Explorer,
    task: str,
    classes: list[str],
    keep: list[int] | None,
    hidden: float,
    block: bool,
    ratio: float,
    weight: float,
    seed: int,
) -> Options:
    """What to ask of the room; ValueError with a sentence for arguments of another kind."""
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ValueError('classes must be a list of names, such as ["cyst", "mass"]; an empty one stands for the task’s base classes.')
    if keep is not None and (not isinstance(keep, list) or not all(type(number) is int for number in keep)):
        raise ValueError("keep must be a list of patch numbers, or null for a throw of the dice.")
    if not all(isinstance(value, int | float) for value in (hidden, ratio, weight, seed)):
        raise ValueError("hidden, ratio, weight and seed must be numbers.")
    known = next((one for one in explorer.tasks if one.id == task), None)
    if known is None:
        raise ValueError(f"There is no set of classes called {task!r}; choose among {', '.join(one.id for one in explorer.tasks)}.")
    mask = Mask(ratio=hidden, sampling="block" if block else "random", seed=int(seed), keep=None if keep is None else tuple(keep))
    return Options(classes=tuple(classes) or known.base, task=task, ratio=ratio, weight=weight, seed=int(seed), mask=mask)


def publish(desk: Desk) -> None:
    """Register the functions with the Blocks being built."""

    def prepared(request: gr.Request, picture: str, *asked: Any) -> tuple[Any, Any, Options]:
        from models.promim.wrapper import explorer

        room = explorer()
        return room, room.prepare(picture_of(desk, request, picture)), options_of(room, *asked)

    def promim(
        request: gr.Request,
        picture: str = FIRST,
        task: str = "brain",
        classes: list[str] = [],
        keep: list[int] | None = None,
        hidden: float = 0.75,
        block: bool = False,
        ratio: float = 0.75,
        weight: float = 2.0,
        seed: int = 0,
    ) -> dict:
        """What CLIP, CoOp, CoCoOp, KgCoOp and ProMIM say about a picture.

        Args:
            picture: The id of an example, or a file's bytes (PNG, JPEG, TIFF, DICOM, NIfTI) in base64.
            task: Whose learned prompts: chest, breast or brain.
            classes: Names to choose among; empty for the task's base classes.
            keep: Patches the prompt-maker sees, numbered row by row from 0; null for a throw of the dice.
            hidden: Share of patches that a throw hides.
            block: Hide rectangles instead of single patches.
            ratio: ProMIM weights trained with this share hidden.
            weight: ProMIM weights trained with this λ.
            seed: Repeat of the training, and the throw of the dice.

        Returns:
            The classes, each method's probabilities, the patches seen, the weights that answered, and a note where methods are missing.
        """
        try:
            room, ready, options = prepared(request, picture, task, classes, keep, hidden, block, ratio, weight, seed)
            answer = room.run(ready, options)
        except ValueError as refused:
            raise gr.Error(str(refused), print_exception=False) from None
        return {
            "classes": list(answer.classes),
            "probabilities": {arm: row.tolist() for arm, row in zip(answer.arms, answer.probabilities, strict=True)},
            "methods": {arm: ARMS[arm].about for arm in answer.arms},
            "keep": answer.keep.tolist(),
            "preset": None if answer.preset is None else {"ratio": answer.preset.ratio, "weight": answer.preset.weight, "seed": answer.preset.seed},
            "note": answer.note,
        }  # fmt: skip

    def promim_stability(
        request: gr.Request,
        picture: str = FIRST,
        task: str = "brain",
        classes: list[str] = [],
        masks: int = 32,
        hidden: float = 0.75,
        block: bool = False,
        ratio: float = 0.75,
        weight: float = 2.0,
        seed: int = 0,
    ) -> dict:
        """The same question under many masks: how much the answer hangs on which part of the picture was seen.

        Args:
            picture: As in promim.
            task: As in promim.
            classes: As in promim.
            masks: How many throws of the dice, 1 to 64.
            hidden: Share of patches that each hides.
            block: Hide rectangles instead of single patches.
            ratio: ProMIM weights trained with this share hidden.
            weight: ProMIM weights trained with this λ.
            seed: Repeat of the training, and of the throws.

        Returns:
            The classes and, for each method, one row of probabilities a mask.
        """
        try:
            room, ready, options = prepared(request, picture, task, classes, None, hidden, block, ratio, weight, seed)
            found = room.stability(ready, options, int(masks))
        except ValueError as refused:
            raise gr.Error(str(refused), print_exception=False) from None
        return {"classes": list(found.classes), "probabilities": {arm: rows.tolist() for arm, rows in found.probabilities.items()}}

    gr.api(promim, api_name="promim", concurrency_id="model", concurrency_limit=1)
    gr.api(promim_stability, api_name="promim_stability", concurrency_id="model", concurrency_limit=1)
