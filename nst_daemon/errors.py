"""The errors that this program raises on purpose, each with what to do about it.

`JobError` ends one job; `DaemonError` ends the process with its `exit_code`; `ConditionError` is the
state of the machine (a full disk, a missing folder): nobody's fault, spends no attempt, ends by itself.
Anything else that is raised is a bug. Each has a `code`, which names its section in docs/errors.md.
"""

import re
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Final, Self

DOCS: Final = "docs/errors.md"


class ExitCode(IntEnum):
    """The exit codes of every command."""

    FINE = 0
    JOB_FAILED = 1  # at least one job failed
    USAGE = 2  # wrong usage or config
    MISSING = 3  # something on this machine is missing: device, weights, folder
    ALREADY_RUNNING = 4
    NOT_RUNNING = 5
    WAITED = 6  # as long as --timeout says; the job goes on


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


class InputError(JobError):
    """What a job needs beside its photo is not there or not whole: the job is held until it is."""

    code = "photo_held"


class StyleError(InputError):
    """A style picture is missing or cannot be read."""

    code = "style_missing"


class MaskError(InputError):
    """A mask is missing or cannot be read."""

    code = "mask_missing"


class CopyError(JobError):
    """Our private copy of a photo is gone or damaged; the photo itself may be well."""

    code = "copy_gone"


class EngineError(JobError):
    """The engine could not finish this picture; a later attempt may."""

    code = "engine_failed"


class SeatLostError(EngineError):
    """The machine that painted has gone or fell silent: seldom the photo's fault; another may paint it."""

    code = "seat_lost"


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


class Trouble(StrEnum):
    """What is wrong at a path, as far as that is nobody's fault and ends by itself."""

    MISSING = "missing"  # the folder that should be there is not
    UNREACHABLE = "unreachable"  # a share that does not answer, a disk that was pulled out
    UNREADABLE = "unreadable"  # a right is missing
    READ_ONLY = "read_only"
    FULL = "disk_full"
    BUSY = "system_busy"  # the machine is short of handles or memory, or another program holds the file
    ERROR = "disk_error"  # anything else that a file system may say


class FileConditionError(ConditionError):
    """What is at a path is not known, or cannot be changed, at the moment: of this path alone.

    Neither gone nor broken nor whole: whoever meets it leaves the file as it is, goes on with the others, and
    asks again later.
    """

    def __init__(
        self, message: str, *, path: Path, trouble: Trouble, remedy: str = "", code: str | None = None
    ) -> None:
        super().__init__(message, remedy=remedy, code=code or _code_of(trouble, "folder"))
        self.path = path
        self.trouble = trouble

    @property
    def is_named(self) -> bool:
        """Whether its code tells of which place of the config it is."""
        return self.code != _code_of(self.trouble, "folder")

    def named(self, name: str) -> Self:
        """Return the same with the code of a place that the config names: `inbox_unreachable`."""
        code = _code_of(self.trouble, name)
        return type(self)(self.message, path=self.path, trouble=self.trouble, remedy=self.remedy, code=code)

    def about(self, path: Path) -> Self:
        """Return the same, said of another path: of a file, where a draft of it is at fault."""
        message = self.message.replace(str(self.path), str(path))
        return type(self)(message, path=path, trouble=self.trouble, remedy=self.remedy, code=self.code)

    def __reduce__(self) -> tuple[object, ...]:
        return _revive_at, (type(self), self.message, self.path, self.trouble, self.remedy, self.code)


def _revive_at(
    kind: type[FileConditionError], message: str, path: Path, trouble: Trouble, remedy: str, code: str
) -> FileConditionError:
    return kind(message, path=path, trouble=trouble, remedy=remedy, code=code)


def _code_of(trouble: Trouble, name: str) -> str:
    is_of_place = trouble in (Trouble.MISSING, Trouble.UNREACHABLE, Trouble.UNREADABLE)
    return f"{name}_{trouble}" if is_of_place else trouble.value


class NameRefusedError(JobError):
    """A disk takes no file of this name; it may take every other."""

    code = "name_refused"


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
