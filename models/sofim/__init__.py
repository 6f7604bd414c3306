"""SOFIM: momentum steps whose length is set by a rank-one Fisher matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.sofim.optimizer import SOFIM

__all__ = ["SOFIM"]


def __getattr__(name: str) -> Any:
    """The optimiser under its own name, loaded (with PyTorch) only when asked for."""
    if name == "SOFIM":
        from models.sofim.optimizer import SOFIM

        return SOFIM
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
