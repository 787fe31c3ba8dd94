"""What the page may change: requests in the ledger, photos in an inbox, pictures in the styles folder."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path, PurePath
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nst_daemon import disk
from nst_daemon.config import Config
from nst_daemon.ledger.jobs import Job, JobState
from nst_daemon.page import gallery, sheets, uploads
from nst_daemon.page.again import paint_again
from nst_daemon.page.answers import RefusedError
from nst_daemon.page.outlook import folder_asked_for
from nst_daemon.page.site import site_of
from nst_daemon.system.opener import open_path

# ── one job ─────────────────────────────────────────────────────────────────────────────────────────────


def _job(request: Request) -> Job:
    """Return the job that an address names. Raises: RefusedError: there is none."""
    return site_of(request).job(request.path_params["job"])


def cancel(request: Request) -> Response:
    """Cancel a job that waits, is held, or runs."""
    job = _job(request)
    state = site_of(request).ledger.cancel(job.id)
    if state not in (JobState.RUNNING, JobState.CANCELLED):
        raise RefusedError(409, f"Job {job.id} is {state} already.")
    return JSONResponse({"job": job.id, "state": str(state)})


def retry(request: Request) -> Response:
    """Paint a job that has ended once more."""
    job = _job(request)
    if not site_of(request).ledger.retry(job.id):
        raise RefusedError(409, f"Job {job.id} is {job.state}: only a job that has ended can be retried.")
    return JSONResponse({"job": job.id})


def put_next(request: Request) -> Response:
    """Let a job begin before all others that wait."""
    job = _job(request)
    if not site_of(request).ledger.queue.put_first(job.id):
        raise RefusedError(409, f"Job {job.id} is {job.state}: only a queued job can be painted next.")
    return JSONResponse({"job": job.id})


def put_behind(request: Request) -> Response:
    """Let a job begin right behind the place of another, which may have begun meanwhile."""
    job, other = _job(request), request.query_params.get("job", "")
    if not other.isdecimal():
        raise RefusedError(400, "job is a job's number.")
    behind = site_of(request).job(int(other))
    if not site_of(request).ledger.queue.put_behind(job.id, behind.id):
        raise RefusedError(409, f"Job {job.id} is {job.state}: only a queued job has a place in the queue.")
    return JSONResponse({"job": job.id})


def again(request: Request) -> Response:
    """Paint a job's photo with another style or other settings."""
    site, query = site_of(request), request.query_params
    number = paint_again(
        _job(request),
        style=query.get("style") or None,
        changes=uploads.chosen(query),
        config=site.config(),
        library=site.library,
        ledger=site.ledger,
    )
    return JSONResponse({"job": number})


def open_folder(request: Request) -> Response:
    """Open the folder of a job's result, or the one that it will come into, on this machine's desktop."""
    job = _job(request)
    folder = job.outbox if job.result is None else job.result.parent
    if not disk.is_folder(folder):
        raise RefusedError(404, f"The folder {folder.name} is not there.")
    open_path(folder)
    return JSONResponse({"folder": folder.name})


# ── the daemon ──────────────────────────────────────────────────────────────────────────────────────────


def pause(request: Request) -> Response:
    """Begin no further job."""
    site_of(request).ledger.requests.pause()
    return JSONResponse({"paused": True})


def resume(request: Request) -> Response:
    """Go on."""
    site_of(request).ledger.requests.resume()
    return JSONResponse({"paused": False})


def retry_failed(request: Request) -> Response:
    """Paint all that have failed once more."""
    return JSONResponse({"count": site_of(request).ledger.retry_failed()})


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────


async def add_photo(request: Request) -> Response:
    """Put a photo into an inbox, and beside it what is asked for it."""
    site, query = site_of(request), request.query_params
    config = await asyncio.to_thread(site.config)
    name = uploads.own_name(query.get("name", ""), config.watch.ignore)
    sidecar = await asyncio.to_thread(uploads.asked, query, site.library)
    inbox = await asyncio.to_thread(uploads.inbox_of, folder_asked_for(query, config))
    await asyncio.to_thread(site.untaken.check)
    async with site.uploads.taken(request, inbox, config.page.max_bytes) as draft:
        photo = await asyncio.to_thread(uploads.into_inbox, draft, name, sidecar)
    site.untaken.note(photo)
    return JSONResponse({"name": photo.name})


async def add_style(request: Request) -> Response:
    """Make a picture a style."""
    site = site_of(request)
    config = await asyncio.to_thread(site.config)
    async with _sent(request, config) as (draft, name):
        style = await gallery.take_in(site, draft, name)
    return JSONResponse({"name": style})


@asynccontextmanager
async def _sent(request: Request, config: Config) -> AsyncIterator[tuple[Path, str]]:
    """Give a picture that is sent and goes into no inbox: where it is for a while, and its name."""
    name = uploads.own_name(request.query_params.get("name", ""))
    folder = config.state_dir / "page"
    await asyncio.to_thread(disk.make_private, folder)
    taken = site_of(request).uploads.taken
    async with taken(request, folder, config.page.max_bytes, ending=PurePath(name).suffix) as draft:
        yield draft, name


async def add_sheet(request: Request) -> Response:
    """Order a sheet: of a job's photo, or of one that is sent."""
    site, query = site_of(request), request.query_params
    config = await asyncio.to_thread(site.config)
    wanted = folder_asked_for(query, config)
    if number := query.get("job", ""):
        if not number.isdecimal():
            raise RefusedError(400, "job is a job's number.")
        job = await asyncio.to_thread(site.job, int(number))
        return JSONResponse({"id": await sheets.of_job(site, job, wanted)})
    async with _sent(request, config) as (draft, name):
        return JSONResponse({"id": await sheets.of_file(site, draft, name, wanted)})


def cancel_sheet(request: Request) -> Response:
    """Cancel what is still to be painted of a sheet."""
    site = site_of(request)
    sheet = sheets.sheet_of(site, request.path_params["sheet"])
    sheets.cancel(site, sheet)
    return JSONResponse({"id": sheet.name})


def paint_of_sheet(request: Request) -> Response:
    """Order the painting itself, in a style of a sheet."""
    site, query = site_of(request), request.query_params
    sheet = sheets.sheet_of(site, request.path_params["sheet"])
    folder = folder_asked_for(query, site.config())
    job = sheets.paint(site, sheet, query.get("style", ""), folder, uploads.chosen(query))
    return JSONResponse({"job": job})


def _changing(path: str, act: Callable[[Request], Response | Awaitable[Response]]) -> Route:
    return Route(path, act, methods=["POST"])


ROUTES: Final = [
    _changing("/photos", add_photo),
    _changing("/styles", add_style),
    _changing("/sheets", add_sheet),
    _changing("/sheets/{sheet}/cancel", cancel_sheet),
    _changing("/sheets/{sheet}/paint", paint_of_sheet),
    _changing("/pause", pause),
    _changing("/resume", resume),
    _changing("/retry-failed", retry_failed),
    _changing("/jobs/{job:int}/cancel", cancel),
    _changing("/jobs/{job:int}/retry", retry),
    _changing("/jobs/{job:int}/next", put_next),
    _changing("/jobs/{job:int}/behind", put_behind),
    _changing("/jobs/{job:int}/again", again),
    _changing("/jobs/{job:int}/open-folder", open_folder),
]
