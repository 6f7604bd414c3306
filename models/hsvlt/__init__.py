"""HSVLT: findings of several scales, each asked by its own words (arXiv 2407.16244).

The room is not shown before its weights ship. Importing this package loads no PyTorch; ``HSVLT``, the network, is loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.hsvlt.network import HSVLT

__all__ = ["HSVLT"]


def __getattr__(name: str) -> Any:
    """The network under its own name, loaded (with PyTorch) only when asked for."""
    if name == "HSVLT":
        from models.hsvlt.network import HSVLT

        return HSVLT
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
