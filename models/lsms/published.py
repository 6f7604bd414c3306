"""Train the method with a published text encoder, and keep the network apart from what ships.

    python -m models.lsms.published FOLDER_OR_HUB_NAME [--out FILE] [--device cuda] [--steps N]
    WORKBENCH_LSMS=FILE ./lightbox run           # the tab answers with it

The same slices, phrases and steps as the shipped network of the same preset, one seed. Weights go to `workspace/lsms_published.safetensors` by default.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from models.lsms.plan import ARMS, OWN, Plan
from models.lsms.record import METHOD
from models.shared.checkpoints import Card, save
from models.shared.paths import repository


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and write; exit status 0, or 1 with a sentence where the encoder cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m models.lsms.published", description="LSMS with a published text encoder.")
    parser.add_argument("encoder", help="a folder, or a name of the hub")
    parser.add_argument("--out", type=Path, default=repository() / "workspace" / "lsms_published.safetensors")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=Plan().steps)
    parser.add_argument("--slices", type=int, default=Plan().slices)
    parser.add_argument("--tests", type=int, default=Plan().tests)
    options = parser.parse_args(arguments)
    from models.shared.backbones.published_text import TextRefused, load_published
    from models.shared.device import pick_device

    try:
        text = load_published(options.encoder)
    except TextRefused as refused:
        print(refused, file=sys.stderr)
        return 1
    plan = replace(Plan(), arms=(OWN,), seeds=(0,), steps=options.steps, slices=options.slices, tests=options.tests)
    card, tensors = _trained(text, plan, str(pick_device(options.device)))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save(options.out, tensors, card)
    print(f"Written: {options.out}. Mean IoU {card.metrics['phrases/shipped_miou'].value:.3f} on {plan.tests} test slices.")
    return 0


def _trained(text, plan: Plan, device: str):
    import torch

    from models.lsms import study, study_report
    from models.lsms.network import LSMS
    from models.lsms.study_data import pairs
    from models.lsms.text import Speaking
    from models.lsms.training import answers, fit
    from models.shared.device import hardware
    from models.shared.packing import lay_in, pack

    started = time.perf_counter()
    config = replace(ARMS[OWN].config(), words=0, text_width=text.width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seeds[0])
        net = LSMS(config)
    train = pairs("train", plan.slices, plan.phrases, side=plan.side)
    for step, loss in fit(
        Speaking(net, text), train, plan, contrast=ARMS[OWN].contrast, emptiness=ARMS[OWN].emptiness, seed=plan.seeds[0], device=device
    ):
        print(f"step {step} of {plan.steps}, loss {loss:.3f}", file=sys.stderr)
    packed = pack(net.state_dict())
    net.to("cpu", memory_format=torch.contiguous_format)
    lay_in(net, packed)
    test = study.tests_of(plan.tests, plan.test_phrases, plan.side)
    found = study.Found(study.counted(answers(Speaking(net, text), test), test), time.perf_counter() - started, hardware(device))
    count = sum(p.numel() for p in net.parameters())
    card = Card(
        method=METHOD.id,
        title=f"{METHOD.title} with {text.name}",
        config={"text": text.name, "steps": plan.steps, "slices": plan.slices, "tests": plan.tests},
        datasets=(),
        recipe=f"python -m models.lsms.published {text.name}",
        seed=plan.seeds[0],
        seconds=found.seconds,
        hardware=found.hardware,
        parameters=count,
        trained_parameters=count,
        metrics=study_report.card_metrics(OWN, [found], shipped=True),
        notes="One training with a frozen published text encoder, which is not in this file and is loaded from where it was.",
        extra={"text": text.name, "arms": {OWN: {"label": ARMS[OWN].label, "network": config.as_json()}}},
    )
    return card, {f"{OWN}.{name}": tensor for name, tensor in packed.items()}


if __name__ == "__main__":
    raise SystemExit(main())
