"""The HTTP side of slides: facts, small pictures and tiles, answered to the owner alone; the example and the host's slides to everybody.

Tiles are asked for by the hundred, so they are answered by `SlideTiles`, before the routes and the other middleware: what those add (headers, the
login, who is asking) is done here in the few lines a tile needs. A tile's address holds the hash of the content and is kept by browsers for good.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import HTTPConnection

from workbench.slides import SlideGone, SlideRefused
from workbench.slides.serving import Record
from workbench.visitors import visitor_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from workbench.context import Context

PREFIX = "/lightbox/slides/"
DECODING_AT_ONCE = 4
_TILE = re.compile(r"/lightbox/slides/([0-9a-z]{1,40})/([0-9a-f]{20})/([0-9]{1,2})/([0-9]{1,6})_([0-9]{1,6})\.jpeg")
_FOREVER = "max-age=31536000, immutable"


def router(context: Context, signed_in: Callable[[Request], str | None]) -> APIRouter:
    """Routes over `context.slides`. `signed_in` gives the login name, '' where no login is asked for, None for a stranger."""
    routes = APIRouter(prefix="/lightbox/slides")

    def found(id: str, request: Request) -> Record:
        name = signed_in(request)
        if name is None:
            raise HTTPException(401, "Please log in first.")
        request.state.username = name
        try:
            return context.slides.fetch(request, id)
        except (SlideGone, SlideRefused) as gone:
            raise HTTPException(404, str(gone)) from None

    @routes.get("/{id}/about")
    def about(id: str, request: Request) -> JSONResponse:
        facts = context.slides.facts(request, found(id, request))
        return JSONResponse(facts.as_dict(), headers={"cache-control": "private, no-store"})

    @routes.get("/{id}/{mark}/thumb.jpeg")
    def thumb(id: str, mark: str, request: Request) -> Response:
        record = found(id, request)
        if mark != record.mark:
            raise HTTPException(404, str(SlideGone()))
        try:
            data = context.slides.serving.thumb(record)
        except SlideGone as gone:
            raise HTTPException(404, str(gone)) from None
        return Response(data, media_type="image/jpeg", headers={"cache-control": f"private, {_FOREVER}", "etag": f'"{mark}"'})

    @routes.get("/{rest:path}")
    def nothing(rest: str) -> Response:
        raise HTTPException(404, str(SlideGone()))

    return routes


class SlideTiles:
    """ASGI middleware, the outermost one, that answers `GET lightbox/slides/{id}/{mark}/{level}/{column}_{row}.jpeg` and nothing else.

    headers: what every answer of the server carries. origins: other sites whose pages may read tiles, as told to the CORS middleware.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        context: Context,
        signed_in: Callable[[HTTPConnection], str | None],
        headers: dict[str, str],
        origins: Iterable[str] = (),
    ) -> None:
        self.app, self._slides, self._signed_in, self._origins = app, context.slides, signed_in, frozenset(origins)
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._threads = ThreadPoolExecutor(DECODING_AT_ONCE, "slide-tiles")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or PREFIX not in scope["path"] or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        root = scope.get("root_path", "")
        asked = _TILE.fullmatch(scope["path"].removeprefix(root))
        if asked is None:
            await self.app(scope, receive, send)
            return
        try:
            record, data = await self._tile(scope, *asked.groups())
        except PermissionError:
            await self._answer(scope, send, 401, [], b"Please log in first.")
        except (SlideGone, SlideRefused):
            await self._answer(scope, send, 404, [], b"There is no such tile.")
        else:
            await self._send_tile(scope, send, record, data)

    async def _tile(self, scope: Scope, id: str, mark: str, level: str, column: str, row: str) -> tuple[Record, bytes]:
        who = _Asking(scope, self._signed_in)
        who.check()
        record = self._slides.ready(id, who.owner)
        if record is None:
            record = await asyncio.get_running_loop().run_in_executor(self._threads, self._slides.fetch, who.connection, id)
        if record.mark != mark:
            raise SlideGone
        place = int(level), int(column), int(row)
        data = self._slides.serving.stored(record, *place)
        if data is None:
            data = await asyncio.get_running_loop().run_in_executor(self._threads, self._slides.serving.made, record, *place)
        return record, data

    async def _send_tile(self, scope: Scope, send: Send, record: Record, data: bytes) -> None:
        tag = f'"{record.mark}"'.encode()
        cached = ("public, " if record.owner is None else "private, ") + _FOREVER
        headers = [(b"cache-control", cached.encode()), (b"etag", tag)]
        if any(name == b"if-none-match" and value == tag for name, value in scope["headers"]):
            await self._answer(scope, send, 304, headers, b"")
            return
        await self._answer(scope, send, 200, [(b"content-type", b"image/jpeg"), *headers], data)

    async def _answer(self, scope: Scope, send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        if status >= 400:
            headers = [(b"content-type", b"text/plain"), (b"cache-control", b"no-store")]
        if self._origins:
            origin = next((value for name, value in scope["headers"] if name == b"origin"), b"")
            allowed = [(b"access-control-allow-origin", origin)] if origin.decode("latin-1") in self._origins else []
            headers = [*headers, (b"vary", b"origin"), *allowed]
        length = [] if status == 304 else [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": [*headers, *length, *self._headers]})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


class _Asking:
    """Who asks, worked out only as far as it is needed."""

    def __init__(self, scope: Scope, signed_in: Callable[[HTTPConnection], str | None]) -> None:
        self.connection, self._signed_in = HTTPConnection(scope), signed_in

    def check(self) -> None:
        """PermissionError for a stranger where a login is asked for."""
        name = self._signed_in(self.connection)
        if name is None:
            raise PermissionError
        if name:
            self.connection.state.username = name

    def owner(self) -> str:
        """The visitor."""
        return visitor_of(self.connection)
