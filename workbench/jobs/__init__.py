"""Long work in its own process: start it, follow it, stop it, find it again after a restart.

    jobs = JobManager(settings.workspace)
    job = jobs.start("models.sofim.race:race", config, owner=visitor, title="SOFIM against Adam")
    page = jobs.events(job.id, after=0)        # page.events, page.cursor; again with after=page.cursor until page.finished

Everything is kept in plain files (`folder.py`), so neither a killed worker nor a killed server loses what was done.
"""

from workbench.jobs.manager import JobManager
from workbench.jobs.records import Job, JobNotFound, JobRefused, Page

__all__ = ["Job", "JobManager", "JobNotFound", "JobRefused", "Page"]
