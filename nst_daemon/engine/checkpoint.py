"""Where a long painting stands, on the disk: after a crash it goes on from there and not from the beginning.

One file a painting, replaced as a whole. On the CPU a painting that goes on ends
in the same bytes as one that was never stopped.
"""

import logging
import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from nst_daemon import disk
from nst_daemon.config.orders import Progress
from nst_daemon.disk.files import written_whole
from nst_daemon.errors import NstError

logger = logging.getLogger(__name__)

EVERY_SECONDS: Final = 30.0  # at most
SHARE_OF_TIME: Final = 0.05  # … and seldom enough that writing takes no more than this
WORTH_SECONDS: Final = 2.0  # of work: what is written when the painting is stopped in between
FORMAT: Final = 1
# What reading a file raises that is no checkpoint, or lies on a disk that does not answer.
BROKEN: Final = (
    *(NstError, OSError, RuntimeError, pickle.UnpicklingError, EOFError),
    *(KeyError, TypeError, ValueError, AttributeError),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that the rest of a painting depends on, beside its order."""

    scale: int  # from 1
    seconds: float  # painted so far
    memory: int | None  # bytes; what the plan of scales and tiles was made for
    numbers: Mapping[str, float]
    tensors: Mapping[str, Tensor]


class Checkpoint:
    """One painting's place on the disk. Nothing here fails a painting: it is the spare wheel."""

    def __init__(self, path: Path, key: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.key = key  # of the job and the network: another photo, style, setting or engine has another
        self.history: list[Progress] = []  # of the whole painting, for its report
        self._clock = clock
        self._saved_at = clock()
        self._pause = EVERY_SECONDS

    def load(self, device: torch.device) -> State | None:
        """Return where an earlier attempt stood; None if there is none, or none that can be read."""
        self.history.clear()  # of an attempt that ran out of memory
        try:
            with disk.opened(self.path) as file:
                found = torch.load(file, map_location="cpu", weights_only=True)
            if (found["format"], found["key"]) != (FORMAT, self.key):
                logger.info("the checkpoint is of another painting: beginning anew")
                return None
            state = State(**found["state"])
            self.history[:] = [Progress(**each) for each in found["history"]]
        except FileNotFoundError:
            return None
        except BROKEN as error:
            logger.warning("the checkpoint cannot be read, beginning anew: %s", error)
            return None
        # Not before: what the device is at fault for must not cost the painting its checkpoint.
        return replace(state, tensors={name: each.to(device) for name, each in state.tensors.items()})

    def is_due(self, *, is_last: bool = False) -> bool:
        """Return whether to save now; `is_last`: the painting is about to be stopped."""
        return self._clock() - self._saved_at >= (min(WORTH_SECONDS, self._pause) if is_last else self._pause)

    def save(self, state: State) -> None:
        """Write a state down, whole or not at all."""
        began = self._clock()
        try:
            disk.make_folder(self.path.parent)
            with written_whole(self.path) as file:
                torch.save(
                    {
                        "format": FORMAT,
                        "key": self.key,
                        "state": {each.name: getattr(state, each.name) for each in fields(State)},
                        "history": [asdict(each) for each in self.history],
                    },
                    file,
                )
        except (NstError, OSError, RuntimeError) as error:
            logger.warning("no checkpoint was written; a crash would cost more: %s", error)
        self._saved_at = self._clock()
        self._pause = max(EVERY_SECONDS, (self._saved_at - began) / SHARE_OF_TIME)

    def drop(self) -> None:
        """Forget the painting: what it led to is not to be repeated."""
        self.history.clear()
        try:
            disk.remove(self.path)
        except NstError as error:
            logger.warning("a checkpoint stays behind: %s", error)
