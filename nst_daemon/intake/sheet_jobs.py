"""Sheets as the daemon paints them: each sketch a job like others, behind all that waits.

Results lie in the state folder, and are swept with their jobs a week after the last one ended.
"""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Final

from nst_daemon import __version__, disk
from nst_daemon.config import Config
from nst_daemon.config.recipe import Recipe, Style, job_key, resolve
from nst_daemon.errors import ConditionError, ConfigError, PhotoError, StyleError, with_section
from nst_daemon.folders.library import Library
from nst_daemon.folders.networks import network_of
from nst_daemon.intake import sheets
from nst_daemon.intake.inspection import Unreadable
from nst_daemon.intake.reader import PhotoReader
from nst_daemon.intake.sheets import SIDE, Sketch
from nst_daemon.intake.shelf import Shelf
from nst_daemon.intake.submission import copy_of
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import ENDS, Job, JobState, NewJob, Origin

logger = logging.getLogger(__name__)

FOLDER: Final = "sheets"  # in the state folder
KEEP_SECONDS: Final = 7 * 86_400.0


def order(
    photo: Path,
    *,
    config: Config,
    ledger: Ledger,
    reader: PhotoReader,
    name: str | None = None,
    names: Sequence[str] = (),
    side: int = SIDE,
) -> str:
    """Have a photo painted in each style that is named, or in every style; return the sheet's identity.

    `name`: what people call the photo. A style that cannot be had is a job that has failed.

    Raises:
        PhotoError: it cannot be read.
        ConfigError: there is no such style, or none at all.
        ConditionError, MissingError: something of the machine is in the way.
    """
    found = reader.inspect(photo)
    if isinstance(found, Unreadable):
        raise PhotoError(found.reason, remedy=found.remedy)
    shelf = _shelf(config, ledger, reader)
    chosen = sheets.named_styles(names, shelf)
    copy, sha256 = copy_of(photo, config)
    asked = sheets.ordered(copy, chosen, shelf, reader)
    outbox = config.state_dir / FOLDER
    disk.make_private(outbox)
    blank = NewJob(
        key="",
        path=PurePath(name or photo.name),
        original=copy,  # of the photo itself a sheet wants nothing more
        copy=copy,
        photo_sha256=sha256,
        inbox=None,
        outbox=outbox,
        origin=Origin.SHEET,
        sheet=uuid.uuid4().hex[:16],
    )
    recipe = sheets.sketch_recipe((found.width, found.height), config.folders[0].set, side=side)
    for sketch in asked:
        ledger.add(_job_of(sketch, blank, recipe, network_of(config.engine.weights)))
    assert blank.sheet is not None
    return blank.sheet


def _shelf(config: Config, ledger: Ledger, reader: PhotoReader) -> Shelf:
    """Return the styles, copied as they are taken: a sheet's stay as they were when it was asked for."""
    return Shelf(
        Library(config.styles, memory=ledger.facts),
        copies=config.state_dir / "photos",
        reader=reader,
        settle_seconds=0.0,  # somebody waits; what breaks off is refused all the same
        patience=0.0,
    )


def _job_of(sketch: Sketch, blank: NewJob, recipe: Recipe, network: str) -> NewJob:
    style = sketch.style or Style(name=sketch.name, path=Path(sketch.name), sha256="")
    key = job_key(blank.photo_sha256, (style,), recipe, __version__, network=network)
    return replace(
        blank,
        key=f"{key}@sheet {blank.sheet} {sketch.name}",
        styles=(style,),
        recipe=recipe,
        suits=sketch.suits,
        state=JobState.QUEUED if sketch.style else JobState.FAILED,
        error=with_section(sketch.error, StyleError.code) if sketch.error else None,
    )


def choose(sketch: Job, *, config: Config, ledger: Ledger) -> int:
    """Have the photo of a sketch painted in its style, as large as any; return the job.

    Into the first outbox, with its settings. Work that was done before is taken up again if it has ended.

    Raises:
        ConfigError: it is no sketch.
        PhotoError, ConditionError: our copy of the photo is gone, or cannot be read now.
    """
    if sketch.sheet is None:
        raise ConfigError(f"Job {sketch.id} is no sketch of a sheet.")
    copy, sha256 = copy_of(sketch.copy, config)
    folder = config.folders[0]
    recipe = resolve(folder.set)
    new = replace(
        sketch.as_new(),
        key=job_key(sha256, sketch.styles, recipe, __version__, network=network_of(config.engine.weights)),
        original=copy,
        copy=copy,
        photo_sha256=sha256,
        outbox=folder.outbox,
        origin=Origin.SUBMIT,
        recipe=recipe,
        state=JobState.QUEUED,
        error=None,
        sheet=None,
    )
    added = ledger.add(new)
    known = ledger.jobs.get(added.job)
    if known is not None and known.state in ENDS:
        ledger.retry(added.job)
    return added.job


def sweep(ledger: Ledger, state_dir: Path, *, now: float) -> None:
    """Forget the sheets that ended a week ago, and take their pictures away.

    Raises:
        ConditionError: the ledger cannot be read or written.
    """
    for sheet in ledger.sheets.ended_before(now - KEEP_SECONDS):
        results = [job.result for job in ledger.sheets.get(sheet) if job.result is not None]
        try:
            for result in results:
                if result.is_relative_to(state_dir / FOLDER):
                    disk.remove(result)
        except ConditionError as error:  # the next sweep finds it again
            logger.info("a sheet stays for now: %s", error)
            continue
        ledger.sheets.forget(sheet)
        logger.info("a sheet of %d pictures was forgotten", len(results))
