"""The routes: what is asked for by address, from the ledger. No path of a disk comes from a request."""

import asyncio
import mimetypes
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from nst_daemon import __version__, disk
from nst_daemon.folders.outbox import report_target
from nst_daemon.ledger.jobs import Job, JobState
from nst_daemon.page import changes, gallery, words
from nst_daemon.page.answers import HANDLERS, OPEN_AGAIN, RefusedError
from nst_daemon.page.guard import cookie_name
from nst_daemon.page.outlook import outlook
from nst_daemon.page.site import STATIC, Site, site_of
from nst_daemon.page.thumbs import SIZES, Source

BLOCK: Final = 1 << 20  # bytes read at once
FOR_EVER: Final = "private, max-age=31536000, immutable"
KINDS: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
KINDS_OF_PICTURE: Final = ("photo", "result", "report", "preview")  # of a job
LET_IN: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>nst-daemon</title>'
    f'<script src="/static/open.js?v={__version__}"></script>'
    '<p><a href="/">The page</a></p></html>'
)


def app_of(site: Site, *, port: int) -> Starlette:
    """Return the application, without its guard."""
    app = Starlette(routes=[*ROUTES, *changes.ROUTES], exception_handlers=HANDLERS)
    app.state.site = site
    app.state.port = port
    return app


# ── the page itself ─────────────────────────────────────────────────────────────────────────────────────


def open_page(request: Request) -> Response:
    """Let a browser in by a ticket.

    Answered by a page that goes on by a script: a cookie of SameSite=Strict is not sent after a redirect that
    began on another site, which a link in a mail does.
    """
    site = site_of(request)
    if request.method == "HEAD" or not site.ledger.tickets.take(request.path_params["ticket"]):
        raise RefusedError(410, "This link has been used, or is older than a minute.", OPEN_AGAIN)
    answer = Response(LET_IN, media_type="text/html")
    answer.set_cookie(
        cookie_name(request.app.state.port), site.token, path="/", httponly=True, samesite="strict"
    )
    return answer


def index(_: Request) -> Response:
    """Return the page."""
    text = (disk.read_bytes(STATIC / "index.html")).decode().replace("VERSION", __version__)
    return Response(text, media_type="text/html")


def static(request: Request) -> Response:
    """Return a part of the page, by a name that the folder lists."""
    name = request.path_params["name"]
    found = next((entry for entry in disk.entries_of(STATIC) if entry.name == name), None)
    if found is None or found.is_folder:
        raise RefusedError(404, "There is nothing here.")
    return _part(found.path, is_kept=request.query_params.get("v") == __version__)


def favicon(_: Request) -> Response:
    """Return the icon that browsers ask for unasked."""
    return _part(STATIC / "icon.svg", is_kept=False)


def _part(path: Path, *, is_kept: bool) -> Response:
    kind = KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    headers = {"cache-control": FOR_EVER if is_kept else "no-cache"}
    return Response(disk.read_bytes(path), media_type=kind, headers=headers)


# ── what is read ────────────────────────────────────────────────────────────────────────────────────────


async def live(request: Request) -> Response:
    """Return the state, whole, at once and at each change, for as long as the tab is open."""
    if request.method == "HEAD":
        return Response(media_type="text/event-stream")
    return StreamingResponse(site_of(request).live.enter(), media_type="text/event-stream")


def job(request: Request) -> Response:
    """Return all of one job."""
    return JSONResponse(words.job_in_full(site_of(request).job(request.path_params["job"])))


def jobs(request: Request) -> Response:
    """Return fifty jobs, the newest first: of one state or of all, below a number."""
    query = request.query_params
    try:
        state = JobState(query["state"]) if query.get("state") else None
        before = min(int(query["before"]), sys.maxsize) if query.get("before") else None
    except ValueError as error:
        raise RefusedError(400, f"{error}.", "state is a job's state, before a job's number.") from error
    found = site_of(request).ledger.jobs.older(state=state, before=before, limit=words.SHOWN + 1)
    shown = [words.job_in_list(each) for each in found[: words.SHOWN]]
    return JSONResponse({"jobs": shown, "more": len(found) > words.SHOWN})


def _of_kind(kind: str) -> Callable[[Request], Awaitable[Response]]:
    """Return the route of a job's photo, its result, the report beside it, or the painting so far."""

    async def picture(request: Request) -> Response:
        return await _picture(request, kind)

    return picture


async def _picture(request: Request, kind: str) -> Response:
    site, number = site_of(request), request.path_params["job"]
    source, version = await asyncio.to_thread(_source, site, number, kind)
    return await _shown(request, source, version)


async def _shown(request: Request, source: Source, version: str) -> Response:
    """Answer with a picture; one that is asked for by its version never changes."""
    size = request.query_params.get("size", "320")
    if size not in SIZES:
        raise RefusedError(400, f"There is no size {size[:20]!r}.", f"It is one of {', '.join(SIZES)}.")
    data = await site_of(request).thumbs.jpeg(source, size)
    is_asked_for = request.query_params.get("v") == version
    headers = {"cache-control": FOR_EVER if is_asked_for else "no-cache"}
    return Response(data, media_type="image/jpeg", headers=headers)


def _source(site: Site, number: int, kind: str) -> tuple[Source, str]:
    """Return where one of a job's pictures is, and its version. Raises: RefusedError: there is none."""
    job = site.job(number)
    if kind == "photo":
        version = words.photo_version(job)
        return Source(path=_photo(job), key=f"photo-{version}"), version
    if kind == "result" and job.result is not None and (version := words.result_version(job) or ""):
        return Source(path=job.result, key=f"result-{job.id}-{version}"), version
    if kind == "report" and job.result is not None and (version := words.report_version(job) or ""):
        return Source(path=report_target(job.result), key=f"report-{job.id}-{version}"), version
    if kind == "preview" and (version := words.preview_version(job) or ""):
        return Source(path=job.preview, key=f"preview-{job.id}-{version}", is_passing=True), version
    raise RefusedError(404, f"Job {number} has no {kind}.")


def _photo(job: Job) -> Path:
    """Return where a photo can be read: our own copy, or the original where that has been given up."""
    return job.copy if disk.is_file(job.copy) else job.original


def file(request: Request) -> Response:
    """Return a job's result itself, byte by byte, to be kept."""
    job = site_of(request).job(request.path_params["job"])
    if job.result is None or words.result_version(job) is None or not disk.is_file(job.result):
        raise RefusedError(404, f"Job {job.id} has no result, or it is not there any more.")
    facts = disk.facts_of(job.result)
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(job.result.name, safe='')}"}
    if facts is not None:
        headers["content-length"] = str(facts.st_size)
    return StreamingResponse(_blocks(job.result), media_type="application/octet-stream", headers=headers)


def _blocks(path: Path) -> Iterator[bytes]:
    with disk.opened(path, follow=False) as content:
        while block := content.read(BLOCK):
            yield block


async def styles(request: Request) -> Response:
    """Return the style library."""
    return JSONResponse(await gallery.listed(site_of(request)))


async def style_picture(request: Request) -> Response:
    """Return a style's picture."""
    site = site_of(request)
    style = await asyncio.to_thread(gallery.style_of, site, request.path_params["name"])
    return await _shown(request, gallery.source_of(style), style.sha256[: words.SHA])


def settings(request: Request) -> Response:
    """Return what the next photos get."""
    return JSONResponse(outlook(site_of(request).config()))


ROUTES: Final = [
    Route("/open/{ticket}", open_page),
    Route("/", index),
    Route("/static/{name}", static),
    Route("/favicon.ico", favicon),
    Route("/live", live),
    Route("/jobs", jobs),
    Route("/jobs/{job:int}", job),
    Route("/jobs/{job:int}/file", file),
    Route("/styles", styles),
    Route("/styles/{name}/picture", style_picture),
    Route("/settings", settings),
    *(Route(f"/jobs/{{job:int}}/{kind}", _of_kind(kind)) for kind in KINDS_OF_PICTURE),
]
