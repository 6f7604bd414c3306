"""Who is asking: a stable, unguessable id per visitor, without knowing anything about the person.

With a login, the name is the id. Without, a random cookie set on the first answer. A client that keeps no cookies is known by its page session.
Pages (browser tabs) are told apart, too, so that closing one stops only the work it started.
"""

from __future__ import annotations

import re
import secrets
import threading
from typing import TYPE_CHECKING, Any

from starlette.requests import cookie_parser

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "lightbox_visitor"
_VALID = re.compile(r"[A-Za-z0-9_-]{22,64}")
_YEAR_S = 365 * 24 * 3600


def from_cookies(cookies: Any) -> str | None:
    """The visitor id in a cookie mapping, or None when there is none or it is not one of ours in form."""
    value = cookies.get(COOKIE, "") if cookies else ""
    return value if _VALID.fullmatch(value) else None


def visitor_of(request: Any) -> str:
    """The id that owns this request's work. `request` is Gradio's or Starlette's; both carry cookies and, when asked for, the login name."""
    name = getattr(request, "username", None) or getattr(getattr(request, "state", None), "username", None)
    if name:
        return f"user:{name}"
    return from_cookies(getattr(request, "cookies", None)) or f"page:{getattr(request, 'session_hash', None) or 'unknown'}"


class VisitorCookie:
    """ASGI middleware that gives each new visitor the cookie. Pure ASGI, because Starlette's base class would buffer event streams."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._known(scope):
            await self.app(scope, receive, send)
            return
        secure = _is_https(scope)

        async def with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                # inside another site's frame (a Space's page) browsers send only SameSite=None cookies, and those only over https
                site = "None; Secure; Partitioned" if secure else "Lax"
                value = f"{COOKIE}={secrets.token_urlsafe(24)}; Path=/; Max-Age={_YEAR_S}; HttpOnly; SameSite={site}"
                message.setdefault("headers", []).append((b"set-cookie", value.encode()))
            await send(message)

        await self.app(scope, receive, with_cookie)

    @staticmethod
    def _known(scope: Scope) -> bool:
        raw = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
        return (
            from_cookies(cookie_parser(raw.decode("latin-1"))) is not None
        )  # read as the routes read it, whatever other cookies look like


def _is_https(scope: Scope) -> bool:
    forwarded = next((value for name, value in scope["headers"] if name == b"x-forwarded-proto"), b"")
    return scope.get("scheme") == "https" or forwarded.split(b",")[0].strip() == b"https"


class Pages:
    """Which jobs each open page started. Thread-safe; a page is Gradio's session hash."""

    def __init__(self) -> None:
        self._jobs: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def add(self, page: str | None, job_id: str) -> None:
        """Remember that `page` started `job_id`; calls without a page (API clients) are left to the lease."""
        if page:
            with self._lock:
                self._jobs.setdefault(page, set()).add(job_id)

    def close(self, page: str | None) -> set[str]:
        """Forget a page and return the jobs it started."""
        with self._lock:
            return self._jobs.pop(page or "", set())
