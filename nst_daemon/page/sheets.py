"""Sheets: one photo in every style, small and quick. Its sketches are jobs that stand back for all others.

A click on one orders the painting itself. Photo and sketches lie in the state folder, for a week.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import Final

from nst_daemon import __version__, disk
from nst_daemon.config import Config, Folder, check_settings
from nst_daemon.config.recipe import EVERYWHERE, Recipe, job_key, resolve
from nst_daemon.disk.files import copy_whole
from nst_daemon.errors import ConditionError, StyleError
from nst_daemon.folders.copies import private_copy, source_of
from nst_daemon.folders.networks import network_of
from nst_daemon.intake import sheets as makers
from nst_daemon.intake.inspection import Readable
from nst_daemon.intake.reader import PhotoReader
from nst_daemon.ledger import Added, Ledger
from nst_daemon.ledger.jobs import Job, JobState, NewJob, Origin, shown
from nst_daemon.ledger.sheets import Sheet, Sketch
from nst_daemon.page.again import added_or_taken_up, made_of
from nst_daemon.page.answers import RefusedError
from nst_daemon.page.site import Site
from nst_daemon.page.words import Json, photo_version, result_version

BEHIND: Final = 1  # the turn of a sketch: after all that was ordered for itself
KEPT_SECONDS: Final = 7 * 24 * 3600.0
TOLD: Final = 3  # of the sheets, the newest


async def of_job(site: Site, job: Job, folder: Folder) -> str:
    """Order a sheet of a job's photo; return its name. Raises: as `_ordered`; PhotoError: it is gone."""
    photo = await asyncio.to_thread(source_of, job)
    return await site.thumbs.asked(partial(_ordered, site, photo=photo, path=job.path, wanted=folder))


async def of_file(site: Site, photo: Path, name: str, folder: Folder) -> str:
    """Order a sheet of a file that was sent; return its name. Raises: as `_ordered`."""
    return await site.thumbs.asked(partial(_ordered, site, photo=photo, path=PurePath(name), wanted=folder))


def _ordered(site: Site, reader: PhotoReader, *, photo: Path, path: PurePath, wanted: Folder) -> str:
    """Make a job of each style, what suits the photo best first, with the settings of a folder.

    Raises:
        RefusedError: it is no picture.
        ConditionError: it cannot be read, or not be kept, now.
    """
    config = site.config()
    found = reader.inspect(photo)
    if not isinstance(found, Readable):
        raise RefusedError(415, found.reason.replace(photo.name, path.name), found.remedy)
    copy, sha256 = private_copy(photo, config.state_dir / "photos")
    name = site.ledger.sheets.new_name()
    folder = folder_of(config, name)
    disk.make_private(folder.parent)
    disk.make_private(folder)
    # Under its name, by which paintings are called; and its own: what becomes of the photo is not its matter.
    original = folder / path.name
    copy_whole(photo, original, replace=True)
    new = NewJob(
        key="",
        path=path,
        original=original,
        copy=copy,
        photo_sha256=sha256,
        inbox=None,
        outbox=folder,
        origin=Origin.SHEET,
        recipe=makers.sketch_recipe((found.width, found.height), wanted.set),
    )
    sketches = makers.ordered(copy, makers.named_styles((), site.library), site.library, reader)
    made = [_sketch(each, new, name, config, site.ledger) for each in sketches]
    site.ledger.sheets.add(name, shown(path), made)
    return name


def _sketch(wanted: makers.Sketch, new: NewJob, sheet: str, config: Config, ledger: Ledger) -> Sketch:
    if wanted.style is None or new.recipe is None:
        return Sketch(style=wanted.name)
    styles = (wanted.style,)
    network = network_of(config.engine.weights)
    work = job_key(new.photo_sha256, styles, new.recipe, __version__, EVERYWHERE, network)
    # Of its own: the result of an earlier sheet may have been swept.
    added = ledger.add(replace(new, styles=styles, key=f"{work}@sheet {sheet}"), turn=BEHIND)
    job = added.job if isinstance(added, Added) else None
    return Sketch(style=wanted.name, job=job, suits=wanted.suits)


def sheet_of(site: Site, name: str) -> Sheet:
    """Return a sheet. Raises: RefusedError: there is none."""
    found = site.ledger.sheets.get(name)
    if found is None:
        raise RefusedError(404, "There is no such sheet.", "Order it again.")
    return found


def cancel(site: Site, sheet: Sheet) -> None:
    """Cancel all that is still to be painted of a sheet."""
    for sketch in sheet.sketches:
        if sketch.job is not None:
            site.ledger.cancel(sketch.job)


def paint(site: Site, sheet: Sheet, style: str, folder: Folder, changes: Mapping[str, object]) -> int:
    """Order the painting itself in one of a sheet's styles, into a folder's outbox; return its job.

    Raises:
        RefusedError: there is no such style.
        ConfigError: a setting is none.
        PhotoError, ConditionError: the photo is gone, or cannot be read now.
    """
    jobs = (site.ledger.jobs.get(sketch.job) for sketch in sheet.sketches if sketch.job is not None)
    template = next((job for job in jobs if job is not None), None)
    if template is None:
        raise RefusedError(409, "Nothing of this sheet is left.", "Order it again.")
    try:
        styles = (site.library.get(style),)
    except StyleError as error:
        raise RefusedError(400, error.message, error.remedy) from error
    recipe: Recipe = resolve({**folder.set, **check_settings(changes)})
    new = replace(made_of(template, styles, recipe, site.config()), outbox=folder.outbox)
    return added_or_taken_up(new, site.ledger)


def told(ledger: Ledger) -> list[Json]:
    """Return the newest sheets as the page shows them."""
    return [_told(sheet, ledger) for sheet in ledger.sheets.all()[:TOLD]]


def _told(sheet: Sheet, ledger: Ledger) -> Json:
    known = [
        (sketch, None if sketch.job is None else ledger.jobs.get(sketch.job)) for sketch in sheet.sketches
    ]
    return {
        "id": sheet.name,
        "photo": sheet.photo,
        "version": next((photo_version(job) for _, job in known if job is not None), None),
        "tiles": [
            {
                "style": sketch.style,
                "job": sketch.job,
                "state": str(job.state if job is not None else JobState.FAILED),
                "version": None if job is None else result_version(job),
                "suits": sketch.suits,
            }
            for sketch, job in known
        ],
    }


def sweep(config: Config, ledger: Ledger) -> None:
    """Forget the sheets that are a week old, and remove what lies there of no sheet. Never raises."""
    with suppress(ConditionError, FileNotFoundError):
        now = time.time()
        for sheet in ledger.sheets.all():
            if not 0 <= now - sheet.created <= KEPT_SECONDS:
                ledger.sheets.forget(sheet)
        kept = {sheet.name for sheet in ledger.sheets.all()}
        for entry in disk.entries_of(config.state_dir / "sheets"):
            facts = disk.facts_of(entry.path)
            if entry.name not in kept and facts is not None and now - facts.st_mtime > KEPT_SECONDS:
                disk.remove_tree(entry.path)


def folder_of(config: Config, sheet: str) -> Path:
    """Return where the sketches of a sheet are painted to."""
    return config.state_dir / "sheets" / sheet
