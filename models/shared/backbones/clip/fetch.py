"""Published CLIP weights: whether they are already on this machine, and getting them when they are not.

open_clip knows where each of its tags lies; `hub` gets the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.shared.backbones import hub
from models.shared.backbones.clip.spec import ClipNotHere, ClipRefused, Spec
from models.shared.backbones.hub import Progress


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
    here = cached_weights(spec)
    if here is not None:
        return here
    try:
        return hub.fetch(*_place(spec), progress)
    except hub.NotFetched as fault:
        raise ClipNotHere(_not_here(spec, str(fault))) from fault


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
