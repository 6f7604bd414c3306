"""What every tab is handed: the settings, the jobs, the pictures, the slides, the open pages and the device. Made once per server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import workbench
from models.shared.checkpoints import CheckpointRefused, read_card
from models.shared.method import Method, methods
from workbench.backbones import Fetches
from workbench.jobs import Job, JobManager, JobNotFound
from workbench.pictures import Pictures
from workbench.slides import Slides
from workbench.visitors import Pages, visitor_of

if TYPE_CHECKING:
    from workbench.settings import Settings


AHEAD = ("torch", "models.shared.evaluation", "sklearn.datasets", "sklearn.model_selection", "torchmetrics")
"""What a waiting worker has loaded already, besides every room's recipe, so that a job starts in milliseconds."""


@dataclass
class Context:
    """Shared by all visitors; whatever belongs to one of them lives in the jobs' folders or in the page's own state."""

    settings: Settings
    jobs: JobManager
    pages: Pages = field(default_factory=Pages)
    device: str = "not known yet"  # filled in once torch is loaded
    fetches: Fetches = field(default_factory=Fetches)
    pictures: Pictures = field(init=False)
    slides: Slides = field(init=False)

    def __post_init__(self) -> None:
        idle_s = 2.0 * self.settings.delete_cache_s
        self.pictures = Pictures(self.settings.home / "pictures", idle_s=idle_s)
        self.slides = Slides(self.settings.home / "slides", folders=self.settings.slides, idle_s=idle_s)

    @classmethod
    def open(cls, settings: Settings) -> Context:
        """Open the workspace and find again the jobs of an earlier run of the server."""
        jobs = JobManager(
            settings.home / "workspace",
            max_running=settings.max_jobs,
            max_queued=settings.max_queued_jobs,
            per_owner=settings.jobs_per_visitor,
            workspace_bytes=settings.workspace_mb * 1_000_000,
            max_age_s=settings.keep_days * 86_400,
            warm=settings.warm,
            ahead=(*AHEAD, *(f"models.{method.id}.recipe" for method in methods())),
        )
        return cls(settings, jobs)

    def start(self, work: str, config: dict[str, Any], request: Any, *, title: str, keep: bool = False) -> Job:
        """Start a job for the visitor behind `request`. Unless `keep`, it stops when the page that started it closes.

        Every recipe's configuration may name a `device`; the host's choice is put in where it does not.
        """
        job = self.jobs.start(work, {"device": self.settings.device} | config, owner=visitor_of(request), title=title, keep=keep)
        if not keep:
            self.pages.add(getattr(request, "session_hash", None), job.id)
        return job

    def own_job(self, job_id: str, request: Any) -> Job:
        """The job, if the visitor behind `request` may see it; else JobNotFound, as for a job that does not exist.

        A job of a client without cookies belongs to its page; there the unguessable id itself is the key.
        """
        job = self.jobs.get(job_id)
        if job.owner != visitor_of(request) and not job.owner.startswith("page:"):
            raise JobNotFound
        return job

    def page_closed(self, request: Any) -> None:
        """Stop what the closed page started."""
        self.jobs.release_jobs(self.pages.close(getattr(request, "session_hash", None)))

    def find_device(self) -> str:
        """Import torch (seconds, once) and settle the device."""
        from models.shared.training import pick_device

        self.device = str(pick_device(self.settings.device))
        return self.device

    def health(self) -> dict[str, object]:
        """What `/health` answers. Reads cards only, never a checkpoint, so it is cheap enough for a probe every second."""
        return {
            "status": "ok",
            "version": workbench.__version__,
            "device": self.device,
            "methods": [method.id for method in methods()],
            "checkpoints": {method.id: _hash(method) for method in methods()},
            "queue": self.jobs.snapshot(),
        }

    def close(self) -> None:
        """Let go of the workspace; jobs that were told to go on do."""
        self.jobs.close()
        self.pictures.close()
        self.slides.close()


def _hash(method: Method) -> str | None:
    try:
        return read_card(method.card).sha256
    except (FileNotFoundError, CheckpointRefused):
        return None
