"""The one training loop, and what it stands on: devices, seeds and batches that every competitor sees alike.

`Fit` is an iterator: one optimiser step per item, so that several runs can be advanced in lock-step, paused, stopped or changed
between steps. It serves first-order optimisers, those that call the closure several times (L-BFGS), those that need the graph
of the gradient (`is_second_order`, timm's convention) and those that need one gradient per case (`needs_per_sample`, which leaves
`p.grad_sample` of shape (B, *p.shape), Opacus's convention).

Counting work. One *pass* is one forward and backward sweep over the batch in use. Closure calls are counted as they happen. A
Hessian-vector product counts as one pass: that is this project's convention, close to its measured cost. Optimisers that do
more than their closure shows report it in `extra_grad_evals` (passes of the last step).
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.shared.data import Split
from models.shared.device import bf16_pays, hardware, pick_device, seed_everything

__all__ = ["Batches", "Event", "Fit", "bf16_pays", "hardware", "pick_device", "seed_everything"]


@lru_cache(maxsize=32)
def _order(n: int, seed: int, epoch: int) -> Tensor:
    # Shared by all competitors of a race, who ask for the same epoch one after the other.
    return torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(n))


@dataclass(frozen=True)
class Batches:
    """Which rows the step number `step` trains on. It keeps no state: the order follows from the seed and the epoch alone.

    The short batch at the end of an epoch is left out, so that all steps weigh the same; with fewer rows than one batch, every
    step uses all rows.
    """

    n: int
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        if self.n < 1 or self.batch_size < 1 or self.seed < 0:
            raise ValueError(
                f"Batches need at least one row, a batch of at least one and a seed of 0 or more; "
                f"got {self.n} rows, a batch of {self.batch_size} and seed {self.seed}."
            )

    @property
    def size(self) -> int:
        """Rows in each batch."""
        return min(self.n, self.batch_size)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in one pass over the rows, at least 1."""
        return self.n // self.size

    def indices(self, step: int) -> Tensor:
        """Row numbers of step 0, 1, …: int64 (size,)."""
        epoch, place = divmod(step, self.steps_per_epoch)
        return _order(self.n, self.seed, epoch)[place * self.size : (place + 1) * self.size]


@dataclass(frozen=True)
class Event:
    """What one step did. `step`, `epoch`, `seconds` and `grad_evals` count from the beginning of the run, this step included."""

    step: int
    epoch: float
    loss: float
    """Mean loss of the batch at the weights before the step."""
    seconds: float
    """Time spent optimising; evaluation and pauses are left out."""
    grad_evals: float
    """Passes over the data in full-batch units: a pass over a tenth of the rows adds 0.1."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Filled in every `evaluate_every` steps and at the last one; empty otherwise."""
    diverged: bool = False
    """The loss was no longer a finite number: the step was not taken, and the run is over."""
    passes: float = 1.0
    """Forward and backward sweeps in this step alone, whatever the batch size: for counting memory traffic."""


class _NotFinite(ArithmeticError):
    """The loss at the start of a step is infinite or not a number."""


class Fit:
    """One run: a model, its optimiser, its data and its place in the run.

    `loss_fn(output, y)` must return the plain mean over the cases. Hyper-parameters in `optimizer.param_groups` may be changed
    between steps. Random numbers drawn inside a step (dropout, random probes) follow from the batch seed and the step number, so
    neither other runs in the same process nor a resume change them; the caller's random state is left as it was.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss_fn: Callable[[Tensor, Tensor], Tensor],
        data: Split,
        batches: Batches,
        *,
        steps: int,
        device: torch.device | str,
        scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
        evaluate: Callable[[nn.Module], Mapping[str, float]] | None = None,
        evaluate_every: int = 50,
        autocast: bool = False,
        full_batch: bool = False,
    ) -> None:
        """Nothing is trained yet. The optimiser must already hold the model's parameters on `device`."""
        if len(data) != batches.n:
            raise ValueError(f"The batches are made for {batches.n} rows, but the data has {len(data)}.")
        if steps < 1 or evaluate_every < 1:
            raise ValueError(f"A run needs at least one step between evaluations and in all; got {evaluate_every} and {steps}.")
        self.model, self.optimizer, self.loss_fn = model, optimizer, loss_fn
        self.device = torch.device(device)
        self.data, self.batches, self.full_batch = data.to(self.device), batches, full_batch
        self.steps, self.scheduler, self.autocast = steps, scheduler, autocast
        self.evaluate, self.evaluate_every = evaluate, evaluate_every
        self.diverged = False
        self._step, self._seconds, self._grad_evals = 0, 0.0, 0.0
        self._second_order = bool(getattr(optimizer, "is_second_order", False))
        self._per_sample = bool(getattr(optimizer, "needs_per_sample", False))
        if self._per_sample:
            _refuse_batch_norm(model)

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return self._step

    def __iter__(self) -> Iterator[Event]:
        """Go on from the present step to the last one. Leaving the loop early leaves the run whole; iterating again goes on."""
        while self._step < self.steps and not self.diverged:
            yield self._advance()

    def _advance(self) -> Event:
        """One step, timed, and the evaluation when it is due."""
        started = time.perf_counter()
        try:
            with self._own_randomness(), self._attention():
                loss, passes = self._optimise()
        except _NotFinite as fault:
            self.diverged = True
            return self._event(loss=fault.args[0], passes=1.0)
        if self.scheduler is not None:
            self.scheduler.step()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # the update runs on after the call returns; without this it would cost nothing
        self._seconds += time.perf_counter() - started
        self._grad_evals += passes * (1.0 if self.full_batch else self.batches.size / self.batches.n)
        self._step += 1
        return self._event(loss=loss, passes=passes, metrics=self._metrics())

    def _event(self, *, loss: float, passes: float, metrics: Mapping[str, float] | None = None) -> Event:
        epoch = self._step * (1.0 if self.full_batch else 1 / self.batches.steps_per_epoch)
        return Event(self._step, epoch, loss, self._seconds, self._grad_evals, metrics or {}, self.diverged, passes)

    def _optimise(self) -> tuple[float, float]:
        """Call the optimiser once: (loss before the step, passes used)."""
        x, y = self._batch()
        self.model.train()
        seen: list[float] = []

        @torch.enable_grad()
        def closure() -> Tensor:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self._per_sample_grads(x, y) if self._per_sample else self._grads(x, y)
            seen.append(loss.item() if not seen else math.nan)  # later values are the optimiser's own search
            if not math.isfinite(seen[0]):
                raise _NotFinite(seen[0])
            return loss

        self.optimizer.step(closure)
        if self._second_order:
            # Gradients made with their own graph refer to it and to themselves; dropping them frees the memory.
            self.optimizer.zero_grad(set_to_none=True)
        return seen[0], len(seen) + self._extra_passes()

    def _batch(self) -> tuple[Tensor, Tensor]:
        if self.full_batch:
            return self.data.x, self.data.y
        rows = self.batches.indices(self._step).to(self.device)
        return self.data.x[rows], self.data.y[rows]

    def _grads(self, x: Tensor, y: Tensor) -> Tensor:
        """Fill `p.grad`; the mean loss is returned without its graph unless a second-order method needs it."""
        with self._cast():
            loss = self.loss_fn(self.model(x), y)
        if not self._second_order:
            loss.backward()
            return loss.detach()
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        # The same as backward(create_graph=True), without the warning it prints at every step.
        for p, grad in zip(parameters, torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True), strict=True):
            p.grad = grad
        return loss

    def _per_sample_grads(self, x: Tensor, y: Tensor) -> Tensor:
        """Fill `p.grad_sample` (B, *p.shape) and its mean `p.grad`; returns the mean loss."""
        weights = {name: p.detach() for name, p in self.model.named_parameters() if p.requires_grad}
        fixed = {name: p.detach() for name, p in self.model.named_parameters() if not p.requires_grad} | dict(self.model.named_buffers())

        def one(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            with self._cast():
                return self.loss_fn(torch.func.functional_call(self.model, (weights, fixed), (x[None],)), y[None])

        each = torch.func.vmap(torch.func.grad_and_value(one), in_dims=(None, 0, 0), randomness="different")
        grads, losses = each(weights, x, y)
        for name, p in self.model.named_parameters():
            if name in grads:
                p.grad_sample = grads[name]
                p.grad = grads[name].mean(0)
        return losses.mean()

    def _extra_passes(self) -> float:
        """Passes beyond the closure's. timm's Adahessian reports none, so its probes are counted from its settings."""
        reported = getattr(self.optimizer, "extra_grad_evals", None)
        if reported is not None:
            return float(reported)
        if not self._second_order:
            return 0.0
        return getattr(self.optimizer, "n_samples", 1) / getattr(self.optimizer, "update_each", 1)

    def _metrics(self) -> Mapping[str, float]:
        due = self._step % self.evaluate_every == 0 or self._step == self.steps
        if self.evaluate is None or not due:
            return {}
        self.model.eval()
        with torch.no_grad():
            return dict(self.evaluate(self.model))

    def _cast(self) -> contextlib.AbstractContextManager:
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if self.autocast else contextlib.nullcontext()

    def _attention(self) -> contextlib.AbstractContextManager:
        # The fused attention kernels have no second derivative and no batching rule; the plain one has both.
        return sdpa_kernel(SDPBackend.MATH) if self._second_order or self._per_sample else contextlib.nullcontext()

    @contextlib.contextmanager
    def _own_randomness(self) -> Iterator[None]:
        """Random numbers of this step follow from the batch seed and the step; the generators are put back after it."""
        generators = [torch.default_generator]
        if self.device.type == "cuda":
            generators.append(torch.cuda.default_generators[self.device.index or 0])
        before = [generator.get_state() for generator in generators]
        seed = int(np.random.SeedSequence([self.batches.seed, self._step]).generate_state(1, np.uint64)[0] >> 1)
        try:
            for generator in generators:
                generator.manual_seed(seed)
            yield
        finally:
            for generator, state in zip(generators, before, strict=True):
                generator.set_state(state)

    def save(self, path: Path) -> None:
        """Write the whole run (weights, optimiser, place) as one safetensors file, whole or not at all."""
        from models.shared.runstate import save_run

        save_run(self, Path(path))

    def load(self, path: Path) -> None:
        """Take up a saved run in a Fit built the same way; CheckpointRefused when the file is damaged or of another run.

        On the CPU the resumed run gives the same bits as one that never stopped. A refused file changes nothing.
        """
        from models.shared.runstate import load_run

        load_run(self, Path(path))


def _refuse_batch_norm(model: nn.Module) -> None:
    if any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in model.modules()):
        raise ValueError("This optimiser needs one gradient per case, which batch normalisation mixes; use group or layer normalisation.")
