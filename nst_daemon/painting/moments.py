"""Moments to wait for, on a clock that may be set back. Pure."""


def lies_ahead(moment: float, now: float, *, at_most: float) -> bool:
    """Return whether a moment is yet to come; one that is far off says that the clock was set back."""
    return 0 < moment - now <= at_most
