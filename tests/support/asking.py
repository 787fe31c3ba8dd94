"""Requests to the page as anybody may send them: each header as it is given, and none beside."""

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack
from urllib.parse import urlsplit

from support.played_page import Played
from support.waiting import wait_for

SECONDS = 20.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class How(TypedDict, total=False):
    """How a request is sent: a change with all that our own page sends, unless it is not `is_ours`."""

    body: bytes | Iterator[bytes]
    hosts: tuple[str, ...]
    is_ours: bool
    headers: Mapping[str, str]


@dataclass
class Browser:
    """One that was let in, or not."""

    address: str
    cookie: str = ""

    @property
    def host(self) -> str:
        return urlsplit(self.address).netloc

    @property
    def port(self) -> int:
        return urlsplit(self.address).port or 0

    def photo_head(self, name: str, length: int) -> bytes:
        """Return what our own page sends before so many bytes of a photo."""
        lines = (
            f"POST /photos?name={name} HTTP/1.1",
            f"Host: {self.host}",
            f"Origin: {self.address}",
            f"Cookie: {self.cookie}",
            "X-Nst-Daemon: 1",
            f"Content-Length: {length}",
        )
        return "\r\n".join((*lines, "", "")).encode()

    def ask(self, path: str, method: str = "GET", **how: Unpack[How]) -> Answer:
        """Send a request, and return the whole answer."""
        with self.asking(path, method, **how) as response:
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())

    @contextmanager
    def asking(self, path: str, method: str = "GET", **how: Unpack[How]) -> Iterator[Any]:
        """Send a request, and yield an answer whose body is still to come."""
        body = how.get("body")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        sent = dict(how.get("headers", {}))
        if self.cookie:
            sent.setdefault("cookie", self.cookie)
        if how.get("is_ours", True) and method not in ("GET", "HEAD"):
            sent = {"origin": self.address, "x-nst-daemon": "1", "sec-fetch-site": "same-origin"} | sent
        if isinstance(body, bytes):
            sent.setdefault("content-length", str(len(body)))
        elif body is not None:
            sent.setdefault("transfer-encoding", "chunked")
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for host in how.get("hosts", (self.host,)):
                connection.putheader("host", host)
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders(body, encode_chunked=sent.get("transfer-encoding") == "chunked")
            yield connection.getresponse()
        finally:
            connection.close()


def told(answer: Answer) -> Any:
    """Return what an answer says, which is no refusal."""
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def styles_of(browser: Browser) -> list[Any]:
    """Return the styles as the page lists them, once all were looked at."""
    answers = []

    def is_whole() -> bool:
        answers.append(told(browser.ask("/styles")))
        return not answers[-1]["unread"]

    wait_for(is_whole, seconds=60.0)
    styles: list[Any] = answers[-1]["styles"]
    return styles


def let_in(played: Played) -> Browser:
    """Return a browser that came by a ticket."""
    browser = Browser(played.address)
    answer = browser.ask(urlsplit(played.ticket()).path)
    assert answer.status == 200
    return Browser(played.address, cookie=answer.headers["set-cookie"].partition(";")[0])


def connected(browser: Browser) -> socket.socket:
    """Return a connection on which nothing was said."""
    return socket.create_connection(("127.0.0.1", browser.port), timeout=SECONDS)
