"""What editors' plug-ins order through the exchange folder, taken into the ledger and answered.

A commission is one picture that a plug-in wants painted. Its sidecar comes last and says that all is there,
so that nothing has to settle; every other check is that of a photo in an inbox. Each commission is answered,
and what nobody fetches is swept.

    taken ──▶ queued ──▶ running ──▶ done
      └──▶ held ──▲         └─────▶ failed, cancelled
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Final

from nst_daemon import disk
from nst_daemon.config import Config, Folder, Originals
from nst_daemon.config.recipe import Format, Sidecar
from nst_daemon.errors import ConditionError, FileConditionError, NstError, without_section
from nst_daemon.folders import outbox
from nst_daemon.folders.copies import private_copy
from nst_daemon.folders.exchange import Exchange, Part, Slip, age_of, clear, write_status
from nst_daemon.folders.masks import take_masks
from nst_daemon.folders.networks import network_of
from nst_daemon.folders.sidecars import find_sidecar, is_whole
from nst_daemon.intake.arrivals import Arrival, jobs_for
from nst_daemon.intake.inspection import Unreadable
from nst_daemon.intake.reader import Reader
from nst_daemon.intake.shelf import Shelf
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import ENDS, Job, JobState, NewJob, Origin, Snapshot

logger = logging.getLogger(__name__)

TAKEN: Final = "taken"  # seen, and not in the ledger yet
ANSWER_SECONDS: Final = 1.0  # between two answers of one state
AGAIN_SECONDS: Final = 2.0  # between two tries at what the machine does not let happen
NEWS_SECONDS: Final = 1.0  # between two looks whether a style has come
ALIVE_SECONDS: Final = 10.0  # without a sign of life, by our own clock: nobody waits any more
FRESH_SECONDS: Final = 60.0  # a picture without its sidecar is just being written
SWEEP_SECONDS: Final = 3600.0
UNSENT_SECONDS: Final = 24 * 3600.0  # then a picture whose sidecar never came is swept
UNFETCHED_SECONDS: Final = 7 * 24 * 3600.0  # … and a painting that nobody fetched
FORMATS: Final = (Format.SAME, Format.TIFF, Format.PNG, Format.JPEG)  # what every plug-in loads
ELSEWHERE: Final = ("inbox", "photo", "archive", "failed", "events", "watch")  # problems of other ways
NOBODY_WAITS: Final = "the editor has gone"
BY_EDITOR: Final = "cancelled in the editor"

Answer = dict[str, object]


@dataclass(slots=True)
class Commission:
    """One order of a plug-in, from its sidecar to its last answer."""

    slip: Slip
    is_attended: bool = False  # its plug-in gives signs of life
    title: str = ""  # what people call the picture
    job: int | None = None
    is_over: bool = False  # answered for good
    answer: Answer = field(default_factory=dict)
    written: Answer = field(default_factory=dict)
    written_at: float = float("-inf")
    due: float = float("-inf")  # the next try to take it
    news: object = None  # of the library, when it could not be had
    sign: object = None  # of life, the last one, and when it was new
    signed_at: float = 0.0


class Answering:
    """Takes and answers commissions. Lives on one thread, which is its reader's."""

    def __init__(
        self,
        *,
        config: Config,
        exchange: Exchange,
        ledger: Ledger,
        library: Shelf,
        reader: Reader,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,  # as files have it
    ) -> None:
        self._config = config
        self._exchange = exchange
        self._ledger = ledger
        self._library = library
        self._reader = reader
        self._clock = clock
        self._now = now
        self._network = network_of(config.engine.weights)
        self._commissions: dict[Path, Commission] = {}
        self._sweep_due = float("-inf")
        self.is_busy = False  # files lay there at the last tick

    def tick(self) -> None:
        """Look at all that lies in the exchange folder. Raises: ConditionError: nobody knows what does."""
        slips = {slip.photo: slip for slip in self._exchange.slips()}
        self.is_busy = bool(slips)
        for photo in self._commissions.keys() - slips.keys():
            self._withdraw(self._commissions.pop(photo), BY_EDITOR)
        for slip in self._in_order(slips):
            with self._apart(slip):
                self._look(slip)
        ordered = [each for each in self._commissions.values() if each.job is not None and not each.is_over]
        if ordered:
            snapshot = self._ledger.snapshot(running=True)
            for each in ordered:
                with self._apart(each.slip):
                    self._follow(each, snapshot)
        for each in self._commissions.values():
            self._say(each)
        self._reader.rest()
        self._sweep(slips)

    def _in_order(self, slips: dict[Path, Slip]) -> list[Slip]:
        """Return those that are known, then the new ones as their sidecars came.

        Their names do not tell: in most of them are a second and random letters.
        """
        known = [slips[photo] for photo in self._commissions if photo in slips]
        new = [slip for photo, slip in slips.items() if photo not in self._commissions]
        now = self._now()
        return [*known, *sorted(new, key=lambda slip: -age_of(slip.path_of(Part.SIDECAR), now))]

    @contextmanager
    def _apart(self, slip: Slip) -> Iterator[None]:
        """Keep what is wrong with one commission from the others."""
        try:
            yield
        except FileConditionError as error:  # the next tick looks again
            logger.debug("%s cannot be looked at: %s", slip.photo.name, error)
        except ConditionError:
            raise  # the ledger's, or of our own folder
        except Exception as error:  # a bug
            logger.exception("%s met a bug", slip.photo.name)
            commission = self._commissions.setdefault(slip.photo, Commission(slip))
            self._end(commission, JobState.FAILED, error=f"{type(error).__name__}: {error}")

    def _look(self, slip: Slip) -> None:
        commission = self._commissions.get(slip.photo)
        if commission is None:
            commission = self._new(slip)
            if commission is None:
                return
        commission.slip = slip
        if commission.is_over:
            if Part.SIDECAR not in slip.parts:  # fetched; what a plug-in that was killed left, is swept
                del self._commissions[slip.photo]
        elif Part.CANCEL in slip.parts or Part.PHOTO not in slip.parts:
            self._cancel(commission, BY_EDITOR)
        elif commission.is_attended and self._is_alone(commission):
            self._cancel(commission, NOBODY_WAITS)
            clear(commission.slip)
        elif commission.job is None and self._clock() >= commission.due:
            with self._conditions(commission):
                self._take(commission)

    def _new(self, slip: Slip) -> Commission | None:
        """Return the commission that a sidecar begins, if it is whole."""
        if Part.SIDECAR not in slip.parts or not is_whole(slip.path_of(Part.SIDECAR)):
            if Part.PHOTO in slip.parts and age_of(slip.photo, self._now()) < FRESH_SECONDS:
                self._reader.prepare()
            return None
        asked = find_sidecar(slip.photo)
        commission = Commission(slip, signed_at=self._clock())
        if asked is not None:
            commission.is_attended, commission.title = asked.attended, asked.title or ""
        self._commissions[slip.photo] = commission
        return commission

    def _is_alone(self, commission: Commission) -> bool:
        """Return whether a plug-in that promised signs of life has given none for a while.

        By our own clock: that of the editor's machine may be wrong.
        """
        now, sign = self._clock(), None
        if Part.ALIVE in commission.slip.parts:
            sign = disk.stamp_of(commission.slip.path_of(Part.ALIVE))
        if sign is not None and sign != commission.sign:
            commission.sign, commission.signed_at = sign, now
        return now - commission.signed_at >= ALIVE_SECONDS

    @contextmanager
    def _conditions(self, commission: Commission) -> Iterator[None]:
        """Say what stands in the way of one commission, and try again: nobody's fault."""
        try:
            yield
        except FileNotFoundError:  # it goes this very moment
            commission.due = self._clock() + AGAIN_SECONDS
        except ConditionError as error:
            commission.due = self._clock() + AGAIN_SECONDS
            commission.answer = {"state": TAKEN, **_of(error)}

    def _take(self, commission: Commission) -> None:
        """Bring a commission into the ledger, or say why not."""
        photo = commission.slip.photo
        if known := self._ledger.jobs.of_photo(photo):  # taken before we were restarted
            commission.job = known[-1].id
            return
        news = self._library.news() if commission.news is not None else None
        if news is not None and news == commission.news:
            commission.due = self._clock() + NEWS_SECONDS
            return
        commission.answer = {"state": TAKEN}
        self._say(commission)
        stamp = disk.stamp_of(photo)
        if stamp is None or not disk.is_file(photo):
            return
        inspection = self._reader.inspect(photo)
        if isinstance(inspection, Unreadable):
            self._end(commission, JobState.FAILED, error=inspection.reason, remedy=inspection.remedy)
            return
        copy, sha256 = private_copy(photo, self._config.state_dir / "photos")
        if disk.stamp_of(photo) != stamp:
            commission.due = self._clock() + AGAIN_SECONDS  # its sidecar has lied
            return
        arrival = Arrival(
            path=photo,
            relative=PurePath(commission.title or photo.name),
            folder=self._folder(commission.slip.editor),
            stamp=stamp,
            sha256=sha256,
            copy=copy,
            keywords=inspection.keywords,
        )
        self._pair(commission, arrival)

    def _pair(self, commission: Commission, arrival: Arrival) -> None:
        sidecar = find_sidecar(arrival.path)
        if sidecar is not None and sidecar.fault is not None:
            self._end(commission, JobState.FAILED, error=sidecar.fault)
            return
        news = self._library.news()
        new = self._wanted(arrival, sidecar)
        if new.state is JobState.HELD:
            commission.news = news
            commission.due = self._clock() + NEWS_SECONDS
            commission.answer = {"state": JobState.HELD, "error": without_section(new.error or "")}
            return
        commission.job = self._added(new)
        logger.info("job %d: %s, ordered in %s", commission.job, new.photo, commission.slip.editor)

    def _wanted(self, arrival: Arrival, sidecar: Sidecar | None) -> NewJob:
        """Return the job that a commission asks for: one, the first where keywords ask for more."""
        masks = take_masks(arrival.path, sidecar, arrival.copy.parent)
        new = jobs_for(arrival, sidecar, self._library, masks, network=self._network)[0]
        return replace(new, inbox=None, origin=Origin.SUBMIT)

    def _added(self, new: NewJob) -> int:
        """Add a job that is answered whatever was painted before: by the same painting, or by a new one."""
        known = self._ledger.jobs.of_key(new.key)
        if known is None:
            return self._ledger.add(new).job
        own = replace(new, key=f"{new.key}:{new.original}")
        if known.state is JobState.DONE and known.result is not None and disk.is_file(known.result):
            target = outbox.free_target(new, known.result.suffix)
            outbox.publish(known.result, target, outbox=new.outbox)
            return self._ledger.add(replace(own, state=JobState.DONE), result=target, is_disposed=True).job
        return self._ledger.add(own).job

    def _folder(self, editor: str) -> Folder:
        """Return the exchange folder as a pair of folders, for pairing, with the user's own defaults."""
        first = self._config.folders[0]
        settings = {**first.set, "report": False}
        if settings.get("format", Format.SAME) not in FORMATS:
            settings["format"] = Format.SAME
        out = self._exchange.out_of(editor)
        return Folder(
            inbox=self._exchange.root / "in",
            outbox=out,
            archive=out,
            failed=out,
            style=first.style,
            originals=Originals.KEEP,
            set=settings,
        )

    # Answers.

    def _follow(self, commission: Commission, snapshot: Snapshot) -> None:
        """Answer what has become of a commission's job."""
        job = None if commission.job is None else self._ledger.jobs.get(commission.job)
        if job is None:
            self._end(commission, JobState.FAILED, error="Its job was forgotten.", remedy="Paint it again.")
        elif job.state is JobState.DONE:
            self._done(commission, job)
        elif job.state in ENDS:
            self._end(commission, job.state, job=job.id, error=without_section(job.error or ""))
        else:
            commission.answer = {
                "state": job.state,
                "job": job.id,
                "error": without_section(job.error or ""),
                **self._progress(job, snapshot),
            }

    def _done(self, commission: Commission, job: Job) -> None:
        if job.result is None or not job.result.is_relative_to(self._exchange.root):
            error = f"Its painting is {job.result}, where no editor fetches it."
            self._end(commission, JobState.FAILED, job=job.id, error=error)
            return
        result = self._exchange.relative(job.result)
        self._end(commission, JobState.DONE, job=job.id, percent=100, result=result)

    def _progress(self, job: Job, snapshot: Snapshot) -> Answer:
        """Return how far a job is, or what it waits for."""
        if job.state is JobState.RUNNING:
            return self._painted(job)
        if job.state is not JobState.QUEUED:
            return {}
        ahead = len(snapshot.current) + self._ledger.queue.before(job.id)
        if snapshot.paused:
            return {"ahead": ahead, "error": "Painting is paused.", "remedy": "`nst-daemon resume` goes on."}
        alarm = next((each for each in snapshot.alarms if not each.code.startswith(ELSEWHERE)), None)
        if job.error is None and alarm is not None:
            return {"ahead": ahead, "error": alarm.message, "remedy": alarm.remedy}
        return {"ahead": ahead}

    def _painted(self, job: Job) -> Answer:
        said: Answer = {"percent": 0 if job.progress is None else job.progress.percent}
        if job.progress is not None:
            said["eta"] = round(job.progress.eta_seconds)
        if job.preview.is_relative_to(self._exchange.root) and disk.is_file(job.preview):
            said["preview"] = self._exchange.relative(job.preview)
        return said

    def _end(self, commission: Commission, state: JobState, **said: object) -> None:
        commission.answer = {"state": state, **said}
        commission.is_over = True

    def _say(self, commission: Commission) -> None:
        """Write an answer that is new: one of another state at once, else in its time."""
        if commission.answer in (commission.written, {}):
            return
        is_same = commission.answer.get("state") == commission.written.get("state")
        if is_same and self._clock() - commission.written_at < ANSWER_SECONDS:
            return
        commission.written_at = self._clock()
        try:
            write_status(commission.slip, commission.answer)
            commission.written = dict(commission.answer)
        except ConditionError as error:  # the next tick tries again
            logger.debug("%s was not answered: %s", commission.slip.photo, error)

    # Ends.

    def _cancel(self, commission: Commission, reason: str) -> None:
        """End a commission that nobody wants any more. Its answer stays for whoever looks."""
        self._withdraw(commission, reason)
        self._end(commission, JobState.CANCELLED, job=commission.job, error=reason)
        if Part.SIDECAR not in commission.slip.parts:  # its plug-in has tidied up: so do we
            clear(commission.slip)
            self._commissions.pop(commission.slip.photo, None)
            return
        self._say(commission)
        clear(commission.slip, but={Part.STATUS})

    def _withdraw(self, commission: Commission, reason: str) -> None:
        if commission.job is not None and not commission.is_over:
            self._ledger.cancel(commission.job, reason=reason)
            logger.info("job %d: %s", commission.job, reason)

    def _sweep(self, slips: dict[Path, Slip]) -> None:
        """Take away what nobody sent or fetched, now and then."""
        if self._clock() < self._sweep_due:
            return
        self._sweep_due = self._clock() + SWEEP_SECONDS
        for slip in slips.values():
            commission = self._commissions.get(slip.photo)
            if commission is not None and not commission.is_over:
                continue
            patience = UNFETCHED_SECONDS if Part.SIDECAR in slip.parts else UNSENT_SECONDS
            if min(age_of(slip.path_of(part), self._now()) for part in slip.parts) > patience:
                clear(slip)
        for result in self._exchange.results():
            if age_of(result, self._now()) > UNFETCHED_SECONDS:
                disk.remove(result)


def _of(error: NstError) -> Answer:
    return {"error": error.message, "remedy": error.remedy}
