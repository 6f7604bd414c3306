"""What a slide may be. The numbers are this project's own choices; they are held against what a file claims before it is served."""

from __future__ import annotations

MAX_SIDE_PX = 1 << 20
MAX_PIXELS_PER_BYTE = 50_000
"""Of the file. A slide of nothing but glass in JPEG tiles reaches about a hundred; a sparse one a few thousand."""
MAX_TILES = 2_000_000
"""Of one level: 360,000 × 360,000 pixels in tiles of 256."""
PASSED_TILE_PX = 1024 * 1024
"""A tile that is passed on untouched has at most so many pixels: larger ones make the browser decode far more than it shows."""
READ_TILE_PX = 2048 * 2048
"""Largest tile that is taken at all: all of it is decoded for each piece that is shown."""
GAP = 4.5
"""Factor between two levels that are shown as they are; in wider gaps levels are put in between."""
WIDEST_GAP = 16.5
"""Beyond this a level in between would need hundreds of tiles for each of its own."""
LOWEST_PX = 4_000_000
"""Of the coarsest level: a larger one gets coarser ones made from it when the slide is opened."""
BUILT_PX = 100_000_000
"""Largest level that coarser ones are made from; as large as a picture without a pyramid may be."""
PIECE_S = 3.0
"""Processor seconds that reading one piece of 256 × 256 pixels may take."""
COARSEST_PX = 512
"""Longer side at which the coarsest level is small enough."""

CHILD_MEMORY_BYTES = 6 << 30  # address space, of which the libraries map two thirds of a gigabyte
CHILD_CPU_S = 120
CHILD_WALL_S = 240.0
CHILD_FILE_BYTES = 1 << 30

OPEN_FILES = 64
"""Tile files held open at once; as many again for slides that have to be decoded would be far more than people look at."""
OPEN_SLIDES = 12
DECODED_BYTES = 800 << 20
"""Of pictures that are held decoded, a third of it being the coarser levels."""
ENCODED_BYTES = 128 << 20
"""Of tiles packed by this server."""
