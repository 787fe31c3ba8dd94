"""The left half of the flow, inbox to ledger, on a thread of its own, under a config that may change.

A new config is taken on by that thread, between two photos: nothing that is under way is disturbed, and what
was only remembered is found again, in the inbox.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

from nst_daemon.config import Config
from nst_daemon.errors import ConditionError
from nst_daemon.folders.inboxes import Inboxes
from nst_daemon.folders.library import Library
from nst_daemon.intake.intake import Intake
from nst_daemon.intake.reader import IntakeReader, PhotoReader
from nst_daemon.intake.readers import Readers
from nst_daemon.intake.shelf import Shelf
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Problem

AGAIN_SECONDS: Final = 1.0  # between two tries to begin with a ledger that cannot be read


MakeReader = Callable[[Config], IntakeReader]


def make_reader(config: Config) -> IntakeReader:
    """Return the reader that decodes photos in processes of their own."""
    return Readers(PhotoReader(max_megapixels=config.max_megapixels))


class LeftHalf:
    """Inbox to ledger. `tick` belongs to one thread; any other may ask and tell.

    It begins at its first tick: an inbox on a disk that is dead holds that thread, and no other.
    """

    def __init__(self, config: Config, ledger: Ledger, make: MakeReader) -> None:
        self._ledger = ledger
        self._make = make
        self._config = self._wanted = config
        self._is_over = False
        self.ticks = 0  # so far
        self.keeps_unfinished = False  # whether somebody will ask for `unfinished`
        self._unfinished: list[Problem] = []
        self._parts: tuple[IntakeReader, Inboxes, Intake] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def tick(self) -> bool:
        """Do what is due; return whether there is more to do at once."""
        wanted = self._wanted
        with suppress(ConditionError):  # the ledger cannot be read; the next tick tries again
            if self._parts is None:
                self._begin(wanted)
            elif wanted is not self._config:
                self._change(wanted)
        if self._is_over or self._parts is None:
            return False
        intake = self._parts[2]
        is_more = intake.tick()
        if self.keeps_unfinished:
            self._unfinished = intake.unfinished()
        self.ticks += 1
        return is_more

    def interrupt(self) -> None:
        """Have a photo that is just being read left, and begin nothing any more; any thread may."""
        self._is_over = True
        if self._parts is not None:
            self._parts[0].close()

    def follow(self, config: Config) -> None:
        """Take on another config at the next tick."""
        self._wanted = config

    def due_in(self) -> float:
        """Return after how many seconds a tick has something to do, as far as that is known."""
        return AGAIN_SECONDS if self._parts is None else self._parts[2].due_in()

    def is_idle(self) -> bool:
        """Return whether all that lies in the inboxes was dealt with, by the config of now."""
        return self._parts is not None and self._wanted is self._config and self._parts[2].is_idle()

    def unfinished(self) -> list[Problem]:
        """Return why something that lies in an inbox was not taken in, at the end of the last tick."""
        return self._unfinished

    def _change(self, config: Config) -> None:
        if _of_the_left(config) == _of_the_left(self._config):
            self._config = config
            return
        self._begin(config)

    def _begin(self, config: Config) -> None:
        """Work by a config from now on, and no more by the one before."""
        new = self._begun(config)
        self._end()
        self._config, self._parts = config, new
        if self._is_over:  # meanwhile
            new[0].close()

    def _begun(self, config: Config) -> tuple[IntakeReader, Inboxes, Intake]:
        reader = self._make(config)
        inboxes = Inboxes(config.folders, config.watch)
        intake = Intake(
            config=config,
            inboxes=inboxes,
            reader=reader,
            ledger=self._ledger,
            library=Shelf(
                Library(config.styles, memory=self._ledger.facts),
                copies=config.state_dir / "photos",
                reader=reader,
                settle_seconds=config.watch.settle_seconds,
                patience=config.watch.max_wait_seconds,
            ),
        )
        return reader, inboxes, intake

    def _end(self) -> None:
        if self._parts is not None:
            reader, inboxes, intake = self._parts
            inboxes.close()
            reader.close()
            intake.close()


def _of_the_left(config: Config) -> tuple[object, ...]:
    return config.folders, config.styles, config.watch, config.max_megapixels, config.engine.weights
