"""Jobs as they are handed to the ledger."""

from dataclasses import replace
from pathlib import Path, PurePath

from nst_daemon.config.recipe import Init, Optimizer, Recipe, Style
from nst_daemon.ledger.jobs import JobState, NewJob
from support.progress import progress

STARRY = Style(name="starry_night", path=Path("/styles/starry_night.jpg"), sha256="5" * 64)


PROGRESS = progress(scales=2, step=3, fraction=0.3, losses={"total": 1.5}, eta_seconds=2.0)


def new_job(key: str = "k", **changes: object) -> NewJob:
    job = NewJob(
        key=key,
        path=PurePath("trip/a.jpg"),
        original=Path("/inbox/trip/a.jpg"),
        copy=Path("/state/photos/a.jpg"),
        photo_sha256="a" * 64,
        inbox=Path("/inbox"),
        outbox=Path("/outbox"),
        styles=(STARRY,),
        recipe=Recipe(size=64, optimizer=Optimizer.ADAM, init=Init.NOISE),
    )
    return replace(job, **changes)  # type: ignore[arg-type]


def held_job(key: str = "held:a", **changes: object) -> NewJob:
    return new_job(key, styles=(), recipe=None, state=JobState.HELD, error="no such style", **changes)
