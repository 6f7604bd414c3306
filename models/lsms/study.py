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

from models.lsms import abdomen
from models.lsms.config import Config
from models.lsms.network import LSMS
from models.lsms.plan import ARMS, Plan
from models.lsms.study_data import Pairs, pairs
from models.lsms.training import Said, answers, build, fit
from models.shared.checkpoints import parse, write_atomically
from models.shared.device import hardware
from models.shared.packing import lay_in, pack
from models.shared.segmentation_metrics import case_scores

ARRAYS = (
    "overlap", "union", "highest", "dice", "hd95", "assd", "shuffled_iou", "reworded_dice", "mirror_agreement", "clash", "kinds", "empty",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Found:
    """One run on the test slices: (N, P) arrays named in ARRAYS, NaN where a number has no meaning.

    shuffled: each slice asked another slice's phrase. reworded: synonyms, adjectives in another order (oracle 9). mirror_agreement: IoU of the answer and
    the mirrored slice's answer to the mirrored phrase, turned back (oracle 10). clash: IoU of the answers to two phrases of one slice that mean
    different lesions (oracle 8). Distances in mm.
    """

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
    """A run's file, named by all that its arm is."""
    defined = hashlib.sha256(json.dumps(ARMS[arm].as_config(), sort_keys=True).encode()).hexdigest()[:8]
    return folder / f"{arm}-{defined}.seed{seed}.json"


def pending(plan: Plan, folder: Path) -> list[tuple[str, int]]:
    """Runs that are not in the folder yet."""
    return [run for run in plan.runs if not place(folder, *run).exists()]


@lru_cache(maxsize=2)
def tests_of(n: int, per_slice: int, side: int) -> Pairs:
    """The test slices; the same for all runs."""
    return pairs("test", n, per_slice, side=side)


def counted(said: Said, test: Pairs) -> dict[str, np.ndarray]:
    """The arrays that pixels and highest probabilities alone give."""
    truth = test.all_targets()
    return {
        "overlap": _pixels(said.outlines & truth),
        "union": _pixels(said.outlines | truth),
        "highest": said.highest.double().numpy(),
        "kinds": test.kinds.astype(np.float64),
        "empty": (~test.meant.any(-1)).double().numpy(),
    }


def measure(net: LSMS, test: Pairs) -> dict[str, np.ndarray]:
    """All arrays of a run."""
    truth, said = test.all_targets(), answers(net, test)
    arrays = counted(said, test)
    named = arrays["empty"] == 0
    scores = case_scores(said.outlines.flatten(0, 1), truth.flatten(0, 1), abdomen.FIELD_MM / truth.shape[-1])
    for name, values in (("dice", scores.dice), ("hd95", scores.hd95_mm), ("assd", scores.assd_mm)):
        arrays[name] = np.where(named, values.numpy().reshape(named.shape), np.nan)
    other = answers(net, test, tokens=test.tokens.roll(1, dims=0)).outlines
    arrays["shuffled_iou"] = np.where(named, _iou(other, truth), np.nan)
    again = answers(net, test, tokens=test.reworded).outlines
    sizes = np.maximum(_pixels(again) + _pixels(truth), 1)
    arrays["reworded_dice"] = np.where(named, 2 * _pixels(again & truth) / sizes, np.nan)
    turned = answers(net, test, tokens=test.mirrored, x=test.x.flip(-1)).outlines.flip(-1)
    drawn = (turned | said.outlines).flatten(2).any(-1).numpy()
    arrays["mirror_agreement"] = np.where(drawn, _iou(turned, said.outlines), np.nan)
    arrays["clash"] = _clash(said.outlines, test.meant)
    return arrays


def _clash(outlines: Tensor, meant: Tensor) -> np.ndarray:
    """(N, P): IoU of each phrase's answer with the next phrase's, where the two mean different lesions; NaN elsewhere."""
    after, other = outlines.roll(-1, dims=1), meant.roll(-1, dims=1)
    apart = meant.any(-1) & other.any(-1) & ~(meant & other).any(-1)
    return np.where(apart.numpy(), _iou(outlines, after), np.nan)


def _pixels(masks: Tensor) -> np.ndarray:
    return masks.sum((-2, -1)).double().numpy()


def _iou(one: Tensor, other: Tensor) -> np.ndarray:
    return _pixels(one & other) / np.maximum(_pixels(one | other), 1)


def run_one(plan: Plan, run: tuple[str, int], folder: Path, device: str = "cpu") -> Iterator[tuple[int, float]]:
    """Train and measure one run and put its files into the folder; yields (step, loss)."""
    arm_id, seed = run
    arm, started = ARMS[arm_id], time.perf_counter()
    train = pairs("train", plan.slices, plan.phrases, side=plan.side, none=arm.none, start=seed * plan.slices)
    net = build(arm, seed)
    yield from fit(net, train, plan, contrast=arm.contrast, emptiness=arm.emptiness, seed=seed, device=device)
    seconds = time.perf_counter() - started
    packed = pack(net.state_dict())
    net.to("cpu", memory_format=torch.contiguous_format)  # as a loaded network is, so that its numbers are the same to the bit
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
