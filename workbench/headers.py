"""Headers every answer carries, and two of Gradio's doors that stay shut.

The content policy forbids the page to speak to any other host, whatever a component would like to load.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio's templates are compiled in the browser, which needs 'unsafe-eval'; its theme is inline.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'"
)


class SafeHeaders:
    """ASGI middleware: adds the headers, answers 404 where Gradio would fetch a foreign address for the asker, and notes the first page served.

    framed: True on a Space, whose page is shown inside another site's frame; elsewhere framing by other sites is refused.
    """

    def __init__(self, app: ASGIApp, *, framed: bool, served: threading.Event) -> None:
        self.app, self.served = app, served
        policy = POLICY if framed else POLICY + "; frame-ancestors 'self'"
        self.headers = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if _fetches_elsewhere(scope["path"]):
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


def _fetches_elsewhere(path: str) -> bool:
    """True for `file=https://…` and `proxy=…`: through them the server would fetch public addresses for whoever asks."""
    plain = unquote(path).lower()
    _, found, target = plain.partition("file=")
    return "proxy=" in plain or (bool(found) and target.lstrip("/").startswith(("http:", "https:")))
