"""Edits of config.yaml while the daemon runs: a good one becomes the config, a bad one is shown.

Reads the file and nothing else. Lives on one thread, which asks for news from time to time.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Final

from nst_daemon import config as configs
from nst_daemon import disk
from nst_daemon.config import UNREADABLE, Config
from nst_daemon.errors import ConditionError, ConfigError
from nst_daemon.ledger.jobs import Problem

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0  # between two looks; an edit is read once the file stood still for as long
NEVER: Final = disk.Stamp(-1, -1, -1)  # a stamp that no file has


class ConfigWatch:
    """Compares config.yaml with the config that holds. `problems` is what a user could mend in it."""

    def __init__(
        self, config: Config, *, clock: Callable[[], float] = time.monotonic, keeps_tray: bool | None = None
    ) -> None:
        self.problems: list[Problem] = []
        self._config = config
        self._clock = clock
        self._due = clock() + LOOK_SECONDS
        self._read: disk.Stamp | None = NEVER  # the stamp of the file that was read last
        self._last: disk.Stamp | None = NEVER  # the stamp at the last look
        # `run --no-tray` holds against whatever the file says. None: what differs from it was said so.
        self._keeps_tray = self._differs_in_tray() if keeps_tray is None else keeps_tray

    def _differs_in_tray(self) -> bool:
        try:
            return configs.load(self._config.source).tray != self._config.tray
        except ConfigError:
            return False

    def look(self, *, at_once: bool = False) -> Config | None:
        """Return the new config if there is one; None: all stays as it is.

        `at_once`: somebody says that the edit is complete.
        """
        if not at_once and self._clock() < self._due:
            return None
        self._due = self._clock() + LOOK_SECONDS
        try:
            stamp = disk.stamp_of(self._config.source, follow=True)
        except ConditionError as error:  # nobody knows: all stays as it is
            logger.debug("the config cannot be looked at: %s", error)
            return None
        stands_still, self._last = stamp == self._last, stamp
        # Half a config is a good one, too: without its last lines.
        if not at_once and (stamp == self._read or not stands_still):
            return None
        self._read = stamp
        return self._news()

    def _news(self) -> Config | None:
        try:
            found = configs.load(self._config.source)
        except ConfigError as error:
            self._refuse(error)
            if error.code == UNREADABLE:
                self._read = NEVER  # the disk is at fault, not the edit: look again
            return None
        if self._keeps_tray:
            found = replace(found, tray=self._config.tray)
        self.problems = self._restart_needed(found)
        found = replace(found, state_dir=self._config.state_dir)
        if found == self._config:
            return None
        changed = [field.name for field in fields(Config) if _differs(field.name, found, self._config)]
        logger.info("the config was read anew: %s changed", ", ".join(changed))
        self._config = found
        return found

    def _refuse(self, error: ConfigError) -> None:
        code = UNREADABLE if error.code == UNREADABLE else "config_invalid"
        remedy = f"{error.remedy} The last good config holds until this one is mended.".strip()
        problem = Problem(code=code, message=error.message, remedy=remedy)
        if self.problems != [problem]:
            logger.warning("the config was edited, and cannot be used; the last good one holds: %s", error)
        self.problems = [problem]

    def _restart_needed(self, found: Config) -> list[Problem]:
        if found.state_dir == self._config.state_dir:
            return []
        return [
            Problem(
                code="restart_needed",
                message=f"{found.source}: state_dir was changed to {found.state_dir}.",
                remedy="It holds from the next start on: nst-daemon restart.",
            )
        ]


def _differs(key: str, one: Config, other: Config) -> bool:
    return bool(getattr(one, key) != getattr(other, key))
