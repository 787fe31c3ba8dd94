# nst-daemon plug-in @VERSION@
"""The docker: styles with their pictures, what is to be set, and the orders of the image at the front."""

from __future__ import annotations

from pathlib import Path

from krita import DockWidget

from . import documents
from .choices import COLOURS, SELECTIONS, SIZES, Choice
from .documents import DocumentError
from .orders import Order
from .protocol import shown
from .qt import QtCore, QtGui, QtWidgets
from .studio import Studio, shared

THUMB = 72  # px
GRID = QtCore.QSize(THUMB + 16, THUMB + 32)
STYLES_HEIGHT = 2 * GRID.height() + 12  # px: two rows
MAX_PREVIEW = 4096  # px; a larger one is not looked at
NO_STYLES = 'No styles yet: start nst-daemon with "nst-daemon start".'


class PaintDocker(DockWidget):  # type: ignore[misc]
    """One window's view of the studio. Lives on Qt's thread."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("Paint in a style")
        self._studio: Studio = shared()
        self._rows: dict[str, Row] = {}
        self._form = Form(self._studio)
        self._heading = QtWidgets.QLabel()
        self._heading.setObjectName("nst_heading")
        self._list = QtWidgets.QVBoxLayout()
        self._list.setSpacing(6)
        self._closed_heading = QtWidgets.QLabel("From images that are closed")
        self._closed = QtWidgets.QVBoxLayout()
        inner = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(inner)
        column.setContentsMargins(6, 6, 6, 6)
        column.addWidget(self._form)
        column.addWidget(self._heading)
        column.addLayout(self._list)
        column.addWidget(self._closed_heading)
        column.addLayout(self._closed)
        column.addStretch(1)
        area = QtWidgets.QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        self.setWidget(area)
        self._studio.changed.connect(self.refresh)
        self.refresh()

    def canvasChanged(self, canvas: object) -> None:  # noqa: N802 (Krita's name)
        """Show the orders of the image that has come to the front."""
        self.refresh()

    def refresh(self) -> None:
        """Show what has changed."""
        self._form.refresh()
        own, closed = self._studio.of_active(), self._studio.of_closed()
        elsewhere = self._studio.elsewhere()
        self._heading.setText(f"{elsewhere} more in other images" if elsewhere else "")
        self._heading.setVisible(bool(elsewhere))
        self._closed_heading.setVisible(bool(closed))
        for gone in self._rows.keys() - {order.id for order in (*own, *closed)}:
            row = self._rows.pop(gone)
            row.hide()
            row.deleteLater()
        self._show(own, self._list)
        self._show(closed, self._closed)

    def _show(self, orders: list[Order], column: QtWidgets.QVBoxLayout) -> None:
        for at, order in enumerate(orders):
            row = self._rows.get(order.id)
            if row is None:
                row = self._rows[order.id] = Row(self._studio, order)
            if column.indexOf(row) != at:
                column.insertWidget(at, row)
            row.refresh()


class Form(QtWidgets.QWidget):  # type: ignore[misc]
    """What is to be painted: the style and a few settings."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self._studio = studio
        last = studio.choice
        self._wanted = last.style
        self.styles = _style_list()
        self.empty = QtWidgets.QLabel(NO_STYLES)
        self.empty.setWordWrap(True)
        self.size = _combo(SIZES, last.size, "nst_size")
        self.px = _spin(16, 16384, last.px, "nst_px")
        self.px.setSuffix(" px")
        self.px.setSingleStep(64)
        self.strength = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self.strength.setObjectName("nst_strength")
        self.strength.setRange(0, 100)
        self.strength.setValue(last.strength)
        self.strength.setToolTip("0 % is the image as it is, 100 % the painting")
        self.percent = _spin(0, 100, last.strength, "nst_percent")
        self.percent.setSuffix(" %")
        self.colours = _combo(COLOURS, last.colours, "nst_colours")
        self.colours.setToolTip("Whose colours the painting has")
        self.selection = _combo(SELECTIONS, last.selection, "nst_selection")
        self.selection.setToolTip("What becomes of the selection, where something is selected")
        self.goes_on = QtWidgets.QCheckBox("Go on when Krita closes")
        self.goes_on.setObjectName("nst_goes_on")
        self.goes_on.setChecked(last.goes_on)
        self.goes_on.setToolTip("The painting can be fetched at Krita's next start")
        self.button = QtWidgets.QPushButton("Paint")
        self.button.setObjectName("nst_paint")
        self.message = QtWidgets.QLabel()
        self.message.setObjectName("nst_message")
        self.message.setWordWrap(True)
        self.message.hide()
        self._arrange()
        self._connect()
        self.fill()

    def _arrange(self) -> None:
        form = QtWidgets.QFormLayout()
        form.setFieldGrowthPolicy(QtWidgets.QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Size", _side_by_side(self.size, self.px))
        form.addRow("Strength", _side_by_side(self.strength, self.percent))
        form.addRow("Colours", self.colours)
        form.addRow("Selection", self.selection)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.empty)
        column.addWidget(self.styles)
        column.addLayout(form)
        column.addWidget(self.goes_on)
        column.addWidget(self.button)
        column.addWidget(self.message)

    def _connect(self) -> None:
        self.strength.valueChanged.connect(self.percent.setValue)
        self.percent.valueChanged.connect(self.strength.setValue)
        self.size.currentIndexChanged.connect(self.refresh)
        self.styles.itemSelectionChanged.connect(self._style_chosen)
        self.styles.itemDoubleClicked.connect(lambda _: self.paint())
        self.button.clicked.connect(lambda _: self.paint())
        self._studio.styles_changed.connect(self.fill)

    def fill(self) -> None:
        """Show the styles that there are; the choice stays."""
        self.styles.blockSignals(True)
        self.styles.clear()
        for entry in self._studio.styles:
            item = QtWidgets.QListWidgetItem(_thumbnail(entry.thumb), entry.name.replace("_", " "))
            item.setData(QtCore.Qt.ItemDataRole.UserRole, entry.name)
            item.setToolTip(entry.name)
            item.setSizeHint(GRID)
            self.styles.addItem(item)
            if entry.name == self._wanted:
                self.styles.setCurrentItem(item)
        self.styles.blockSignals(False)
        self.refresh()

    def refresh(self, _: object = None) -> None:
        """Show what can be done."""
        is_empty = self.styles.count() == 0
        self.empty.setVisible(is_empty)
        self.styles.setVisible(not is_empty)
        self.px.setVisible(self.size.currentData() == "px")
        self.button.setEnabled(documents.active() is not None and bool(self.styles.selectedItems()))

    def choice(self) -> Choice:
        """Return what is set."""
        item = self.styles.currentItem()
        return Choice(
            style=item.data(QtCore.Qt.ItemDataRole.UserRole) if item is not None else "",
            size=self.size.currentData(),
            px=self.px.value(),
            strength=self.percent.value(),
            colours=self.colours.currentData(),
            selection=self.selection.currentData(),
            goes_on=self.goes_on.isChecked(),
        )

    def paint(self) -> None:
        """Order the painting, or say why not."""
        try:
            self._studio.paint(self.choice())
            self.message.hide()
        except DocumentError as error:
            self._complain(str(error))
        except OSError as error:
            self._complain(f"The picture could not be handed over: {error.strerror or error}.")

    def _complain(self, text: str) -> None:
        self.message.setText(text)
        self.message.show()

    def _style_chosen(self) -> None:
        self._wanted = self.choice().style
        self.refresh()


class Row(QtWidgets.QFrame):  # type: ignore[misc]
    """One order: what it is, how far it is, what it looks like, and its end."""

    def __init__(self, studio: Studio, order: Order) -> None:
        super().__init__()
        self._studio, self._order = studio, order
        self._seen: tuple[object, ...] = ()
        self._picture = QtGui.QPixmap()
        self.setObjectName(f"nst_row_{order.id}")
        self.setFrameShape(QtWidgets.QFrame.Shape.StyledPanel)
        self.title = QtWidgets.QLabel()
        self.title.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        self.title.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Preferred)
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self.fetch = QtWidgets.QPushButton("Fetch")
        self.fetch.setObjectName("nst_fetch")
        self.end = QtWidgets.QPushButton("Cancel")
        self.end.setObjectName("nst_cancel")
        self.bar = QtWidgets.QProgressBar()
        self.bar.setRange(0, 100)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(8)
        self.words = QtWidgets.QLabel()
        self.words.setObjectName("nst_words")
        self.words.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        self.words.setWordWrap(True)
        self.preview = QtWidgets.QLabel()
        self.preview.setObjectName("nst_preview")
        self.preview.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        self.preview.setSizePolicy(
            QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Preferred
        )
        head = QtWidgets.QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.fetch)
        head.addWidget(self.end)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self.bar)
        column.addWidget(self.words)
        column.addWidget(self.preview)
        self.fetch.clicked.connect(lambda _: self._studio.fetch(self._order))
        self.end.clicked.connect(lambda _: self._studio.cancel(self._order))

    def refresh(self) -> None:
        """Show what has changed."""
        order, note = self._order, self._order.note
        is_closed = self._studio.document_of(order) is None
        style = note.style.replace("_", " ")
        self.title.setText(f"{note.title}: {style}" if is_closed else style)
        self.title.setToolTip(f"{note.title}: {note.style}")
        self.words.setText(order.describe())
        problem = "color: #e07a5f;" if order.is_stuck else ""
        if self.words.styleSheet() != problem:
            self.words.setStyleSheet(problem)
        self.bar.setVisible(order.percent is not None)
        self.bar.setValue(order.percent or 0)
        self.fetch.setVisible(order.is_ready and (is_closed or not order.is_ours or bool(order.trouble)))
        self.fetch.setToolTip(
            f"Opens the painting as an image; open {note.title} before, to get it as a layer"
            if is_closed
            else "Adds the painting as a layer"
        )
        self.end.setText("Close" if order.is_over else "Throw away" if order.is_ready else "Cancel")
        self.end.setEnabled(order.is_over or order.cancelled_at is None)
        self._refresh_preview(order.preview(self._studio.exchange))

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:  # noqa: N802 (Qt's name)
        """Keep the live picture as wide as there is room."""
        super().resizeEvent(event)
        self._fit()

    def _refresh_preview(self, path: Path | None) -> None:
        if path is None:
            self._seen = ()
            self.preview.hide()
            return
        try:
            facts = path.stat()
        except OSError:
            return
        seen = (path, facts.st_mtime_ns, facts.st_size)
        if seen == self._seen:
            return
        picture = _picture(path)
        if not picture.isNull():
            self._seen, self._picture = seen, picture
            self._fit()
            self.preview.show()

    def _fit(self) -> None:
        if not self._picture.isNull():
            room = max(32, self.width() - 18)
            if self._picture.width() > room:
                mode = QtCore.Qt.TransformationMode.SmoothTransformation
                self.preview.setPixmap(self._picture.scaledToWidth(room, mode))
            else:
                self.preview.setPixmap(self._picture)


def _style_list() -> QtWidgets.QListWidget:
    styles = QtWidgets.QListWidget()
    styles.setObjectName("nst_styles")
    styles.setViewMode(QtWidgets.QListView.ViewMode.IconMode)
    styles.setResizeMode(QtWidgets.QListView.ResizeMode.Adjust)
    styles.setMovement(QtWidgets.QListView.Movement.Static)
    styles.setIconSize(QtCore.QSize(THUMB, THUMB))
    styles.setGridSize(GRID)
    styles.setUniformItemSizes(True)
    styles.setWordWrap(True)
    styles.setFixedHeight(STYLES_HEIGHT)
    return styles


def _thumbnail(path: Path | None) -> QtGui.QIcon:
    """Return a style's small picture, cut to a square."""
    square = QtGui.QPixmap(THUMB, THUMB)
    square.fill(QtGui.QColor("#808080"))
    picture = QtGui.QPixmap() if path is None else _picture(path)
    if not picture.isNull():
        qt = QtCore.Qt
        picture = picture.scaled(
            THUMB,
            THUMB,
            qt.AspectRatioMode.KeepAspectRatioByExpanding,
            qt.TransformationMode.SmoothTransformation,
        )
        left, top = (picture.width() - THUMB) // 2, (picture.height() - THUMB) // 2
        square = picture.copy(left, top, THUMB, THUMB)
    return QtGui.QIcon(square)


def _picture(path: Path) -> QtGui.QPixmap:
    """Return a small picture; a null one: it is none, or too large."""
    reader = QtGui.QImageReader(shown(path))
    size = reader.size()
    if not size.isValid() or max(size.width(), size.height()) > MAX_PREVIEW:
        return QtGui.QPixmap()
    return QtGui.QPixmap.fromImage(reader.read())


def _combo(words: dict[str, str], chosen: str, name: str) -> QtWidgets.QComboBox:
    combo = QtWidgets.QComboBox()
    combo.setObjectName(name)
    for key, text in words.items():
        combo.addItem(text, key)
    combo.setCurrentIndex(max(0, combo.findData(chosen)))
    combo.setMinimumContentsLength(8)
    combo.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
    combo.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return combo


def _spin(low: int, high: int, value: int, name: str) -> QtWidgets.QSpinBox:
    spin = QtWidgets.QSpinBox()
    spin.setObjectName(name)
    spin.setRange(low, high)
    spin.setValue(value)
    return spin


def _side_by_side(*widgets: QtWidgets.QWidget) -> QtWidgets.QHBoxLayout:
    line = QtWidgets.QHBoxLayout()
    for at, widget in enumerate(widgets):
        line.addWidget(widget, 1 if at == 0 else 0)
    return line
