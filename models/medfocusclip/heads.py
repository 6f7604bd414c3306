"""Who answers: CLIP as it is against any class names (zero-shot), or the shipped weights that were fine-tuned for one task.

A trained head holds one set of tower weights for each arm it was trained in ("plain", "painted", "binary", "attention"): each mode is answered by the weights trained
in that mode, and a mode nobody trained for by those of the plain arm. Tensors in the checkpoint are named "head.<task>.<arm>.<parameter>".

C classes, E joint size.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from models.medfocusclip.options import TEMPLATE, ZERO_SHOT, Mode, OptionRefused, check_classes, prompts
from models.medfocusclip.packing import unpack
from models.shared.backbones.clip import Clip, load_clip
from models.shared.backbones.clip.prompts import CLASS_NAMES
from models.shared.checkpoints import CheckpointRefused, load, read_card
from models.shared.data import phantoms
from models.shared.paths import assets_dir

PLAIN = "plain"


@dataclass(frozen=True, eq=False)
class Head:
    """Classes, their texts, and the CLIP that looks in each mode."""

    name: str
    title: str
    classes: tuple[str, ...]
    prompts: tuple[str, ...]
    texts: Tensor
    """(C, E) of length one."""
    towers: Mapping[str, Clip]
    """Arm → CLIP with that arm's weights; "plain" is always there."""
    key: str
    """Tells two heads apart in a cache."""

    def clip(self, mode: Mode) -> Clip:
        """The CLIP that answers in this mode."""
        return self.towers.get(mode, self.towers[PLAIN])

    def weights(self, mode: Mode) -> str:
        """Which weights those are, in words."""
        if self.name == ZERO_SHOT:
            return ZERO_SHOT
        arm = mode if mode in self.towers else PLAIN
        return f"trained on {'attention-guided' if arm == 'attention' else arm} pictures"


def zero_shot(clip: Clip, classes: tuple[str, ...], template: str = TEMPLATE) -> Head:
    """CLIP untrained for the task. OptionRefused for class names that cannot be used."""
    texts = prompts(check_classes(classes), template)
    with torch.inference_mode():
        features = clip.encode_text(texts, normalize=True)
    key = f"{clip.name}|{clip.sha256}|{'|'.join(texts)}"
    return Head(ZERO_SHOT, "zero-shot", classes, texts, features, {PLAIN: clip}, key)


def checkpoint() -> Path:
    """Where the shipped weights lie; the file need not exist."""
    return assets_dir() / "checkpoints" / "medfocusclip.safetensors"


def head_names(path: Path | None = None) -> tuple[str, ...]:
    """Names of the trained heads, none where the checkpoint is not here. Reads the card alone."""
    try:
        return tuple(read_card(path or checkpoint()).extra["heads"])
    except (CheckpointRefused, KeyError):
        return ()


def head_facts(path: Path | None = None) -> dict[str, dict]:
    """Trained head → {"title", "classes", "kind" (real or phantom), "arms"}, from the card alone; empty without a checkpoint."""
    try:
        return dict(read_card(path or checkpoint()).extra["heads"])
    except (CheckpointRefused, KeyError):
        return {}


@lru_cache(maxsize=4)
def trained_head(name: str, path: Path | None = None) -> Head:
    """A head of the shipped checkpoint. OptionRefused for an unknown name, CheckpointRefused or ClipRefused when weights are not here."""
    known = head_facts(path)
    if name not in known:
        listed = ", ".join((ZERO_SHOT, *known))
        raise OptionRefused(f"There is no trained head {name!r} here; choose one of: {listed}.")
    tensors, card = load(path or checkpoint())
    facts = known[name]
    base = load_clip(card.config["clip"])
    texts = prompts(tuple(facts["classes"]), card.config["template"])
    with torch.inference_mode():
        features = base.encode_text(texts, normalize=True)
    towers = {arm: with_weights(base, state) for arm, state in split_states(tensors, base)[name].items()}
    return Head(name, facts["title"], in_words(name, tuple(facts["classes"])), texts, features, towers, f"{name}|{card.sha256}")


def in_words(name: str, classes: tuple[str, ...]) -> tuple[str, ...]:
    """A data set's short labels ("none") as people read them ("liver without lesion"); what is not known stays as it is. The texts are those of the training."""
    if len(CLASS_NAMES.get(name, ())) == len(classes):
        return CLASS_NAMES[name]
    family = next((one for one in phantoms.families() if phantoms.classes(one) == classes), "")
    return CLASS_NAMES.get(family, classes)


def split_states(tensors: Mapping[str, Tensor], base: Clip) -> dict[str, dict[str, dict[str, Tensor]]]:
    """ "head.<task>.<arm>.<parameter>" → task → arm → the image tower's trained parameters, float32; other tensors are left aside.

    `base` is the CLIP that training started from: shipped weights are differences from it. ValueError when they do not fit it.
    """
    found: dict[str, dict[str, dict[str, Tensor]]] = defaultdict(lambda: defaultdict(dict))
    for name, tensor in tensors.items():
        if name.startswith("head."):
            _, task, arm, parameter = name.split(".", 3)
            found[task][arm][parameter] = tensor
    start = dict(base.model.visual.named_parameters())
    return {task: {arm: unpack(packed, start) for arm, packed in arms.items()} for task, arms in found.items()}


def with_weights(base: Clip, state: Mapping[str, Tensor]) -> Clip:
    """A copy of a CLIP with these parameters of its image tower replaced. CheckpointRefused when they do not fit."""
    clip = copy.deepcopy(base)
    tower = clip.model.visual
    here = dict(tower.named_parameters())
    if any(name not in here or here[name].shape != tensor.shape for name, tensor in state.items()):
        raise CheckpointRefused("The trained weights of this room belong to another CLIP; make them again.")
    with torch.no_grad():
        for name, tensor in state.items():
            here[name].copy_(tensor)
    return clip
