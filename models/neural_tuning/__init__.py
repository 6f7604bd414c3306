"""Neural Tuning: sparse neurons beside a frozen language model, which describes, outlines, reasons and draws by tokens alone (arXiv 2408.03001).

The room is not shown before its weights ship. Importing this package loads no PyTorch; ``NeuralTuning``, the network, is loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.neural_tuning.network import NeuralTuning

__all__ = ["NeuralTuning"]


def __getattr__(name: str) -> Any:
    """The network under its own name, loaded (with PyTorch) only when asked for."""
    if name == "NeuralTuning":
        from models.neural_tuning.network import NeuralTuning

        return NeuralTuning
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
