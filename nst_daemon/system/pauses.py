"""How long to wait before what failed is tried again: twice as long each time, up to a limit. Pure."""


class Pauses:
    """The pauses between one thing's tries."""

    def __init__(self, first: float, longest: float) -> None:
        self._first, self._longest = first, longest
        self._next = first

    def next(self) -> float:
        """Return how many seconds to wait now."""
        pause, self._next = self._next, min(2 * self._next, self._longest)
        return pause

    def reset(self) -> None:
        """Begin with the first again: it went well."""
        self._next = self._first
