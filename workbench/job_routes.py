"""HTTP routes by which the page follows a job and fetches its files.

They stand outside Gradio's queue: a poll costs a file read, and a live curve never waits behind a model. A job is answered only to the visitor
who owns it; everybody else gets the same 404 as for a job that does not exist.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse

from workbench.jobs import Job, JobNotFound

if TYPE_CHECKING:
    from workbench.context import Context

PAGE_BYTES = 1_000_000  # most that one poll carries; the rest comes with the next one


def router(context: Context, signed_in: Callable[[Request], str | None]) -> APIRouter:
    """Routes over `context.jobs`. `signed_in` gives the login name, '' where no login is asked for, None for a stranger."""
    routes = APIRouter(prefix="/lightbox/jobs")

    def own(job_id: str, request: Request) -> None:
        name = signed_in(request)
        if name is None:
            raise HTTPException(401, "Please log in first.")
        request.state.username = name
        context.own_job(job_id, request)

    @routes.get("/{job_id}/events")
    def events(job_id: str, request: Request, after: int = 0) -> dict[str, Any]:
        try:
            own(job_id, request)
            page = context.jobs.events(job_id, max(0, after), PAGE_BYTES)
        except JobNotFound as missing:
            raise HTTPException(404, str(missing)) from None
        return {"events": page.events, "cursor": page.cursor, "finished": page.finished, "job": state(page.job)}

    @routes.get("/{job_id}/files/{name:path}")
    def file(job_id: str, name: str, request: Request) -> FileResponse:
        try:
            own(job_id, request)
            path = context.jobs.result(job_id).get(name)  # a look-up among the files that are there: no path is built from what was asked
        except JobNotFound as missing:
            raise HTTPException(404, str(missing)) from None
        if path is None:
            raise HTTPException(404, "This job has no such file, or it is not finished yet.")
        return FileResponse(path, media_type=mimetypes.guess_type(name)[0] or "application/octet-stream", filename=path.name)

    return routes


def state(job: Job) -> dict[str, Any]:
    """What the page may know of a job: no owner, no folder."""
    return {"id": job.id, "title": job.title, "state": job.state, "place": job.place, "keep": job.keep, "error": job.error}
