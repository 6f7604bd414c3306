"""What programs may ask of this tab, with typed arguments: the same work the buttons do, under stable names."""

from __future__ import annotations

import time
from typing import Any

import gradio as gr

from models.sofim.race_config import MOST_SEEDS, number, read
from models.sofim.tasks import OWN_TABLE
from workbench.context import Context
from workbench.jobs import JobNotFound
from workbench.tabs.sofim.names import race_title

WORK = "models.sofim.race:race"
WAIT_S = 120.0
MOST_BYTES = 2**53  # no record of a run is longer, and beyond it numbers sent as JSON are no longer exact


def race_config(task: str, optimisers: list[str], steps: float, seeds: float, settings: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The configuration of a race from a program's arguments, refused here (ValueError with a sentence) before a run is spent on it."""
    if not isinstance(optimisers, list) or not all(isinstance(arm, str) for arm in optimisers):
        raise ValueError('optimisers must be a list of names, such as ["sofim", "adam"].')
    if not isinstance(settings, dict) or not all(isinstance(own, dict) for own in settings.values()):
        raise ValueError('settings must give, for each optimiser, its settings by name, such as {"sofim": {"lr": 0.1}}.')
    strangers = [arm for arm in settings if arm not in optimisers]
    if strangers:
        raise ValueError(f"settings speaks of {strangers[0]!r}, which is not among the optimisers of this race.")
    if task == OWN_TABLE:  # a program would have to name a file of this server, and no path is taken from outside
        raise ValueError("A table of your own is trained in the Train drawer of the page; programs choose one of the other tasks.")
    repeats = number(seeds, "seeds", 1, MOST_SEEDS, whole=True)
    arms = [{**settings.get(arm, {}), "id": arm} for arm in optimisers]
    config = {"task": task, "arms": arms, "steps": steps, "seeds": list(range(repeats))}
    read(config)
    return config


def publish(context: Context) -> None:
    """Register the functions with the Blocks being built."""

    def start(task: str, optimisers: list[str], steps: int, seeds: int, settings: dict, request: gr.Request) -> str:
        try:
            config = race_config(task, optimisers, steps, seeds, settings)
            return context.start(WORK, config, request, title=race_title(config)).id
        except ValueError as refused:
            raise gr.Error(str(refused), print_exception=False) from None

    def sofim(
        request: gr.Request,
        task: str = "digits_mlp",
        optimisers: list[str] = ["sofim", "sgd_momentum", "adam"],
        steps: int = 200,
        seeds: int = 1,
        settings: dict = {},
    ) -> dict:
        """Race optimisers on a task and wait for the result (at most two minutes).

        Args:
            task: Which problem, for instance digits_mlp, digits_cnn or breast_cancer_mlp.
            optimisers: Which optimisers take part, for instance sofim, sgd_momentum, adam, adahessian or lbfgs.
            steps: Optimiser steps of each.
            seeds: How many repeats with other initial weights.
            settings: Settings that differ from the defaults, such as {"sofim": {"lr": 0.1, "rho": 0.5}}.

        Returns:
            The state of the run and one row of results for each optimiser.
        """
        job_id = start(task, optimisers, steps, seeds, settings, request)
        until, rows, cursor = time.monotonic() + WAIT_S, [], 0
        while True:
            page = context.jobs.events(job_id, cursor)
            cursor, rows = page.cursor, next((event["rows"] for event in reversed(page.events) if event["kind"] == "table"), rows)
            if page.finished or time.monotonic() > until:
                break
            time.sleep(0.1)
        if not page.finished:
            context.jobs.stop(job_id)
        return {"job": job_id, "state": page.job.state, "error": page.job.error, "rows": rows}

    def sofim_race(
        request: gr.Request,
        task: str = "digits_mlp",
        optimisers: list[str] = ["sofim", "sgd_momentum", "adam"],
        steps: int = 400,
        seeds: int = 1,
        settings: dict = {},
    ) -> dict:
        """Start a race and return at once.

        Args:
            task: Which problem, for instance digits_mlp.
            optimisers: Which optimisers take part.
            steps: Optimiser steps of each.
            seeds: How many repeats with other initial weights.
            settings: Settings that differ from the defaults, by optimiser.

        Returns:
            The id of the run, to follow with sofim_events and to end with sofim_stop.
        """
        return {"job": start(task, optimisers, steps, seeds, settings, request)}

    def sofim_events(request: gr.Request, job: str, after: int = 0) -> dict:
        """What has happened in a run since a cursor.

        Args:
            job: The id that sofim_race returned.
            after: The cursor of the last answer, 0 at first.

        Returns:
            New events, the next cursor, the state, and whether it is finished.
        """
        _own(context, job, request)
        try:
            page = context.jobs.events(job, number(after, "after", 0, MOST_BYTES, whole=True))
        except (JobNotFound, ValueError) as refused:
            raise gr.Error(str(refused), print_exception=False) from None
        return {"events": page.events, "cursor": page.cursor, "state": page.job.state, "finished": page.finished}

    def sofim_stop(request: gr.Request, job: str) -> dict:
        """Stop a run at its next step.

        Args:
            job: The id that sofim_race returned.

        Returns:
            The id again.
        """
        _own(context, job, request)
        context.jobs.stop(job)
        return {"job": job}

    gr.api(sofim, api_name="sofim", concurrency_limit=2)
    gr.api(sofim_race, api_name="sofim_race", concurrency_limit=None)
    gr.api(sofim_events, api_name="sofim_events", concurrency_limit=None, queue=False)
    gr.api(sofim_stop, api_name="sofim_stop", concurrency_limit=None, queue=False)


def _own(context: Context, job: str, request: gr.Request) -> None:
    try:
        context.own_job(job, request)
    except JobNotFound as missing:
        raise gr.Error(str(missing), print_exception=False) from None
