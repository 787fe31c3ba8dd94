# nst-daemon plug-in @VERSION@
"""The orders of this Krita, and the one timer that follows them; shared by the dockers of all windows."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from krita import Krita

from . import documents
from .choices import (
    COLOURS,
    SELECTIONS,
    SIZES,
    Choice,
    Note,
    exchange_of_krita,
    note_of,
    sidecar_text,
)
from .documents import DocumentError
from .orders import Order
from .protocol import StyleEntry, shown
from .qt import QtCore

TICK_MS = 500  # the daemon answers once a second
SETTINGS = "nst_daemon"
KEPT = 2  # orders that are done and shown all the same
MESSAGE_MS = 5000  # that a message stands on the canvas


class Studio(QtCore.QObject):  # type: ignore[misc]
    """Takes orders, follows them and puts the paintings where they belong. Lives on Qt's thread."""

    changed = QtCore.pyqtSignal()
    styles_changed = QtCore.pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.exchange = exchange_of_krita()
        self.choice = remembered()
        self.orders: list[Order] = []
        self.styles: list[StyleEntry] = []
        self._documents: dict[str, Any] = {}  # of the orders of this session, by id
        self._stamp: object = ()
        self.exchange.sweep()
        for found in self.exchange.orders():
            note = note_of(self.exchange.asked(found) or "")
            if note is not None:
                self.orders.append(Order(found, note, time.monotonic(), is_ours=False))
        self._timer = QtCore.QTimer(self)
        self._timer.timeout.connect(self.tick)
        self._timer.start(TICK_MS)

    # What the dockers show.

    def of_active(self) -> list[Order]:
        """Return the orders of the image at the front: what is being painted, what waits, what is over."""
        front = documents.active()
        own = [order for order in self.orders if front is not None and self._is_of(order, front)]
        return sorted(own, key=lambda order: (order.is_over, order.percent is None))

    def of_closed(self) -> list[Order]:
        """Return the orders whose image is not open, as they came."""
        return [order for order in self.orders if self.document_of(order) is None]

    def elsewhere(self) -> int:
        """Return how many open orders other open images have."""
        shown = {order.id for order in (*self.of_active(), *self.of_closed())}
        return sum(not order.is_over and order.id not in shown for order in self.orders)

    def document_of(self, order: Order) -> Any:
        """Return the open image that an order belongs to; None: it is closed."""
        own = self._documents.get(order.id)
        return own if documents.is_open(own) else documents.with_file(order.note.path)

    def _is_of(self, order: Order, document: Any) -> bool:
        own = self.document_of(order)
        return own is not None and bool(own == document)

    # What the user does.

    def paint(self, choice: Choice) -> Order:
        """Order a painting of the image at the front.

        Raises:
            DocumentError, OSError: nothing was ordered, and why.
        """
        document = documents.active()
        if document is None:
            raise DocumentError("Open an image first.")
        if not choice.style:
            raise DocumentError("Choose a style first.")
        if not self.exchange.root.is_dir():
            raise DocumentError(
                f"The folder {shown(self.exchange.root)} is not there: "
                'run "nst-daemon editors install krita".'
            )
        remember(choice)
        self.choice = choice
        self.exchange.prepare()
        order = self.exchange.new_id()
        note = Note(
            style=choice.style,
            title=documents.title_of(document),
            path=document.fileName(),
            width=document.width(),
            height=document.height(),
            attended=not choice.goes_on,
        )
        try:
            mask = self._selection(document, order, choice.selection)
            documents.export(document, self.exchange.photo(order))
            new = Order(order, note, time.monotonic())
            if note.attended:
                self.exchange.give_sign(order, 0)
            self.exchange.commit(order, sidecar_text(choice, note, mask))
        except BaseException:
            self.exchange.tidy(order)
            raise
        self._documents[order] = document
        for old in [each for each in self.orders if each.is_over and not each.is_fault][:-KEPT]:
            self.orders.remove(old)
        self.orders.append(new)
        self.changed.emit()
        return new

    def _selection(self, document: Any, order: str, use: str) -> str:
        """Write the selection where it is needed; return the name of the daemon's mask, if there is one."""
        if use in ("layer", "both"):
            documents.save_selection(document, self.exchange.selection(order))
        mask = self.exchange.part(order, ".mask.png")
        if use in ("daemon", "both") and documents.save_selection(document, mask):
            return mask.name
        return ""

    def cancel(self, order: Order) -> None:
        """End an order, or throw away what it has become; one that is over is no longer shown."""
        if order.is_over:
            self.orders.remove(order)
        else:
            with suppress(OSError):
                order.cancel(self.exchange, time.monotonic())
        self.changed.emit()

    def fetch(self, order: Order) -> None:
        """Fetch a painting whose image was closed: as a layer where that is open again, else on its own."""
        document = self.document_of(order)
        if document is not None:
            self._place(order, document)
        else:
            painting = self.exchange.result(order.answer)
            try:
                if painting is None:
                    raise DocumentError("The painting has gone.")
                documents.open_painting(painting, f"{order.note.title}, {order.note.style}")
                order.fetched(self.exchange, "Opened as an image of its own.")
            except DocumentError as error:
                self.say(str(error))
        self.changed.emit()

    # What time does.

    def tick(self) -> None:
        """Follow every order, and the list of styles."""
        stamp = self.exchange.styles_stamp()
        if stamp != self._stamp:
            self._stamp, self.styles = stamp, self.exchange.styles()
            self.styles_changed.emit()
        for order in list(self.orders):
            self._follow(order)
        self.changed.emit()

    def _follow(self, order: Order) -> None:
        was_over = order.is_over
        order.follow(self.exchange, time.monotonic())
        if order.is_over and not was_over:
            if not order.is_ours and not order.is_fault:
                self.orders.remove(order)
            elif order.is_fault:
                self.say(f"{order.note.title}: {order.words}")
        document = self._documents.get(order.id)
        if not order.is_ready or order.trouble or not documents.is_open(document):
            return
        if not documents.is_busy(document):  # else at the next tick
            self._place(order, document)

    def _place(self, order: Order, document: Any) -> None:
        """Add a painting to its image."""
        painting, note = self.exchange.result(order.answer), order.note
        selection = self.exchange.selection(order.id)
        try:
            if painting is None or not painting.exists():
                raise DocumentError("The painting has gone. Paint it again.")
            scaled = documents.add_layer(
                document, painting, note.style, selection if selection.exists() else None
            )
        except DocumentError as error:
            order.trouble = str(error)  # the painting stays: it may be fetched by hand
            self.say(order.trouble)
            return
        words = f'Layer "{note.style}" added'
        if (note.width, note.height) != (document.width(), document.height()):
            words += f"; the image was {note.width} × {note.height} px before: the painting was scaled"
        elif scaled:
            words += f", {scaled}"
        order.fetched(self.exchange, words + ".")
        self.say(f"{note.title}: {words}.")

    def say(self, text: str) -> None:
        """Say something on the canvas, as Krita itself does."""
        window = Krita.instance().activeWindow()
        view = None if window is None else window.activeView()
        if view is not None and documents.active() is not None:
            view.showFloatingMessage(text, Krita.instance().icon("dialog-information"), MESSAGE_MS, 1)


def remembered() -> Choice:
    """Return what was chosen last; what no longer makes sense is as at the first time."""
    app, first, last = Krita.instance(), Choice(), Choice()
    for name, default in asdict(first).items():
        text = app.readSetting(SETTINGS, name, str(default))
        if isinstance(default, bool):
            setattr(last, name, text == "True")
        elif isinstance(default, int):
            setattr(last, name, int(text) if text.isdecimal() else default)
        else:
            setattr(last, name, text)
    for name, allowed in (("size", SIZES), ("colours", COLOURS), ("selection", SELECTIONS)):
        if getattr(last, name) not in allowed:
            setattr(last, name, getattr(first, name))
    return last


def remember(choice: Choice) -> None:
    """Keep what was chosen for the next time."""
    for name, value in asdict(choice).items():
        Krita.instance().writeSetting(SETTINGS, name, str(value))


_shared: list[Studio] = []


def shared() -> Studio:
    """Return the one studio of this Krita."""
    if not _shared:
        _shared.append(Studio())
    return _shared[0]
