"""Find and load a segmenter: by name from the host's folders or the cache of earlier downloads, or any file by its path.

Where a name is looked for, in this order: `WORKBENCH_SAM2` (a file, used when its name begins with the one asked for, or a folder),
`weights-<name>/` under `WORKBENCH_DATA`, what ships with the program (the small one), the download cache. Nothing is fetched unless
asked for with `download=True`. Files: safetensors, or PyTorch's .pt read with weights only, so that nothing in it is ever run.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from models.shared.backbones import hub
from models.shared.backbones.hub import Progress
from models.shared.checkpoints import CheckpointRefused, parse, read_capped
from models.shared.libraries import load_libraries
from models.shared.paths import assets_dir, data_root

if TYPE_CHECKING:
    from torch import Tensor

    from models.shared.backbones.segmenter.wrapper import Sam2

PUBLISHED = tuple(f"{version}_hiera_{size}" for version in ("sam2", "sam2.1") for size in ("tiny", "small", "base_plus", "large"))
SPECS = ("small", *PUBLISHED)
"""The names that can be asked for."""
SUFFIXES = (".safetensors", ".pt")
MAX_FILE_BYTES = 1 << 30  # the largest published checkpoint takes 0.9 GB
DEFAULT_CACHE_BYTES = 256 << 20


def load_sam2(
    spec: str | os.PathLike[str] = "auto",
    device: str = "auto",
    image_size: int | None = None,
    *,
    precision: str = "float32",
    cache_bytes: int = DEFAULT_CACHE_BYTES,
    download: bool = False,
) -> Sam2:
    """The segmenter, ready to use.

    `spec`: a name in SPECS, the path of a checkpoint, or "auto" for the file in WORKBENCH_SAM2, else the small one. `image_size`: the
    square the network sees, a multiple of 32; by default 1024 for the published networks (512 is about five times faster on a CPU)
    and 256 for the small one. `precision` of the encoder: "float32" for answers that are the same on every machine, "bfloat16",
    or "auto" for bfloat16 where that is faster. `cache_bytes` bounds the prepared images kept.
    Raises CheckpointRefused (no such file, damaged, other network) or ValueError (unknown device, size or precision) with a sentence.
    """
    wanted, path = find(spec, download=download)
    data = read_capped(path, MAX_FILE_BYTES, "weights file")
    state = read_state(data, path.name)

    load_libraries()
    from models.shared.backbones.segmenter.network import build, fill, recognise
    from models.shared.backbones.segmenter.wrapper import Sam2
    from models.shared.device import pick_device

    known = recognise(state)
    name = wanted or known
    if _size(known) != _size(name):
        raise CheckpointRefused(f"{path.name} holds {known}, not {name}; choose {known}, or put the right file in its place.")
    model = build(name, image_size=image_size)
    fill(model, state, name=path.name)
    return Sam2(
        model.to(pick_device(device)), name=name, fingerprint=hashlib.sha256(data).hexdigest(), precision=precision, cache_bytes=cache_bytes
    )


def find(spec: str | os.PathLike[str] = "auto", *, download: bool = False) -> tuple[str | None, Path]:
    """The name (None: to be told from the file) and the file to read; CheckpointRefused with a sentence when there is none."""
    own = os.environ.get("WORKBENCH_SAM2", "").strip()
    if spec == "auto":
        if own and not Path(own).expanduser().is_dir():
            return None, _existing(Path(own).expanduser())
        spec = "small"
    if spec not in SPECS:
        if isinstance(spec, str) and not spec.endswith(SUFFIXES) and os.sep not in spec:
            raise CheckpointRefused(
                f"{spec!r} is not a segmenter known here; choose one of {', '.join(SPECS)}, or give the path of a checkpoint."
            )
        return None, _existing(Path(spec).expanduser())
    name = str(spec)
    found = next(_candidates(name, own), None) or _cached(name)
    if found is None and download and name in PUBLISHED:
        found = fetch_sam2(name)
    if found is None:
        raise CheckpointRefused(_absent(name))
    return name, found


def read_state(data: bytes, name: str) -> dict[str, Tensor]:
    """The tensors in a checkpoint's bytes as float32, those of a .pt file under its "model" entry; CheckpointRefused when damaged."""
    import torch

    if name.endswith(".safetensors"):
        state = parse(data, name)
    else:
        if not zipfile.is_zipfile(io.BytesIO(data)):
            raise CheckpointRefused(f"{name} is not a whole PyTorch checkpoint. Fetch it once more.")
        try:
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except Exception as fault:  # what a damaged file raises depends on where the damage lies
            raise CheckpointRefused(f"{name} is damaged, or holds more than weights, so it was not read. Fetch it once more.") from fault
        state = content.get("model", content) if isinstance(content, dict) else {}
    if not state or not all(isinstance(key, str) and isinstance(tensor, torch.Tensor) for key, tensor in state.items()):
        raise CheckpointRefused(f"{name} holds no table of weights. Give a SAM 2 checkpoint.")
    return {key: tensor.float() for key, tensor in state.items()}


def _candidates(name: str, own: str) -> Iterator[Path]:
    if own:
        place = Path(own).expanduser()
        if place.is_dir():
            yield from (file for suffix in SUFFIXES if (file := place / f"{name}{suffix}").is_file())
        elif place.is_file() and place.name.startswith((f"{name}.", f"{name}_")):
            yield place
    folder = data_root() / f"weights-{name.replace('_', '-')}"
    yield from (file for suffix in SUFFIXES for file in sorted(folder.glob(f"*{suffix}")))
    if name == "small" and (shipped := assets_dir() / "checkpoints" / "sam2_small.safetensors").is_file():
        yield shipped


def _hub_name(name: str) -> tuple[str, str]:
    return f"facebook/{name.replace('_', '-')}", f"{name}.pt"


def _cached(name: str) -> Path | None:
    if name not in PUBLISHED:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(*_hub_name(name))
    return Path(found) if isinstance(found, str) else None


def fetch_sam2(name: str, progress: Progress | None = None) -> Path:
    """Get the published weights of a name, telling `progress`; what is here already is not fetched again. CheckpointRefused when they cannot be had."""
    if name not in PUBLISHED:
        raise CheckpointRefused(f"{name!r} has no published weights; choose one of {', '.join(PUBLISHED)}.")
    try:
        return find(name)[1]
    except CheckpointRefused:
        repository, file = _hub_name(name)
    try:
        return hub.fetch(repository, [file], progress)
    except hub.NotFetched as fault:
        raise CheckpointRefused(_absent(name, str(fault))) from fault


def _absent(name: str, why: str = "are not on this machine") -> str:
    if name == "small":
        return (
            "The small segmenter's weights are not here; make them with its training command, or set WORKBENCH_SAM2 to a SAM 2 checkpoint."
        )
    return f"The weights of {name} {why}; put {name}.pt in a folder, set WORKBENCH_SAM2 to that folder, and choose it again."


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise CheckpointRefused(f"The weights file {path.name} is not here; check the path and that it can be read.")
    if path.suffix not in SUFFIXES:
        raise CheckpointRefused(f"{path.name} is not a weights file that can be read; give one that ends in .safetensors or .pt.")
    return path


def _size(name: str) -> str:
    return name.rpartition("hiera_")[2]
