"""The label microscope: a study's training pictures by number, each through filter and cleansing as the last pass of its training saw it.

The pictures are made again from their numbers, the errors from the setting and seed, the losses from the shipped teacher; the Gaussians are those
of the card. Only made-up sets have this: real pictures do not ship. Weights are rounded for shipping, so single pixels may differ from the training.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.self_cleansing.cleansing import FLIPPED, Assessment, cleanse, similarity
from models.self_cleansing.filtering import Fit, region
from models.self_cleansing.losses import picture_losses, pixel_losses
from models.self_cleansing.network import UNet
from models.self_cleansing.noise import Planted, plant
from models.self_cleansing.plan import Cleansing
from models.self_cleansing.record import METHOD
from models.self_cleansing.results import Case, OptionRefused, Suspect, ranking
from models.self_cleansing.slices import batch
from models.self_cleansing.weights import cleansing_of, network_of, noise_of
from models.self_cleansing.wrapper import state_of
from models.shared.checkpoints import read_card


def load_cases(task: str, setting: str, arm: str = "cleansed", *, path: Path | None = None) -> Casebook:
    """The training pictures of a cell, kept for the next caller. OptionRefused for a real set, a cell without a pass, or one that is not there."""
    path = Path(path or METHOD.checkpoint)
    return _load(path, read_card(path).sha256, task, setting, arm)


@lru_cache(maxsize=4)
def _load(path: Path, sha256: str, task: str, setting: str, arm: str) -> Casebook:
    facts, packed = state_of(path, sha256, task, setting, arm)
    card = read_card(path)
    final = card.extra["final"].get(f"{task}/{setting}/{arm}")
    if facts["kind"] != "phantom" or final is None:
        raise OptionRefused("Training pictures can be looked at for made-up sets, and for arms whose labels were looked at in training.")
    x, truth = batch(range(card.seed * facts["pool"], (card.seed + 1) * facts["pool"]), facts["side"], "train")
    planted = plant(truth, noise_of(facts["settings"][setting]), seed=card.seed, structures=len(facts["structures"]))
    fits = [final["pictures"]["fit"], *(one["fit"] for one in final["pixels"])]
    net = network_of(facts, packed.get("teacher", packed["last"]))
    prototypes = packed.get("extra", {}).get("prototypes")
    return Casebook(
        net,
        x,
        truth,
        planted,
        [Fit.of_json(fit) if fit else None for fit in fits],
        cleansing_of(facts["arms"][setting][arm]),
        prototypes,
    )


class Casebook:
    """Training pictures with given, true and cleansed labels."""

    def __init__(
        self,
        net: UNet,
        x: np.ndarray,
        truth: np.ndarray,
        planted: Planted,
        fits: list[Fit | None],
        cleansing: Cleansing,
        prototypes: Tensor | None = None,
    ) -> None:
        """x (N, channels, S, S), truth (N, S, S); `fits`: of the pictures, then of each class."""
        self.net, self.x, self.truth, self.planted, self.cleansing, self.prototypes = net, x, truth, planted, cleansing, prototypes
        self.picture_fit, self.fits = fits[0], fits[1:]

    def __len__(self) -> int:
        return len(self.x)

    def case(self, index: int, cleansing: Cleansing | None = None) -> Case:
        """One picture; `cleansing` changes gate, evidence and thresholds, the Gaussians stay. OptionRefused for a number that is not there."""
        if not 0 <= index < len(self):
            raise OptionRefused(f"There are {len(self)} training pictures, numbered from 0; there is none with the number {index}.")
        found = self._look([index], cleansing or self.cleansing)
        planted = self.planted.kinds[index] if self.planted.corrupted[index] else ""
        return case_of(found, 0, index, self.x[index], self.planted.labels[index], self.truth[index], planted)

    def ranked(self) -> tuple[Suspect, ...]:
        """All training pictures, the most suspicious label first."""
        return self._list

    @cached_property
    def _list(self) -> tuple[Suspect, ...]:
        return suspects(self._look(range(len(self)), self.cleansing), self.planted.corrupted)

    @torch.no_grad()
    def _look(self, rows, config: Cleansing) -> Assessment:
        """Filter and cleansing of some pictures with the card's Gaussians."""
        rows = list(rows)
        x, given = torch.from_numpy(self.x[rows]), torch.from_numpy(self.planted.labels[rows])
        outs = [self.net(part) for part in x.split(32)]
        p = torch.cat([out.logits for out in outs]).softmax(dim=1)
        evidence = p
        if config.evidence != "prediction":
            if self.prototypes is None:
                raise OptionRefused("This training kept no prototypes; look at one whose new labels came from them.")
            q = similarity(torch.cat([out.features for out in outs]), self.prototypes, config.temperature)
            evidence = q if config.evidence == "prototypes" else 0.5 * (p + q)
        loss, s, inside = pixel_losses(p, given), picture_losses(p, given), region(given, p.argmax(dim=1), config.band)
        counted = inside.flatten(1).any(dim=1)
        picture_w = torch.where(counted, self.picture_fit.clean(s), 1.0) if self.picture_fit else torch.ones_like(s)
        w = torch.ones_like(loss)
        for number, fit in enumerate(self.fits):
            if fit is not None:
                w = torch.where((given == number) & inside, fit.clean(loss), w)
        return Assessment(p, loss, inside, s, picture_w, self.picture_fit, w, self.fits, cleanse(given, evidence, picture_w, w, config))


def case_of(
    found: Assessment, row: int, index: int, picture: np.ndarray, given: np.ndarray, truth: np.ndarray | None = None, planted: str = ""
) -> Case:
    """Row `row` of a pass as a record: picture (channels, S, S), labels (S, S)."""
    p, cleansed = found.p[row].cpu(), found.cleansed.labels[row].cpu().numpy()
    return Case(
        index=index,
        picture=picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0),
        given=given,
        truth=truth,
        planted=planted,
        probability=p.numpy(),
        prediction=p.argmax(dim=0).numpy().astype(np.uint8),
        loss=found.pixel_loss[row].cpu().numpy(),
        w=found.w[row].cpu().numpy(),
        s=float(found.s[row]),
        picture_w=float(found.picture_w[row]),
        kappa=found.cleansed.kappa[row].cpu().numpy(),
        cleansed=cleansed,
        provenance=found.cleansed.provenance[row].cpu().numpy(),
        right=None if truth is None else cleansed == truth,
    )


def suspects(found: Assessment, corrupted: np.ndarray | None = None, names: tuple[str, ...] = ()) -> tuple[Suspect, ...]:
    """A pass as the list "please re-check these"."""
    flips = (found.cleansed.provenance == FLIPPED).flatten(1).sum(dim=1).cpu().numpy()
    return ranking(1 - found.picture_w.cpu().numpy(), found.s.cpu().numpy(), flips, corrupted, names)
