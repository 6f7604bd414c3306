"""ResFormer-MTL: one encoder for a segmentation and a diagnosis (arXiv 2412.00351).

Importing this package loads no PyTorch; ``ResFormerMTL``, the network under its own name, is loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.resformer_mtl.record import METHOD

if TYPE_CHECKING:
    from models.resformer_mtl.network import ResFormerMTL

__all__ = ["METHOD", "ResFormerMTL"]


def __getattr__(name: str) -> Any:
    """The network under its own name, loaded (with PyTorch) only when asked for."""
    if name == "ResFormerMTL":
        from models.resformer_mtl.network import ResFormerMTL

        return ResFormerMTL
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
