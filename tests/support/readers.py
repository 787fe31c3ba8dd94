"""Readers that need no process: for tests whose pictures are whole and small, or whose time is the test's."""

from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar

from nst_daemon.images.layout import ContactSheet
from nst_daemon.images.likeness import Descriptor
from nst_daemon.intake import reading
from nst_daemon.intake.inspection import Inspection, Taken
from nst_daemon.intake.reader import PhotoReader
from nst_daemon.intake.reading import Task
from support.place import FakeReader


class ReaderHere(PhotoReader):
    """Does in this process what the reading process does."""

    drawn: ClassVar[list[ContactSheet]] = []

    def _do(self, task: Task, path: Path, detail: object = None) -> Any:
        answer = reading._done(task, path, self._max_megapixels, detail, reading.read_photo)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def inspect(self, path: Path) -> Inspection:
        found: Inspection = self._do(Task.READ, path)
        return found

    def descriptor(self, path: Path) -> Descriptor | None:
        found: Descriptor | None = self._do(Task.DESCRIBE, path)
        return found

    def draw(self, sheet: ContactSheet, kind: str) -> bytes:
        self.drawn.append(sheet)
        content: bytes = self._do(Task.DRAW, sheet.photo, (sheet, kind))
        return content


class HeldReader(FakeReader):
    """Has the photos that it takes in hand until a test lets it read them, in whichever order."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, tuple[Path, Path, Future[Taken]]] = {}

    def take(self, path: Path, draft: Path) -> Future[Taken]:
        assert path.name not in self.held, "it is read twice at once"
        self.held[path.name] = path, draft, Future()
        return self.held[path.name][2]

    def let(self, *names: str, error: Exception | None = None) -> None:
        """Read photos that are held, or meet an error at each."""
        for name in names:
            path, draft, future = self.held.pop(name)
            done = super().take(path, draft)
            error = error or done.exception(0)  # type: ignore[assignment]
            if error is None:
                future.set_result(done.result(0))
            else:
                future.set_exception(error)
