"""From measured answers to the card: Base, New and H of every arm with intervals, and the sentences that say where ProMIM does not win.

Names are "<task>/<measure>"; "@<arm>" marks rivals and other settings of ProMIM, whose recommended setting (75 % hidden, λ = 2) stands
without a mark. "mean/…" averages Base and New over the tasks first and takes H of the averages, as the papers do. Trained arms carry
Student's t over seeds, CLIP, which has none, Wilson's interval or a bootstrap over pictures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import torch
from torch import Tensor

from models.promim.arms import ARMS
from models.promim.study import HEADLINE, Measured
from models.promim.tasks import TASKS
from models.promim.weights import RunId
from models.shared import metrics
from models.shared.checkpoints import Metric

MEASURES = ("base", "new", "h")
MEAN = "mean"
RIVALS = ("clip", "coop", "cocoop", "kgcoop")
_WORDS = {"base": "base classes", "new": "new classes", "h": "the harmonic mean of both"}


def harmonic(base: float, new: float) -> float:
    """H = 2·Base·New / (Base + New); 0 where both are 0."""
    return 2 * base * new / (base + new) if base + new else 0.0


def mark(run: RunId) -> str:
    """ "" for ProMIM as recommended, "@coop", "@promim-r50-w0" for the others."""
    if (run.arm, run.ratio, run.weight) == (HEADLINE.arm, HEADLINE.ratio, HEADLINE.weight):
        return ""
    return "@" + run.name.rpartition(".")[0]


def card_metrics(measured: Iterable[Measured]) -> dict[str, Metric]:
    """All numbers of the card."""
    by_arm: dict[str, list[Measured]] = defaultdict(list)
    for one in measured:
        by_arm[mark(one.run)].append(one)
    found: dict[str, Metric] = {}
    for arm, group in sorted(by_arm.items()):
        tasks = list(dict.fromkeys(one.task for one in group))
        measure = _of_clip if arm == "@clip" else _over_seeds
        for task in tasks:
            found |= _named(task, arm, measure([one for one in group if one.task == task]))
        if len(tasks) > 1:
            found |= _named(MEAN, arm, measure(group))
    return found


def _named(task: str, arm: str, three: Sequence[Metric]) -> dict[str, Metric]:
    return {f"{task}/{measure}{arm}": metric for measure, metric in zip(MEASURES, three, strict=True)}


def _over_seeds(group: Sequence[Measured]) -> tuple[Metric, ...]:
    rows = list(per_seed(group).values())
    return tuple(metrics.over_seeds([row[i] for row in rows], kind="phantom", share=True) for i in range(3))


def per_seed(group: Sequence[Measured]) -> dict[int, tuple[float, float, float]]:
    """Seed → (Base, New, H), averaged over the tasks that are in `group`; seeds that lack a task are left out."""
    tasks = {one.task for one in group}
    found = {}
    for seed in sorted({one.run.seed for one in group}):
        own = [one for one in group if one.run.seed == seed]
        if {one.task for one in own} == tasks:
            base, new = (fmean(float(getattr(one, half).float().mean()) for one in own) for half in ("base", "new"))
            found[seed] = (base, new, harmonic(base, new))
    return found


def _of_clip(group: Sequence[Measured]) -> tuple[Metric, ...]:
    if len(group) == 1:
        one = group[0]
        shares = [metrics.share(int(hits.sum()), len(hits), kind="phantom") for hits in (one.base, one.new)]
        return (*shares, _redrawn(group, 2))
    return tuple(_redrawn(group, i) for i in range(3))


def _redrawn(group: Sequence[Measured], which: int) -> Metric:
    """Base, New or H with a bootstrap over pictures, redrawn within each half of each task."""
    halves = [half for one in group for half in (one.base, one.new)]
    strata = torch.cat([torch.full((len(half),), number) for number, half in enumerate(halves)])

    def statistic(hits: Tensor, strata: Tensor) -> Tensor:
        shares = [float(hits[strata == number].float().mean()) for number in range(len(halves))]
        base, new = fmean(shares[0::2]), fmean(shares[1::2])
        return torch.tensor((base, new, harmonic(base, new))[which])

    return metrics.bootstrap(statistic, torch.cat(halves), strata, kind="phantom")


def gains(measured: Sequence[Measured]) -> dict[str, dict[str, object]]:
    """ "<task>/<measure>@<rival>" → ProMIM minus the rival, seed by seed where both were trained: mean, low, high, n."""
    tasks = list(dict.fromkeys(one.task for one in measured))
    scopes = {task: [one for one in measured if one.task == task] for task in tasks} | ({MEAN: list(measured)} if len(tasks) > 1 else {})
    found: dict[str, dict[str, object]] = {}
    for scope, group in scopes.items():
        own = per_seed([one for one in group if not mark(one.run)])
        for rival in RIVALS:
            other = per_seed([one for one in group if one.run.arm == rival])
            fixed = other.get(0) if rival == "clip" else None  # CLIP has no seeds: the same row stands beside each
            pairs = [(row, fixed or other.get(seed)) for seed, row in own.items() if fixed or seed in other]
            for i, measure in enumerate(MEASURES):
                if pairs:
                    gain = metrics.over_seeds([a[i] - b[i] for a, b in pairs], kind="phantom")
                    found[f"{scope}/{measure}@{rival}"] = {"value": gain.value, "low": gain.low, "high": gain.high, "n": gain.n}
    return found


def loses(found: Mapping[str, Metric], gained: Mapping[str, Mapping[str, object]]) -> tuple[str, ...]:
    """One sentence for each task and measure on which ProMIM does not beat every rival beyond the chance of training, from the numbers alone."""
    groups: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, gain in gained.items():
        scope, _, rest = name.partition("/")
        measure, _, rival = rest.partition("@")
        if verdict := _verdict(gain):
            groups[scope, measure][verdict].append(f"{ARMS[rival].title} ({_percent(found[f'{scope}/{measure}@{rival}'].value)})")
    said = []
    for (scope, measure), verdicts in groups.items():
        where = "On average over the tasks" if scope == MEAN else f"On {TASKS[scope].title.lower()}"
        parts = [f"{_VERDICTS[verdict]} {_joined(verdicts[verdict])}" for verdict in _VERDICTS if verdict in verdicts]
        said.append(f"{where}, ProMIM ({_percent(found[f'{scope}/{measure}'].value)} on {_WORDS[measure]}) {'; '.join(parts)}.")
    return tuple(said)


_VERDICTS = {
    "worse": "is worse than",
    "behind": "does not get beyond",
    "chance": "leads by no more than the chance of training over",
}


def _verdict(gain: Mapping[str, object]) -> str:
    if float(gain["high"]) < 0:
        return "worse"
    if float(gain["value"]) <= 0:
        return "behind"
    return "chance" if float(gain["low"]) <= 0 else ""


def _joined(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
