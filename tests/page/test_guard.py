"""Who is let in, and who may change what: each route by enumeration, by requests of every kind."""

import json
import re
import stat
from urllib.parse import urlsplit

import psutil
import pytest
from starlette.routing import Route
from support.asking import Browser, connected, let_in
from support.played_page import Played

from nst_daemon.page import changes, routes
from nst_daemon.page.guard import ALWAYS, CSP, cookie_name

ALL = (*routes.ROUTES, *changes.ROUTES)
OPEN = {"/open/{ticket}", "/static/{name}"}  # of the latter one name
VALUES = {"ticket": "x", "job": "1", "name": "mosaic", "sheet": "x"}


@pytest.fixture(scope="module")
def browser(played: Played) -> Browser:
    """Return a browser that was let in."""
    return let_in(played)


@pytest.fixture(scope="module")
def stranger(played: Played) -> Browser:
    return Browser(played.address)


def address_of(route: Route) -> str:
    return re.sub(r"{(\w+)(:\w+)?}", lambda found: VALUES[found[1]], route.path)


each_route = pytest.mark.parametrize("route", ALL, ids=lambda route: route.path)
each_change = pytest.mark.parametrize("route", changes.ROUTES, ids=lambda route: route.path)


def test_every_route_is_one_of_those_that_are_tested() -> None:
    app = routes.app_of(None, port=1)  # type: ignore[arg-type]
    assert app.routes == list(ALL)
    assert all(route.methods == {"POST"} for route in changes.ROUTES)
    assert all(route.methods == {"GET", "HEAD"} for route in routes.ROUTES)


@each_route
def test_without_a_cookie_nothing_is_answered_but_a_ticket(route: Route, stranger: Browser) -> None:
    for method in {*(route.methods or ()), "POST", "PUT", "DELETE", "OPTIONS"}:
        answer = stranger.ask(address_of(route), method)
        expected = 410 if route.path == "/open/{ticket}" and method in ("GET", "HEAD") else 401
        assert answer.status == expected, method
    assert stranger.ask("/static/open.js").status == 200


@each_route
def test_a_name_that_was_made_to_lead_here_is_refused(route: Route, browser: Browser) -> None:
    for method in route.methods or ():
        assert browser.ask(address_of(route), method, hosts=("evil.example",)).status == 421


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1:1", "localhost.evil:PORT", "127.0.0.1.evil.example:PORT", "0.0.0.0:PORT"),
        *("evil@127.0.0.1:PORT", "127.0.0.1:PORT.evil.example", "[::1]", "127.1:PORT", "localhost.:PORT", ""),
    ],
)
def test_only_our_exact_names_are_ours(host: str, browser: Browser) -> None:
    named = host.replace("PORT", str(browser.port))
    assert browser.ask("/jobs", hosts=(named,)).status in (421, 400)


def test_every_name_of_loopback_is_ours_and_exactly_one_is_given(browser: Browser) -> None:
    for name in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
        assert browser.ask("/jobs", hosts=(f"{name}:{browser.port}",)).status == 200
    assert browser.ask("/jobs", hosts=()).status in (400, 421)
    assert browser.ask("/jobs", hosts=(browser.host, "evil.example")).status in (400, 421)


@each_change
@pytest.mark.parametrize(
    "headers",
    [
        {"x-nst-daemon": "1"},  # no Origin
        {"x-nst-daemon": "1", "origin": "null"},
        {"x-nst-daemon": "1", "origin": "http://evil.example"},
        {"x-nst-daemon": "1", "origin": "http://127.0.0.1"},
        {"x-nst-daemon": "1", "origin": "OURS", "sec-fetch-site": "cross-site"},
        {"x-nst-daemon": "1", "origin": "OURS", "sec-fetch-site": "same-site"},
        {"x-nst-daemon": "1", "origin": "OURS", "sec-fetch-site": "none"},
        {"origin": "OURS", "sec-fetch-site": "same-origin"},  # a form: it can send no header of ours
        {"x-nst-daemon": "", "origin": "OURS"},
    ],
    ids=lambda headers: ",".join(headers),
)
def test_only_our_own_page_changes_anything(
    route: Route, headers: dict[str, str], browser: Browser, played: Played
) -> None:
    before = played.ledger.snapshot(running=True)
    sent = {name: value.replace("OURS", browser.address) for name, value in headers.items()}
    assert browser.ask(address_of(route), "POST", is_ours=False, body=b"x", headers=sent).status == 403
    assert played.ledger.snapshot(running=True).counts == before.counts


def test_without_fetch_metadata_the_origin_is_enough(browser: Browser) -> None:
    headers = {"origin": browser.address, "x-nst-daemon": "1"}
    assert browser.ask("/resume", "POST", is_ours=False, headers=headers).status == 200


@each_change
def test_a_change_is_no_answer_to_a_look(route: Route, browser: Browser) -> None:
    read = {each.path for each in routes.ROUTES}
    if route.path not in read:
        assert browser.ask(address_of(route)).status == 405


@pytest.mark.parametrize(
    "cookie",
    ["nst_PORT=", "nst_PORT=x", "nst_1=TOKEN", "NST_PORT=TOKEN", "nst_PORT=TOKENx", "nst_PORT=\xfc"],
)
def test_only_our_cookie_is_one(cookie: str, browser: Browser, stranger: Browser) -> None:
    token = browser.cookie.partition("=")[2]
    sent = cookie.replace("PORT", str(browser.port)).replace("TOKEN", token)
    assert stranger.ask("/jobs", headers={"cookie": sent}).status in (401, 400)
    assert stranger.ask("/jobs", headers={"cookie": f"a=b; {sent}; {browser.cookie}"}).status == 200


def test_every_answer_has_what_keeps_other_pages_out(browser: Browser, stranger: Browser) -> None:
    answers = [
        browser.ask("/"),
        browser.ask("/jobs"),
        browser.ask("/jobs/1/result"),
        browser.ask("/jobs/1/file"),
        browser.ask("/static/open.js"),
        browser.ask("/favicon.ico"),
        browser.ask("/nowhere"),
        browser.ask("/jobs", "DELETE"),
        browser.ask("/jobs/9999"),
        browser.ask("/jobs?state=odd"),
        browser.ask("/pause", "POST", is_ours=False),
        stranger.ask("/"),
        stranger.ask("/open/none"),
        stranger.ask("/", hosts=("evil.example",)),
    ]
    assert {answer.status for answer in answers} == {200, 400, 401, 403, 404, 405, 410, 421}
    for answer in answers:
        assert {name: answer.headers[name] for name in ALWAYS} == ALWAYS
        assert "server" not in answer.headers
    assert "'unsafe-" not in CSP and CSP.startswith("default-src 'none'")
    assert browser.ask("/").headers["cache-control"] == "no-store"
    assert browser.ask("/jobs").headers["cache-control"] == "no-store"


def test_what_is_no_http_is_refused_with_the_same_headers(browser: Browser) -> None:
    for junk in (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET / HTTP/x\r\n\r\n", b"GET  /\r\n\r\n"):
        with connected(browser) as connection:
            connection.sendall(junk)
            answer = connection.makefile("rb").read().decode()
        assert answer.startswith("HTTP/1.1 400 ")
        assert all(f"{name}: {value}".lower() in answer.lower() for name, value in ALWAYS.items())


def test_no_error_tells_what_the_disk_has(browser: Browser, played: Played) -> None:
    for path in ("/jobs/9999", "/nowhere", "/static/none.js", "/styles/none/picture"):
        answer = browser.ask(path)
        assert answer.status == 404
        assert set(json.loads(answer.body)) == {"error", "remedy"}
        assert str(played.config.source.parent) not in answer.body.decode()


# ── tickets and the key ─────────────────────────────────────────────────────────────────────────────────


def test_a_ticket_lets_one_browser_in_once(played: Played, stranger: Browser) -> None:
    path = urlsplit(played.ticket()).path
    assert stranger.ask(path, "HEAD").status == 410  # what a mail program looks at first
    path = urlsplit(played.ticket()).path
    answer = stranger.ask(path)
    assert answer.status == 200  # and no redirect, after which a strict cookie would not be sent
    assert b'<script src="/static/open.js' in answer.body
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith(f"{cookie_name(stranger.port)}=")
    assert {"httponly", "path=/", "samesite=strict"} <= set(cookie.split("; "))
    again = stranger.ask(path)
    assert again.status == 410
    assert "nst-daemon page" in json.loads(again.body)["remedy"]


def test_the_key_is_read_by_its_owner_alone_and_stands_nowhere_else(played: Played, browser: Browser) -> None:
    path = played.config.state_dir / "page.token"
    token = path.read_text()
    assert browser.cookie == f"{cookie_name(browser.port)}={token}"
    assert len(token) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    pid = played.child.pid
    assert pid is not None
    page = psutil.Process(pid)
    for process in (page, *page.children(recursive=True)):
        assert token not in " ".join(process.cmdline())
    database = b"".join(each.read_bytes() for each in played.config.state_dir.glob("ledger.db*"))
    assert token.encode() not in database


def test_it_listens_on_loopback_alone(played: Played) -> None:
    assert played.child.pid is not None
    found = psutil.Process(played.child.pid).net_connections()
    listening = {each.laddr.ip for each in found if each.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
