"""What the screen calls: `prepare` a picture once, then `run` it with other masks, class names and trained prompts as often as wanted.

`explorer(backbone)` gives the kept `Explorer` of a backbone; everything it returns are the frozen records of `records.py`. A new mask costs
one pass of the kept patches and one pass of the class names; whatever does not depend on the mask is kept from the answer before.
Prompts are learned for one CLIP: with another one only hand-written sentences can be shown, and `Answer.note` says so.

Test-time masks follow the specification's reading of the paper (inferred): one fixed mask, with the whole picture or the mean over
several masks to choose instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from models.promim import insight
from models.promim.arms import ARMS
from models.promim.network import ClassTexts, Output, PromptLearner, class_texts, classify, text_features
from models.promim.records import Answer, Options, Prepared, Preset, Presets, Stability, TaskInfo
from models.promim.seeing import Content, kept_by, masked_features, prepare
from models.promim.tasks import TASKS
from models.promim.weights import RunId, WeightSet, read, run_id
from models.shared.backbones import shelf
from models.shared.checkpoints import CheckpointRefused, card_path
from models.shared.method import get as method_of

if TYPE_CHECKING:
    from models.promim.records import Drift, Leakage, NearWord, PromptMap
    from models.shared.backbones.clip import Clip


class Explorer:
    """One backbone with one set of learned prompts (None: hand-written sentences alone). Safe to use from several threads."""

    def __init__(self, clip: Clip, weights: WeightSet | None = None, *, missing: str = "") -> None:
        """`missing` is the sentence to show where there are no learned prompts."""
        self.clip = clip
        self.note = missing or ("" if weights else "No learned prompts are here yet, so only CLIP with hand-written sentences is shown.")
        self._infos = weights.tasks if weights else tuple(task.info for task in TASKS.values())
        if weights is not None and not _fits(weights, clip):
            self.note = (
                f"The prompts were learned for the CLIP called {weights.backbone.name}; with {clip.name} only hand-written sentences can be shown. "
                "Train on your own pictures to learn prompts for it."
            )
            weights = None
        self.weights = weights
        # Kept per explorer, by content: what does not change when only the mask does.
        self._prepared = lru_cache(maxsize=64)(partial(prepare, clip))
        self._texts = lru_cache(maxsize=64)(self._class_texts)
        self._static = lru_cache(maxsize=256)(self._static_features)
        self._whole = lru_cache(maxsize=64)(self._from_whole_picture)

    # ------------------------------------------------------------------ what there is
    @property
    def tasks(self) -> tuple[TaskInfo, ...]:
        """Sets of classes that prompts were learned on; without learned prompts, those of the phantoms, for their names."""
        return self._infos

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms that can be shown."""
        if self.weights is None:
            return ("clip",)
        trained = {run.arm for _, run in self.weights.runs}
        return tuple(arm for arm in ARMS if arm == "clip" or arm in trained)

    def presets(self, task: str = "") -> Presets | None:
        """What the sliders of ProMIM can be set to; None without learned prompts."""
        return self.weights.presets(self._task(task).id) if self.weights else None

    # ------------------------------------------------------------------ the two verbs
    def prepare(self, picture: np.ndarray) -> Prepared:
        """The expensive step, kept by content. picture: (H, W) or (H, W, 3), uint8 or float in 0…1; ClipRefused for anything else."""
        return self._prepared(Content.of(self.clip, picture))

    @torch.no_grad()
    def run(self, prepared: Prepared, options: Options) -> Answer:
        """Probabilities of every arm, and what ProMIM's prompt-maker saw. Raises ValueError (PromptRefused for class names) in a sentence."""
        options.check()
        keep = self._keep(options)
        masked = masked_features(self.clip, _pixels(prepared), keep, options.hiding)  # K E
        arms = tuple(arm for arm in options.arms if arm in self.arms)
        logits, shift = [], None
        for arm in arms:
            if arm == "promim":
                output = self._promim(prepared, options, masked)
                logits.append(_averaged(output.logits))
                shift = None if output.shift is None else output.shift[0].numpy()
            else:
                logits.append(self.fixed_logits(prepared, options, arm))
        table = torch.stack(logits) if logits else torch.empty(0, len(options.classes))
        return Answer(
            classes=options.classes,
            arms=arms,
            probabilities=table.softmax(dim=-1).numpy(),
            logits=table.numpy(),
            keep=keep[0].numpy(),
            masked_feature=masked[0].numpy(),
            shift=shift,
            preset=self.preset(options) if "promim" in arms else None,
            note=self.note if len(arms) < len(options.arms) else "",
        )

    # ------------------------------------------------------------------ further verbs
    @torch.no_grad()
    def stability(self, prepared: Prepared, options: Options, masks: int = 32) -> Stability:
        """The same question under `masks` (1…64) throws of the mask; the test-time mode is left aside."""
        options = replace(options, masks=masks, test_mode="mean", mask=replace(options.mask, keep=None))
        options.check()
        keep = self._keep(options)
        masked = masked_features(self.clip, _pixels(prepared), keep, options.hiding)
        found: dict[str, np.ndarray] = {}
        for arm in (arm for arm in options.arms if arm in self.arms):
            if arm == "promim":
                found[arm] = self._promim(prepared, options, masked).logits.softmax(dim=-1).numpy()
                continue
            row = self.fixed_logits(prepared, options, arm).softmax(dim=-1)
            found[arm] = row.expand(masks, -1).numpy().copy()
            if arm == "cocoop":
                output = classify(self.clip, self.learner(options, arm), self.texts(options), _feature(prepared), masked)
                found["cocoop_masked"] = output.logits.softmax(dim=-1).numpy()
        return Stability(options.classes, found, keep.numpy())

    def drift(self, prepared: Prepared, options: Options) -> dict[str, Drift]:
        """Arm → how far its class texts went from the hand-written ones; "clip" is left out."""
        return insight.drift(self, prepared, options)

    def leakage(self, prepared: Prepared, options: Options) -> dict[str, Leakage]:
        """ "cocoop" and "promim" (those there are) → where a change of the picture would change the prompt."""
        return insight.leakage(self, prepared, options)

    def words(self, prepared: Prepared, options: Options, count: int = 5) -> dict[str, tuple[tuple[NearWord, ...], ...]]:
        """Arm → for each context vector, shift included, the nearest vocabulary tokens. They are usually not human-readable."""
        return insight.words(self, prepared, options, count)

    def prompt_map(self, pictures: Sequence[Prepared], options: Options) -> PromptMap:
        """Hand-written and learned class texts of one or several pictures in two dimensions."""
        return insight.prompt_map(self, pictures, options)

    # ------------------------------------------------------------------ pieces that `insight` uses too
    def task_of(self, options: Options) -> TaskInfo:
        """The task asked for; ValueError naming the known ones."""
        return self._task(options.task)

    def preset(self, options: Options) -> Preset | None:
        """The ProMIM weights nearest to what is asked for."""
        if self.weights is None:
            return None
        task = self._task(options.task).id
        return self.weights.nearest(task, ratio=options.ratio, weight=options.weight, seed=options.seed)

    def run_of(self, options: Options, arm: str) -> RunId:
        """The training that answers for an arm."""
        preset = self.preset(options) if arm == "promim" else None
        if preset is not None:
            return run_id(arm, ratio=preset.ratio, weight=preset.weight, seed=preset.seed)
        seed = self.weights.seed_of(self._task(options.task).id, arm, options.seed) if self.weights else options.seed
        return run_id(arm, seed=seed)

    def learner(self, options: Options, arm: str) -> PromptLearner | None:
        """The learner of an arm; None for hand-written sentences."""
        if arm == "clip" or self.weights is None:
            return None
        return self._known(self._task(options.task).id, self.run_of(options, arm))

    def texts(self, options: Options) -> ClassTexts:
        """The frozen parts of the prompts."""
        return self._texts(options.classes, options.template or self._template(options.task))

    def fixed_logits(self, prepared: Prepared, options: Options, arm: str) -> Tensor:
        """Logits (C,) of an arm that sees no mask."""
        texts, task, run = self.texts(options), self._task(options.task).id if self.weights else "", self.run_of(options, arm)
        if arm == "clip" or not ARMS[arm].conditional:
            text = self._static(texts, arm, task, run)[0]
        else:
            text = self._whole(prepared, texts, arm, task, run)[0]
        return self.clip.logit_scale * (text @ _feature(prepared)[0])

    def kept(self, options: Options) -> Tensor:
        """Patches kept, int64 (K, k): one row, or as many as the mode averages over."""
        return self._keep(options)

    # ------------------------------------------------------------------ inside
    def _promim(self, prepared: Prepared, options: Options, masked: Tensor) -> Output:
        return classify(self.clip, self.learner(options, "promim"), self.texts(options), _feature(prepared), masked)

    def _keep(self, options: Options) -> Tensor:
        if options.test_mode == "full":
            return torch.arange(self.clip.patches)[None]
        return kept_by(options.mask, self.clip.grid, options.masks if options.test_mode == "mean" else 1)

    def _class_texts(self, classes: tuple[str, ...], template: str) -> ClassTexts:
        context = self._context_tokens()
        return class_texts(self.clip, classes, template=template, context_tokens=context)

    def _context_tokens(self) -> int:
        if self.weights is None:
            return 4
        return len(next(iter(self.weights.runs.values()))["context"])

    @torch.no_grad()
    def _static_features(self, texts: ClassTexts, arm: str, task: str, run: RunId) -> Tensor:
        """ŵ (1, C, E) of an arm whose texts are the same for every picture."""
        if arm == "clip" or self.weights is None:
            return texts.hand[None]
        learner = self._known(task, run)
        return text_features(self.clip, texts, learner.contexts(None))

    @torch.no_grad()
    def _from_whole_picture(self, prepared: Prepared, texts: ClassTexts, arm: str, task: str, run: RunId) -> Tensor:
        """ŵ (1, C, E) of CoCoOp."""
        learner = self._known(task, run)
        return text_features(self.clip, texts, learner.contexts(learner.shift(_feature(prepared))))

    def _known(self, task: str, run: RunId) -> PromptLearner:
        learner = self.weights.learner(task, run) if self.weights else None
        if learner is None:
            raise ValueError(
                f"There are no learned prompts of {ARMS[run.arm].title} for this set of classes; train them, or choose another set."
            )
        return learner

    def _task(self, id: str) -> TaskInfo:
        for task in self.tasks:
            if task.id == id or not id:
                return task
        raise ValueError(f"There are no prompts learned on {id!r}; choose one of: {', '.join(task.id for task in self.tasks)}.")

    def _template(self, task: str) -> str:
        return self._task(task).template


def explorer(backbone: str = "", weights: str | Path = "") -> Explorer:
    """The kept explorer of a backbone on the CPU (a name as in `load_clip`; "" asks the environment, then the small one).

    `weights` is a .safetensors file that a training on own pictures wrote; "" means the shipped prompts, and where there are none
    yet, hand-written sentences alone. Raises ClipRefused or ClipNotHere for the backbone, CheckpointRefused for the file.
    """
    path = Path(weights) if weights else method_of("promim").checkpoint
    if not weights and not (path.exists() and card_path(path).exists()):
        return _explorer(backbone, "", ())
    try:
        stamp = tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in (path, card_path(path)))
    except OSError as fault:
        raise CheckpointRefused(f"The learned prompts {path.name}, or the card that belongs to them, are not there any more.") from fault
    return _explorer(backbone, str(path), stamp)


@lru_cache(maxsize=4)
def _explorer(backbone: str, weights: str, _stamp: tuple) -> Explorer:
    return Explorer(shelf.clip(backbone or None), read(Path(weights)) if weights else None)


def _fits(weights: WeightSet, clip: Clip) -> bool:
    """Whether the prompts were learned for this very network."""
    context = next(iter(weights.runs.values()))["context"]
    return weights.backbone.sha256 == clip.sha256 and context.shape[1] == clip.text_width


def _pixels(prepared: Prepared) -> Tensor:
    return torch.from_numpy(prepared.pixels)


def _feature(prepared: Prepared) -> Tensor:
    return torch.from_numpy(prepared.feature)[None]


def _averaged(logits: Tensor) -> Tensor:
    """(K, C) to (C,): the logits themselves for one mask, the logarithm of the mean probability for several."""
    return logits[0] if len(logits) == 1 else logits.softmax(dim=-1).mean(dim=0).log()
