"""A reader that needs no process: for tests whose pictures are whole and small."""

from pathlib import Path
from typing import Any, ClassVar

from nst_daemon.images.layout import ContactSheet
from nst_daemon.images.likeness import Descriptor
from nst_daemon.intake import reading
from nst_daemon.intake.inspection import Inspection
from nst_daemon.intake.reader import PhotoReader
from nst_daemon.intake.reading import Task


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
