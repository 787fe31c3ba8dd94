"""What can be wrong with a farm, in words and with a remedy. Pure."""

import sys
from typing import Final

from nst_daemon import __version__
from nst_daemon.farm.answers import Hello
from nst_daemon.ledger.jobs import Problem
from nst_daemon.system import extras
from nst_daemon.system.extras import Extra

NO_ENGINE: Final = Problem(
    code="no_engine",
    message="No machine of the farm is there, and this one does not paint itself.",
    remedy="Start `nst-daemon farm join FILE` on a machine, or set farm.local: true.",
)


def difference(name: str, hello: Hello) -> Problem | None:
    """Return what keeps a seat from painting for us: pickles and pictures of other versions differ."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    if (hello.version, hello.python) == (__version__, python):
        return None
    return Problem(
        code="farm_version",
        message=f"{name} has nst-daemon {hello.version} on Python {hello.python}, "
        f"and this daemon is {__version__} on Python {python}.",
        remedy="Install the same nst-daemon on the same minor version of Python there.",
    )


def refused(host: str, *, is_plain: bool) -> Problem:
    """Return that somebody wanted to join who may not."""
    if is_plain:
        what = "it does not speak TLS"
        remedy = "Have it join by the file that `nst-daemon farm init` prints here."
    else:
        what = "it has the keys of another farm, or this daemon still has old ones"
        remedy = "Copy the join file there anew; after `nst-daemon farm init --renew`, `nst-daemon restart`."
    return Problem(
        code="farm_refused",
        message=f"A machine at {host} wanted to join, and was turned away: {what}.",
        remedy=remedy,
    )


def unreachable(name: str, address: str, why: str) -> Problem:
    """Return that a seat dialled in, and cannot be dialled."""
    return Problem(
        code="seat_unreachable",
        message=f"{name} has joined, and does not answer at {address} ({why}).",
        remedy="Open that port in its firewall; `nst-daemon farm join --port 8790` keeps to one.",
    )


def down(address: str, reason: str) -> Problem:
    """Return that the scheduler is not there."""
    why = f": {reason}" if reason else " yet"
    return Problem(
        code="farm_down",
        message=f"The farm's scheduler does not answer at {address}{why}.",
        remedy="It is started again by itself; if this stays, give farm.listen another port.",
    )


def lost(name: str) -> Problem:
    """Return that a seat went in the middle of a job."""
    return Problem(
        code="seat_lost",
        message=f"{name} has gone with a photo in hand, which is painted elsewhere.",
        remedy="Look at that machine; it is back by itself once it runs and is reached again.",
    )


def not_installed(lack: str) -> Problem:
    """Return that packages are missing."""
    return Problem(
        code="farm_not_installed",
        message=f"farm.listen asks for a farm, and {lack} is not installed.",
        remedy=f"{extras.remedy(Extra.FARM)}, or set farm.listen: off.",
    )
