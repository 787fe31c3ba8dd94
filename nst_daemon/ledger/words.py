"""Snapshot and jobs -> words and JSON, the same for command line, tray and log. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from nst_daemon.config.orders import SEAT_STATES, EngineFacts, SeatFacts
from nst_daemon.config.recipe import blend_name
from nst_daemon.errors import where_to_read, without_section
from nst_daemon.ledger.jobs import Current, Job, JobState, Problem, Snapshot

# ── words ───────────────────────────────────────────────────────────────────────────────────────────────

_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float) -> str:
    """Return a span of time in at most two units: `0.4 s`, `18 s`, `1 min 12 s`, `2 h 5 min`."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s".replace(".0 s", " s")
    left = round(seconds)
    parts = []
    for size, name in _UNITS:
        count, left = divmod(left, size)
        parts.append((count, name))
    first = next(index for index, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {name}" for count, name in parts[first : first + 2] if count)


def local_time(moment: datetime | None) -> str:
    """Return a moment in the user's own time, to the second; a dash for none."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else "–"


def status_text(snapshot: Snapshot) -> list[str]:
    """Return the whole status in lines, the most important first."""
    lines = [headline(snapshot), f"Jobs: {counts_text(snapshot.counts)}."]
    lines += [f"  {current_text(current)}" for current in snapshot.current]
    if snapshot.running:
        lines.append(f"Engine{'s' * (len(snapshot.engines) > 1)}: {engines_text(snapshot)}.")
    if snapshot.page:
        lines.append(f"Page: {snapshot.page}, opened by `nst-daemon page`.")
    if snapshot.seats:
        lines.append(f"Farm: {seats_text(snapshot.seats)}.")
    lines += [line for problem in snapshot.problems for line in problem_text(problem)]
    return lines


def headline(snapshot: Snapshot) -> str:
    """Return in one line whether it runs, and whether it is paused."""
    version = f"nst-daemon {snapshot.version}".strip()
    if not snapshot.running:
        return f"{version} is not running{' (and paused)' if snapshot.paused else ''}."
    process = f" (process {snapshot.pid})" if snapshot.pid else ""
    return f"{version} is {'paused' if snapshot.paused else 'running'}{process}."


def counts_text(counts: Mapping[JobState, int]) -> str:
    """Return `1 running, 2 queued, 9 done`; states without a job are left out."""
    order = (
        JobState.RUNNING,
        JobState.QUEUED,
        JobState.HELD,
        JobState.DONE,
        JobState.FAILED,
        JobState.CANCELLED,
    )
    said = [f"{counts[state]} {state}" for state in order if counts.get(state)]
    return ", ".join(said) or "none yet"


def current_text(current: Current) -> str:
    """Return `job 12: trip/a.jpg in starry_night, 41 %, 18 s to go`."""
    words = f"job {current.job}: {current.photo} in {current.style}"
    if current.progress is None:
        return f"{words}, starting"
    to_go = duration(current.progress.eta_seconds)
    return f"{words}, {current.progress.percent} %, {to_go} to go"


def engine_text(facts: EngineFacts) -> str:
    """Return `warm, vgg19 (original) on cpu`; a cold engine has no device yet."""
    weights = f" ({facts.weights})" if facts.weights else ""
    return f"{facts.state}, {facts.network}{weights} on {facts.device}" if facts.device else facts.state


def engines_text(snapshot: Snapshot) -> str:
    """Return what one engine is, or of several where each is: `painting on cuda:0, warm on cuda:1`."""
    if len(snapshot.engines) < 2:
        return engine_text(snapshot.engine)
    each = (f"{facts.state} on {facts.device}" if facts.device else facts.state for facts in snapshot.engines)
    return ", ".join(each)


def seats_text(seats: Sequence[SeatFacts]) -> str:
    """Return how many devices other machines lend: `12 seats, 8 painting, 3 warm, 1 silent`."""
    states = Counter(facts.state for facts in seats)
    order = ("painting", "warm", "starting", "cold", *SEAT_STATES)
    said = [f"{states[state]} {state}" for state in order if states[state]]
    return ", ".join([f"{len(seats)} seat{'s' * (len(seats) != 1)}", *said])


def seat_row(facts: SeatFacts, now: float) -> tuple[str, ...]:
    """Return a seat as a row: its name, state, job, what it has painted and lost, version, last heard of."""
    heard = f"{duration(max(0.0, now - facts.heard))} ago" if facts.heard else "–"
    job = "" if facts.job is None else str(facts.job)
    return facts.name, facts.state, job, str(facts.painted), str(facts.lost), facts.version or "–", heard


def problem_text(problem: Problem) -> list[str]:
    """Return a problem and its remedy in lines; what is no alarm in one."""
    if problem.is_quiet:
        return [problem.message]
    return [f"! {problem.message}", f"  {remedy_text(problem.remedy, problem.code)}"]


def remedy_text(remedy: str, code: str) -> str:
    """Return what to do, and where to read more."""
    return f"{remedy} See {where_to_read(code)}.".strip()


def job_text(job: Job) -> list[str]:
    """Return everything that a user may want to know of a job."""
    rows: list[tuple[str, object]] = [
        ("photo", job.photo),
        ("style", job.style or "–"),
        ("state", f"{job.state}, to be cancelled" if job.cancel_requested else job.state),
        *([("seat", job.seat)] if job.seat else []),
        ("attempts", job.attempts),
        ("created", local_time(job.created)),
        ("started", local_time(job.started)),
        ("finished", local_time(job.finished)),
        ("seconds", "–" if job.seconds is None else duration(job.seconds)),
        ("result", job.result or "–"),
        ("error", job.error or "–"),
        ("original", job.original),
        ("sidecar", job.sidecar or "–"),
    ]
    if job.state is JobState.RUNNING:
        rows.append(("preview", job.preview))
    if (progress := job.progress) is not None:
        where = f"scale {progress.scale} of {progress.scales}, {progress.width} × {progress.height} px"
        rows.append(("painted", f"step {progress.step} of {progress.steps}, {where}"))
        rows += [(f"{name} loss", f"{value:.4g}") for name, value in progress.losses.items()]
    if job.areas.mask is not None:
        rows.append(("mask", job.areas.mask.name))
    rows += [("region", f"{each.mask.name}: {blend_name(each.styles)}") for each in job.areas.regions]
    settings = _settings(job) or {}
    rows += [(f"  {key}", _value(value)) for key, value in settings.items()]
    return [f"job {job.id}", *(f"  {name:<16} {value}" for name, value in rows)]


def job_row(job: Job) -> tuple[str, str, str, str, str, str]:
    """Return a job as a row: number, state, photo, style, time, and result or error."""
    outcome = without_section(job.error or "") or (job.result.name if job.result else "")
    seconds = "" if job.seconds is None else duration(job.seconds)
    return str(job.id), str(job.state), job.photo, job.style or "–", seconds, outcome


def _value(value: object) -> str:
    return ", ".join(str(part) for part in value) if isinstance(value, (list, tuple)) else str(value)


# ── JSON ────────────────────────────────────────────────────────────────────────────────────────────────


def status_json(snapshot: Snapshot) -> dict[str, object]:
    """Return what `status --json` prints; its keys are fixed."""
    return {
        "running": snapshot.running,
        "pid": snapshot.pid,
        "paused": snapshot.paused,
        "version": snapshot.version,
        "engine": _engine_json(snapshot.engine),
        "engines": [_engine_json(engine) for engine in snapshot.engines],
        "seats": [seat_json(facts) for facts in snapshot.seats],
        "counts": {str(state): snapshot.counts.get(state, 0) for state in JobState},
        "current": [_current_json(current) for current in snapshot.current],
        "problems": [_named(problem, "code", "message", "remedy") for problem in snapshot.problems],
        "page": snapshot.page or None,
    }


def _engine_json(engine: EngineFacts) -> dict[str, object]:
    return _named(engine, "state", "device", "network", "weights")


def seat_json(facts: SeatFacts) -> dict[str, object]:
    """Return what `status --json` and `farm status --json` print of a seat; its keys are fixed."""
    heard = datetime.fromtimestamp(facts.heard, UTC) if facts.heard else None
    named = _named(facts, "device", "state", "job", "painted", "lost", "version")
    return {"seat": facts.name, **named, "heard": iso(heard)}


def _named(facts: object, *names: str) -> dict[str, object]:
    """Return some fields under their own names."""
    return {name: getattr(facts, name) for name in names}


def _current_json(current: Current) -> dict[str, object]:
    progress = current.progress
    return {
        "job": current.job,
        "photo": current.photo,
        "style": current.style,
        "progress": round(progress.fraction, 4) if progress else 0.0,
        "eta_seconds": round(progress.eta_seconds, 1) if progress else None,
    }


def job_json(job: Job) -> dict[str, object]:
    """Return what `show --json` prints; its keys are fixed."""
    return {
        "job": job.id,
        "photo": job.photo,
        "style": job.style or None,
        "state": str(job.state),
        "seat": job.seat,
        "attempts": job.attempts,
        "created": iso(job.created),
        "started": iso(job.started),
        "finished": iso(job.finished),
        "seconds": None if job.seconds is None else round(job.seconds, 3),
        "result": None if job.result is None else str(job.result),
        "error": job.error,
        "losses": None if job.progress is None else dict(job.progress.losses),
        "settings": _settings(job),
    }


def _settings(job: Job) -> dict[str, object] | None:
    if job.recipe is None:
        return None
    return {key: _plain(value) for key, value in job.recipe.as_settings().items()}


def _plain(value: object) -> object:
    return str(value) if isinstance(value, str) else value  # a StrEnum is written as its plain text


def iso(moment: datetime | None) -> str | None:
    """Return a moment as ISO 8601 in UTC: `2026-08-01T12:00:00.000Z`."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
