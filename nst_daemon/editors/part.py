"""The editors' part of the daemon, beside its two halves, under a config that may change.

A thread of its own ticks it: a dead share under the exchange folder keeps nobody else waiting, and while a
large photo is read in the left half, a plug-in is answered all the same.
"""

import logging
from typing import Final, Self

from nst_daemon.config import Config
from nst_daemon.editors.answering import Answering
from nst_daemon.editors.stock import Stock
from nst_daemon.errors import ConditionError, FileConditionError
from nst_daemon.folders.exchange import Exchange
from nst_daemon.folders.lease import Lease
from nst_daemon.folders.library import Library
from nst_daemon.intake.left import MakeReader
from nst_daemon.intake.reader import Reader
from nst_daemon.intake.shelf import Shelf
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import problem_of

logger = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.1  # between two looks, while files lie there
REST_SECONDS: Final = 0.5  # … and while none does
ABSENT_SECONDS: Final = 2.0  # … where there is no exchange folder


class Editors:
    """Exchange folder to ledger, and back. `tick` belongs to one thread; any other may ask and tell."""

    def __init__(self, config: Config, ledger: Ledger, make: MakeReader) -> None:
        self._ledger = ledger
        self._make = make
        self._config = self._wanted = config
        self._is_over = False
        self._parts: tuple[Reader, Exchange, Lease, Answering, Stock] | None = None
        self._said = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def follow(self, config: Config) -> None:
        """Take on another config at the next tick."""
        self._wanted = config

    def interrupt(self) -> None:
        """Have a picture that is just being read left, and begin nothing any more; any thread may."""
        self._is_over = True
        if self._parts is not None:
            self._parts[0].close()

    def tick(self) -> float:
        """Do what is due; return in how many seconds to come again."""
        if self._wanted is not self._config:
            self._end()
            self._config = self._wanted
        if self._is_over or self._config.exchange is None:
            return ABSENT_SECONDS
        try:
            return self._work(Exchange(self._config.exchange))
        except ConditionError as error:
            self._show(error)
            return ABSENT_SECONDS

    def _work(self, exchange: Exchange) -> float:
        if not self._is_there(exchange):
            return ABSENT_SECONDS
        if self._parts is None:
            self._begin(exchange)
        assert self._parts is not None
        _, _, lease, answering, stock = self._parts
        if not lease.is_held():  # another daemon answers
            return ABSENT_SECONDS
        answering.tick()
        stock.look()
        self._show(None)
        return TICK_SECONDS if answering.is_busy else REST_SECONDS

    def _is_there(self, exchange: Exchange) -> bool:
        """Return whether there is an exchange folder. One that was never seen is missed by nobody."""
        try:
            return exchange.is_there()
        except FileConditionError as error:
            if self._parts is not None:
                raise
            logger.debug("%s", error)
            return False

    def _begin(self, exchange: Exchange) -> None:
        config, reader = self._config, self._make(self._config)
        library = Library(config.styles, memory=self._ledger.facts)
        shelf = Shelf(
            library,
            copies=config.state_dir / "photos",
            reader=reader,
            settle_seconds=config.watch.settle_seconds,
            patience=config.watch.max_wait_seconds,
        )
        answering = Answering(
            config=config, exchange=exchange, ledger=self._ledger, library=shelf, reader=reader
        )
        lease = Lease(exchange.root, self._ledger.facts.identity)
        self._parts = reader, exchange, lease, answering, Stock(exchange, library.entries, reader)
        logger.info("editors' plug-ins are answered in %s", exchange.root)
        if self._is_over:  # meanwhile
            reader.close()

    def _show(self, error: ConditionError | None) -> None:
        """Show why the exchange folder cannot be worked on, for as long as that is so."""
        words = "" if error is None else error.message
        if words == self._said:
            return
        if error is not None:
            logger.warning("The editors wait: %s", error)
        try:
            self._ledger.problems.set("editors", [] if error is None else [problem_of(error)])
            self._said = words
        except ConditionError as its_own:  # the left half shows it
            logger.debug("%s", its_own)

    def _end(self) -> None:
        if self._parts is not None:
            reader, _, lease, _, _ = self._parts
            self._parts = None
            lease.release()
            reader.close()
