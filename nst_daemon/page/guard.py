"""Who may ask for what: one layer before all routes, which refuses by default.

Other pages in the same browser, other users of the machine, and other machines can all reach a port on
loopback. So each request has to name us exactly (no name that was made to lead here), to carry our cookie,
and, where it changes something, to come from our own page.
"""

import hmac
from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nst_daemon.page.answers import OPEN_AGAIN, refusal

READING: Final = frozenset({"GET", "HEAD"})
HEADER: Final = "x-nst-daemon"  # that a form cannot send, and another origin not without being asked
OPEN: Final = "/open/"  # a ticket lets in
OPENER: Final = "/static/open.js"  # and goes on to the page by this
LOOPBACK: Final = ("127.0.0.1", "[::1]", "localhost")
CSP: Final = (
    "default-src 'none'; img-src 'self' blob:; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
ALWAYS: Final = {
    "content-security-policy": CSP,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}  # on every answer


class Guard:
    """An ASGI application before another. `hosts`: by which a browser may call us beside loopback."""

    def __init__(self, app: ASGIApp, *, port: int, hosts: Collection[str], token: str) -> None:
        self._app = app
        ours = {f"{name}:{port}" for name in LOOPBACK} | (set(LOOPBACK) if port == 80 else set())
        self._hosts = ours | {host.lower() for host in hosts}
        self._token = token
        self.cookie = cookie_name(port)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it; what is no request is not for us."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not spoken here")

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in ALWAYS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refused = self._refused(scope)
        await (refused or self._app)(scope, receive, sealed)

    def _refused(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return refusal(
                421, "The page is not known by this name.", "Use 127.0.0.1, or add the name to page.hosts."
            )
        is_reading = scope["method"] in READING
        if is_reading and (scope["path"] == OPENER or scope["path"].startswith(OPEN)):
            return None
        if not self._has_token(headers):
            return refusal(401, "This browser has not been let in.", OPEN_AGAIN)
        if not is_reading and not _is_ours(headers, hosts[0].lower()):
            return refusal(403, "Only the page itself may change something.", OPEN_AGAIN)
        return None

    def _has_token(self, headers: Headers) -> bool:
        """Return whether the browser was let in. Of several cookies of our name any may be ours."""
        for line in headers.getlist("cookie"):
            for part in line.split(";"):
                name, _, value = part.strip().partition("=")
                if name == self.cookie and hmac.compare_digest(value.encode(), self._token.encode()):
                    return True
        return False


def _is_ours(headers: Headers, host: str) -> bool:
    """Return whether a change is asked for by our own page.

    `Sec-Fetch-Site` is sent to loopback and over TLS only: where it is missing, `Origin` has to do alone.
    """
    origins = headers.getlist("origin")
    sites = headers.getlist("sec-fetch-site")
    is_own = len(origins) == 1 and origins[0].lower() in (f"http://{host}", f"https://{host}")
    return is_own and all(site == "same-origin" for site in sites) and headers.get(HEADER) == "1"


def cookie_name(port: int) -> str:
    """Return the name of our cookie: browsers ignore ports, and two daemons must not log each other out."""
    return f"nst_{port}"
