"""Deep self-cleansing segmentation with noisy labels (arXiv 2409.05024), re-implemented from the published abstract.

Importing this package loads no PyTorch; ``UNet``, the network, and ``Cleanser``, the paper's two modules, are loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.self_cleansing.record import METHOD

if TYPE_CHECKING:
    from models.self_cleansing.cleansing import Cleanser
    from models.self_cleansing.network import UNet

__all__ = ["METHOD", "Cleanser", "UNet"]


def __getattr__(name: str) -> Any:
    """The network and the two modules, loaded (with PyTorch) only when asked for."""
    if name == "UNet":
        from models.self_cleansing.network import UNet

        return UNet
    if name == "Cleanser":
        from models.self_cleansing.cleansing import Cleanser

        return Cleanser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
