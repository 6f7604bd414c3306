"""A race as a Python program: the same numbers without the app.

The program imports nothing but this tree's own `models` package (and, through it, torch), carries the whole configuration, also what was
turned while the race ran, and prints the final numbers of each optimiser and seed. On the same processor and torch version they are equal
to the last digit; elsewhere the order of sums may differ in the last few digits.
"""

from __future__ import annotations

import pprint
from collections.abc import Mapping

from models.sofim.race_config import RaceConfig, read

BESIDE = 'CONFIG | {"table": str(Path(__file__).with_name(CONFIG["table"]))}'
_PROGRAM = '''\
"""Runs one race of optimisers again and prints the final numbers. Research use only.

Run it in the folder that holds `models/`: python reproduce.py
Needs {needs}.
"""

{imports}import torch

from models.shared.training import pick_device
from models.sofim import race_config
from models.sofim.race_lanes import Lane, Rows
from models.sofim.tasks import data_of

CONFIG = {config}


def run(arm, hyper, seed, config, data, rows, device):
    """One optimiser with one seed, start to end; the lane holds the weights and the measurements."""
    lane = Lane(config.task, arm, hyper, seed=seed, data=data, batch=config.batch, steps=config.steps, device=device)
    lane.measure(rows, config.targets)
    while not lane.done:
        for change in config.changes:
            if change.arm == arm and change.step == lane.step:
                lane.turn(change.name, change.value)
        lane.advance()
        if not lane.diverged and (lane.done or lane.step % config.eval_every == 0):
            lane.measure(rows, config.targets, whole=lane.done)
    return lane


def main():
    config = race_config.read({given})
    torch.set_num_threads(config.threads)
    device, data = pick_device(config.device), data_of(config.task)
    rows = Rows.of(config.task, data.train, data.test, device)
    for seed in config.seeds:
        for entry in config.entries:
            lane = run(entry.id, entry.hyper, seed, config, data, rows, device)
            last = lane.measurements[-1]
            loss, accuracy = f"test loss {{last.test_loss:.6f}}", f"test accuracy {{last.test_accuracy:.6f}}"
            print(lane.id, f"step {{last.step}}", loss, accuracy, lane.diverged, sep="\\t")


if __name__ == "__main__":
    main()
'''


def as_python(config: Mapping[str, object] | RaceConfig) -> str:
    """The program's text for a race configuration (see `race_config.py`); `ConfigRefused` where it could not be raced.

    An own table is named without its folder: the program looks for it beside itself.
    """
    checked = config if isinstance(config, RaceConfig) else read(config)
    needs = checked.task.needs or "no files beside the code"
    done = {name: value for name, value in checked.as_dict().items() if name != "pace"}
    imports, given = ("from pathlib import Path\n\n", BESIDE) if checked.task.table else ("", "CONFIG")
    return _PROGRAM.format(needs=needs, imports=imports, given=given, config=pprint.pformat(done, sort_dicts=False, width=120))
