"""SemSim: weak-to-strong consistency with two more views of every prediction (arXiv 2410.13486).

Importing this package loads no PyTorch; ``SemSim``, the network under its own name, is loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.semsim.record import METHOD

if TYPE_CHECKING:
    from models.semsim.network import SemSim

__all__ = ["METHOD", "SemSim"]


def __getattr__(name: str) -> Any:
    """The network under its own name, loaded (with PyTorch) only when asked for."""
    if name == "SemSim":
        from models.semsim.network import SemSim

        return SemSim
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
