"""Compare: the same hill walked by SOFIM, its rivals and SOFIM with parts switched off; and how much the result depends on η and ρ."""

from __future__ import annotations

from typing import Any

import gradio as gr

from models.shared.method import Method
from models.sofim.landscape import LANDSCAPES, WALKERS, suggested
from models.sofim.tasks import TASKS, available
from workbench.context import Context
from workbench.parts.browser import heat_map, landscape_map, log_slider
from workbench.parts.heightmap import as_data_url
from workbench.parts.training_panel import job_controls

SWEEP = "models.sofim.sensitivity:sweep"
FIRST = next(iter(LANDSCAPES))
DEFAULT_WALKERS = ["sofim", "sgd_momentum", "adam", "normalised_momentum", "newton"]
DIGITS = 5  # significant digits sent to the browser: a screen shows no more


def compare(method: Method, context: Context, site: gr.Blocks) -> None:
    """Lay the drawer out."""
    gr.Markdown("#### The same hill, several ways down", container=False)
    _landscape(method)
    gr.Markdown("#### How much depends on the learning rate η and on ρ", container=False)
    _sensitivity(context, site)


def _landscape(method: Method) -> None:
    own = suggested(LANDSCAPES[FIRST], "sofim")
    with gr.Row():
        hill = gr.Dropdown(
            [(hill.title, hill.id) for hill in LANDSCAPES.values()],
            value=FIRST,
            label="Hill",
            info=LANDSCAPES[FIRST].about,
            elem_id="sofim_hill",
            scale=1,
        )
        walkers = gr.CheckboxGroup(
            [(walker.label, walker.id) for walker in WALKERS.values()],
            value=DEFAULT_WALKERS,
            label="Who walks",
            elem_id="sofim_walkers",
            scale=2,
        )
    with gr.Row(equal_height=True):
        lr = log_slider(
            "SOFIM: learning rate η",
            own["lr"],
            0.001,
            10,
            info="The others walk at the best setting found for them on this hill.",
            elem_id="sofim_hill_lr",
        )
        rho = log_slider(
            "SOFIM: distrust of the curvature ρ",
            own["rho"],
            0.001,
            10,
            info="Moves √ρ, the slope at which steps are longest.",
            elem_id="sofim_hill_rho",
        )
        noise = gr.Slider(
            0,
            1,
            value=LANDSCAPES[FIRST].noise,
            step=0.05,
            label="Noise in the slope",
            info="What small batches do.",
            elem_id="sofim_hill_noise",
        )
        scale = log_slider(
            "Scale of the loss",
            1,
            0.01,
            100,
            info="Multiply the loss by c: only η·c and ρ·c² together give the same path.",
            elem_id="sofim_hill_scale",
        )
    with gr.Accordion("Switch parts of SOFIM off", open=False):
        parts = _parts(method)
    view = landscape_map({}, elem_id="sofim_landscape")

    inputs = [view, hill, walkers, lr, rho, noise, scale, *parts.values()]
    quick = {"show_progress": "hidden", "trigger_mode": "always_last", "concurrency_id": "model", "concurrency_limit": 1}
    events = [
        view.moved,
        walkers.change,
        lr.released,
        rho.released,
        scale.released,
        noise.release,
        *(part.change for part in parts.values()),
    ]
    for event in events:
        event(_walk(list(parts)), inputs, view, api_visibility="private", **quick)
    hill.change(_new_hill, hill, [hill, view, lr, rho, noise], api_visibility="private", **quick).then(
        _walk(list(parts)), inputs, view, api_visibility="private", **quick
    )


def _parts(method: Method) -> dict[str, Any]:
    """One control for each switch of the method's record, except those that need several tensors."""
    made: dict[str, Any] = {}
    with gr.Row():
        for switch in method.switches:
            if switch.name == "granularity":
                continue
            if switch.choices:
                made[switch.name] = gr.Radio(list(switch.choices), value=switch.default, label=switch.label, info=switch.help)
            else:
                made[switch.name] = gr.Checkbox(bool(switch.default), label=switch.label, info=switch.help)
    return made


def _new_hill(hill_id: str) -> tuple[Any, Any, Any, Any, float]:
    """Another hill starts at its own start, with SOFIM's best setting there."""
    hill, own = LANDSCAPES[hill_id], suggested(LANDSCAPES[hill_id], "sofim")
    return (
        gr.Dropdown(info=hill.about),
        gr.HTML(value={}),
        gr.HTML(value=own["lr"], start=own["lr"]),
        gr.HTML(value=own["rho"], start=own["rho"]),
        hill.noise,
    )


def _walk(part_names: list[str]) -> Any:
    def walk(view: Any, hill: str, walkers: list[str], lr: float, rho: float, noise: float, scale: float, *parts: Any) -> gr.HTML:
        from models.sofim.wrapper import WalkOptions, prepare, run

        prepared = prepare(hill)
        start = view.get("start") if isinstance(view, dict) else None
        options = WalkOptions(
            walkers=tuple(walker for walker in WALKERS if walker in walkers),
            hyper={"sofim": {"lr": float(lr), "rho": float(rho)}},
            start=tuple(start) if start else None,
            noise=float(noise),
            scale=float(scale),
            pieces=dict(zip(part_names, parts, strict=True)),
        )
        try:
            scene = dict(run(prepared, options).scene)
        except ValueError as refused:
            raise gr.Error(str(refused), print_exception=False) from None
        return gr.HTML(scene=_short(scene) | {"image": as_data_url(prepared.decades)})

    return walk


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    return [_short(item) for item in value] if isinstance(value, list | tuple) else value


def _sensitivity(context: Context, site: gr.Blocks) -> None:
    here = [item.task for item in available() if item.here]
    with gr.Row():
        task = gr.Dropdown([(item.title, item.id) for item in here], value=here[0].id, label="Task", elem_id="sofim_sweep_task")
        size = gr.Slider(5, 9, value=7, step=2, label="Cells on a side", info="Each cell is one whole training from the same start.")
        steps = gr.Slider(50, 600, value=150, step=10, label="Steps of each training")
    controls = job_controls("sofim_sweep", start_label="Fill the map")
    board = heat_map(elem_id="sofim_heat")

    def config(task: str, size: int, steps: int) -> dict[str, Any]:
        return {"task": task, "size": int(size), "steps": int(steps)}

    controls.wire(
        context, board, config=config, inputs=[task, size, steps], work=SWEEP, title=lambda made: f"Heat map: {TASKS[made['task']].title}"
    )
    site.load(controls.find_again(context, board, SWEEP), None, [board, controls.job], show_progress="hidden", api_visibility="private")
