"""Who is there: the seats that joined, which of them take jobs, and the way to ask them.

Nothing of distributed is imported unless `farm.listen` says so.
"""

import logging
import threading
import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from nst_daemon.config import Config
from nst_daemon.config.addresses import Address, Scheme
from nst_daemon.config.orders import EngineFacts, Order, SeatFacts
from nst_daemon.engine.process import OnFacts
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import NstError
from nst_daemon.farm import troubles
from nst_daemon.farm.answers import Hello, UnreachableError
from nst_daemon.farm.contact import Hint
from nst_daemon.farm.engine import FarmEngine
from nst_daemon.farm.parcel import packed
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Problem, problem_of
from nst_daemon.ledger.requests import EVERYBODY
from nst_daemon.painting.pool import SEAT
from nst_daemon.system import extras
from nst_daemon.system.extras import Extra

if TYPE_CHECKING:
    from nst_daemon.farm.link import Link

logger = logging.getLogger(__name__)

ASK_SECONDS: Final = 5.0  # for a short answer
REMEMBERED: Final = 10_000  # jobs whose last seat is known
LOST_SECONDS: Final = 600.0  # so long a seat that was lost is told of


@dataclass(slots=True)
class Member:
    """A seat, as far as it is known. Changed under the farm's lock."""

    name: str
    address: str = ""  # empty: it is not there now
    greeted: str = ""  # the address at which it has answered; empty: it is to be greeted
    hello: Hello | None = None
    problem: Problem | None = None  # why it gets no job
    state: str = ""  # of SEAT_STATES; empty: it takes jobs
    facts: EngineFacts = field(default_factory=EngineFacts)
    job: int | None = None
    painted: int = 0
    lost: int = 0
    heard: float = 0.0
    lost_at: float = float("-inf")  # on the monotonic clock

    @property
    def takes_jobs(self) -> bool:
        """Whether it is there, has answered, and nothing is against it."""
        return bool(self.address and self.hello) and not self.state

    def as_facts(self) -> SeatFacts:
        """Return what views show of it."""
        return SeatFacts(
            name=self.name,
            device=self.hello.device if self.hello else self.name.rpartition("/")[2],
            state=self.state or (self.facts.state if self.address else "silent"),
            job=self.job,
            painted=self.painted,
            lost=self.lost,
            version=self.hello.version if self.hello else "",
            heard=round(self.heard),
            address=self.address,
        )


class Farm:
    """The seats that there are. `follow` and `tend` are the main thread's; all else is for any thread."""

    def __init__(self, config: Config, ledger: Ledger) -> None:
        self._config = config
        self._ledger = ledger
        self._members: dict[str, Member] = {}
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._link: Link | None = None
        self._listen = ""  # where the link's scheduler listens
        self._is_resting = False  # there is no farm, and nothing is told of one
        self._last_seats: dict[str, str] = {}  # of jobs that are not painted yet, by their key
        self._ahead: dict[str, int] = {}  # the job that each seat will probably have next
        self._in_use = 0  # engines in the middle of something

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_link()

    # The daemon's main thread.

    def follow(self, config: Config) -> None:
        """Take on another config; an address that changes is left once no job is in hand."""
        self._config = config

    def tend(self) -> None:
        """Have a scheduler where one is wanted, let seats go that were asked to, and tell of all."""
        wanted = self._wanted
        if not wanted and self._link is None:
            self._rest()
            return
        self._is_resting = False
        problems: list[Problem] = []
        if self._link is not None and wanted != self._listen and not self._in_use:
            self._close_link()
        if wanted and (lack := extras.lacking(Extra.FARM)):
            problems.append(troubles.not_installed(lack))
        elif wanted and self._link is None:
            try:
                self._open_link(wanted)
            except NstError as error:
                problems.append(problem_of(error))
        if self._link is not None:
            problems += self._link.tend()
        for name in self._ledger.requests.take_drains():
            self._drain(name)
        self._tell(problems)

    @property
    def scheduler_pid(self) -> int | None:
        """The scheduler's process, while it lives."""
        return self._link.pid if self._link else None

    @property
    def _wanted(self) -> str:
        return self._config.farm.listen if self._config.farm.is_on else ""

    def _open_link(self, listen: str) -> None:
        from nst_daemon.farm.keys import coordinator_security
        from nst_daemon.farm.link import Link

        is_tls = Address.parse(listen).scheme is Scheme.TLS
        security = coordinator_security(self._config.state_dir) if is_tls else None
        self._link, self._listen = Link(self, listen, security), listen

    def _close_link(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link, self._listen = None, ""
            self.see({})

    def _tell(self, problems: list[Problem]) -> None:
        now = time.monotonic()
        with self._lock:
            shown = [
                each for each in self._members.values() if each.address or now - each.lost_at < LOST_SECONDS
            ]
            problems += [each.problem for each in shown if each.problem is not None]
            problems += [troubles.lost(each.name) for each in shown if not each.takes_jobs and each.lost]
            facts = sorted((each.as_facts() for each in shown), key=lambda each: each.name)
            is_empty = not any(each.takes_jobs for each in shown)
        if self._wanted and not self._config.farm.local and is_empty:
            problems.append(troubles.NO_ENGINE)
        self._ledger.presence.set_seats(facts)
        self._ledger.problems.set("farm", problems)

    def _rest(self) -> None:
        """Take back, once, what was told of a farm that there is no more."""
        if not self._is_resting:
            self._is_resting = True
            self._ledger.presence.set_seats([])
            self._ledger.problems.set("farm", [])

    def _drain(self, name: str) -> None:
        with self._lock:
            members = [each for each in self._members.values() if each.address]
        for member in members:
            if name in (EVERYBODY, member.name, member.name.partition("/")[0]):
                logger.info("%s was asked to leave", member.name)
                with suppress(NstError, UnreachableError):
                    self.ask(member.name, "drain").result()
                self.note(member.name, state="leaving")

    # Workers.

    def devices(self) -> list[str]:
        """Return the seats that take jobs, each as the name of a device."""
        if not self._wanted or self._wanted != self._listen:
            return []
        with self._lock:
            return sorted(f"{SEAT}{each.name}" for each in self._members.values() if each.takes_jobs)

    def engine(self, settings: EngineSettings, on_facts: OnFacts) -> FarmEngine:
        """Return the engine at a seat."""
        return FarmEngine(
            settings,
            settings.device.removeprefix(SEAT),
            self,
            on_facts=on_facts,
            terms=lambda: self._config.farm,
        )

    def run_of(self, name: str) -> str:
        """Return which process a seat is; empty: it is not there, or has not said so yet."""
        with self._lock:
            member = self._members.get(name)
            return member.hello.run if member and member.address and member.hello else ""

    def is_gone(self, name: str) -> bool:
        """Return whether a seat is proven not to be there: the scheduler answers, and does not know it."""
        link = self._link
        if link is None:
            return True
        link.look_soon()
        with self._lock:
            member = self._members.get(name)
            is_there = member is not None and bool(member.address)
        return not is_there and link.would_know(name)

    def ask(self, name: str, what: str, /, *, seconds: float = ASK_SECONDS, **words: Any) -> Future[Any]:
        """Return what a seat will answer, in so many seconds: or an UnreachableError, or its own NstError."""
        from nst_daemon.farm.link import failed

        link = self._link
        with self._lock:
            member = self._members.get(name)
            address = member.address if member else ""
        if link is None or not address:
            return failed(UnreachableError(f"{name} is not there"))
        return link.ask(address, what, seconds, words, lambda: self.note(name, heard=time.time()))

    def wait_for_news(self, seconds: float) -> None:
        """Wait until somebody comes or goes, at most so long."""
        with self._news:
            self._news.wait(seconds)

    def use(self, count: int) -> None:
        """Count engines in the middle of something: until none is, the link stays."""
        with self._lock:
            self._in_use += count

    def note(self, name: str, **changes: Any) -> None:
        """Keep what is known of a seat, in the fields of `Member`."""
        with self._lock:
            if (member := self._members.get(name)) is not None:
                for key, value in changes.items():
                    setattr(member, key, value)

    def last_seat_of(self, key: str) -> str | None:
        """Return which seat had a job the last time, if that is known."""
        return self._last_seats.get(key)

    def set_last_seat(self, key: str, name: str | None) -> None:
        """Remember which seat has a job; None: it is painted."""
        with self._lock:
            self._last_seats.pop(key, None)
            if name is not None:
                self._last_seats[key] = name
            while len(self._last_seats) > REMEMBERED:
                del self._last_seats[next(iter(self._last_seats))]

    def look_ahead(self, name: str, styles: Collection[str]) -> Hint | None:
        """Return what a seat that paints in styles of these hashes will probably need next; no other's."""
        if self._config.farm.shared:
            return None  # it reads for itself, where it can
        with self._lock:
            others = {job for seat, job in self._ahead.items() if seat != name}
        job = self._ledger.queue.look_ahead(styles=styles, others=others)
        if job is None or job.recipe is None:
            return None
        with self._lock:
            self._ahead[name] = job.id
        packing, files = packed(
            Order(
                job=job.id,
                photo=job.copy,
                photo_name=job.photo,
                photo_sha256=job.photo_sha256,
                styles=job.styles,
                recipe=job.recipe,
                result=job.copy,
                areas=job.areas,
            )
        )
        return Hint(packing.photo, files)

    def ahead(self, name: str) -> int | None:
        """Return the job for which a seat has got its files ahead."""
        return self._ahead.get(name)

    def count_painted(self, name: str) -> None:
        """Count a painting that came home."""
        with self._lock:
            if (member := self._members.get(name)) is not None:
                member.painted += 1

    def count_lost(self, name: str) -> None:
        """Count a seat that went with a job in hand; it gets another when it has answered again."""
        with self._lock:
            if (member := self._members.get(name)) is not None:
                member.lost += 1
                self._ahead.pop(name, None)
                member.lost_at = time.monotonic()
                member.greeted = ""
                if member.address:
                    member.state = "silent"

    # The event loop.

    def addresses(self) -> dict[str, str]:
        """Return who is there, addresses by name."""
        with self._lock:
            return {each.name: each.address for each in self._members.values() if each.address}

    def see(self, there: Mapping[str, str]) -> list[tuple[str, str]]:
        """Take in who is there, addresses by name; return those that are to be greeted."""
        with self._news:
            for name, address in there.items():
                member = self._members.setdefault(name, Member(name))
                if not member.address:
                    logger.info("%s has joined", name)
                member.address = address
            for member in self._members.values():
                if member.address and member.name not in there:
                    logger.info("%s has left", member.name)
                    member.address, member.greeted, member.hello = "", "", None
                    member.problem, member.state, member.facts = None, "", EngineFacts()
                    self._ahead.pop(member.name, None)
            self._news.notify_all()
            return [
                (each.name, each.address)
                for each in self._members.values()
                if each.address and each.greeted != each.address
            ]

    def greet(self, name: str, hello: Hello | None, problem: Problem | None, state: str) -> None:
        """Take in what a seat said of itself, or why it gets no job."""
        with self._news:
            member = self._members.get(name)
            if member is None or not member.address:
                return
            if hello is None and member.hello is not None:
                return  # it was reached there before, and is silent now: what is known of it stays
            if problem is not None and problem != member.problem:
                logger.warning("%s %s", problem.message, problem.remedy)
            member.problem, member.state = problem, state
            if hello is not None:
                member.hello, member.greeted, member.heard = hello, member.address, time.time()
                member.facts = member.facts if member.facts.device else EngineFacts(device=hello.device)
            self._news.notify_all()
