"""What the optimisers race on: small real problems, each a data set, a network and its targets.

The paper names its tasks only as "several benchmark image classification datasets", so the choice here is our own: two sets that ship with
scikit-learn (always there), three sets of medical images (where their files are) and one larger vision transformer that needs a GPU.
Every loss is the mean cross-entropy: the scale of ρ assumes a mean, not a sum (spec §8, oracle 8).

Besides, `own_table` makes a task of a table that somebody brought; it is not among `TASKS`, as it needs a file and a label.

Networks carry no batch normalisation, so a gradient is a function of the weights and the batch alone and per-sample gradients exist;
GroupNorm stands in where depth asks for it. The targets were fixed before the study was run, as values that a reasonable optimiser reaches
well before the last step, so that "steps to the target" measures speed and not luck at the end.

Axis letters: B batch, C channels, H W image, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

    from models.shared.data import Dataset, Split

OWN_TABLE, OWN_STEPS = "own_table", 300


class UnknownTask(KeyError):
    """Raised for a task that does not exist; its text is the sentence people see."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class OwnTable:
    """Which file a task of one's own reads, and which of its columns is the label. The path never leaves this machine; the name may."""

    path: Path
    label: str


@dataclass(frozen=True)
class Task:
    """One problem to race on.

    `build` makes the untrained network, (B, C, H, W) or (B, features) float32 in [0, 1] or standardised → (B, K) logits.
    `targets` are on fixed rows: `train_loss` and `test_loss` in nats (reached when at or below), `test_accuracy` as a share (at or above).
    `full_batch_rows` is how many training rows a full-batch optimiser sees at once; `measured_rows` how many of each split are looked at
    while a race runs (the last look takes the whole test split); `without` names the arms that do not fit and why.
    """

    id: str
    title: str
    dataset: str
    about: str
    build: Callable[[], nn.Module]
    batch: int
    steps: int
    eval_every: int
    targets: Mapping[str, float]
    needs: str = ""
    full_batch_rows: int = 2048
    measured_rows: int = 512
    without: Mapping[str, str] = field(default_factory=dict)
    bf16: bool = False
    """Large enough that bfloat16 multiplications pay where the device has them."""
    table: OwnTable | None = None
    """For a table of one's own; None for the tasks of this file's list."""


@dataclass(frozen=True)
class Availability:
    """Whether a task can run here; `reason` is one plain sentence when it cannot."""

    task: Task
    here: bool
    reason: str = ""


def _mlp(inputs: int, hidden: int, classes: int) -> nn.Module:
    """Two layers with tanh, which keeps the gradient smooth for the optimisers that differentiate it again."""
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, classes))


def _cnn(widths: tuple[int, ...], strides: tuple[int, ...], classes: int) -> nn.Module:
    """3×3 convolutions with GroupNorm, a mean over the remaining map, one linear layer: (B, 1, H, W) → (B, K)."""
    from torch import nn

    layers: list[nn.Module] = []
    channels = 1
    for width, stride in zip(widths, strides, strict=True):
        layers += [nn.Conv2d(channels, width, 3, stride=stride, padding=1), nn.GroupNorm(4, width), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def _vit() -> nn.Module:
    """ViT-Small on 64×64 grey images with 8×8 patches: 64 tokens and the class token, about 21 M weights, untrained."""
    import timm

    return timm.create_model("vit_small_patch16_224", pretrained=False, img_size=64, patch_size=8, in_chans=1, num_classes=4)


_TASKS = (
    Task(
        id="digits_mlp",
        title="Handwritten digits, small network",
        dataset="digits",
        about="8×8 images of ten digits through one hidden layer (4,810 weights). Runs anywhere in seconds.",
        build=lambda: _mlp(64, 64, 10),
        batch=64,
        steps=400,
        eval_every=5,
        targets={"train_loss": 0.1, "test_loss": 0.2, "test_accuracy": 0.95},
    ),
    Task(
        id="digits_cnn",
        title="Handwritten digits, convolutions",
        dataset="digits",
        about="The same digits through three convolutions (about 9,000 weights).",
        build=lambda: _cnn((16, 24, 24), (1, 2, 1), 10),
        batch=64,
        steps=300,
        eval_every=10,
        targets={"train_loss": 0.1, "test_loss": 0.2, "test_accuracy": 0.95},
    ),
    Task(
        id="breast_cancer_mlp",
        title="Breast cancer table",
        dataset="breast_cancer",
        about="Thirty measurements of a needle biopsy, benign or malignant, through one hidden layer (1,058 weights).",
        build=lambda: _mlp(30, 32, 2),
        batch=32,
        steps=200,
        eval_every=2,
        targets={"train_loss": 0.05, "test_loss": 0.1, "test_accuracy": 0.96},
    ),
    Task(
        id="breastmnist_cnn",
        title="Breast ultrasound thumbnails",
        dataset="breastmnist",
        about="28×28 ultrasound images, malignant against the rest (546 to train on), through three convolutions.",
        build=lambda: _cnn((12, 24, 32), (2, 2, 2), 2),
        batch=32,
        steps=300,
        eval_every=10,
        targets={"train_loss": 0.4, "test_loss": 0.5, "test_accuracy": 0.78},
        needs="the BreastMNIST file",
        full_batch_rows=546,
    ),
    Task(
        id="pneumoniamnist_cnn",
        title="Chest X-ray thumbnails",
        dataset="pneumoniamnist",
        about="28×28 chest X-rays of children, pneumonia or not, through three convolutions.",
        build=lambda: _cnn((12, 24, 32), (2, 2, 2), 2),
        batch=64,
        steps=300,
        eval_every=10,
        targets={"train_loss": 0.15, "test_loss": 0.45, "test_accuracy": 0.8},
        needs="the PneumoniaMNIST file",
        full_batch_rows=1024,
    ),
    Task(
        id="brain_mri_cnn",
        title="Brain MRI, four classes",
        dataset="brain_mri",
        about="64×64 slices: glioma, meningioma, pituitary tumour or none, through four convolutions (about 40,000 weights).",
        build=lambda: _cnn((16, 32, 48, 48), (2, 2, 2, 2), 4),
        batch=32,
        steps=500,
        eval_every=25,
        targets={"train_loss": 0.6, "test_loss": 0.7, "test_accuracy": 0.7},
        needs="the brain MRI files",
        full_batch_rows=512,
        measured_rows=256,
    ),
    Task(
        id="vit_gpu",
        title="Brain MRI, vision transformer",
        dataset="brain_mri",
        about="The same slices through a ViT-Small trained from scratch (about 21 million weights).",
        build=_vit,
        batch=128,
        steps=600,
        eval_every=25,
        targets={"train_loss": 0.6, "test_loss": 0.7, "test_accuracy": 0.7},
        bf16=True,
        needs="the brain MRI files (and a GPU)",
        full_batch_rows=512,
        measured_rows=256,
        without={"fisher_ngd": "it keeps one gradient per image, which for 21 million weights does not fit in memory"},
    ),
)
TASKS: Mapping[str, Task] = {task.id: task for task in _TASKS}


@dataclass(frozen=True)
class _OwnNetwork:
    """The network for a table of one's own; a record, so that two tasks of the same table are equal."""

    inputs: int
    classes: int

    def __call__(self) -> nn.Module:
        return _mlp(self.inputs, 32, self.classes)


def own_table(path: Path | str, label: str) -> Task:
    """A task of somebody's own table; DataDamaged, in one sentence, for a file or a label that cannot be used. Reads the file.

    The targets are our own choice: a quarter and a half of the loss of always answering the shares of the classes, and half way from
    the share of the commonest class to no errors.
    """
    table = OwnTable(Path(path), label)
    data = _own_data(table)
    counts = data.train.y.bincount().double()
    shares = counts / counts.sum()
    chance, commonest = -(shares * shares.log()).sum().item(), shares.max().item()
    rows, inputs = len(data.train) + len(data.validation) + len(data.test), data.train.x.shape[1]
    return Task(
        id=OWN_TABLE,
        title="Your own table",
        dataset=OWN_TABLE,
        about=f"{rows:,} rows of {inputs} values, {len(data.classes)} classes, through one hidden layer.",
        build=_OwnNetwork(inputs, len(data.classes)),
        batch=32,
        steps=OWN_STEPS,
        eval_every=5,
        targets={
            "train_loss": round(chance / 4, 3),
            "test_loss": round(chance / 2, 3),
            "test_accuracy": round((1 + commonest) / 2, 3),
        },
        needs="the table that CONFIG names, in the folder of this program",
        table=table,
    )


def data_of(task: Task) -> Dataset:
    """The task's data, kept in memory after the first call. Raises DataNotHere or DataDamaged, with a sentence."""
    from models.shared import data

    return data.load(task.dataset) if task.table is None else _own_data(task.table)


def _own_data(table: OwnTable) -> Dataset:
    try:
        seen = table.path.stat().st_mtime_ns
    except OSError:
        seen = 0  # reading it says so, in a sentence
    return _read_table(table, seen)


@lru_cache(maxsize=1)
def _read_table(table: OwnTable, seen: int) -> Dataset:
    """`seen` is when the file was last changed: one that was replaced is read again."""
    from models.shared.data.table import load_table

    return load_table(table.path, table.label)


def get(task_id: str) -> Task:
    """The task of that id; an unknown one raises `UnknownTask` naming those there are."""
    if task_id not in TASKS:
        raise UnknownTask(f"There is no task called {task_id!r}; choose one of {', '.join(TASKS)}.")
    return TASKS[task_id]


def _gpu_here() -> bool:
    """Looks for the device files first: importing torch only to learn that there is no GPU would slow every cold start."""
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/kfd").exists():
        return False
    import torch

    return torch.cuda.is_available()


def availability(task: Task) -> Availability:
    """Whether one task can run on this machine, without loading its data."""
    from models.shared import data

    if task.table is not None:
        return Availability(task, here=True)  # the file was read when the task was made
    if not data.is_here(task.dataset):
        return Availability(task, here=False, reason=f"This task needs files that are not on this machine: {task.needs}.")
    if task.id == "vit_gpu" and not _gpu_here():
        return Availability(task, here=False, reason="This task needs a GPU: on a processor one step takes seconds.")
    return Availability(task, here=True)


def available() -> list[Availability]:
    """Every task in order, with the reason where one cannot run here."""
    return [availability(task) for task in TASKS.values()]


def make_model(task: Task, seed: int) -> nn.Module:
    """The untrained network whose initial weights depend on the seed alone; torch's own random state is left as it was."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return task.build()


def loss_fn(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy in nats: (B, K), (B,) → ()."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits, labels)


def evaluate(model: nn.Module, split: Split) -> tuple[float, float]:
    """Mean cross-entropy (nats) and accuracy (share in [0, 1]) of the model over all rows of a split on the model's device."""
    import torch

    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    loss, right = 0.0, 0
    with torch.no_grad():
        for x, y in zip(split.x.split(512), split.y.split(512), strict=True):
            logits, y = model(x.to(device)), y.to(device)
            loss += loss_fn(logits, y).item() * len(y)
            right += int((logits.argmax(1) == y).sum())
    model.train(was_training)
    return loss / len(split.y), right / len(split.y)


def rows(split: Split, most: int, seed: int = 0) -> Split:
    """At most so many rows, drawn by a fixed seed so that every competitor is measured on the same ones."""
    import torch

    if len(split.y) <= most:
        return split
    chosen = torch.randperm(len(split.y), generator=torch.Generator().manual_seed(seed))[:most]
    chosen = chosen.to(split.y.device)
    return type(split)(split.x[chosen], split.y[chosen])
