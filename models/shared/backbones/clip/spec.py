"""How a CLIP is named, in words a host can type, and what is said when it cannot be had. Loads nothing heavy.

A name is one of
- ``small``: the model that ships with this program;
- ``small-fewshot``: its twin that never met a liver-CT phantom or a real brain MRI, for honest studies of few-shot learning;
- ``MODEL:TAG``: an open_clip model with one of its published weights, such as ``ViT-B-16:laion2b_s34b_b88k``;
- ``MODEL:FILE``: an open_clip model with weights from a local file (.safetensors, or .pt / .pth / .bin holding tensors alone);
- ``FILE``: a .safetensors file that says itself which model it belongs to, as `save_clip` writes.

Without a name, the environment variable ``WORKBENCH_CLIP`` decides; without that, it is ``small``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

SMALL = "small"
FEWSHOT = "small-fewshot"
SMALL_MODEL = "lightbox-clip-small"
VARIABLE = "WORKBENCH_CLIP"
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
FORMS = 'Use "small", MODEL:TAG (such as ViT-B-16:openai), MODEL:FILE, or the path of a .safetensors file.'


class ClipRefused(ValueError):
    """A name, file or network that cannot be used; its text is the sentence people see."""


class ClipNotHere(ClipRefused):
    """Weights that would be fine but are not on this machine; its text says how to get them."""


@dataclass(frozen=True)
class Spec:
    """A CLIP as named: `model` is open_clip's name ("" when the file itself must say), and one of `tag` and `path` is set."""

    model: str
    tag: str = ""
    path: Path | None = None
    fewshot: bool = False

    @property
    def name(self) -> str:
        """Short name to show: "small", "ViT-B-16:openai", or the file's name without its folder."""
        if self.tag:
            return f"{self.model}:{self.tag}"
        if self.path is None:
            return FEWSHOT if self.fewshot else SMALL
        return f"{self.model}:{self.path.name}" if self.model else self.path.name


def parse_spec(text: str | os.PathLike[str] | None = None) -> Spec:
    """Read a name; None or "" asks the environment. Raises ClipRefused for what is no name. Looks at no file and no network."""
    named = os.fspath(text or os.environ.get(VARIABLE, "")).strip() or SMALL
    if named == SMALL:
        return Spec(SMALL_MODEL)
    if named == FEWSHOT:
        return Spec(SMALL_MODEL, fewshot=True)
    if _is_file_name(named) and not _model_before(named):
        return Spec("", path=Path(named).expanduser())
    model, colon, rest = named.partition(":")
    if not colon or not model or not rest:
        raise ClipRefused(f"{named!r} does not name a CLIP with its weights. {FORMS}")
    if _is_file_name(rest):
        return Spec(model, path=Path(rest).expanduser())
    if "/" in rest or "\\" in rest:
        raise ClipRefused(f"{rest!r} is neither a tag nor a weights file ({', '.join(SUFFIXES)}). {FORMS}")
    return Spec(model, tag=rest)


def _is_file_name(text: str) -> bool:
    return text.lower().endswith(SUFFIXES)


def _model_before(text: str) -> bool:
    """Whether MODEL: stands before a file; one letter is a drive ("C:\\weights.pt"), and a slash belongs to a path."""
    model, colon, _ = text.partition(":")
    return bool(colon) and len(model) > 1 and "/" not in model and "\\" not in model
