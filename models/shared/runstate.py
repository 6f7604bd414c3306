"""Saving and taking up a training run: weights, optimiser, scheduler and place in one safetensors file, without pickle.

An optimiser's state is a tree of dictionaries, lists, numbers and tensors. The tensors become entries of the file; the tree, with
their names in their places, becomes JSON in the file's metadata. JSON keeps Python's floats to the last bit.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from models.shared.checkpoints import MAX_WEIGHTS_BYTES, CheckpointRefused, parse, read_capped, write_atomically

if TYPE_CHECKING:
    from models.shared.training import Fit

MODEL = "model."
"""Before the names of the model's own tensors; those of the tree are named "tree.0", "tree.1", …"""


class _Run(BaseModel):
    """What stands in the metadata."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["lightbox-run-1"] = "lightbox-run-1"
    identity: dict[str, Any]
    step: int
    seconds: float
    grad_evals: float
    diverged: bool
    optimizer: Any
    scheduler: Any
    generators: Any


def save_run(fit: Fit, path: Path) -> None:
    """Write the run; TypeError when an optimiser keeps something other than numbers, text, lists and tensors."""
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    run = _Run(
        identity=_identity(fit),
        step=fit._step,
        seconds=fit._seconds,
        grad_evals=fit._grad_evals,
        diverged=fit.diverged,
        optimizer=_flatten(fit.optimizer.state_dict(), tensors),
        scheduler=_flatten(fit.scheduler.state_dict() if fit.scheduler else None, tensors),
        generators=_flatten({name: (str(g.device), g.get_state()) for name, g in _generators(fit.optimizer).items()}, tensors),
    )
    tensors |= {MODEL + name: value for name, value in fit.model.state_dict().items()}
    owned = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_atomically(path, save(owned, metadata={"run": json.dumps(run.model_dump())}))


def load_run(fit: Fit, path: Path) -> None:
    """Put the saved run into `fit`. The file is checked before anything is changed."""
    data = read_capped(path, MAX_WEIGHTS_BYTES, "saved run")
    tensors = parse(data, path.name)
    run = _parse_run(data, path)
    if run.identity != _identity(fit):
        differs = ", ".join(key for key, value in _identity(fit).items() if run.identity.get(key) != value)
        raise CheckpointRefused(f"{path.name} was saved by another run (different: {differs}), so it cannot be taken up here.")
    try:
        optimizer, scheduler, generators = (_restore(part, tensors) for part in (run.optimizer, run.scheduler, run.generators))
        weights = {name: tensors[MODEL + name] for name in fit.model.state_dict()}
    except (KeyError, TypeError, ValueError) as fault:
        raise CheckpointRefused(f"{path.name} is damaged: parts of the run are missing. Start the run again.") from fault
    fit.model.load_state_dict(weights)
    fit.optimizer.load_state_dict(optimizer)
    if fit.scheduler is not None:
        fit.scheduler.load_state_dict(scheduler)
    for name, (device, state) in generators.items():
        setattr(fit.optimizer, name, torch.Generator(device))
        getattr(fit.optimizer, name).set_state(state)
    fit._step, fit._seconds, fit._grad_evals, fit.diverged = run.step, run.seconds, run.grad_evals, run.diverged


def _identity(fit: Fit) -> dict[str, Any]:
    """What must be equal for a resumed run to be the same run. The number of steps may differ: a run can be made longer."""
    return {
        "optimiser": type(fit.optimizer).__name__,
        "parameter groups": [len(group["params"]) for group in fit.optimizer.param_groups],
        "model": [[name, list(value.shape)] for name, value in fit.model.state_dict().items()],
        "rows": fit.batches.n,
        "batch size": fit.batches.batch_size,
        "seed": fit.batches.seed,
        "full batch": fit.full_batch,
        "scheduler": type(fit.scheduler).__name__,
    }


def _generators(optimizer: torch.optim.Optimizer) -> dict[str, torch.Generator]:
    """Random generators an optimiser keeps for itself (timm's Adahessian does); its state_dict leaves them out."""
    return {name: value for name, value in vars(optimizer).items() if isinstance(value, torch.Generator)}


def _parse_run(data: bytes, path: Path) -> _Run:
    # The header's length stands in the first eight bytes; `parse` has already found the header to be whole.
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    try:
        return _Run.model_validate(json.loads(header.get("__metadata__", {}).get("run", "null")))
    except (ValidationError, json.JSONDecodeError) as fault:
        raise CheckpointRefused(f"{path.name} holds no saved run. Choose a file that a training run has written.") from fault


def _flatten(node: Any, tensors: dict[str, Tensor]) -> Any:
    """The tree as JSON can hold it; each tensor is put into `tensors` and leaves its name."""
    if node is None or isinstance(node, bool | int | float | str):
        return node
    if isinstance(node, Tensor):
        name = f"tree.{len(tensors)}"
        tensors[name] = node
        return {"tensor": name}
    if isinstance(node, dict):
        # Pairs, as the keys of an optimiser's state are numbers, which JSON would turn into text.
        return {"dict": [[key, _flatten(value, tensors)] for key, value in node.items()]}
    if isinstance(node, list | tuple):
        return {type(node).__name__: [_flatten(value, tensors) for value in node]}
    raise TypeError(f"An optimiser's state holds a {type(node).__name__}, which a run file cannot keep.")


def _restore(node: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of `_flatten`."""
    if not isinstance(node, dict):
        return node
    ((kind, inside),) = node.items()
    if kind == "tensor":
        return tensors[inside]
    if kind == "dict":
        return {key: _restore(value, tensors) for key, value in inside}
    return {"list": list, "tuple": tuple}[kind](_restore(value, tensors) for value in inside)
