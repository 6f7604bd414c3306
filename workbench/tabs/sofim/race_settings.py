"""The settings of a race: SOFIM's three knobs, the rates of the others, batch, steps, seeds, pace and targets, and what they make together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from models.shared.method import Method
from models.sofim.arms import ARMS, Arm, defaults
from models.sofim.race_config import read
from models.sofim.tasks import TASKS, Task, available
from workbench.parts.browser import log_slider
from workbench.tabs.sofim import recorded
from workbench.tabs.sofim.names import SOFIM_ARMS

PACE = 80  # steps a second at first: a small task would be over before anybody has looked
OTHERS = [arm for arm in ARMS.values() if arm.id not in SOFIM_ARMS]
KNOBS = ("lr", "rho", "beta")
QUIET = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}


@dataclass(frozen=True)
class Settings:
    """The controls by name. `tuned` is a State: optimiser → a whole setting taken from the study, empty while the documented ones are in force."""

    tuned: gr.State
    knobs: Mapping[str, Any]
    run: Mapping[str, Any]
    rates: Mapping[str, gr.Number]

    @property
    def inputs(self) -> list[Any]:
        """In the order that `race_config` takes them."""
        return [self.tuned, *self.knobs.values(), *self.run.values(), *self.rates.values()]


def race_settings(method: Method, task: gr.Dropdown, first: Task) -> Settings:
    """Lay the controls out below the choice of the task, and let a change of the task bring its own defaults."""
    knobs = _knobs()
    with gr.Accordion("More settings: rates of the others, batch, steps, seeds, speed, targets", open=False):
        with gr.Row():
            rates = {arm.id: _rate(arm) for arm in OTHERS}
        run = _run(first)
        gone = [item for item in available() if not item.here]
        if gone:
            lines = ["**Tasks that cannot run here**", *(f"- {item.task.title}: {item.reason}" for item in gone)]
            gr.Markdown("\n".join(lines), container=False)
    settings = Settings(gr.State({}), knobs, run, rates)
    _wire(method, task, settings)
    return settings


def _knobs() -> dict[str, Any]:
    own = defaults(ARMS["sofim"])
    with gr.Row(equal_height=True):
        lr = log_slider("SOFIM: learning rate η", own["lr"], 0.001, 10, info="Scales every step.", elem_id="sofim_lr")
        hint = "Large: plain momentum. Small: long steps where gradients are small."
        rho = log_slider("SOFIM: distrust of the curvature ρ", own["rho"], 0.001, 10, info=hint, elem_id="sofim_rho")
        with gr.Column(min_width=220):
            hint = "How much of the averaged gradient is kept from step to step."
            beta = gr.Slider(0, 0.99, value=own["beta"], step=0.01, label="SOFIM: memory β", info=hint, elem_id="sofim_beta")
    return {"lr": lr, "rho": rho, "beta": beta}


def _rate(arm: Arm) -> gr.Number:
    label = f"{arm.label}: rate"
    return gr.Number(defaults(arm)["lr"], label=label, minimum=1e-6, maximum=100, min_width=150, elem_id=f"sofim_rate_{arm.id}")


def _run(task: Task) -> dict[str, Any]:
    with gr.Row():
        batch = gr.Slider(8, 512, value=task.batch, step=8, label="Batch", info="Training cases per step.")
        steps = gr.Slider(20, 5000, value=task.steps, step=10, label="Steps", elem_id="sofim_steps")
        hint = "Repeats with other initial weights; the table then gives median and best."
        seeds = gr.Slider(1, 5, value=1, step=1, label="Seeds", info=hint, elem_id="sofim_seeds")
        hint = "0: as fast as it goes. Slow it down to watch."
        pace = gr.Slider(0, 200, value=PACE, step=1, label="At most so many steps a second", info=hint, elem_id="sofim_pace")
    with gr.Row():
        hint = "The table says after how many steps each gets there; empty: no such target."
        loss = gr.Number(task.targets["train_loss"], label="Target: training loss", info=hint, minimum=0, elem_id="sofim_target_loss")
        accuracy = gr.Number(
            task.targets["test_accuracy"], label="Target: test accuracy", info="A share: 0.95 is 95 %.", minimum=0, maximum=1
        )
    return {"batch": batch, "steps": steps, "seeds": seeds, "pace": pace, "loss": loss, "accuracy": accuracy}


def _wire(method: Method, task: gr.Dropdown, settings: Settings) -> None:
    with gr.Row(elem_classes="lb-controls"):
        best = gr.Button("Settings: best found in the study", size="sm", scale=0, min_width=230, elem_id="sofim_best")
        plain = gr.Button("Settings: as documented", size="sm", scale=0, min_width=180, elem_id="sofim_documented")

    def study(task_id: str) -> list[Any]:
        found = recorded.best_settings(method, task_id)
        if not found:
            raise gr.Error("The study has no settings for this task; those shown stay.", print_exception=False)
        return filled(found)

    rates = [settings.tuned, *settings.knobs.values(), *settings.rates.values()]
    best.click(study, task, rates, **QUIET)
    plain.click(lambda: filled({}), None, rates, **QUIET)
    run = [settings.run[name] for name in ("batch", "steps", "loss", "accuracy")]
    task.change(_of_task, task, [task, *run, *rates], **QUIET)


def filled(found: Mapping[str, Mapping[str, float]]) -> list[Any]:
    """Values of `tuned`, the knobs and the rates for settings by optimiser; what is not in them is as documented."""
    own = defaults(ARMS["sofim"]) | dict(found.get("sofim", {}))
    knobs = [gr.HTML(value=own[name], start=own[name]) for name in ("lr", "rho")] + [own["beta"]]
    return [dict(found), *knobs, *(found.get(arm.id, {}).get("lr", defaults(arm)["lr"]) for arm in OTHERS)]


def _of_task(task_id: str) -> list[Any]:
    """Another task brings its own batch, steps and targets; settings tuned on the last task would mean nothing here."""
    task = TASKS[task_id]
    return [gr.Dropdown(info=task.about), task.batch, task.steps, task.targets["train_loss"], task.targets["test_accuracy"], *filled({})]


def race_config(task: str, arms: list[str], tuned: Mapping[str, Mapping[str, float]], *values: Any) -> dict[str, Any]:
    """The race's configuration; `values` are those of `Settings.inputs` after `tuned`. Raises ValueError with a sentence."""
    if not arms:
        raise ValueError("Choose at least one optimiser to race.")
    lr, rho, beta, batch, steps, seeds, pace, loss, accuracy, *rates = values
    knobs = {name: float(value) for name, value in zip(KNOBS, (lr, rho, beta), strict=True)}
    shown = {arm: _of_variant(arm, knobs, tuned) for arm in SOFIM_ARMS}
    shown |= {arm.id: {**tuned.get(arm.id, {}), "lr": rate} for arm, rate in zip(OTHERS, rates, strict=True)}
    targets = {"train_loss": loss or None, "test_loss": TASKS[task].targets["test_loss"], "test_accuracy": accuracy or None}
    made = {
        "task": task,
        "arms": [{"id": arm, **shown[arm]} for arm in ARMS if arm in arms],
        "batch": int(batch),
        "steps": int(steps),
        "seeds": list(range(int(seeds))),
        "targets": targets,
        "pace": pace,
    }
    read(made)  # before a race that is going is given up for this one
    return made


def _of_variant(arm: str, knobs: Mapping[str, float], tuned: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The knobs hold for all SOFIM methods, but as long as they stand where the study's button put them each variant runs at its own best."""
    best = defaults(ARMS["sofim"]) | dict(tuned.get("sofim", {}))
    untouched = bool(tuned) and all(math.isclose(knobs[name], best[name], rel_tol=1e-6) for name in KNOBS)
    return dict(knobs) | (dict(tuned.get(arm, {})) if untouched else {})
