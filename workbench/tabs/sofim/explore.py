"""Explore: the live race. Pick a task and the optimisers, start, turn a rate while it runs, stop, take the curves away."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.shared.method import Method
from models.sofim.arms import ARMS
from models.sofim.tasks import TASKS, available
from workbench.context import Context
from workbench.jobs import JobNotFound
from workbench.parts.browser import log_slider, race_board
from workbench.parts.training_panel import Controls, command, job_controls
from workbench.tabs.sofim import api, recorded
from workbench.tabs.sofim.cases import cases
from workbench.tabs.sofim.names import SOFIM_ARMS, race_title

WORK = "models.sofim.race:race"
DEFAULT_ARMS = ["sofim", "sgd_momentum", "adam"]
PACE = 80  # steps a second at first: a small task would be over before anybody has looked
OTHERS = [arm for arm in ARMS.values() if arm.id not in SOFIM_ARMS]


def explore(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out and wire it."""
    api.publish(context)
    here = [item for item in available() if item.here]
    with gr.Row():
        task = gr.Dropdown(
            [(item.task.title, item.task.id) for item in here],
            value=here[0].task.id,
            label="Task",
            elem_id="sofim_task",
            scale=1,
            info=here[0].task.about,
        )
        choices = [(arm.label, arm.id) for arm in ARMS.values()]
        arms = gr.CheckboxGroup(choices, value=DEFAULT_ARMS, label="Optimisers in the race", elem_id="sofim_arms", scale=2)
    knobs = _sofim_knobs()
    rates, more = _other_settings(TASKS[here[0].task.id])
    tuned = gr.State({})
    _settings_buttons(method, task, tuned, knobs, rates)
    controls = job_controls("sofim_race", start_label="Start the race", steps=True)
    board = race_board(recorded=recorded.race(method), elem_id="sofim_board")

    inputs = [tuned, task, arms, *knobs.values(), *more.values(), *rates.values()]
    controls.wire(context, board, config=_config, inputs=inputs, work=WORK, title=race_title)
    task.change(_task_defaults, task, [task, more["batch"], more["steps"]], show_progress="hidden", api_visibility="private", queue=False)
    _turn_in_flight(context, controls, knobs, rates)
    cases(context)
    site.load(controls.find_again(context, board, WORK), None, [board, controls.job], show_progress="hidden", api_visibility="private")


def _sofim_knobs() -> dict[str, gr.HTML | gr.Slider]:
    """η, ρ and β of the SOFIM methods; turned while a race runs, they act at the next step."""
    with gr.Row(equal_height=True):
        lr = log_slider("SOFIM: learning rate η", 0.1, 0.001, 10, info="Scales every step.", elem_id="sofim_lr")
        rho = log_slider(
            "SOFIM: distrust of the curvature ρ",
            0.5,
            0.001,
            10,
            info="Large: plain momentum. Small: long steps where gradients are small.",
            elem_id="sofim_rho",
        )
        with gr.Column(min_width=220):
            beta = gr.Slider(
                0,
                0.99,
                value=0.9,
                step=0.01,
                label="SOFIM: memory β",
                info="How much of the averaged gradient is kept from step to step.",
                elem_id="sofim_beta",
            )
    return {"lr": lr, "rho": rho, "beta": beta}


def _other_settings(task: Any) -> tuple[dict[str, gr.Number], dict[str, Any]]:
    with gr.Accordion("More settings: rates of the others, batch, steps, seeds, speed", open=False):
        with gr.Row():
            rates = {
                arm.id: gr.Number(
                    _default_rate(arm), label=f"{arm.label}: rate", minimum=1e-6, maximum=100, min_width=150, elem_id=f"sofim_rate_{arm.id}"
                )
                for arm in OTHERS
            }
        with gr.Row():
            more = {
                "batch": gr.Slider(8, 512, value=task.batch, step=8, label="Batch", info="Training cases per step."),
                "steps": gr.Slider(20, 5000, value=task.steps, step=10, label="Steps", elem_id="sofim_steps"),
                "seeds": gr.Slider(
                    1, 5, value=1, step=1, label="Seeds", info="Repeats with other initial weights; the table then gives median and best."
                ),
                "pace": gr.Slider(
                    0,
                    200,
                    value=PACE,
                    step=1,
                    label="At most so many steps a second",
                    info="0: as fast as it goes. Slow it down to watch.",
                    elem_id="sofim_pace",
                ),
            }
        gone = [item for item in available() if not item.here]
        if gone:
            gr.Markdown(
                "\n".join(["**Tasks that cannot run here**", *(f"- {item.task.title}: {item.reason}" for item in gone)]), container=False
            )
    return rates, more


def _default_rate(arm: Any) -> float:
    return next(hyper.default for hyper in arm.hypers if hyper.name == "lr")


def _task_defaults(task_id: str) -> tuple[gr.Dropdown, int, int]:
    task = TASKS[task_id]
    return gr.Dropdown(info=task.about), task.batch, task.steps


def _config(
    tuned: dict[str, dict[str, float]],
    task: str,
    arms: list[str],
    lr: float,
    rho: float,
    beta: float,
    batch: int,
    steps: int,
    seeds: int,
    pace: float,
    *rates: float,
) -> dict[str, Any]:
    """The race's configuration from the controls; wrong values are refused by the race itself, with a sentence."""
    if not arms:
        raise ValueError("Choose at least one optimiser to race.")
    shown = {arm: {"lr": float(lr), "rho": float(rho), "beta": float(beta)} for arm in SOFIM_ARMS}
    shown |= {arm.id: {"lr": rate} for arm, rate in zip(OTHERS, rates, strict=True)}
    entries = [{"id": arm, **tuned.get(arm, {}), **shown[arm]} for arm in ARMS if arm in arms]
    return {"task": task, "arms": entries, "batch": int(batch), "steps": int(steps), "seeds": list(range(int(seeds))), "pace": pace}


def _turn_in_flight(context: Context, controls: Controls, knobs: dict[str, Any], rates: dict[str, gr.Number]) -> None:
    """A knob let go while a race runs changes that race at its next step; without a race it counts for the next one."""

    def wire(event: Any, component: Any, name: str, arms: tuple[str, ...]) -> None:
        def turn(request: gr.Request, job: str, value: float) -> None:
            for arm in arms:
                if arm in _racing(context, request, job):
                    command(context, request, job, {"do": "set", "arm": arm, "name": name, "value": float(value)})

        event(turn, [controls.job, component], None, queue=False, show_progress="hidden", api_visibility="private")

    for name, knob in knobs.items():
        wire(knob.release if isinstance(knob, gr.Slider) else knob.released, knob, name, SOFIM_ARMS)
    for arm, rate in rates.items():
        wire(rate.submit, rate, "lr", (arm,))
        wire(rate.blur, rate, "lr", (arm,))


def _racing(context: Context, request: gr.Request, job: str) -> set[str]:
    """Optimisers in the visitor's race; none when there is no such race."""
    try:
        return {entry["id"] for entry in context.own_job(job, request).config["arms"]}
    except JobNotFound:
        return set()


def _settings_buttons(method: Method, task: gr.Dropdown, tuned: gr.State, knobs: dict[str, Any], rates: dict[str, gr.Number]) -> None:
    """Two buttons that set all rates at once: as documented, or as the study found them best for this task."""
    with gr.Row(elem_classes="lb-controls"):
        best = gr.Button("Settings: best found in the study", size="sm", scale=0, min_width=230, elem_id="sofim_best")
        plain = gr.Button("Settings: as documented", size="sm", scale=0, min_width=180, elem_id="sofim_documented")

    def filled(found: dict[str, dict[str, float]]) -> list[Any]:
        own = {"lr": 0.1, "rho": 0.5, "beta": 0.9} | found.get("sofim", {})
        values = [gr.HTML(value=own[name], start=own[name]) for name in ("lr", "rho")] + [own["beta"]]
        return [found, *values, *(found.get(arm.id, {}).get("lr", _default_rate(arm)) for arm in OTHERS)]

    def study(task_id: str) -> list[Any]:
        found = recorded.best_settings(method, task_id)
        if not found:
            raise gr.Error("The study has no settings for this task; the documented ones stay.", print_exception=False)
        return filled(found)

    outputs = [tuned, *knobs.values(), *rates.values()]
    best.click(study, task, outputs, show_progress="hidden", api_visibility="private", concurrency_limit=None)
    plain.click(lambda: filled({}), None, outputs, show_progress="hidden", api_visibility="private", concurrency_limit=None)
