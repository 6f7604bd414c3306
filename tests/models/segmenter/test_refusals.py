"""Prompts and pictures that cannot be used are answered with a sentence."""

from __future__ import annotations

import numpy as np
import pytest

from models.shared.backbones.segmenter.network import build
from models.shared.backbones.segmenter.records import PromptRefused
from models.shared.backbones.segmenter.wrapper import Sam2

REFUSED_PROMPTS = {
    "nothing": ({}, "Nothing was marked"),
    "only outside": ({"points": [(1, 1, 0)]}, "Every point is marked as outside"),
    "right of the picture": ({"points": [(60, 5, 1)]}, r"\(60, 5\) lies outside the picture, whose pixels run from \(0, 0\) to \(59, 39\)"),
    "below the picture": ({"points": [(5, 40, 1)]}, "outside the picture"),
    "negative": ({"points": [(-1, 5, 1)]}, "outside the picture"),
    "box beyond": ({"boxes": [(0, 0, 61, 10)]}, "box corner"),
    "not a number": ({"points": [(float("nan"), 5, 1)]}, "A point must be 3 numbers"),
    "text": ({"points": [("a", 5, 1)]}, "A point must be 3 numbers"),
    "two numbers": ({"points": [(1, 5)]}, "A point must be 3 numbers"),
    "strange mark": ({"points": [(1, 5, 2)]}, r"mark it 1 \(inside\) or 0 \(outside\)"),
    "short box": ({"boxes": [(1, 5, 9)]}, "A box must be 4 numbers"),
    "boxes and points": ({"boxes": [(1, 1, 9, 9), (2, 2, 5, 5)], "points": [(1, 5, 1)]}, "one box only"),
    "too many points": ({"points": [(1, 1, 1)] * 257}, "257 points are more than the 256"),
    "too many boxes": ({"boxes": [(1, 1, 2, 2)] * 33}, "33 boxes are more than the 32"),
    "mask of another size": ({"points": [(1, 1, 1)], "mask_input": np.zeros((256, 256))}, "64 by 64"),
    "mask not finite": ({"points": [(1, 1, 1)], "mask_input": np.full((64, 64), np.nan)}, "not numbers"),
}


@pytest.mark.parametrize("case", REFUSED_PROMPTS)
def test_prompt_that_cannot_be_used_is_said(sam, picture, case):
    prompt, sentence = REFUSED_PROMPTS[case]
    with pytest.raises(PromptRefused, match=sentence):
        sam.run(sam.prepare(picture), **prompt)


REFUSED_PICTURES = {
    "four channels": np.zeros((4, 4, 4), np.uint8),
    "flat": np.zeros(16, np.uint8),
    "empty": np.zeros((0, 5), np.uint8),
    "raw CT values": np.full((4, 4), -1000, np.int16),
    "fractions above one": np.full((4, 4), 7.0),
    "not numbers": np.full((4, 4), np.nan),
    "words": np.array([["a", "b"], ["c", "d"]]),
    "too large": np.broadcast_to(np.uint8(0), (6001, 6001)),
}


@pytest.mark.parametrize("case", REFUSED_PICTURES)
def test_picture_that_cannot_be_used_is_said(sam, case):
    with pytest.raises(PromptRefused, match="The picture"):
        sam.prepare(REFUSED_PICTURES[case])


def test_picture_prepared_elsewhere_is_refused(sam, picture):
    other = Sam2(build("small", seed=1))
    with pytest.raises(PromptRefused, match="prepared with another segmenter"):
        sam.run(other.prepare(picture), [(1, 1, 1)])
