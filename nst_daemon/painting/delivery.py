"""The way of a painting to its outbox: asked before it is painted, kept until it is there.

The long step is never undone by a condition at the last, cheap one: a finished painting lies in the state
folder until it is published, over a restart or a kill as well. Jobs of an outbox that takes nothing wait, and
those of others go on. One for all workers, safe on any thread.
"""

import dataclasses
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Final

from nst_daemon import disk
from nst_daemon.config.orders import Painting
from nst_daemon.disk import files
from nst_daemon.disk.spelling import spellings
from nst_daemon.errors import ConditionError, FileConditionError, NameRefusedError, NstError, Trouble
from nst_daemon.folders import outbox
from nst_daemon.folders.places import Places
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Job, JobState, problem_of
from nst_daemon.painting.checkpoints import file_name_of, names_of
from nst_daemon.painting.moments import lies_ahead
from nst_daemon.system.crash import CrashPoint, crash_at

logger = logging.getLogger(__name__)

CONDITION_SECONDS: Final = 15.0  # between looks at an outbox that takes nothing, or at one job's trouble
SWEEP_SECONDS: Final = 10.0  # between looks for what no job needs any more
LEAST_BYTES: Final = 64 << 10  # a disk with less room takes nothing; what a trial writes there
MANIFEST: Final = "painting.json"
MAX_PAUSE_SECONDS: Final = 300.0  # of one job's trouble, whose pause doubles

Place = tuple[Path, PurePath | None]  # an outbox, or one of its sub-folders


class _LittleRoomError(FileConditionError):
    """There is room, and maybe not for this job's result."""


@dataclass(slots=True)
class _Block:
    """An outbox or a part of it that takes nothing, or a job that waits alone."""

    error: FileConditionError
    folder: Path  # where it showed
    due: float
    pause: float = CONDITION_SECONDS


class Delivery:
    """Knows which outboxes take results, and keeps the paintings that are not there yet."""

    def __init__(self, ledger: Ledger, state_dir: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.finished = state_dir / "finished"  # a folder for each painting: outlives a crash
        self._ledger = ledger
        self._places = Places(ledger.facts)
        self._clock = clock
        self._lock = threading.Lock()
        self._blocks: dict[Place, _Block] = {}
        self._waits: dict[int, _Block] = {}  # by job
        self._is_well = False  # as the ledger knows it; at first nobody knows
        self._unkept: dict[int, Painting] = {}  # finished, by job; in the folder where they were painted
        self._sweep_due = float("-inf")

    # Before it is painted.

    def ask(self, job: Job) -> None:
        """Make sure that a job's outbox would take its result now, under a name that its disk takes.

        Raises:
            FileConditionError: it would not.
        """
        try:
            self._places.check(job.outbox, name="outbox")  # before anything is looked for in it
            folder = self._examined(job.outbox, self._standing_folder(job))
            copy = disk.facts_of(job.copy)
            if self._room_in(folder) < LEAST_BYTES + (0 if copy is None else copy.st_size):
                raise _full(folder, _LittleRoomError)
        except FileConditionError as error:
            raise error if error.is_named else error.named("outbox") from error

    def _examined(self, place: Path, folder: Path) -> Path:
        """Return a folder of an outbox, if a file can be written there."""
        self._places.check(place, name="outbox")
        if not disk.is_folder(place):
            raise outbox.missing(place, name="outbox")
        if self._room_in(folder) < LEAST_BYTES:
            raise _full(folder)
        trial = files.temporary_in(folder)
        try:
            with disk.created(trial) as file:
                file.write(bytes(LEAST_BYTES))
        except FileConditionError as error:
            raise error.about(folder) from error.__cause__
        finally:
            files.discard(trial)
        return folder

    def _standing_folder(self, job: Job) -> Path:
        """Return the last of a job's folders in its outbox that is there already."""
        folder = job.outbox
        for part in job.place.parts:
            below = next((each for name in spellings(part) if disk.is_folder(each := folder / name)), None)
            if below is None:
                break
            folder = below
        return folder

    def _room_in(self, folder: Path) -> int:
        try:
            return disk.free_bytes(folder)
        except FileNotFoundError as error:
            raise outbox.missing(folder, name="outbox") from error

    # While it waits.

    def wait(self, job: Job, error: FileConditionError) -> None:
        """Let a claimed job wait for what is at a path; where its outbox is at fault, all that go there."""
        now, place = self._clock(), self._place_of(job, error)
        block = _Block(error, self._standing_folder(job), now + CONDITION_SECONDS)
        with self._lock:
            known = self._waits.get(job.id) if place is None else self._blocks.get(place)
        if place is None and known is not None:
            block.pause = min(2 * known.pause, MAX_PAUSE_SECONDS)
            block.due = now + block.pause
        self._ledger.move(
            job.id,
            JobState.RUNNING,
            JobState.QUEUED,
            error=str(error),
            not_before=block.due if place is None else 0.0,
            refund_attempt=True,
        )
        if known is None or known.error.message != error.message:
            logger.warning("job %d waits: %s", job.id, error)
        with self._lock:
            if place is None:
                self._waits[job.id] = block
            else:
                self._blocks[place] = block
            self._tell()

    def _place_of(self, job: Job, error: FileConditionError) -> Place | None:
        """Return what takes no result: an outbox, a sub-folder of it, or neither but this one job's."""
        path, place = error.path, job.outbox
        if isinstance(error, _LittleRoomError):
            return None
        if error.trouble is Trouble.FULL and not disk_has(path):  # a file that was too large, maybe
            return (place, None) if self._is_full(place) else None
        if path == place or place.is_relative_to(path):
            return place, None
        if not path.is_relative_to(place) or error.trouble in (Trouble.BUSY, Trouble.ERROR):
            return None
        folder = path if disk_has(path) else path.parent
        return place, None if folder == place else job.place

    def _is_full(self, place: Path) -> bool:
        try:
            return self._room_in(place) < LEAST_BYTES
        except FileConditionError:
            return True

    def is_over(self, job: Job) -> None:
        """Say that nothing is in a job's way any more."""
        with self._lock:
            if self._waits.pop(job.id, None) is not None:
                self._tell()

    def look(self) -> None:
        """Look again at the outboxes that took nothing, and sweep what no job needs any more. Often called.

        Raises:
            ConditionError: the ledger cannot be read or written.
        """
        if self._lock.acquire(blocking=False):  # else another worker is at it
            try:
                self._look()
            finally:
                self._lock.release()

    def _look(self) -> None:
        now = self._clock()
        for place, block in list(self._blocks.items()):
            if lies_ahead(block.due, now, at_most=CONDITION_SECONDS):
                continue
            try:
                self._examined(place[0], block.folder if disk_has(block.folder) else place[0])
            except FileConditionError as error:
                block.error = error if error.is_named else error.named("outbox")
                block.due = now + CONDITION_SECONDS
            else:
                logger.info("%s takes results again", block.folder)
                del self._blocks[place]
        for number in list(self._waits):
            job = self._ledger.jobs.get(number)
            if job is None or job.state not in (JobState.QUEUED, JobState.RUNNING):
                del self._waits[number]
        for number in list(self._unkept):
            job = self._ledger.jobs.get(number)
            if job is None or job.state not in (JobState.QUEUED, JobState.RUNNING):
                self._unkept.pop(number, None)  # the next start removes it
        self._tell()
        if not lies_ahead(self._sweep_due, now, at_most=SWEEP_SECONDS):
            self._sweep_due = now + SWEEP_SECONDS
            self._sweep()

    def _tell(self) -> None:
        """Show what jobs wait for, and keep them from being claimed."""
        is_well = not (self._blocks or self._waits)
        if is_well and self._is_well:
            return  # as it was: an idle worker asks several times a second
        self._ledger.queue.set_blocked(self._blocks)
        errors: dict[str, NstError] = {}
        for block in (*self._blocks.values(), *self._waits.values()):
            errors.setdefault(block.error.message, block.error)
        self._ledger.problems.set("delivery", [problem_of(error) for error in errors.values()])
        self._is_well = is_well

    # When it is painted.

    def keep(self, job: Job, painting: Painting, scratch: Path) -> Painting:
        """Put a finished painting, which lies in `scratch`, where it outlives a crash; return it there.

        What cannot be kept is returned as it is: it may be published all the same.
        """
        folder = self.finished / file_name_of(job.key)
        facts = {each.name: getattr(painting, each.name) for each in dataclasses.fields(Painting)}
        facts |= {"losses": dict(painting.losses), "picture": painting.picture.name}
        facts["report"] = None if painting.report is None else painting.report.name
        try:
            names = [name for name in (facts["picture"], facts["report"]) if name is not None]
            hashes = {name: files.file_sha256(scratch / name) for name in names}
            with files.written_whole(scratch / MANIFEST) as file:
                file.write(json.dumps({"key": job.key, "sha256": hashes, "painting": facts}).encode())
            disk.make_folder(self.finished)
            disk.remove_tree(folder)
            disk.replace(scratch, folder)
            disk.sync_folder(self.finished)
        except (ConditionError, FileExistsError, FileNotFoundError, NameRefusedError) as error:
            logger.warning("job %d: the painting cannot be kept beside: %s", job.id, error)
            self._unkept[job.id] = painting
            return painting
        self._unkept.pop(job.id, None)
        crash_at(CrashPoint.KEPT)
        return _painting_in(folder, facts)

    def kept(self, job: Job) -> Painting | None:
        """Return a painting of a job that was finished before and not published, if it is whole.

        Raises:
            ConditionError: nobody knows.
        """
        painting = self._unkept.get(job.id)
        if painting is not None and disk.is_file(painting.picture):
            return self.keep(job, painting, painting.picture.parent)
        folder = self.finished / file_name_of(job.key)
        try:
            manifest = json.loads(disk.read_bytes(folder / MANIFEST))
            is_whole = manifest["key"] == job.key and all(
                files.file_sha256(folder / Path(name).name) == sha256
                for name, sha256 in manifest["sha256"].items()
            )
            if is_whole:
                return _painting_in(folder, manifest["painting"])
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning("a painting that was kept cannot be read, it is made anew: %s", error)
        disk.remove_tree(folder)
        return None

    def deliver(self, job: Job, painting: Painting) -> Path:
        """Bring the finished files to the outbox; return the result's path.

        Raises:
            ConditionError: it cannot be now.
        """
        try:
            self._places.check(job.outbox, name="outbox")
            if not disk.is_folder(job.outbox):
                raise outbox.missing(job.outbox, name="outbox")
            folder = files.folder_in(job.outbox, job.place)
            return self._publish(job, painting, folder)
        except FileConditionError as error:
            raise error if error.is_named else error.named("outbox") from error

    def _publish(self, job: Job, painting: Painting, folder: Path) -> Path:
        """Publish under the plainest name that the disk takes."""
        name = outbox.name_of(job, painting.picture.suffix)
        spelt = tuple(spellings(name))
        for spelling, spelt_name in enumerate(spelt):
            is_last = spelling == len(spelt) - 1
            if job.result is None and not is_last and not files.takes_name(folder, spelt_name):
                continue
            target = self._reserved_target(job, painting.picture.suffix, folder, spelling)
            try:
                if painting.report is not None:
                    outbox.publish(painting.report, outbox.report_target(target), outbox=job.outbox)
                crash_at(CrashPoint.REPORTED)
                outbox.publish(painting.picture, target, outbox=job.outbox)
            except NameRefusedError:
                if is_last:
                    raise
                job = dataclasses.replace(job, result=None)
            else:
                return target
        raise AssertionError("unreachable: a name has at least one spelling")

    def _reserved_target(self, job: Job, extension: str, folder: Path, spelling: int) -> Path:
        """Return a name that is this job's alone, and stays so if we are killed now."""
        while True:
            target = outbox.choose_target(
                job,
                extension,
                is_free=lambda path: self._is_free(job, path),
                folder=folder,
                spelling=spelling,
            )
            if self._ledger.reserve_result(job.id, target):
                return target

    def _is_free(self, job: Job, path: Path) -> bool:
        owner = self._ledger.jobs.owner_of(path)
        return owner == job.id or (owner is None and not disk.is_there(path))

    def is_unkept(self, job: Job) -> bool:
        """Return whether a finished painting of a job lies nowhere but where it was painted."""
        return job.id in self._unkept

    def forget(self, job: Job) -> None:
        """Take away what was kept of a job: it is published, or nobody wants it any more."""
        self._unkept.pop(job.id, None)
        disk.remove_tree(self.finished / file_name_of(job.key))

    def _sweep(self) -> None:
        try:
            kept = disk.entries_of(self.finished)
        except (FileNotFoundError, FileConditionError):
            return
        if kept:
            needed = names_of(self._ledger.jobs.unfinished_keys({entry.name for entry in kept}))
            for entry in kept:
                if entry.path.name not in needed:
                    disk.remove_tree(entry.path)


def _full(folder: Path, kind: type[FileConditionError] = FileConditionError) -> FileConditionError:
    remedy = "Free some space; it goes on by itself."
    return kind(f"The disk of {folder} is full.", path=folder, trouble=Trouble.FULL, remedy=remedy)


def disk_has(folder: Path) -> bool:
    """Return whether a folder is there for sure."""
    try:
        return disk.is_folder(folder)
    except ConditionError:
        return False


def _painting_in(folder: Path, facts: dict[str, Any]) -> Painting:
    """Return a painting whose files lie in a folder."""
    report = facts["report"]
    paths = {"picture": folder / facts["picture"], "report": None if report is None else folder / report}
    return Painting(**{**facts, **paths, "notes": tuple(facts["notes"])})
