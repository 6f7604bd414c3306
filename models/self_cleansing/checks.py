"""The oracles of the spec (§7) as live checks: the real code, untrained, held against the equations. No weights file is needed.

Each returns the largest difference found, or for a yes/no law the size of its violation; 0 is kept, above the tolerance is broken. Oracles 3 and 10
speak of a trained network: here stand only the promises they rest on; their numbers are in a study's card, and a slow test trains one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from models.self_cleansing import reference
from models.self_cleansing.cleansing import ABSTAINED, FLIPPED, KEPT, Cleanser, class_means, cleanse, similarity
from models.self_cleansing.filtering import Fit, filter_pictures, filter_pixels, fit_two, region
from models.self_cleansing.losses import one_hot, picture_losses, pixel_losses
from models.self_cleansing.network import Teacher, UNet, build
from models.self_cleansing.noise import plant
from models.self_cleansing.plan import ARMS, CLEAN, GUARD, OWN, Cleansing, Noise, Training
from models.self_cleansing.training import Run
from models.shared.laws import Check, Law, run


def planted_losses(n: int = 4000, noisy: float = 0.3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Losses from N(0.1, 0.03) and, a share of `noisy`, from N(0.5, 0.1): (n,) and bool (n,) which are noisy."""
    dice = np.random.default_rng(seed)
    bad = np.arange(n) < noisy * n
    return torch.from_numpy(np.where(bad, dice.normal(0.5, 0.1, n), dice.normal(0.1, 0.03, n))), torch.from_numpy(bad)


def scene(n: int = 6, side: int = 16, classes: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Probabilities (n, C, side, side) and labels (n, side, side) with squares of every structure."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.zeros(n, side, side, dtype=torch.uint8)
    for i in range(n):
        for number in range(1, classes):
            row, column = torch.randint(1, side - 6, (2,), generator=generator).tolist()
            labels[i, row : row + 5, column : column + 5] = number
    logits = torch.randn(n, classes, side, side, generator=generator) + 3 * one_hot(labels, classes)
    return logits.softmax(dim=1), labels


def lively(classes: int = 3, widths: tuple[int, ...] = (4, 8)) -> UNet:
    """A small untrained network."""
    return build(classes, 1, widths, 1)


def _gap(one: object, other: object) -> float:
    return float(np.abs(np.asarray(one, np.float64) - np.asarray(other, np.float64)).max())


def _over(value: float, limit: float) -> float:
    return max(0.0, value - limit)


# ---------------------------------------------------------------------- the filter
def _planted_mixture() -> float:
    """By how much means, weight and AUROC miss what the spec asks of them, summed."""
    from sklearn.metrics import roc_auc_score

    losses, bad = planted_losses()
    fit = fit_two(losses)
    means = max(abs(fit.raw_means[0] - 0.1), abs(fit.raw_means[1] - 0.5))
    area = roc_auc_score(bad.numpy(), 1 - fit.clean(losses).numpy())
    return _over(means, 0.02) + _over(abs(fit.weights[1] - 0.3), 0.03) + _over(0.99, area)


def _mixture_reference() -> float:
    losses, _ = planted_losses(600)
    fit = fit_two(losses)
    means, _, weights = reference.mixture(fit.normalised(losses).numpy())
    return max(_gap(fit.means, means), _gap(fit.weights, weights))


def _monotone() -> float:
    """Largest rise of w with the loss, over fits of many shapes, wide clean components among them."""
    x, worst = torch.linspace(-0.2, 1.4, 2001, dtype=torch.float64), 0.0
    for sds in ((0.05, 0.2), (0.2, 0.05), (0.1, 0.1)):
        for weights in ((0.9, 0.1), (0.3, 0.7)):
            fit = Fit(0.0, 1.0, (0.2, 0.7), sds, weights, 100)
            worst = max(worst, float((fit.clean(x)[1:] - fit.clean(x)[:-1]).max()))
    return worst


def _bayes() -> float:
    worst = 0.0
    for sds in ((0.05, 0.2), (0.2, 0.05)):
        fit = Fit(0.0, 1.0, (0.2, 0.7), sds, (0.6, 0.4), 100)
        for x in np.linspace(0, 1, 21):
            worst = max(worst, abs(float(fit.clean(torch.tensor(x))) - reference.clean_probability(x, fit.means, fit.sds, fit.weights)))
    return worst


def _order() -> float:
    """Change of w when pictures are shuffled, and when losses are stretched and moved."""
    losses, _ = planted_losses(500)
    w, _ = filter_pictures(losses)
    order = torch.randperm(len(losses), generator=torch.Generator().manual_seed(2))
    return max(_gap(filter_pictures(losses[order])[0], w[order]), _gap(filter_pictures(losses * 7 + 3)[0], w))


def _measures() -> float:
    p, labels = scene(2)
    own = pixel_losses(p.double(), labels), picture_losses(p.double(), labels)
    worst = 0.0
    for i in range(len(labels)):
        P, Y = p[i].double().numpy(), labels[i].numpy()
        worst = max(worst, _gap(own[0][i], reference.pixel_loss(P, Y)), abs(float(own[1][i]) - reference.picture_loss(P, Y)))
    said = p.argmax(dim=1)
    inside = region(labels, said, 2)
    return worst + sum(float((inside[i].numpy() != reference.band(labels[i].numpy(), said[i].numpy(), 2)).sum()) for i in range(2))


# ---------------------------------------------------------------------- cleansing
def _no_noise() -> float:
    """Labels changed, and numbers of the networks that differ, when labels are true: two short trainings, with cleansing and without.

    Then a teacher that is nearly right: fits that still call noise are counted, too, and so are pictures too few for a fit.
    """
    p, labels = scene(16)
    x = (labels[:, None] / 3).float() + 0.05 * torch.randn(16, 1, 16, 16, generator=torch.Generator().manual_seed(4))
    runs = []
    for arm in (CLEAN, GUARD):
        run = Run(lively(), ARMS[arm], Training(epochs=3, warmup=1, batch=4), x, labels, seed=3)
        passes = [one.assessment for one in run.epochs()]
        runs.append(run)
    nearly = 0.97 * one_hot(labels, 3) + 0.03 * p
    _, _, _, picture_w, fit, w, _ = Cleanser(Cleansing(), 3).filtered(nearly, labels)
    wrong = sum(one.picture_fit is None or one.picture_fit.noise for one in passes) + (fit is None or fit.noise)
    wrong += int((cleanse(labels, p, picture_w, w, Cleansing()).labels != labels).sum() + (runs[1].labels != labels).sum())
    return wrong + sum(
        _gap(a.detach(), b.detach()) for a, b in zip(runs[0].student.parameters(), runs[1].student.parameters(), strict=True)
    )


def _perfect_teacher() -> float:
    """Pixels that are not the truth afterwards, when the teacher knows it and every picture is called noisy."""
    _, truth = scene(6)
    given = torch.from_numpy(plant(truth.numpy(), Noise("mixed", 1.0, 0.5), seed=1, structures=2).labels)
    p = one_hot(truth, 3)
    loss = pixel_losses(p, given)
    w, _ = filter_pixels(loss, given, region(given, p.argmax(1), 6), 3)
    return float((cleanse(given, p, torch.zeros(6), w, Cleansing()).labels != truth).sum())


def _unsure_teacher() -> float:
    _, labels = scene(4)
    p = torch.full((4, 3, 16, 16), 1 / 3)
    done = [cleanse(labels, p, torch.zeros(4), torch.zeros(4, 16, 16), Cleansing(gate=gate)) for gate in ("both", "sample", "pixel")]
    return float(sum((one.labels != labels).sum() + (one.provenance != ABSTAINED).sum() for one in done))


def _twice() -> float:
    """Labels that differ between two passes with the same teacher from the labels as given."""
    x = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(5))
    _, labels = scene(6)
    net, worst = lively(), 0.0
    for evidence in ("prediction", "prototypes", "both"):
        cleanser = Cleanser(Cleansing(evidence=evidence, kappa=0.34), 3)
        one, other = (cleanser.assess(net, x, labels).cleansed.labels for _ in range(2))
        worst += float((one != other).sum())
    return worst


def _provenance() -> float:
    """Pixels that belong to none or two of the three kinds, or flipped where the picture is not called noisy."""
    p, labels = scene(6)
    given = torch.from_numpy(plant(labels.numpy(), Noise("mixed", 0.5, 0.5), seed=2, structures=2).labels)
    picture_w = torch.tensor([0.1, 0.9, 0.2, 0.8, 0.3, 0.7])
    w = torch.rand(6, 16, 16, generator=torch.Generator().manual_seed(6))
    done = cleanse(given, p, picture_w, w, Cleansing(kappa=0.7))
    counts = sum(int((done.provenance == kind).sum()) for kind in (KEPT, FLIPPED, ABSTAINED))
    stray = ((done.provenance == FLIPPED) & (picture_w >= 0.5)[:, None, None]).sum()
    return float(abs(counts - given.numel()) + stray + ((done.provenance == FLIPPED) != (done.labels != given)).sum())


def _cleansing_reference() -> float:
    p, labels = scene(3, side=10)
    given = torch.from_numpy(plant(labels.numpy(), Noise("mixed", 1.0, 0.5), seed=3, structures=2).labels)
    picture_w, w = torch.tensor([0.1, 0.9, 0.4]), torch.rand(3, 10, 10, generator=torch.Generator().manual_seed(7))
    wrong = 0.0
    for gate in ("both", "sample", "pixel"):
        own = cleanse(given, p, picture_w, w, Cleansing(gate=gate))
        for i in range(3):
            new, how = reference.cleanse(given[i].numpy(), p[i].numpy(), float(picture_w[i]), w[i].numpy(), 0.8, gate)
            wrong += float((own.labels[i].numpy() != new).sum() + (own.provenance[i].numpy() != how).sum())
    return wrong


# ---------------------------------------------------------------------- teacher and prototypes
def _teacher() -> float:
    """Decay 0 gives the student; any other, the average by hand."""
    worst = 0.0
    for decay in (0.0, 0.9):
        student = lively()
        teacher = Teacher(student, decay)
        before = [p.detach().numpy().copy() for p in teacher.net.parameters()]
        with torch.no_grad():
            for p in student.parameters():
                p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(8)))
        teacher.follow()
        want = reference.average(before, [p.detach().numpy() for p in student.parameters()], decay)
        worst = max(worst, *(_gap(p.detach(), w) for p, w in zip(teacher.net.parameters(), want, strict=True)))
    return worst


def _prototypes() -> float:
    """Unit length, the mean by hand, q by hand, and even q for two classes with the same features."""
    generator = torch.Generator().manual_seed(9)
    z, (_, labels) = torch.randn(2, 5, 10, 10, generator=generator), scene(2, side=10)
    w, clean = torch.rand(2, 10, 10, generator=generator), torch.tensor([True, True])
    sums, counts = class_means(z, labels, (w >= 0.5) & clean[:, None, None], 3)
    mu = torch.nn.functional.normalize(sums / counts[:, None], dim=1)
    q = similarity(z, mu, 0.1)
    want = reference.prototypes(z.numpy(), labels.numpy(), w.numpy(), clean.numpy(), 3)
    even = similarity(z, mu[:1].expand(3, -1), 0.1)
    return max(
        _gap(mu.norm(dim=1), 1),
        _gap(mu, want),
        _gap(q[0, :, 4, 5], reference.similarity(z[0, :, 4, 5].numpy(), want, 0.1)),
        _gap(even, 1 / 3),
    )


def _known_noise() -> float:
    """The noise lab's own promises: what it says is wrong is wrong, α is met, a smaller α corrupts a subset, the seed decides."""
    _, truth = scene(40)
    wrong, smaller = 0.0, None
    for alpha in (0.3, 0.6):
        noise = Noise("erosion", alpha, 0.5)
        made, again = (plant(truth.numpy(), noise, seed=4, structures=2) for _ in range(2))
        wrong += abs(int(made.corrupted.sum()) - round(40 * alpha)) + float((made.labels != again.labels).sum())
        wrong += float((made.wrong != (made.labels != truth.numpy())).sum())
        wrong += float((smaller & ~made.corrupted).sum()) if smaller is not None else 0.0
        smaller = made.corrupted
    return wrong


def _arms_apart() -> float:
    """Settings by which an ablation differs from the whole method beyond the one it is named for."""
    own, wrong = ARMS[OWN], 0
    for name, want in {
        "sample_gate": {"gate": "sample"},
        "pixel_gate": {"gate": "pixel"},
        "prototypes": {"evidence": "prototypes"},
    }.items():
        wrong += ARMS[name].cleansing != replace(own.cleansing, **want) or (ARMS[name].ema, ARMS[name].augment) != (True, True)
    return float(wrong + (ARMS["no_ema"].cleansing != own.cleansing))


LAWS: tuple[Law, ...] = (
    Law("Planted Gaussians are found", 1, "Losses drawn from two known Gaussians give their means and shares back.", 0.0, _planted_mixture),
    Law("The mixture by hand", 1, "The fitted mixture equals a plain expectation–maximisation.", 0.02, _mixture_reference),
    Law("A larger loss is never cleaner", 2, "The probability of being clean never rises with the loss.", 1e-12, _monotone),
    Law("Bayes' rule", 2, "The probability of being clean is the posterior of the lower Gaussian, with its guards.", 1e-4, _bayes),
    Law("Order and scale do not matter", 4, "Shuffled pictures, or losses in another unit, get the same probabilities.", 1e-6, _order),
    Law(
        "Losses pixel by pixel",
        4,
        "The losses of pixels and pictures, and the band, equal the equations worked out one by one.",
        1e-9,
        _measures,
    ),
    Law(
        "True labels stay",
        5,
        "Where nothing is wrong the guard speaks up, no label changes, and training is the plain one step for step.",
        0.0,
        _no_noise,
    ),
    Law("A teacher who knows", 6, "With a perfect teacher, every wrong pixel is put right.", 0.0, _perfect_teacher),
    Law("A teacher who does not know", 7, "With an unsure teacher nothing changes.", 0.0, _unsure_teacher),
    Law("Twice is as once", 8, "Cleansing again from the labels as given changes nothing more.", 0.0, _twice),
    Law("Every pixel is accounted for", 9, "Kept, flipped and abstained add up; only suspected pictures have flips.", 0.0, _provenance),
    Law(
        "Cleansing pixel by pixel",
        9,
        "New labels equal the rule, worked out one pixel at a time, for every gate.",
        0.0,
        _cleansing_reference,
    ),
    Law("The teacher is an average", 11, "With decay 0 the teacher is the student; else the average by hand.", 1e-6, _teacher),
    Law("Prototypes", 11, "They have length 1 and equal the mean by hand; classes that look alike get even odds.", 1e-5, _prototypes),
    Law("The noise lab tells the truth", 3, "What is said to be wrong is wrong, and as many pictures as asked for.", 0.0, _known_noise),
    Law("One thing at a time", 10, "Every ablation differs from the method in the one point it is named for.", 0.0, _arms_apart),
)


def checks() -> list[Check]:
    """Runs every law of the room."""
    return run(LAWS)
