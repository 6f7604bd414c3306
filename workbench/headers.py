"""Headers every answer carries, and those of Gradio's doors that stay shut.

The content policy forbids the page to speak to any other host, whatever a component would like to load.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio's templates are compiled in the browser, which needs 'unsafe-eval'; its theme is inline.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'"
)
# The page needs neither the machine-readable list of routes nor the cutting of screen recordings, which runs a program on whatever is sent.
SHUT = ("/gradio_api/openapi.json", "/gradio_api/process_recording")


def safe_headers(*, framed: bool) -> dict[str, str]:
    """The headers by name. framed: as in `SafeHeaders`."""
    return {
        "content-security-policy": POLICY if framed else POLICY + "; frame-ancestors 'self'",
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
    }


def accident(*, framed: bool) -> Callable[[Request, Exception], PlainTextResponse]:
    """A handler for errors nobody foresaw. Starlette answers these outside all middleware, so the headers are given here."""

    def answer(_request: Request, _fault: Exception) -> PlainTextResponse:
        return PlainTextResponse("Something went wrong on the server; its log says what.", 500, safe_headers(framed=framed))

    return answer


class SafeHeaders:
    """ASGI middleware: adds the headers, answers 404 at the shut doors, and notes the first page served.

    framed: True on a Space, whose page is shown inside another site's frame; elsewhere framing by other sites is refused.
    """

    def __init__(self, app: ASGIApp, *, framed: bool, served: threading.Event) -> None:
        self.app, self.served = app, served
        self.headers = [(name.encode(), value.encode()) for name, value in safe_headers(framed=framed).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if _is_shut(scope["path"]):
            await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain"), *self.headers]})
            await send({"type": "http.response.body", "body": b"Not found."})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message.get("headers", [])}
                message["headers"] = [*message.get("headers", []), *(pair for pair in self.headers if pair[0] not in present)]
                if scope["path"] == "/":
                    self.served.set()
            await send(message)

        await self.app(scope, receive, with_headers)


def _is_shut(path: str) -> bool:
    """True for `SHUT` and for `file=https://…`, `file/https://…` and `proxy=…`: through them the server would fetch addresses for whoever asks."""
    plain = unquote(path).lower()
    targets = [target for _, found, target in (plain.partition("file="), plain.partition("/file/")) if found]
    return "proxy=" in plain or plain in SHUT or any(target.lstrip("/").startswith(("http:", "https:")) for target in targets)
