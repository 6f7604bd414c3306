"""The records that the room hands to the screen: plain arrays, no tensors, no drawing. Loads no PyTorch.

C classes, A arms, K masks, k patches kept, E joint size, D text width, M context vectors, S side of what the model sees, in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from models.promim.arms import ARMS

TestMode = Literal["fixed", "full", "mean"]
TEST_MODES: Mapping[TestMode, str] = {
    "fixed": "One mask: the prompt-maker sees the patches shown.",
    "full": "No mask: the prompt-maker sees the whole picture, as CoCoOp's does.",
    "mean": "Several masks: the answers of all of them are averaged.",
}
Hiding = Literal["drop", "grey"]
"""How a patch is hidden: left out of the network (the method), or painted over with an even grey (for comparison)."""
MOST_CLASSES = MOST_MASKS = 64


@dataclass(frozen=True)
class Mask:
    """Which patches the prompt-maker may see: drawn from a seed, or `keep` set by hand."""

    ratio: float = 0.75
    """Share of patches hidden, 0…1; used where `keep` is None."""
    sampling: Literal["random", "block"] = "random"
    seed: int = 0
    """Another number is another throw."""
    keep: tuple[int, ...] | None = None
    """Patches kept by hand, numbered row × columns + column; () keeps none. Overrules the three above."""


@dataclass(frozen=True)
class Options:
    """What to ask of a prepared picture."""

    classes: tuple[str, ...]
    """Candidate class names; any words."""
    task: str = ""
    """Whose learned prompts; "" means the first of `Explorer.tasks`."""
    template: str = ""
    """The hand-written sentence with {} for the class name; "" means the task's own."""
    arms: tuple[str, ...] = tuple(ARMS)
    ratio: float = 0.75
    """ProMIM weights trained with this share hidden; the nearest there are."""
    weight: float = 2.0
    """ProMIM weights trained with this λ; the nearest there are."""
    seed: int = 0
    """Which of the repeated trainings; the nearest there is."""
    mask: Mask = field(default_factory=Mask)
    test_mode: TestMode = "fixed"
    masks: int = 8
    """How many masks "mean" averages over, 1…64."""
    hiding: Hiding = "drop"

    def check(self) -> None:
        """Raises ValueError in a sentence for what cannot be asked; class names and mask are checked where they are used."""
        if not 0 < len(self.classes) <= MOST_CLASSES:
            raise ValueError(f"Give 1 to {MOST_CLASSES} class names; these are {len(self.classes)}.")
        if not 1 <= self.masks <= MOST_MASKS:
            raise ValueError(f"Between 1 and {MOST_MASKS} masks can be tried at once, not {self.masks}.")
        if self.test_mode not in TEST_MODES:
            raise ValueError(f"The way to mask is one of {', '.join(TEST_MODES)}, not {self.test_mode!r}.")
        if unknown := [arm for arm in self.arms if arm not in ARMS]:
            raise ValueError(f"There is no arm called {unknown[0]!r}; choose among {', '.join(ARMS)}.")


@dataclass(frozen=True)
class TaskInfo:
    """One set of classes that prompts were learned on."""

    id: str
    title: str
    base: tuple[str, ...]
    """Class names of the training."""
    new: tuple[str, ...]
    """Class names never trained on; () for own data."""
    template: str
    """The hand-written sentence."""
    family: str = ""
    """Phantom family, "" for own data."""


@dataclass(frozen=True)
class Preset:
    """Which trained ProMIM weights answered."""

    ratio: float
    weight: float
    seed: int


@dataclass(frozen=True)
class Presets:
    """What the sliders can be set to, for one task."""

    ratios: tuple[float, ...]
    weights: tuple[float, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture after the expensive step, for one backbone."""

    key: str
    """Hash of backbone and pixels."""
    view: np.ndarray
    """uint8 (S, S, 3): the picture as the model sees it; what the patch grid lies on."""
    box: tuple[float, float, float, float]
    """(top, left, bottom, right) of that view in pixels of the picture given; it may reach beyond it."""
    grid: tuple[int, int]
    """Rows and columns of patches."""
    pixels: np.ndarray
    """float32 (1, 3, S, S), normalised: the network's input."""
    feature: np.ndarray
    """float32 (E,): x̂, unit length."""


@dataclass(frozen=True, eq=False)
class Answer:
    """Probabilities of all arms for one picture and one list of classes."""

    classes: tuple[str, ...]
    arms: tuple[str, ...]
    """Those that could be shown, in the order asked for."""
    probabilities: np.ndarray
    """float32 (A, C), rows sum to 1."""
    logits: np.ndarray
    """float32 (A, C); in "mean" the logarithms of the averaged probabilities."""
    keep: np.ndarray
    """int64 (k,), rising: the patches the prompt-maker saw; all in "full", those of the first mask in "mean"."""
    masked_feature: np.ndarray
    """float32 (E,): x̂_m of those patches, unit length."""
    shift: np.ndarray | None
    """float32 (D,): π of ProMIM, None where ProMIM is not shown; of the first mask in "mean"."""
    preset: Preset | None
    """The ProMIM weights used, None where ProMIM is not shown."""
    note: str = ""
    """One sentence where arms are missing, else ""."""


@dataclass(frozen=True, eq=False)
class Stability:
    """The same question under K masks. Arms that see no mask have K equal rows."""

    classes: tuple[str, ...]
    probabilities: Mapping[str, np.ndarray]
    """Arm → float32 (K, C). "cocoop_masked" is CoCoOp's prompt-maker fed with the same masks, which it was never trained for."""
    keep: np.ndarray
    """int64 (K, k)."""


@dataclass(frozen=True, eq=False)
class Drift:
    """How far one arm's class texts went from the hand-written ones."""

    shift_ratio: float
    """‖π‖ over the mean length of the context vectors; 0 for arms without shift."""
    cosine: np.ndarray
    """float32 (C,): cos(ŵ_i, ŵ_i^clip)."""
    pull: np.ndarray
    """float32 (C,): ‖ŵ_i − ŵ_i^clip‖², 0…4; their mean is L_kg."""


@dataclass(frozen=True, eq=False)
class Leakage:
    """|∂‖π‖ / ∂pixel|: where a change of the picture would change the prompt. Exactly zero on dropped patches."""

    pixels: np.ndarray
    """float32 (S, S), ≥ 0, summed over colours; lies on `Prepared.view`."""
    patches: np.ndarray
    """float32 (rows, columns): sums over each patch."""
    hidden_share: float
    """Share of the total that lies on dropped patches: 0 for ProMIM by construction."""


@dataclass(frozen=True)
class NearWord:
    """A vocabulary token near a context vector."""

    word: str
    distance: float
    """Euclidean, in the space of token embeddings."""


@dataclass(frozen=True, eq=False)
class PromptMap:
    """Class texts in two dimensions: the two main directions of all points together."""

    points: np.ndarray
    """float32 (P, 2)."""
    arm: tuple[str, ...]
    """(P,): "clip" for hand-written ones."""
    label: np.ndarray
    """int64 (P,): index into `classes`."""
    picture: np.ndarray
    """int64 (P,): which picture the text was made for; −1 where it does not depend on one."""
    classes: tuple[str, ...]
    explained: tuple[float, float]
    """Share of the spread along each direction."""
