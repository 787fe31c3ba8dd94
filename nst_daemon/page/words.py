"""Snapshot and jobs -> what the page is told, as JSON. Asks a disk for running previews and one report alone.

Of a picture the page knows a version, which changes with it: by that it asks for the picture, and keeps it
for as long as it likes. None: there is none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from nst_daemon import disk
from nst_daemon.errors import ConditionError, without_section
from nst_daemon.folders.outbox import report_target
from nst_daemon.ledger.jobs import Current, Job, JobState, Snapshot
from nst_daemon.ledger.words import job_json, status_json

WAITING: Final = 20  # jobs of each list that are told
SHOWN: Final = 50
MAX_BYTES: Final = 60_000  # of a state: it is sent to each tab at each change
MAX_ERROR: Final = 300  # characters; the job's own page has all of them
SHA: Final = 16  # characters of a hash that are enough to tell pictures apart

Json = dict[str, Any]


def may(job: Job) -> tuple[str, ...]:
    """Return what may be asked of a job as it stands."""
    again = ("again",) if job.recipe is not None else ()
    match job.state:
        case JobState.QUEUED:
            return ("next", "cancel")
        case JobState.HELD | JobState.RUNNING:
            return ("cancel",)
        case JobState.FAILED | JobState.CANCELLED:
            return ("retry", *again)
        case JobState.DONE:
            return again


def versions(job: Job) -> dict[str, str | None]:
    """Return the versions of a job's pictures."""
    return {
        "photo": photo_version(job),
        "result": result_version(job),
        "preview": preview_version(job),
    }


def photo_version(job: Job) -> str:
    """Return the version of a photo: its content's."""
    return job.photo_sha256[:SHA]


def result_version(job: Job) -> str | None:
    """Return the version of a result: it is painted anew at another time."""
    if job.state is not JobState.DONE or job.result is None or job.finished is None:
        return None
    return str(round(job.finished.timestamp() * 1000))


def preview_version(job: Job) -> str | None:
    """Return the version of the painting so far; the one picture that a disk is asked for."""
    if job.state is not JobState.RUNNING:
        return None
    try:
        facts = disk.facts_of(job.preview)
    except ConditionError:  # asked again in a second
        return None
    return None if facts is None else str(facts.st_mtime_ns)


def report_version(job: Job) -> str | None:
    """Return the version of the report beside a result: the result's, where the disk has one."""
    version = result_version(job)
    if version is None or job.result is None or job.recipe is None or not job.recipe.report:
        return None
    try:
        return version if disk.is_file(report_target(job.result), follow=False) else None
    except ConditionError:  # shown when the job is opened again
        return None


def job_in_list(job: Job) -> Json:
    """Return a job for a list: without its settings, which are most of it."""
    told = job_json(job)
    del told["settings"], told["losses"]
    error = without_section(job.error or "")
    return told | {
        "result": None if job.result is None else job.result.name,
        "error": f"{error[:MAX_ERROR]}…" if len(error) > MAX_ERROR else error or None,
        "versions": versions(job),
        "can": list(may(job)),
    }


def job_in_full(job: Job) -> Json:
    """Return all of a job."""
    shown = versions(job) | {"report": report_version(job)}
    return job_json(job) | {"versions": shown, "can": list(may(job))}


def status_of(snapshot: Snapshot) -> str:
    """Return in one word how it stands."""
    if not snapshot.running:
        return "stopped"
    if snapshot.current:
        return "painting"
    if snapshot.alarms:
        return "problem"
    return "paused" if snapshot.paused else "idle"


@dataclass
class Pace:
    """How long a step takes at the moment: from one look at a painting to the next."""

    _seen: dict[int, tuple[int, float]] = field(default_factory=dict)  # job: step, seconds
    _found: dict[int, float] = field(default_factory=dict)

    def look(self, current: Sequence[Current]) -> None:
        """Take note of how far each painting is."""
        for each in current:
            if (progress := each.progress) is None:
                continue
            step, seconds = self._seen.get(each.job, (progress.step, progress.seconds))
            if progress.step > step:
                self._found[each.job] = (progress.seconds - seconds) / (progress.step - step)
            self._seen[each.job] = progress.step, progress.seconds
        for job in self._seen.keys() - {each.job for each in current}:
            del self._seen[job]
            self._found.pop(job, None)

    def seconds_a_step(self, job: int) -> float | None:
        """Return how long the last steps took each; None: not known yet."""
        return self._found.get(job)


def state(
    snapshot: Snapshot,
    jobs: Mapping[str, Sequence[Job]],
    pace: Pace,
    *,
    version: str,
    sheets: Sequence[Json] = (),
    sketches: Mapping[JobState, int] = MappingProxyType({}),
) -> Json:
    """Return the whole state, as far as it is told: `jobs` has each of its lists.

    `sketches`: how many of each state there are. No list has them, and none counts as photo or painting.
    """
    pace.look(snapshot.current)
    known = status_json(snapshot)
    by_id = {job.id: job for job in jobs["running"]}
    return fitted(
        {
            "version": version,
            "status": status_of(snapshot),
            "is_running": snapshot.running,
            "is_paused": snapshot.paused,
            "counts": {
                str(each): snapshot.counts[each] - (sketches.get(each, 0) if each in UNLISTED else 0)
                for each in JobState
            },
            "engines": known["engines"],
            "current": [
                _current(each, by_id[each.job], pace) for each in snapshot.current if each.job in by_id
            ],
            **{name: [job_in_list(job) for job in jobs[name]] for name in LISTS},
            "sheets": list(sheets),
            "problems": [
                {"code": problem.code, "message": problem.message, "remedy": problem.remedy}
                for problem in snapshot.alarms
            ],
        }
    )


UNLISTED: Final = (JobState.QUEUED, JobState.DONE)  # sketches; of those that failed none is counted anyway
LISTS: Final = ("waiting", "held", "failed", "recent")


def fitted(told: Json) -> Json:
    """Return a state that is small enough, the end of its longest lists left out."""
    while len(json.dumps(told)) > MAX_BYTES:
        longest = max((*LISTS, "sheets"), key=lambda name: len(json.dumps(told[name])))
        if not told[longest]:
            break
        told[longest] = told[longest][: len(told[longest]) * 3 // 4]
    return told


def _current(current: Current, job: Job, pace: Pace) -> Json:
    progress = current.progress
    told: Json = {"job": job_in_list(job), "seconds_a_step": pace.seconds_a_step(job.id)}
    if progress is None:
        return told | {"step": 0, "steps": 0, "percent": 0, "eta_seconds": None, "scale": None}
    return told | {
        "step": progress.step,
        "steps": progress.steps,
        "percent": progress.percent,
        "eta_seconds": round(progress.eta_seconds, 1),
        "scale": max(progress.width, progress.height),
        "scale_number": progress.scale,
        "scales": progress.scales,
    }
