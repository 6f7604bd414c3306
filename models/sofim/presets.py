"""The study's presets: which tasks, which optimisers, how many runs. Listing them loads no PyTorch.

`embedded` makes the card that ships; its tasks with medical images are left out, and the card says so, where their files are absent.
Brain MRI, the largest of them, takes six optimisers to keep the cost sane.
"""

from __future__ import annotations

from models.shared.method import Preset
from models.sofim.arms import ARMS
from models.sofim.tasks import TASKS

EVERY = tuple(ARMS)
_EMBEDDED = {
    "digits_mlp": EVERY,
    "breast_cancer_mlp": EVERY,
    "digits_cnn": EVERY,
    "breastmnist_cnn": EVERY,
    "brain_mri_cnn": ("sofim", "sofim_tensor", "sgd_momentum", "adam", "adahessian", "normalised_momentum"),
}


def _config(tasks: dict[str, tuple[str, ...]], *, runs: int, grid_points: int, steps: int | None = None) -> dict[str, object]:
    return {
        "tasks": {task: {"arms": list(arms), "steps": steps or TASKS[task].steps} for task, arms in tasks.items()},
        "runs": runs,
        "grid_points": grid_points,
    }


PRESETS = (
    Preset(
        "embedded",
        "Five small tasks, every optimiser tuned over 16 settings and run with 5 seeds; about half an hour on one processor core.",
        _config(_EMBEDDED, runs=5, grid_points=12),
    ),
    Preset(
        "full",
        "Every task that runs here with every optimiser it can take, 10 seeds; hours, or less with a GPU.",
        _config({task.id: tuple(arm for arm in EVERY if arm not in task.without) for task in TASKS.values()}, runs=10, grid_points=12),
    ),
    Preset(
        "quick",
        "Three optimisers on two small tasks, 3 settings and 2 seeds; seconds. Shows that everything runs; its numbers mean little.",
        _config(dict.fromkeys(("digits_mlp", "breast_cancer_mlp"), ("sofim", "sgd_momentum", "adam")), runs=2, grid_points=3, steps=60),
    ),
)
