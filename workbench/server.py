"""The FastAPI app around the site: `/health`, followed jobs, static scripts, safe headers, one origin and one port.

Cold start matters: nothing here imports torch. Once the first page has been served, `_warm` loads it in the background.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
import uvicorn
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles

import workbench
from models.shared.libraries import load_libraries
from workbench import headers, job_routes, picture_routes, slide_routes
from workbench.catalogue import rooms
from workbench.context import Context
from workbench.site import BUNDLE, build_site, bundle, head, theme
from workbench.visitors import VisitorCookie

if TYPE_CHECKING:
    from workbench.settings import Settings

log = logging.getLogger("lightbox")
STATIC = Path(__file__).resolve().parents[1] / "assets" / "static"
WARM_AFTER_S = 2.0  # if nobody asks for the page, warm up all the same


def create_app(settings: Settings) -> FastAPI:
    """The whole server for these settings; routes of our own come first, Gradio is mounted last at `/`."""
    context = Context.open(settings)
    app = FastAPI(title="Lightbox", version=workbench.__version__, docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan)
    app.state.context, app.state.served = context, threading.Event()
    # There even when no origin is listed: without it, Gradio would let in every origin that asks under a public name.
    app.add_middleware(CORSMiddleware, allow_origins=list(settings.allow_origins), allow_methods=["GET", "POST"], allow_headers=["*"])
    app.add_middleware(VisitorCookie)
    app.add_middleware(headers.SafeHeaders, framed=bool(settings.space_id), served=app.state.served)
    app.add_middleware(
        slide_routes.SlideTiles,
        context=context,
        signed_in=lambda request: _signed_in(app, settings, request),
        headers=headers.safe_headers(framed=bool(settings.space_id)),
        origins=settings.allow_origins,
    )
    app.add_exception_handler(Exception, headers.accident(framed=bool(settings.space_id)))

    @app.api_route("/health", methods=["GET", "HEAD"])
    def health() -> dict[str, object]:
        return context.health()

    script = Response(bundle(STATIC), media_type="text/javascript", headers={"cache-control": "public, max-age=31536000, immutable"})
    app.add_api_route(f"/lightbox/{BUNDLE}", lambda: script)
    app.mount("/lightbox/static", StaticFiles(directory=STATIC), name="static")
    site = build_site(context, rooms())
    for routes in (job_routes, picture_routes, slide_routes):
        app.include_router(routes.router(context, lambda request: _signed_in(app, settings, request)))
    return gr.mount_gradio_app(
        app,
        site,
        path="/",
        theme=theme(),
        head=head(STATIC),
        root_path=settings.root_path or None,
        auth=settings.logins,
        auth_message="Lightbox. Research use only.",
        allowed_paths=[],
        show_error=False,
        max_file_size=f"{settings.max_upload_mb}mb",
        run_history=False,
        enable_monitoring=False,
        footer_links=["api"],
        ssr_mode=False,
        mcp_server=False,
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
    )


def serve(settings: Settings) -> None:
    """Serve until interrupted."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if settings.is_public and not settings.logins and not settings.space_id:
        print(_banner(settings), file=sys.stderr, flush=True)
    app = create_app(settings)
    log.info("Lightbox %s on http://%s:%d", workbench.__version__, settings.host, settings.port)
    uvicorn.run(app, host=settings.host, port=settings.port, log_level="warning", proxy_headers=True, timeout_graceful_shutdown=3)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    if context.settings.warm:
        threading.Thread(target=_warm, args=(context, app.state.served), name="warm", daemon=True).start()
    yield
    context.close()


def _warm(context: Context, served: threading.Event) -> None:
    """Load torch and the rooms' wrappers once the first page is out, so that the first click does not wait for them."""
    served.wait(WARM_AFTER_S)
    load_libraries()
    context.find_device()
    for room in rooms():
        try:
            import_module(f"models.{room.method.id}.wrapper")
        except ImportError:
            log.exception("could not warm %s", room.method.id)


def _signed_in(app: FastAPI, settings: Settings, request: object) -> str | None:
    """The name behind Gradio's login cookie, for the routes Gradio does not guard itself. Without logins everybody is let in as ''."""
    if not settings.logins:
        return ""
    inner = app.routes[-1].app  # the mounted Gradio app: it holds the login tokens
    cookies = request.cookies
    token = cookies.get(f"access-token-{inner.cookie_id}") or cookies.get(f"access-token-unsecure-{inner.cookie_id}")
    return inner.tokens.get(token)


def _banner(settings: Settings) -> str:
    line = "!" * 78
    return (
        f"{line}\n!! Lightbox listens on {settings.host}: everyone who can reach this machine can use it.\n"
        f"!! There is no login. Set WORKBENCH_USERS=name:password, or WORKBENCH_HOST=127.0.0.1.\n{line}"
    )
