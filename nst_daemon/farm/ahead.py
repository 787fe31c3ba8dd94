"""What a seat will need next travels while it paints. A hint: nothing is claimed by it, and nothing fails.

One photo ahead, with the pictures for it that the seat lacks. Which job it is for is known to the farm, so
that no two seats get the same; the ledger still gives that job to whoever asks for one first.
"""

import logging
from collections.abc import Callable, Collection, Generator
from concurrent.futures import Future
from typing import Any, Final

from nst_daemon import disk
from nst_daemon.errors import CancelledError, NstError
from nst_daemon.farm.answers import UnreachableError
from nst_daemon.farm.contact import Hint
from nst_daemon.farm.parcel import Blob, chunks_of
from nst_daemon.farm.talk import SEND_SECONDS, Talk

logger = logging.getLogger(__name__)

AHEAD_BYTES: Final = 256 << 20  # more than that is sent once it is asked for


class Ahead:
    """Sends files in steps that nobody waits for. Lives on a worker's thread."""

    def __init__(self, talk: Talk, look: Callable[[], Hint | None]) -> None:
        self._talk = talk
        self._look = look
        self._hint: Hint | None = None
        self._steps: Generator[Future[Any], Any, None] | None = None
        self._step: Future[Any] | None = None  # the one under way
        self._is_over = False

    @property
    def is_sending(self) -> bool:
        """Whether there is more to be sent."""
        return self._step is not None and not self._is_over

    def go_on(self) -> None:
        """Begin the next step, if the one before has ended."""
        if self._is_over or (self._step is not None and not self._step.done()):
            return
        try:
            if self._steps is None:
                self._hint = self._look()
                if self._hint is None:
                    return  # perhaps later
                self._steps = self._sending(self._hint)
            self._step = self._steps.send(None if self._step is None else self._step.result())
        except (UnreachableError, NstError, FileNotFoundError) as error:
            logger.debug("%s: nothing more is sent ahead: %s", self._talk.seat, error)
            self._is_over = True
        except StopIteration:
            self._is_over = True

    def end(self, talk: Talk, wanted: Collection[Blob]) -> None:
        """End with what is under way, and with all of it if the next talk wants that photo.

        Raises:
            CancelledError: the next talk is to stop.
        """
        is_wanted = self._hint is not None and self._hint.photo in wanted
        while self._step is not None and self.is_sending:
            try:
                talk.awaited(self._step)
            except CancelledError:
                raise
            except (UnreachableError, NstError) as error:
                logger.debug("%s: %s", talk.seat, error)
            if not is_wanted:
                break
            self.go_on()
        if self._steps is not None:
            self._steps.close()
        if self._hint is not None and not is_wanted:
            talk.tell("drop", blobs=(self._hint.photo,))

    def _sending(self, hint: Hint) -> Generator[Future[Any], Any, None]:
        """Yield what the seat was asked; is sent the answers. Raises: FileNotFoundError, NstError."""
        sizes = {blob: facts.st_size for blob, path in hint.files.items() if (facts := disk.facts_of(path))}
        if sum(sizes.values()) > AHEAD_BYTES:
            return
        lacking = yield self._talk.begin_to_ask("lacks", seconds=SEND_SECONDS, blobs=tuple(sizes))
        for blob in lacking:
            for words in chunks_of(blob, hint.files[blob]):
                is_there = yield self._talk.begin_to_ask("put", seconds=SEND_SECONDS, **words)
                if not is_there:
                    break
