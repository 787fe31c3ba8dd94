"""Several reading processes: as many photos are read at once as their caller begins.

Each process is a `PhotoReader`'s, and none is started before it is needed. How many are to be at work is the
caller's to say. No threads: whoever waits for them gives each its next step.
"""

from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from nst_daemon.intake.inspection import Inspection, Taken
from nst_daemon.intake.reader import PhotoReader, Work
from nst_daemon.system.child import wait_for_any


@dataclass(slots=True)
class _Reading:
    """A photo in the hands of a reader."""

    reader: PhotoReader
    work: Work[Taken]
    future: Future[Taken] = field(default_factory=Future)

    def go_on(self) -> None:
        """Do the next step, if its process has come so far."""
        try:
            next(self.work)
        except StopIteration as end:
            self.future.set_result(end.value)
        except Exception as error:  # noqa: BLE001  whoever asks for the result meets it
            self.future.set_exception(error)


class Readers:
    """An `IntakeReader`: takes several photos at once. On one thread, but `close`."""

    def __init__(self, first: PhotoReader) -> None:
        self._readers = [first]  # each but the first was made when all before it were busy
        self._readings: list[_Reading] = []
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pids(self) -> list[int]:
        """Return the processes that there are."""
        return [reader.pid for reader in self._readers if reader.pid is not None]

    def prepare(self) -> None:
        """Have one process ready."""
        if not self._readings:
            self._readers[0].prepare()

    def inspect(self, path: Path) -> Inspection:
        """Return what a photo is. Raises: FileNotFoundError, ConditionError."""
        return self._free().inspect(path)

    def thumbnail(self, path: Path) -> bytes | None:
        """Return a small JPEG of a picture; None: it is none. Raises: FileNotFoundError, ConditionError."""
        return self._free().thumbnail(path)

    def take(self, path: Path, draft: Path) -> Future[Taken]:
        """Begin to read a photo and, if it is one to paint, to copy it to a draft."""
        reader = self._free()
        reading = _Reading(reader, reader.taking(path, draft))
        self._readings.append(reading)
        self._go_on(reading)
        return reading.future

    def attend(self, seconds: float) -> None:
        """Wait until one that was begun is done or comes a step further, at most so long."""
        if self._readings:
            wait_for_any([reading.reader.child for reading in self._readings], seconds)
        for reading in list(self._readings):
            self._go_on(reading)

    def rest(self) -> None:
        """End each process that nobody needed for a while."""
        for reader in self._readers:
            if self._is_free(reader):
                reader.rest()

    def close(self) -> None:
        """End all processes, for good and from any thread; photos that are just being read are left."""
        self._is_closed = True  # before the look at them: a thread that is making one looks again
        for reader in list(self._readers):
            reader.close()

    def _go_on(self, reading: _Reading) -> None:
        reading.go_on()
        if reading.future.done():
            self._readings.remove(reading)

    def _is_free(self, reader: PhotoReader) -> bool:
        return all(reading.reader is not reader for reading in self._readings)

    def _free(self) -> PhotoReader:
        for reader in self._readers:
            if self._is_free(reader):
                return reader
        reader = self._readers[0].another()
        self._readers.append(reader)
        if self._is_closed:
            reader.close()
        return reader
