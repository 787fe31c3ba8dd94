"""What is wrong with the state folder's place: others may read it, or it lies on another machine's disk."""

from pathlib import Path

from nst_daemon import disk
from nst_daemon.errors import ConditionError
from nst_daemon.folders.mounts import is_silent
from nst_daemon.ledger.file import LedgerFile
from nst_daemon.ledger.jobs import Problem


def problems(ledger: LedgerFile) -> list[Problem]:
    """Return what is wrong with the folder of a ledger that is open."""
    folder = ledger.path.parent
    found = place_problems(folder, journal_mode=ledger.journal_mode)
    try:
        is_private = disk.is_private(folder)
    except ConditionError:
        return found  # whoever uses it tells
    if not is_private:
        found.append(
            Problem(
                code="state_dir_open",
                message=f"Others may read the state folder {folder}: copies of photos, ledger and log.",
                remedy=f"chmod -R go= {folder}",
            )
        )
    return found


def place_problems(folder: Path, *, journal_mode: str = "wal") -> list[Problem]:
    """Return whether the disk of a state folder, which may not be there yet, is another machine's."""
    if journal_mode == "wal" and not is_silent(folder):
        return []
    return [
        Problem(
            code="state_dir_remote",
            message=f"The state folder {folder} lies on a network disk: the ledger is not safe there.",
            remedy="Put state_dir on a local disk, in config.yaml.",
        )
    ]
