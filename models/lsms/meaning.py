"""What a phrase of the grammar means on a slice whose lesions are known; for the screen, where a phantom can tell whether the network was right.

No part of training: there every phrase comes with its lesions. NumPy alone.
"""

from __future__ import annotations

from models.lsms.abdomen import DENSITIES, LOBES, PARTS, SIZES, Slice
from models.lsms.phrases import _ORDERS, _SAME, _clear, _extreme, _matching, unknown_words, words_of

_TRAITS = {"size": SIZES, "density": DENSITIES, "lobe": LOBES, "part": PARTS}
_CANONICAL = {word: name for name, words in _SAME.items() for word in words}
_ORDER = {word: name for name, words in _ORDERS.items() for word in words}


def meant(shown: Slice, text: str) -> tuple[int, ...] | None:
    """Numbers of the lesions a phrase means, none for what is not there; None where that cannot be told.

    It cannot be told with a word outside the grammar, two values of one trait ("the small large lesion"), two orders, or a near tie.
    """
    words = words_of(text)
    if not words or unknown_words(text):
        return None
    named = {_CANONICAL.get(word, word) for word in words}
    traits = {name: [value for value in values if value in named] for name, values in _TRAITS.items()}
    orders = {_ORDER[word] for word in words if word in _ORDER}
    if len(orders) > 1 or any(len(values) > 1 for values in traits.values()):
        return None
    rows = _matching(shown, **{name: values[0] for name, values in traits.items() if values})
    if not orders or len(rows) <= 1:
        return rows
    order = orders.pop()
    return (_extreme(shown, order, rows),) if _clear(shown, order, rows) else None
