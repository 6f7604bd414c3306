"""LSMS: the lesion that a phrase names is outlined (arXiv 2408.17347), re-implemented from its abstracts and its predecessor's code.

Importing this package loads no PyTorch; ``LSMS``, the network, is loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.lsms.record import METHOD

if TYPE_CHECKING:
    from models.lsms.network import LSMS

__all__ = ["LSMS", "METHOD"]


def __getattr__(name: str) -> Any:
    """The network under its own name, loaded (with PyTorch) only when asked for."""
    if name == "LSMS":
        from models.lsms.network import LSMS

        return LSMS
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
