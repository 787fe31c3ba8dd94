"""The errors that this program raises on purpose, each with what to do about it.

`JobError` ends one job; `DaemonError` ends the process with its `exit_code`; `ConditionError` is the
state of the machine (a full disk, a missing folder): nobody's fault, spends no attempt, ends by itself.
Anything else that is raised is a bug.
"""

from enum import IntEnum


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

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross from the engine's process to the daemon's: keep the keyword argument.
        return _revive, (type(self), self.message, self.remedy)


def _revive(kind: type[NstError], message: str, remedy: str) -> NstError:
    return kind(message, remedy=remedy)


class JobError(NstError):
    """This job ends as failed; the daemon goes on."""


class PhotoError(JobError):
    """The photo cannot be read, or is beyond a limit; trying again changes nothing."""


class IncompletePhotoError(PhotoError):
    """The photo breaks off: it may still be growing, and read well later."""


class StyleError(JobError):
    """A style picture is missing or cannot be read."""


class EngineError(JobError):
    """The engine could not finish this picture; a later attempt may."""


class OutOfMemoryError(EngineError):
    """The picture did not fit into memory."""


class CancelledError(JobError):
    """The user or a shutdown asked to stop; no result was written."""


class ConditionError(NstError):
    """The machine is in a state in which no job can go on: wait, and try again.

    `code` names the condition in `status --json`, e.g. "disk_full".
    """

    def __init__(self, message: str, *, remedy: str = "", code: str = "condition") -> None:
        super().__init__(message, remedy=remedy)
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        return _revive_condition, (self.message, self.remedy, self.code)


def _revive_condition(message: str, remedy: str, code: str) -> ConditionError:
    return ConditionError(message, remedy=remedy, code=code)


class DaemonError(NstError):
    """The process cannot go on, and ends with `exit_code`."""


class ConfigError(DaemonError):
    """Wrong usage, or a config that cannot be used."""

    exit_code = ExitCode.USAGE


class MissingError(DaemonError):
    """Something on this machine is missing: a device, weights, a folder."""

    exit_code = ExitCode.MISSING


class AlreadyRunningError(DaemonError):
    """Another daemon holds the lock."""

    exit_code = ExitCode.ALREADY_RUNNING


class NotRunningError(DaemonError):
    """No daemon is running, and this command needs one."""

    exit_code = ExitCode.NOT_RUNNING
