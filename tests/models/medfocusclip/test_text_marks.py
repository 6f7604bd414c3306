"""Burnt-in writing is found and painted over; anatomy is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from models.medfocusclip.text_marks import find_text, hide_text
from models.shared.data import phantoms
from models.shared.data.phantoms.marks import write


def test_the_tag_of_a_phantom_is_found_to_the_pixel() -> None:
    found = 0
    for item in phantoms.batch("liver_ct", phantoms.split_seeds("test", 12)):
        boxes = [marker.box for marker in item.markers if marker.kind == "cue"]
        found += boxes[0] in find_text(item.image)
    assert found >= 11


@pytest.mark.parametrize("corner", ["top left", "bottom right"])
def test_written_words_are_found_on_a_larger_picture_and_nothing_else(corner) -> None:
    y, x = np.mgrid[:512, :512]
    picture = np.where((y - 256) ** 2 + (x - 256) ** 2 < 150**2, 0.5, 0.05).astype(np.float32)
    box = write(picture, "RT BREAST", corner).box
    found = find_text(picture)
    assert len(found) >= 1
    for top, left, bottom, right in found:
        assert top >= box[0] - 2
        assert left >= box[1] - 2
        assert bottom <= box[2] + 2
        assert right <= box[3] + 2


def test_a_picture_without_writing_has_none() -> None:
    smooth = np.full((64, 64), 0.3, np.float32)
    assert find_text(smooth) == []
    assert find_text(np.zeros((5, 3), np.uint8)) == []


def test_hidden_text_takes_the_colour_around_it_and_the_rest_stays() -> None:
    picture = np.full((64, 64, 3), 40, np.uint8)
    grey = np.full((64, 64), 40 / 255, np.float32)
    box = write(grey, "ICU", "top left").box
    picture[:] = np.round(grey * 255).astype(np.uint8)[:, :, None]
    picture[50:60, 50:60] = 200
    hidden = hide_text(picture, [box])
    assert hidden.dtype == np.uint8
    assert (hidden[:30, :30] == 40).all()
    np.testing.assert_array_equal(hidden[50:60, 50:60], picture[50:60, 50:60])
    assert (picture[box[0] : box[2], box[1] : box[3]] != 40).any(), "the picture given must stay as it was"
