"""From a name to a ready `Clip`, and from a `Clip` to a file. Weights are safetensors, or PyTorch files read as tensors alone.

A file is never unpickled: .pt, .pth and .bin are opened with ``weights_only``, which refuses anything but tensors.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import open_clip
import torch
from open_clip.factory import load_checkpoint

from models.shared import checkpoints
from models.shared.backbones.clip.fetch import Progress, cached_weights, fetch_clip, not_here, tag_config
from models.shared.backbones.clip.interface import Clip
from models.shared.backbones.clip.spec import SMALL_MODEL, SUFFIXES, ClipNotHere, ClipRefused, Spec, parse_spec
from models.shared.backbones.clip.vocabulary import CONFIG, MERGES
from models.shared.device import pick_device
from models.shared.paths import assets_dir

if TYPE_CHECKING:
    import os

    from open_clip.tokenizer import SimpleTokenizer
    from torch import Tensor, nn

MAX_WEIGHTS_BYTES = 8 << 30
FEWSHOT_FILE = "clip_small_fewshot.safetensors"
"""In assets/checkpoints; its numbers stand in the card of clip_small."""
SMALL_PREPROCESS = {"resize_mode": "longest"}  # the whole scan, made square with black: a crop could cut the lesion away
_STATISTICS = ("mean", "std", "interpolation", "resize_mode", "fill_color")
_QUICK = "-quickgelu"
_BAD_STATISTICS = "{} says how to prepare pictures in a way that cannot be used. Save it once more."


def load_clip(
    spec: str | os.PathLike[str] | Spec | None = None, device: str = "cpu", *, fetch: bool = False, progress: Progress | None = None
) -> Clip:
    """The CLIP of that name (see `spec`; None asks the environment), frozen, on a device.

    Published weights that are not on this machine are fetched only with `fetch`. Raises ClipNotHere when weights are missing and
    ClipRefused for a wrong name, a damaged file or a model of another kind, each with a sentence for people.
    """
    wanted = spec if isinstance(spec, Spec) else parse_spec(spec)
    if wanted.tag:
        return _published(wanted, device, fetch_clip(wanted, progress) if fetch else cached_weights(wanted))
    if wanted.path is not None:
        return _from_file(wanted, device)
    return _twin(wanted, device) if wanted.fewshot else _small(wanted, device)


def new_clip(model: str = SMALL_MODEL, *, seed: int = 0, device: str = "cpu") -> Clip:
    """An untrained CLIP of an open_clip architecture, its weights drawn from `seed`; the start of a training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        built = _build(model)
    return _finish(built, model, f"{model} (untrained)", device)


def weights_of(clip: Clip, dtype: torch.dtype = torch.float16) -> dict[str, Tensor]:
    """Its weights by name, floats in `dtype`: half precision halves the file and is widened again when loaded."""
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in clip.model.state_dict().items()}


def save_clip(clip: Clip, path: str | os.PathLike[str], *, dtype: torch.dtype = torch.float32) -> str:
    """Write its weights to a .safetensors file that says which model it is, and return the file's SHA-256."""
    from safetensors.torch import save

    path = Path(path)
    if path.suffix != ".safetensors":
        raise ClipRefused(f"Weights are written as .safetensors; {path.name} ends otherwise.")
    statistics = {key: getattr(clip.preprocess_config, key) for key in _STATISTICS}
    tensors = {name: value.cpu().contiguous().clone() for name, value in weights_of(clip, dtype).items()}
    data = save(tensors, metadata={"format": "pt", "clip_model": clip.model_name, "clip_preprocess": json.dumps(statistics)})
    checkpoints.write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


# ---------------------------------------------------------------------- the three sources
def _small(wanted: Spec, device: str) -> Clip:
    path = assets_dir() / "checkpoints" / "clip_small.safetensors"
    if not path.is_file():
        raise ClipNotHere("The small CLIP is not in this copy of the program. Make it with: python -m models train clip_small")
    try:
        tensors, card = checkpoints.load(path)
    except checkpoints.CheckpointRefused as fault:
        raise ClipRefused(str(fault)) from fault
    model = _build(wanted.model)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as fault:
        raise ClipRefused(_misfit(path, wanted.model)) from fault
    return _finish(model, wanted.model, wanted.name, device, card.sha256)


def _twin(wanted: Spec, device: str) -> Clip:
    path = assets_dir() / "checkpoints" / FEWSHOT_FILE
    if not path.is_file():
        raise ClipNotHere("The small CLIP's twin is not in this copy of the program. Make both with: python -m models train clip_small")
    return _with_weights(path, wanted.model, wanted.name, device, _statistics(_metadata(path).get("clip_preprocess", "{}"), path.name))


def _published(wanted: Spec, device: str, path: Path | None) -> Clip:
    known = tag_config(wanted)
    check_config(wanted.model)
    if path is None:
        raise not_here(wanted)
    architecture = wanted.model
    # Weights trained with the quick activation give wrong numbers without it; open_clip only warns.
    if known.get("quick_gelu") and not open_clip.get_model_config(architecture).get("quick_gelu"):
        if architecture + _QUICK not in open_clip.list_models():
            raise ClipRefused(f"{wanted.name} needs the model {architecture}{_QUICK}, which this version of open_clip does not have.")
        architecture += _QUICK
    statistics = {key: known[key] for key in _STATISTICS if key in known}
    return _with_weights(path, architecture, wanted.name, device, statistics)


def _from_file(wanted: Spec, device: str) -> Clip:
    path = wanted.path
    if path is None or not path.is_file():
        raise ClipNotHere(f"The weights file {path.name if path else ''} is not there. Check the path, which must name a file.")
    if path.suffix.lower() not in SUFFIXES:
        raise ClipRefused(f"{path.name} is not a weights file; expected one that ends in {', '.join(SUFFIXES)}.")
    said = _metadata(path) if path.suffix.lower() == ".safetensors" else {}
    model = wanted.model or said.get("clip_model", "")
    if not model:
        raise ClipRefused(
            f"{path.name} does not say which model it belongs to. Put the model's name before it, such as ViT-B-16:{path.name}."
        )
    return _with_weights(path, model, wanted.name, device, _statistics(said.get("clip_preprocess", "{}"), path.name))


def _statistics(text: str, file_name: str) -> dict[str, Any]:
    """How a file wants its pictures prepared, checked: it may come from anywhere. What it does not say keeps open_clip's default."""
    try:
        said = json.loads(text)
        found = {key: said[key] for key in _STATISTICS if key in said}
        for key in {"mean", "std"} & found.keys():
            found[key] = tuple(float(value) for value in found[key])
        good = (
            all(len(found.get(key, (1, 1, 1))) == 3 for key in ("mean", "std"))
            and all(0 < value < 1e3 for value in found.get("std", ()))
            and all(abs(value) < 1e3 for value in found.get("mean", ()))
            and found.get("interpolation", "bicubic") in ("bicubic", "bilinear")
            and found.get("resize_mode", "squash") in ("squash", "shortest", "longest")
            and found.get("fill_color", 0) in range(256)
        )
    except (ValueError, TypeError, KeyError) as fault:
        raise ClipRefused(_BAD_STATISTICS.format(file_name)) from fault
    if not good:
        raise ClipRefused(_BAD_STATISTICS.format(file_name))
    return found


def _with_weights(path: Path, model_name: str, name: str, device: str, statistics: dict[str, Any]) -> Clip:
    if path.stat().st_size > MAX_WEIGHTS_BYTES:
        raise ClipRefused(f"{path.name} is larger than the {MAX_WEIGHTS_BYTES >> 30} GB allowed, so it was not read.")
    model = _build(model_name, statistics)
    try:
        load_checkpoint(model, str(path), strict=True, weights_only=True)
    except Exception as fault:  # damage and misfit come as many kinds of error from two readers, and all mean one sentence
        raise ClipRefused(_misfit(path, model_name)) from fault
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return _finish(model, model_name, name, device, sha256)


def _misfit(path: Path, model_name: str) -> str:
    return (
        f"{path.name} is damaged, holds more than tensors, or is not for the model {model_name}. "
        "Fetch it once more, or name the model it was made for, such as ViT-B-32:FILE."
    )


# ---------------------------------------------------------------------- building
def check_config(model: str) -> dict[str, Any]:
    """open_clip's configuration of a model this program can use; ClipRefused otherwise, before anything is built or fetched."""
    if model == SMALL_MODEL and model not in open_clip.list_models():
        open_clip.add_model_config(CONFIG)
    config = open_clip.get_model_config(model) if model in open_clip.list_models() else None
    if config is None:
        raise ClipRefused(f"open_clip has no model named {model!r}. Names look like ViT-B-16 or ViT-L-14.")
    image, text = config["vision_cfg"], config["text_cfg"]
    if isinstance(image.get("layers"), list) or "timm_model_name" in image:
        raise ClipRefused(
            f"{model} looks at images with a network that has no plain patches and attention to show. "
            "Choose a model whose name begins with ViT, such as ViT-B-16."
        )
    if "hf_model_name" in text or "hf_tokenizer_name" in text or "multimodal_cfg" in config:
        raise ClipRefused(f"The text side of {model} needs parts that are not in open_clip itself. Choose a plain CLIP, such as ViT-B-16.")
    size = image.get("image_size", 224)
    if not isinstance(size, int):
        raise ClipRefused(f"{model} looks at pictures that are not square, which is not supported here.")
    return config


def _build(model: str, statistics: dict[str, Any] | None = None) -> nn.Module:
    check_config(model)
    preprocess = {**(SMALL_PREPROCESS if model == SMALL_MODEL else {}), **(statistics or {})}
    root, hush = logging.getLogger(), _NoAlarm()
    root.addFilter(hush)
    try:
        return open_clip.create_model(model, pretrained_text=False, force_preprocess_cfg=preprocess)
    finally:
        root.removeFilter(hush)


class _NoAlarm(logging.Filter):
    """Drops open_clip's warning that weights are random: here they are loaded a moment later, or wanted so."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "initialized randomly" not in record.getMessage()


def _tokenizer(model: str) -> SimpleTokenizer:
    if model != SMALL_MODEL:
        return open_clip.get_tokenizer(model)
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer(bpe_path=str(MERGES), context_length=check_config(model)["text_cfg"]["context_length"])


def _finish(model: nn.Module, model_name: str, name: str, device: str, sha256: str = "") -> Clip:
    return Clip(model.to(pick_device(device)), _tokenizer(model_name), name=name, model_name=model_name, sha256=sha256)


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as fault:
        raise ClipRefused(f"{path.name} is not a whole safetensors file ({fault}). Fetch it once more.") from fault
