"""Reading whole slides: one way to ask for pixels, whatever the file is. Imports nothing heavy; OpenSlide and tifffile are loaded on the first opening."""

from models.shared.slides.opening import open_source
from models.shared.slides.source import Level, PixelSource, PyramidSource, SlideRefused, SlideSource

__all__ = ["Level", "PixelSource", "PyramidSource", "SlideRefused", "SlideSource", "open_source"]
