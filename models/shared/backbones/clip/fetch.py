"""Published CLIP weights: whether they are already on this machine, and getting them when they are not.

open_clip knows where each of its tags lies; the hub client keeps what was fetched. Finding out that there is no network takes one short
request here, instead of the client's half minute of repeated attempts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.shared.backbones.clip.spec import ClipNotHere, ClipRefused, Spec

TIMEOUT_S = 5.0
Progress = Callable[[int, int], None]
"""Called with bytes had and bytes in all (0 when not known)."""


def tag_config(spec: Spec) -> dict[str, Any]:
    """What open_clip knows about a tag: its place, pixel statistics and activation. ClipRefused when model or tag does not exist."""
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    if spec.model not in open_clip.list_models():
        raise ClipRefused(f"open_clip has no model named {spec.model!r}. Names look like ViT-B-16 or ViT-L-14.")
    found = get_pretrained_cfg(spec.model, spec.tag)
    if not found:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(spec.model)) or "none"
        raise ClipRefused(f"{spec.model} has no published weights named {spec.tag!r}. It has: {tags}.")
    return found


def cached_weights(spec: Spec) -> Path | None:
    """The file of a tag's weights where it was fetched before, else None. Asks no network."""
    from huggingface_hub import try_to_load_from_cache

    repository, names = _place(spec)
    for name in names:
        path = try_to_load_from_cache(repository, name)
        if isinstance(path, str):  # else None, or a mark that the file is known not to exist
            return Path(path)
    return None


def fetch_clip(spec: Spec, progress: Progress | None = None) -> Path:
    """Get a tag's weights, telling `progress`; what is here already is not fetched again. ClipNotHere when it cannot be had."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    here = cached_weights(spec)
    if here is not None:
        return here
    repository, names = _place(spec)
    for name in names:
        try:
            get_hf_file_metadata(hf_hub_url(repository, name), timeout=TIMEOUT_S)  # one attempt: is there a network, and this file?
            return Path(hf_hub_download(repository, name, etag_timeout=TIMEOUT_S, tqdm_class=_counter(progress)))
        except EntryNotFoundError:
            continue
        except Exception as fault:  # a missing network shows itself in many ways, and all mean this one sentence
            raise ClipNotHere(_not_here(spec, f"could not be fetched ({type(fault).__name__})")) from fault
    raise ClipNotHere(_not_here(spec, "were not found where open_clip says they are"))


def not_here(spec: Spec) -> ClipNotHere:
    """What to say when a tag's weights were never fetched."""
    return ClipNotHere(_not_here(spec, "are not on this machine"))


def _not_here(spec: Spec, why: str) -> str:
    return (
        f"The weights of {spec.name} {why}. Fetch them once while there is a network, "
        f"or put the file on this machine and name it as {spec.model}:FILE.safetensors."
    )


def _place(spec: Spec) -> tuple[str, tuple[str, ...]]:
    """Repository and file names to try, the safe format first."""
    from open_clip.pretrained import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME

    repository, _, name = str(tag_config(spec).get("hf_hub", "")).rpartition("/")
    if not repository:
        raise ClipRefused(f"open_clip does not say where the weights of {spec.name} lie; name a file instead.")
    if not name:
        return repository, (HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME)
    return repository, (str(Path(name).with_suffix(".safetensors")), name)


def _counter(progress: Progress | None) -> type:
    """A stand-in for the client's progress bar that draws nothing and tells `progress`."""
    from tqdm import tqdm

    class Counter(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)  # the client's own bars take it, tqdm does not
            super().__init__(*args, **kwargs | {"disable": None, "file": _Silent(), "mininterval": 0.25})

        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            if progress is not None and not self.disable:
                progress(int(self.n), int(self.total or 0))
            return shown

    return Counter


class _Silent:
    """Where a bar's drawing goes: nowhere."""

    def write(self, _text: str) -> int:
        return 0

    def flush(self) -> None:
        """Nothing waits here."""
