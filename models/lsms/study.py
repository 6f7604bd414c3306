"""Running the study: every arm and seed; each finished run is a file in a working folder, so that a stopped study goes on and processes can share it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.lsms.config import Config
from models.lsms.network import LSMS
from models.lsms.plan import ARMS, Plan
from models.lsms.study_data import Pairs, pairs
from models.lsms.training import answers, build, fit
from models.shared.checkpoints import parse, write_atomically
from models.shared.device import hardware
from models.shared.packing import lay_in, pack

ARRAYS = ("overlap", "union", "highest", "shuffled_overlap", "shuffled_union", "mirrored_overlap", "mirrored_union", "kinds", "empty")


@dataclass(frozen=True, eq=False)
class Found:
    """One run on the test slices: (N, P) arrays named in ARRAYS; "shuffled" asks each slice another slice's phrases, "mirrored" the mirrored slice."""

    arrays: dict[str, np.ndarray]
    seconds: float
    hardware: str

    @property
    def iou(self) -> np.ndarray:
        """(N, P); NaN where the phrase names nothing."""
        a = self.arrays
        return np.where(a["empty"] > 0, np.nan, a["overlap"] / np.maximum(a["union"], 1))


def work_folder(plan: Plan) -> Path:
    """Where runs of this plan are kept."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    named = json.dumps(plan.as_config(), sort_keys=True)
    return base / "lightbox" / "lsms-study" / hashlib.sha256(named.encode()).hexdigest()[:16]


def place(folder: Path, arm: str, seed: int) -> Path:
    """A run's file."""
    return folder / f"{arm}.seed{seed}.json"


def pending(plan: Plan, folder: Path) -> list[tuple[str, int]]:
    """Runs that are not in the folder yet."""
    return [run for run in plan.runs if not place(folder, *run).exists()]


@lru_cache(maxsize=2)
def tests_of(n: int, per_slice: int, side: int) -> Pairs:
    """The test slices; the same for all runs."""
    return pairs("test", n, per_slice, side=side)


def measure(net: LSMS, test: Pairs) -> dict[str, np.ndarray]:
    """The arrays of a run."""
    said = answers(net, test)
    other = answers(net, test, tokens=test.tokens.roll(1, dims=0))
    turned = Pairs(test.x.flip(-1), test.lesions.flip(-1), test.mirrored, test.tokens, test.meant, test.kinds, test.texts)
    mirror = answers(net, turned)
    return {
        "overlap": said.overlap, "union": said.union, "highest": said.highest, "shuffled_overlap": other.overlap, "shuffled_union": other.union,
        "mirrored_overlap": mirror.overlap, "mirrored_union": mirror.union, "kinds": test.kinds.astype(np.float64),
        "empty": (~test.meant.any(-1)).numpy().astype(np.float64),
    }  # fmt: skip


def run_one(plan: Plan, run: tuple[str, int], folder: Path, device: str = "cpu") -> Iterator[tuple[int, float]]:
    """Train and measure one run and put its files into the folder; yields (step, loss)."""
    arm_id, seed = run
    arm, started = ARMS[arm_id], time.perf_counter()
    train = pairs("train", plan.slices, plan.phrases, side=plan.side, none=arm.none, start=seed * plan.slices)
    net = build(arm, seed)
    yield from fit(net, train, plan, contrast=arm.contrast, seed=seed, device=device)
    seconds = time.perf_counter() - started
    packed = pack(net.state_dict())
    net.to("cpu")
    lay_in(net, packed)
    arrays = measure(net, tests_of(plan.tests, plan.test_phrases, plan.side))
    if seed == plan.seeds[0]:
        from safetensors.torch import save

        write_atomically(place(folder, *run).with_suffix(".safetensors"), save(packed))
    told = {name: [[round(float(v), 5) for v in row] for row in values] for name, values in arrays.items()}
    write_atomically(place(folder, *run), json.dumps({"arrays": told, "seconds": seconds, "hardware": hardware(device)}).encode())


def found(folder: Path, arm: str, seed: int) -> Found:
    """What a finished run found."""
    kept = json.loads(place(folder, arm, seed).read_text(encoding="utf-8"))
    return Found({name: np.array(kept["arrays"][name]) for name in ARRAYS}, kept["seconds"], kept["hardware"])


def weights(folder: Path, arm: str, seed: int) -> dict[str, Tensor]:
    """The packed weights of a run of the first seed."""
    path = place(folder, arm, seed).with_suffix(".safetensors")
    return parse(path.read_bytes(), path.name)


def network_of(config: Config, packed: dict[str, Tensor]) -> LSMS:
    """A trained network from its settings, as its card keeps them, and its packed weights; answering."""
    with torch.random.fork_rng(devices=[]):
        net = LSMS(config)
    lay_in(net, packed)
    return net.eval()
