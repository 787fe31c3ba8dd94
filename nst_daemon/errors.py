"""The errors that this program raises on purpose, each with what to do about it.

`JobError` ends one job; `DaemonError` ends the process with its `exit_code`; `ConditionError` is the
state of the machine (a full disk, a missing folder): nobody's fault, spends no attempt, ends by itself.
Anything else that is raised is a bug. Each has a `code`, which names its section in docs/errors.md.
"""

import re
from enum import IntEnum
from typing import Final

DOCS: Final = "docs/errors.md"


class ExitCode(IntEnum):
    """The exit codes of every command."""

    FINE = 0
    JOB_FAILED = 1  # at least one job failed
    USAGE = 2  # wrong usage or config
    MISSING = 3  # something on this machine is missing: device, weights, folder
    ALREADY_RUNNING = 4
    NOT_RUNNING = 5


class NstError(Exception):
    """An error that a user can act on: what happened, and the remedy."""

    exit_code = ExitCode.JOB_FAILED
    code = "bug"  # of the class; an error may have a closer one

    def __init__(self, message: str, *, remedy: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.code = code or type(self).code

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross from the engine's process to the daemon's: keep the keyword arguments.
        return _revive, (type(self), self.message, self.remedy, self.code)


def _revive(kind: type[NstError], message: str, remedy: str, code: str) -> NstError:
    return kind(message, remedy=remedy, code=code)


def where_to_read(code: str) -> str:
    """Return the section of the documentation that is about a code."""
    return f"{DOCS}#{code}"


def with_section(text: str, code: str) -> str:
    """Return what is kept of an error: its words, and the section that is about it."""
    return f"{text} ({where_to_read(code)})"


def without_section(text: str) -> str:
    """Return the words of what `with_section` returned, for where there is little room."""
    return _SECTION.sub("", text)


_SECTION: Final = re.compile(rf" \({re.escape(DOCS)}#\w+\)$")


class JobError(NstError):
    """This job ends as failed; the daemon goes on."""

    code = "job_failed"


class PhotoError(JobError):
    """The photo cannot be read, or is beyond a limit; trying again changes nothing."""

    code = "photo_refused"


class IncompletePhotoError(PhotoError):
    """The photo breaks off: it may still be growing, and read well later."""

    code = "photo_incomplete"


class StyleError(JobError):
    """A style picture is missing or cannot be read."""

    code = "style_missing"


class EngineError(JobError):
    """The engine could not finish this picture; a later attempt may."""

    code = "engine_failed"


class OutOfMemoryError(EngineError):
    """The picture did not fit into memory."""

    code = "out_of_memory"


class CancelledError(JobError):
    """The user or a shutdown asked to stop; no result was written."""

    code = "cancelled"


class ConditionError(NstError):
    """The machine is in a state in which no job can go on: wait, and try again.

    `code` names the condition in `status --json`, e.g. "disk_full".
    """

    code = "condition"


class DaemonError(NstError):
    """The process cannot go on, and ends with `exit_code`."""


class ConfigError(DaemonError):
    """Wrong usage, or a config that cannot be used."""

    exit_code = ExitCode.USAGE
    code = "usage"


class MissingError(DaemonError):
    """Something on this machine is missing: a device, weights, a folder."""

    exit_code = ExitCode.MISSING
    code = "missing"


class WeightsError(MissingError):
    """The weights of the network are not there, or are not what they should be."""

    code = "weights_missing"


class AlreadyRunningError(DaemonError):
    """Another daemon holds the lock."""

    exit_code = ExitCode.ALREADY_RUNNING
    code = "already_running"


class NotRunningError(DaemonError):
    """No daemon is running, and this command needs one."""

    exit_code = ExitCode.NOT_RUNNING
    code = "not_running"
