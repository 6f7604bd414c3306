"""What every handler of this tab begins with: which slide, which network, how spots are laid out, and the job that predicts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from models.m2ost.arms import ARMS, LEAKY, LEAKY_TITLE
from workbench.context import Context
from workbench.jobs import Job, JobNotFound
from workbench.parts.events import PerPage
from workbench.parts.slide_viewer import read as read_view
from workbench.tabs.m2ost.names import OWN
from workbench.visitors import visitor_of

if TYPE_CHECKING:
    from models.m2ost.wrapper import Predictor
    from models.shared.slides import SlideSource

OWN_WORK = "models.m2ost.own:train_own"
EXAMPLE_TRUTH = "example"


@dataclass(frozen=True)
class Asked:
    """The settings as they were when something was asked."""

    slide: str
    network: str = "full"
    levels: tuple[int, ...] = (0, 1, 2)
    pitch_um: float = 100.0
    flips: bool = False
    truth: bool = True


@dataclass(frozen=True, eq=False)
class Desk:
    """The components of the Explore drawer that other parts of the tab read."""

    context: Context
    slide: gr.State
    viewer: gr.HTML
    job: gr.State
    network: gr.Dropdown
    levels: gr.CheckboxGroup
    pitch: gr.Radio
    flips: gr.Checkbox
    truth: gr.Checkbox

    @property
    def inputs(self) -> list[Any]:
        """In the order `asked` takes their values."""
        return [self.slide, self.network, self.levels, self.pitch, self.flips, self.truth]

    @staticmethod
    def asked(values: Sequence[Any]) -> Asked:
        """The settings behind the values of `inputs`. ValueError with a sentence."""
        slide, network, levels, pitch, flips, truth = values
        if not slide:
            raise ValueError("No slide is open; choose one above, or open one of your own.")
        if not levels:
            raise ValueError("At least one view must stay on; tick one.")
        return Asked(
            str(slide), str(network or "full"), tuple(sorted(int(level) for level in levels)), float(pitch), bool(flips), bool(truth)
        )

    def own(self, request: Any, network: str) -> tuple[Job, dict[str, Path]] | None:
        """A training of the visitor's own with its files; None for a shipped network. ValueError when it is gone."""
        if not network.startswith(OWN):
            return None
        try:
            job = self.context.own_job(network.removeprefix(OWN), request)
            files = self.context.jobs.result(job.id)
        except JobNotFound:
            files = {}
        if job_is_gone(files):
            raise ValueError("This training is not kept any more; choose another network.")
        return job, files

    def config(self, request: Any, asked: Asked, window: Sequence[int] | None) -> dict[str, Any]:
        """The configuration of the job that predicts the slide. ValueError with a sentence."""
        facts, mine = self.context.slides.get(request, asked.slide), self.own(request, asked.network)
        path = str(self.context.slides.path(request, asked.slide))
        arm = str(mine[0].config.get("arm", "full")) if mine else asked.network
        if arm not in (*ARMS, LEAKY):
            raise ValueError("There is no such network; choose one from the list.")
        on = [level for level in ARMS["full" if arm == LEAKY else arm].levels if level in asked.levels]
        if not on:
            raise ValueError("The network you chose does not take the views you ticked; tick another one.")
        table = None
        if asked.truth and mine and mine[0].config.get("picture") == path:
            table = str(mine[1]["measured.npz"])
        elif asked.truth and not mine and is_example(facts):
            table = EXAMPLE_TRUTH
        return {
            "path": path, "mpp": facts.mpp, "arm": arm, "weights": str(mine[1]["weights.safetensors"]) if mine else None, "levels": on, "pitch_um": asked.pitch_um,
            "flips": asked.flips, "window": list(window) if window else None, "cache": str(self.context.settings.home / "predictions"), "table": table,
        }  # fmt: skip

    def network_and_slide(self, request: Any, asked: Asked) -> tuple[Predictor, SlideSource, float]:
        """Network, slide and µm per pixel in this process. ValueError with a sentence."""
        from models.m2ost.wrapper import load_predictor

        made = self.config(request, asked, None)
        if not made["mpp"]:
            raise ValueError("The size of a pixel is not known for this slide; give it under the slide.")
        predictor = load_predictor(made["arm"], path=made["weights"], device=self.context.find_device())
        return predictor, self.context.slides.source(request, asked.slide), float(made["mpp"])

    def networks(self, request: Any) -> list[tuple[str, str]]:
        """What can be chosen: the shipped networks, then the visitor's own trainings."""
        made = shipped()
        for job in self.context.jobs.list(visitor_of(request)):
            if job.work == OWN_WORK and job.over and "weights.safetensors" in self.context.jobs.result(job.id):
                made.append((f"Your training: {job.title}", f"{OWN}{job.id}"))
        return made


def shipped() -> list[tuple[str, str]]:
    """The shipped networks as a list of choices."""
    return [*((arm.title, arm.id) for arm in ARMS.values()), (LEAKY_TITLE, LEAKY)]


def job_is_gone(files: dict[str, Path]) -> bool:
    """Whether a training left nothing that can be used."""
    return not {"weights.safetensors", "measured.npz"} <= files.keys()


def is_example(facts: Any) -> bool:
    """Whether this is the slide that ships, whose planted expression is known."""
    from models.shared.data.histology import example

    made = example.MPP
    return (
        facts.public
        and (facts.width, facts.height) == (round(example.WIDTH_UM / made), round(example.HEIGHT_UM / made))
        and "hantom" in facts.title
    )


def window_of(value: Any) -> tuple[int, int, int, int] | None:
    """The window in the viewer's value."""
    return read_view(value).window


DESKS = PerPage[Desk]()
