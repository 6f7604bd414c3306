"""The promptable segmenter: SAM 2 on still images, through the `sam2` package.

`loader.load_sam2(...)` gives a `wrapper.Sam2`, whose two verbs are `prepare(image)` once and `run(prepared, points, boxes)` as often
as wanted; `automatic(image)` proposes segments without a prompt. `small.yaml` is the small network that ships: `recipe` trains it (pool →
scenes → clicks → fitting, from the weights of `beginning`) and `evaluation` measures it on held-out pictures.
Importing this package, `records` or `loader` loads no PyTorch.

Source: Ravi et al., "SAM 2: Segment Anything in Images and Videos" (2024), sections 4 and D.1; code and checkpoints of the published
networks by their authors (Apache-2.0). Known deviation: no video. The memory parts are never built, so they take no space.
"""

from models.shared.backbones.segmenter.loader import SPECS, load_sam2
from models.shared.backbones.segmenter.records import Masks, PromptRefused, Proposal

__all__ = ["SPECS", "Masks", "PromptRefused", "Proposal", "load_sam2"]
