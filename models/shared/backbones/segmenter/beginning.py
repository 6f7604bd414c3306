"""Where the small segmenter's training begins: the published prompt encoder and mask decoder behind an image encoder of random weights.

A decoder of random weights needs many thousands of steps before it follows a prompt at all; the published one knows what a click and a box mean, so that
only the pictures remain to be learned. Inferred, not from the paper. Measured, 256 px, batches of 4 pictures with one prompt for each of 4 objects: after 250
steps the overlap with a box was 0.69, and about 0.3 from random weights throughout with the same optimisers.
The published weights (SAM 2 Hiera-Tiny) are under Apache-2.0. They go on learning here.
"""

from __future__ import annotations

from collections.abc import Mapping

from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from models.shared.backbones.segmenter.loader import find, read_state
from models.shared.backbones.segmenter.network import image_state

PUBLISHED = "sam2_hiera_tiny"
_TAKEN = ("sam_prompt_encoder.", "sam_mask_decoder.", "no_mem_embed")


def published_parts() -> dict[str, Tensor]:
    """The published weights of the parts that are taken over. CheckpointRefused with a sentence where the file is not here."""
    _, path = find(PUBLISHED)
    return {name: tensor for name, tensor in read_state(path.read_bytes(), path.name).items() if is_taken(name)}


def is_taken(name: str) -> bool:
    """Whether a parameter belongs to the parts that are taken over."""
    return name.startswith(_TAKEN)


def begin(model: SAM2Base, published: Mapping[str, Tensor]) -> SAM2Base:
    """Put the published parts into a small network, in place, and return it. ValueError where one is missing or of another size."""
    wanted = {name: tensor for name, tensor in image_state(model.state_dict()).items() if is_taken(name)}
    if any(name not in published or published[name].shape != tensor.shape for name, tensor in wanted.items()):
        raise ValueError(
            "The published prompt encoder and mask decoder do not fit the small segmenter; give the weights of SAM 2 Hiera-Tiny."
        )
    model.load_state_dict({name: published[name] for name in wanted}, strict=False)
    return model
