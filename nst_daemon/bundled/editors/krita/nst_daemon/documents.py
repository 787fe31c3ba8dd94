# nst-daemon plug-in @VERSION@
"""Krita's documents: a picture of one goes out, a painting comes in as a layer with one undo step.

The pixels stay in the document's depth and colour space, there and back; Krita converts them.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from krita import InfoObject, Krita

from .protocol import shown
from .qt import QtCore, QtGui, QtWidgets

PNG_MODELS = ("RGBA", "GRAYA")
PNG_DEPTHS = ("U8", "U16")
WIDE = "LargeRGB-elle-V2-g22.icc"  # for what is no RGB: holds the colours of any printer
RESAMPLING = "Bicubic"
ACTIVATION_MS = 150  # until Krita has made a new layer the active one
MASK_TYPES = ("transparencymask", "filtermask", "transformmask", "selectionmask", "colorizemask")


class DocumentError(Exception):
    """What cannot be done with a document, in words for the user."""


def active() -> Any:
    """Return the document at the front; None: there is none."""
    return Krita.instance().activeDocument()


def is_open(document: Any) -> bool:
    """Return whether a document is still there."""
    return document is not None and any(document == other for other in Krita.instance().documents())


def with_file(path: str) -> Any:
    """Return the open document of a file; None: it is not open."""
    documents = Krita.instance().documents() if path else []
    return next((document for document in documents if document.fileName() == path), None)


def title_of(document: Any) -> str:
    """Return what people call a document."""
    return Path(document.fileName()).name or document.name() or "Unnamed"


def is_busy(document: Any) -> bool:
    """Return whether somebody is just drawing, or something is being computed: a layer would disturb it."""
    if QtWidgets.QApplication.mouseButtons() != QtCore.Qt.MouseButton.NoButton:
        return True
    if QtWidgets.QApplication.activeModalWidget() is not None or not document.tryBarrierLock():
        return True
    document.unlock()
    return False


# Out.


def export(document: Any, path: Path) -> None:
    """Write what is visible of a document, with its profile, in 8 bits where it has 8, else in 16.

    Raises:
        DocumentError: Krita could not write it.
    """
    document.waitForDone()
    with _for_png(document) as flat:
        was_batch = flat.batchmode()
        flat.setBatchmode(True)  # no questions
        try:
            is_written = flat.exportImage(shown(path), _png_options())
        finally:
            flat.setBatchmode(was_batch)
    if not is_written or not path.exists():
        with suppress(OSError):
            path.unlink()
        raise DocumentError(f"Krita could not write {shown(path)}. Is the disk full?")


@contextmanager
def _for_png(document: Any) -> Iterator[Any]:
    """Yield the document, or a copy of it in what a PNG can hold."""
    model, depth = document.colorModel(), document.colorDepth()
    if model in PNG_MODELS and depth in PNG_DEPTHS:
        yield document
        return
    copy = document.clone()
    try:
        copy.setBatchmode(True)
        if model in PNG_MODELS:
            copy.setColorSpace(model, "U16", document.colorProfile())
        else:
            copy.setColorSpace("RGBA", "U16", WIDE)
        copy.waitForDone()
        copy.refreshProjection()
        yield copy
    finally:
        copy.setModified(False)
        copy.close()


def _png_options() -> Any:
    options = InfoObject()
    for name, value in {
        "alpha": True,
        "compression": 1,  # it is read once, by a program on the same disk
        "downsample": False,
        "forceSRGB": False,
        "indexed": False,
        "interlaced": False,
        "saveAsHDR": False,
        "saveSRGBProfile": True,
        "storeAuthor": False,
        "storeMetaData": False,
        "transparencyFillcolor": [255, 255, 255],
    }.items():
        options.setProperty(name, value)
    return options


def save_selection(document: Any, path: Path) -> bool:
    """Write the selection, white on black and as large as the document; False: nothing is selected.

    Raises:
        DocumentError: it could not be written.
    """
    selection = document.selection()
    if selection is None or selection.width() < 1 or selection.height() < 1:
        return False
    width, height = document.width(), document.height()
    pixels = selection.pixelData(0, 0, width, height).data()
    image = QtGui.QImage(pixels, width, height, width, QtGui.QImage.Format.Format_Grayscale8)
    if not image.save(shown(path), "PNG"):
        raise DocumentError(f"The selection could not be written to {shown(path)}. Is the disk full?")
    return True


# In.


def add_layer(document: Any, painting: Path, name: str, selection: Path | None) -> str:
    """Put a painting above the active layer, as large as the document; return what is to be said of it.

    Created and filled before it is added, since only the adding is an undo step.

    Raises:
        DocumentError: the painting cannot be read, or the layer not be added.
    """
    pixels, size = _pixels(document, painting)
    width, height = document.width(), document.height()
    mask = None if selection is None else _mask_pixels(selection, width, height)
    if mask is None:
        layer = document.createNode(name, "paintlayer")
        layer.setPixelData(pixels, 0, 0, width, height)
    else:
        layer = _masked_layer(document, name, pixels, mask)
    _put(document, layer)
    document.refreshProjection()
    return "" if size == (width, height) else f"painted at {size[0]} × {size[1]} px and scaled"


def open_painting(painting: Path, name: str) -> None:
    """Show a painting as an image of its own. Raises: DocumentError: it cannot be read."""
    window = Krita.instance().activeWindow()
    opened = _opened(painting)
    copy = opened.clone()  # of the same pixels, but of no file: the one in the exchange folder goes
    opened.close()
    copy.setFileName("")
    copy.setName(name)
    copy.setModified(True)
    window.addView(copy)


def _opened(path: Path) -> Any:
    app = Krita.instance()
    was_batch = app.batchmode()
    app.setBatchmode(True)  # no questions
    try:
        opened = app.openDocument(shown(path))
    finally:
        app.setBatchmode(was_batch)
    if opened is None or opened.width() < 1:
        raise DocumentError(f"Krita could not read {shown(path)}.")
    opened.waitForDone()
    return opened


def _pixels(document: Any, painting: Path) -> tuple[Any, tuple[int, int]]:
    """Return a painting's pixels in the document's size and colour space, and the size it had."""
    opened = _opened(painting)
    try:
        size = opened.width(), opened.height()
        wanted = document.width(), document.height()
        if size != wanted:
            opened.scaleImage(*wanted, document.resolution(), document.resolution(), RESAMPLING)
            opened.waitForDone()
        space = document.colorModel(), document.colorDepth(), document.colorProfile()
        if (opened.colorModel(), opened.colorDepth(), opened.colorProfile()) != space:
            if not opened.setColorSpace(*space):
                raise DocumentError(f"Krita could not convert the painting to {' '.join(space)}.")
            opened.waitForDone()
        opened.refreshProjection()
        opened.waitForDone()
        return opened.pixelData(0, 0, *wanted), size
    finally:
        opened.setModified(False)
        opened.close()


def _mask_pixels(selection: Path, width: int, height: int) -> bytes | None:
    """Return a saved selection in a document's size, a byte a pixel; None: there is none."""
    image = QtGui.QImage(shown(selection))
    if image.isNull():
        return None
    if (image.width(), image.height()) != (width, height):
        qt = QtCore.Qt
        image = image.scaled(
            width, height, qt.AspectRatioMode.IgnoreAspectRatio, qt.TransformationMode.SmoothTransformation
        )
    image = image.convertToFormat(QtGui.QImage.Format.Format_Grayscale8)
    stride = image.bytesPerLine()
    data = image.constBits().asstring(stride * height)
    return b"".join(data[row * stride : row * stride + width] for row in range(height))


def _masked_layer(document: Any, name: str, pixels: Any, mask: bytes) -> Any:
    """Return a layer with a transparency mask, ready to be added in one step.

    A mask that is made by createNode has no pixels in Krita 5.1, and to add it would be a step of its own.
    One that was read from a file has them, and a layer that is cloned takes its masks along.
    """
    with tempfile.TemporaryDirectory(prefix="nst-") as folder:
        path = Path(folder) / "masked.kra"
        _write_masked(path)
        template = _opened(path)
    try:
        template.setColorSpace(document.colorModel(), document.colorDepth(), document.colorProfile())
        template.waitForDone()
        layer = template.rootNode().childNodes()[0]
        width, height = document.width(), document.height()
        layer.setName(name)
        layer.setPixelData(pixels, 0, 0, width, height)
        layer.childNodes()[0].setPixelData(QtCore.QByteArray(mask), 0, 0, width, height)
        return layer.clone()
    finally:
        template.setModified(False)
        template.close()


def _write_masked(path: Path) -> None:
    """Write an image of one empty layer that has a mask of one black tile."""
    common = 'visible="1" locked="0" x="0" y="0" intimeline="0" colorlabel="0"'
    tile = b"VERSION 2\nTILEWIDTH 64\nTILEHEIGHT 64\nPIXELSIZE 1\nDATA 1\n0,0,LZF,4097\n\0" + bytes(4096)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("mimetype", "application/x-krita")
        file.writestr(
            "maindoc.xml",
            '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE DOC PUBLIC "-//KDE//DTD krita 2.0//EN"'
            ' "http://www.calligra.org/DTD/krita-2.0.dtd">\n<DOC xmlns="http://www.calligra.org/DTD/krita"'
            ' editor="Krita" syntaxVersion="2.0" kritaVersion="5.1.0">\n'
            '<IMAGE mime="application/x-kra" name="nst" width="64" height="64" colorspacename="RGBA"'
            ' profile="sRGB-elle-V2-srgbtrc.icc" x-res="72" y-res="72" description=""><layers>'
            f'<layer name="layer" nodetype="paintlayer" filename="layer1" {common}'
            ' uuid="{6f7a1c9e-2b5d-4d0e-9a41-7c3e5b8f1a20}" colorspacename="RGBA" compositeop="normal"'
            ' opacity="255" collapsed="0" channelflags="" channellockflags="1111" onionskin="0"><masks>'
            f'<mask name="Selection" nodetype="transparencymask" filename="mask1" {common}'
            ' uuid="{6f7a1c9e-2b5d-4d0e-9a41-7c3e5b8f1a21}"/></masks></layer></layers></IMAGE></DOC>\n',
        )
        file.writestr("nst/layers/layer1", b"VERSION 2\nTILEWIDTH 64\nTILEHEIGHT 64\nPIXELSIZE 4\nDATA 0\n")
        file.writestr("nst/layers/layer1.defaultpixel", bytes(4))
        file.writestr("nst/layers/mask1.pixelselection", tile)
        file.writestr("nst/layers/mask1.pixelselection.defaultpixel", bytes(1))


def _put(document: Any, layer: Any) -> None:
    """Add a layer above the active one; above its group, where that is locked."""
    above = active = document.activeNode()
    while above is not None and above.type() in MASK_TYPES:
        above = above.parentNode()
    while above is not None and above.parentNode() is not None:
        if above.parentNode().addChildNode(layer, above):
            break
        above = above.parentNode()
    else:
        if not document.rootNode().addChildNode(layer, None):
            raise DocumentError("Krita could not add the layer.")
    QtCore.QTimer.singleShot(ACTIVATION_MS, lambda: _reactivate(document, layer, active))


def _reactivate(document: Any, layer: Any, active: Any) -> None:
    """Make the layer active that was: Krita activates a new one, and somebody may be drawing."""
    if not is_open(document) or active is None or active.parentNode() is None:
        return
    now = document.activeNode()
    if now is not None and now.uniqueId() == layer.uniqueId():
        document.setActiveNode(active)
