"""MiT, multimodal infusion tuning: a picture's one vector turns a frozen language model's keys, values and units (arXiv 2403.05060).

The room is not shown before its weights ship. Importing this package loads no PyTorch; ``MiT``, the network, is loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.mit.network import MiT

__all__ = ["MiT"]


def __getattr__(name: str) -> Any:
    """The network under its own name, loaded (with PyTorch) only when asked for."""
    if name == "MiT":
        from models.mit.network import MiT

        return MiT
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
