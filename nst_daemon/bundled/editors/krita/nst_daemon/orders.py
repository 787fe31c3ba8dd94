# nst-daemon plug-in @VERSION@
"""What becomes of an order, from its commit to its end, and what is said of it.

Plain Python: knows neither Krita nor Qt, and never waits; time is handed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .choices import Note
from .protocol import ANSWER_SECONDS, NOT_RUNNING, SIGN_SECONDS, Exchange, complaint, duration, whole

CANCEL_SECONDS = 15.0  # after which an order is taken away, though nobody has confirmed its end
GIVEN_UP = (
    "nst-daemon has given this up: Krita gave no sign of life for 10 s. "
    'Paint it again, or tick "Go on when Krita closes" before.'
)
VANISHED = "The order has gone from the exchange folder. Paint it again."
FAILED = ("failed", "cancelled")


@dataclass
class Order:
    """One picture that is to be painted. `follow` brings it up to date."""

    id: str
    note: Note
    began: float  # by the clock that `follow` has
    is_ours: bool = True  # of this session; else it was found at the start
    answer: dict[str, str] = field(default_factory=dict)
    is_late: bool = False  # nobody has answered yet
    cancelled_at: float | None = None
    is_ready: bool = False  # its painting can be fetched
    is_over: bool = False  # nothing of it lies in the exchange folder any more
    words: str = ""  # what is said at its end
    is_fault: bool = False  # … which somebody should read
    trouble: str = ""  # why its painting could not be put where it belongs
    signs: int = 0
    signed_at: float = float("-inf")

    @property
    def state(self) -> str:
        """What the daemon says it is."""
        return self.answer.get("state", "")

    @property
    def percent(self) -> int | None:
        """How much of it is painted; None: it is not being painted."""
        if self.is_over or self.is_ready or self.state != "running":
            return None
        return max(0, min(100, whole(self.answer.get("percent", "")) or 0))

    def follow(self, exchange: Exchange, now: float) -> None:
        """Read what the daemon says, and do what is due."""
        if self.is_over or self.is_ready:
            return
        self.answer = exchange.status(self.id) or self.answer
        self.is_late = not self.answer and now - self.began >= ANSWER_SECONDS
        if self.note.attended and self.state not in FAILED and now - self.signed_at >= SIGN_SECONDS:
            self.signs, self.signed_at = self.signs + 1, now
            exchange.give_sign(self.id, self.signs)
        if self.cancelled_at is not None:
            if self._has_ended(exchange) or now - self.cancelled_at >= CANCEL_SECONDS:
                self._end(exchange, "Cancelled.")
        elif self.state == "done":
            self.is_ready = exchange.result(self.answer) is not None
            if not self.is_ready:
                self._end(exchange, "nst-daemon has named a painting that may not be opened.", is_fault=True)
        elif self.state in FAILED:
            self._end(exchange, complaint(self.answer) or self.state.capitalize() + ".", is_fault=True)
        elif not exchange.is_there(self.id):
            self._end(exchange, GIVEN_UP if self.note.attended else VANISHED, is_fault=True)

    def cancel(self, exchange: Exchange, now: float) -> None:
        """Ask for its end, or throw its painting away. Raises: OSError."""
        if self.is_ready:
            self._end(exchange, "Thrown away.")
        elif not self.is_over and self.cancelled_at is None:
            exchange.cancel(self.id)
            self.cancelled_at = now

    def fetched(self, exchange: Exchange, words: str) -> None:
        """Remember that its painting is where it belongs."""
        self._end(exchange, words)

    def describe(self) -> str:
        """Return what it is doing, in a line or two."""
        if self.is_over:
            return self.words
        if self.is_ready:
            return self.trouble or "Finished."
        if self.cancelled_at is not None:
            return "Is being cancelled …"
        if not self.answer:
            return NOT_RUNNING if self.is_late else "Is handed over …"
        return complaint(self.answer) or self._doing()

    @property
    def is_stuck(self) -> bool:
        """Return whether something is to be read: an error, or that nobody answers."""
        if self.is_over:
            return self.is_fault
        return self.is_late or bool(self.trouble or self.answer.get("error"))

    def preview(self, exchange: Exchange) -> Path | None:
        """Return the picture of what is being painted; None: there is none."""
        return None if self.percent is None else exchange.preview(self.answer)

    def _has_ended(self, exchange: Exchange) -> bool:
        return self.state in (*FAILED, "done") or not exchange.is_there(self.id)

    def _end(self, exchange: Exchange, words: str, *, is_fault: bool = False) -> None:
        exchange.tidy(self.id, exchange.result(self.answer))
        self.is_ready, self.is_late, self.is_over = False, False, True
        self.words, self.is_fault, self.trouble = words, is_fault, ""

    def _doing(self) -> str:
        if self.state == "running":
            left = whole(self.answer.get("eta", ""))
            return f"{self.percent} %" + (f", {duration(left)} left" if left else "")
        ahead = whole(self.answer.get("ahead", ""))
        if self.state == "queued" and ahead:
            return f"Waits, {ahead} before it."
        return {"taken": "nst-daemon has it.", "queued": "Is the next."}.get(self.state, self.state)
