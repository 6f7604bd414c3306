"""The browser side of Lightbox. Knows Gradio; may import models."""

from models.shared.version import VERSION as __version__

__all__ = ["__version__"]
