"""Somebody's own section: a network for its genes, trained on three quarters of it and asked about the rest, usable on any slide at once.

`train_own(config, inbox)` runs inside a job. What is held out is a stretch at one side of the section, not spots between training spots: those would share their views.
It is the same section all the same, so the numbers say little about another patient.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from models.shared.checkpoints import Card, DatasetUse, Metric, load, save
from models.shared.data.spatial import read_upload, select_genes

if TYPE_CHECKING:
    from models.m2ost.wrapper import Predictor

FILES = {"weights": "weights.safetensors", "card": "weights.json", "measured": "measured.npz"}
HELD_OUT = 0.25
LEAST_SPOTS = 40
FLATTERS = "Over the very section it was trained on, correlations flatter: three quarters of its spots were in the training."
NOTE = "Asked about a stretch at the right side of the same section that was not trained on. Another patient's section will be predicted worse; only sections of other patients can show how much."


class Inbox(Protocol):
    """How the job is told to stop, and where its files go."""

    out: Path

    @property
    def stopping(self) -> bool: ...


def train_own(config: Mapping[str, Any], inbox: Inbox) -> Iterator[dict]:
    """The job. config: table, picture, mpp, genes, arm, epochs, start ("scratch" or "shipped"), seed, title. ValueError with a sentence."""
    import torch

    from models.m2ost import real
    from models.m2ost.fit import Schedule
    from models.m2ost.wrapper import load_predictor
    from models.shared.device import hardware, pick_device

    began = time.perf_counter()
    table = read_upload(Path(config["table"]))
    genes = select_genes([table], int(config.get("genes") or real.GENES))
    section = real.section_of(table, Path(config["picture"]), genes, mpp=config.get("mpp"))
    if len(section.y) < LEAST_SPOTS:
        raise ValueError(f"The section has {len(section.y)} spots with counts; at least {LEAST_SPOTS} are needed to train and to ask.")
    cut = np.quantile(section.xy[:, 0], 1 - HELD_OUT)
    train, test = (real.joined([_rows(section, rows)]) for rows in (section.xy[:, 0] < cut, section.xy[:, 0] >= cut))
    arm = str(config.get("arm") or "full")
    start = load_predictor(arm).network if config.get("start") == "shipped" else None
    yield {
        "kind": "meta",
        "method": "m2ost",
        "notes": [
            f"{table.spots} spots, {len(genes)} genes by the paper's rule; {len(train)} spots train, {len(test)} are asked.",
            *table.notes,
            NOTE,
        ],
    }
    schedule = Schedule(
        int(config.get("epochs") or real.SCHEDULE.epochs), real.SCHEDULE.batch, real.SCHEDULE.lr, real.SCHEDULE.weight_decay
    )
    told, last = 0.0, {}
    for last in real.events(
        train,
        test,
        genes,
        arm=arm,
        start=start,
        schedule=schedule,
        seed=int(config.get("seed") or 0),
        device=str(pick_device(str(config.get("device", "cpu")))),
    ):
        if inbox.stopping:
            yield {"kind": "result", "files": {}, "metrics": {}, "stopped": True}
            return
        if "loss" in last and (time.monotonic() - told > 0.2 or last["step"] == last["steps"]):
            told = time.monotonic()
            yield {"kind": "progress", **last, "text": "learning"}
    network, found = last["network"], last["measured"]
    flat = real.measure(np.repeat(train.y.mean(0, keepdims=True), len(test), 0), test.y, test.section)
    metrics = {
        "own/gene_pcc": _metric(found.gene_pcc, len(test)),
        "own/spot_pcc": _metric(found.spot_pcc, len(test)),
        "own/rmse": _metric(found.rmse, len(test)),
        "own/spot_pcc@mean": _metric(flat.spot_pcc, len(test)),
        "own/rmse@mean": _metric(flat.rmse, len(test)),
    }
    mean = train.y.mean(0)
    card = Card(
        method="m2ost",
        title=str(config.get("title") or "Own section").removeprefix("Yours: "),
        config={
            "arm": arm,
            "genes": list(genes),
            "mean": [round(float(value), 5) for value in mean],
            "scores": [round(float(value), 4) for value in found.by_gene],
            "ranges": np.percentile(train.y, [2, 98], axis=0).T.round(2).tolist(),
        },
        datasets=(
            DatasetUse(
                name="own",
                title="A section brought by its owner",
                kind="real",
                licence="its owner's",
                n_train=len(train),
                n_validation=0,
                n_test=len(test),
                note=NOTE,
            ),
        ),
        recipe="models.m2ost.own.train_own(<the config of this card>, inbox)",
        seed=int(config.get("seed") or 0),
        seconds=time.perf_counter() - began,
        hardware=hardware("cpu"),
        parameters=sum(p.numel() for p in network.parameters()),
        trained_parameters=sum(p.numel() for p in network.parameters()),
        metrics=metrics,
        notes=NOTE,
    )
    out = Path(inbox.out)
    save(out / FILES["weights"], {name: tensor.detach().to(torch.float32) for name, tensor in network.state_dict().items()}, card)
    np.savez(
        out / FILES["measured"],
        genes=np.array(genes),
        values=section.y,
        xy=section.xy,
        diameter=float(table.diameter_px or real.SPOT_UM / (config.get("mpp") or table.mpp or 1.0)),
        mpp=float(config.get("mpp") or table.mpp or 0.0),
    )
    names = {
        "own/gene_pcc": "Correlation by gene",
        "own/spot_pcc": "Correlation by spot",
        "own/spot_pcc@mean": "Correlation by spot of the average profile",
    }
    told_metrics = {
        names[name]: {"value": m.value, "low": m.low, "high": m.high, "n": m.n, "kind": m.kind}
        for name, m in metrics.items()
        if name in names
    }
    yield {"kind": "result", "files": dict(FILES), "metrics": told_metrics, "stopped": False}


def restored_own(path: Path, device: str) -> Predictor:
    """The network that a training of one's own left behind, ready to be used. CheckpointRefused with a sentence."""
    from models.m2ost.arms import ARMS, network
    from models.m2ost.wrapper import Gene, Predictor, rounded
    from models.shared.checkpoints import CheckpointRefused

    tensors, card = load(path)
    arm, genes, mean, scores, ranges = (card.config.get(name) for name in ("arm", "genes", "mean", "scores", "ranges"))
    if card.method != "m2ost" or arm not in ARMS or not genes or len(genes) != len(mean or ()):
        raise CheckpointRefused("These weights are not of a training of M2OST on a section of one's own; choose another file.")
    net = network(arm, genes=len(genes))
    try:
        net.load_state_dict(tensors)
    except RuntimeError as fault:
        raise CheckpointRefused("These weights do not fit the network that their card names; train again.") from fault
    made = [Gene(name, "", rounded(*ends), score) for name, ends, score in zip(genes, ranges, scores, strict=True)]
    return Predictor(
        net, made, np.array(mean, np.float32), sha256=card.sha256, title=f"{card.title}, {ARMS[arm].title}", device=device, note=FLATTERS
    )


def _rows(section: Any, rows: np.ndarray) -> Any:
    from models.m2ost.real import Section

    return Section(section.views[rows], section.y[rows], section.xy[rows], section.name)


def _metric(value: float, n: int) -> Metric:
    return Metric(value=value, low=value, high=value, n=n, interval="none, one run")
