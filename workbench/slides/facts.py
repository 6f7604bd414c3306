"""What is known of a slide once it has been examined: the plan of its tiles, and the facts a page is told."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["native", "built", "decoded"]
VERSION = 1
"""Of the plan: what was examined by another version is examined again."""


class SlideGone(ValueError):
    """There is no such slide for whoever asks; its text is the sentence people see."""

    def __init__(self) -> None:
        super().__init__("This slide is not kept on the server any more; open it once more, or choose another one.")


@dataclass(frozen=True)
class TileLevel:
    """One level as it is served: size, tile size and grid in its own pixels."""

    w: int
    h: int
    tw: int
    th: int
    nx: int
    ny: int
    kind: Kind
    scale: float
    """Level-0 pixels per pixel."""
    source: int = -1
    """native: the level of the open slide, for tiles that the file leaves out."""
    start: int = 0
    """native, built: row of its first tile in the index."""
    head: bytes = field(default=b"", repr=False)
    """native: what is put before the tile's own bytes in place of its first two: start of image, colour mark, tables."""

    @property
    def size(self) -> dict[str, int]:
        """What the page is told."""
        return {"w": self.w, "h": self.h, "tw": self.tw, "th": self.th, "nx": self.nx, "ny": self.ny}


@dataclass(frozen=True)
class Plan:
    """How a slide is served. Made in the examining process, kept as JSON beside the tile index."""

    width: int
    height: int
    mpp: float | None
    magnification: float | None
    vendor: str
    fingerprint: str
    path: Literal["native", "decoded"]
    reason: str
    levels: tuple[TileLevel, ...]
    """Coarsest first: a level's number in a tile's address is its place here."""

    def to_json(self) -> dict[str, Any]:
        """As plain values; bytes in base64."""
        plain = asdict(self)
        for level in plain["levels"]:
            level["head"] = base64.b64encode(level["head"]).decode()
        return plain | {"version": VERSION}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Plan:
        """The plan again. ValueError, KeyError or TypeError for another version or another kind of record."""
        plain = dict(plain)
        if plain.pop("version") != VERSION:
            raise ValueError("The plan was written by another version.")
        levels = tuple(TileLevel(**(level | {"head": base64.b64decode(level["head"])})) for level in plain.pop("levels"))
        return cls(**plain, levels=levels)


@dataclass(frozen=True)
class Facts:
    """What a page and a tab are told about a slide. Nothing of the file's own header is in it but numbers and the maker of the format."""

    id: str
    title: str
    width: int
    height: int
    levels: tuple[TileLevel, ...]
    """Coarsest first; `level` in a tile's address counts from there."""
    mpp: float | None
    """µm per level-0 pixel: as said by the visitor, else by the file; None when unknown."""
    magnification: float | None
    vendor: str
    path: Literal["native", "decoded"]
    """native: the slide's own JPEG tiles are passed on untouched. decoded: they are decoded and packed again."""
    reason: str
    """Why that way, in words for people."""
    mark: str
    """Hex, part of every tile's address: another one when the content is another one."""
    public: bool
    """True for the example and for the host's slides, which everybody may see."""

    @property
    def url(self) -> str:
        """What tile addresses begin with, relative to the page: `{url}{level}/{column}_{row}.jpeg`."""
        return f"lightbox/slides/{self.id}/{self.mark}/"

    @property
    def thumb(self) -> str:
        """Address of a small picture of the whole slide, longer side 512 pixels."""
        return f"lightbox/slides/{self.id}/{self.mark}/thumb.jpeg"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the page."""
        names = ("id", "title", "width", "height", "mpp", "magnification", "vendor", "path", "reason", "mark", "url", "thumb", "public")
        return {name: getattr(self, name) for name in names} | {"levels": [level.size for level in self.levels]}
