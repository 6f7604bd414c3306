"""What programs may ask of this tab."""

from __future__ import annotations

from models.shared.method import Method
from workbench.context import Context


def publish(context: Context, method: Method) -> None:
    """Register the functions with the Blocks being built."""
