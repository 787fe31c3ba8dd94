# nst-daemon plug-in @VERSION@
"""One order, from what was chosen to its layer: sent, followed with signs of life, and put into its image."""

import threading
import time

from gi.repository import Gimp
from pictures import RefusedError, place, save_grey, save_photo, selection_of
from protocol import (
    ANSWER_SECONDS,
    EXCHANGE,
    NOT_RUNNING,
    SIGN_SECONDS,
    Exchange,
    complaint,
    duration,
    shown,
    sidecar,
    whole,
)

FOLDER = Exchange(EXCHANGE, "gimp", ".tif")
LOOK_SECONDS = 0.25  # between two looks at the status
GIVEN_UP = "nst-daemon has given this up: GIMP gave no sign of life for 10 s. Paint it again."


class WithdrawnError(Exception):
    """Somebody has cancelled the work, in the daemon or by closing GIMP."""


class Signs:
    """Signs of life for one order, on a thread of their own, since a GIMP at work answers nobody."""

    def __init__(self, order):
        self._order = order
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def begin(self):
        """Give the first sign, and go on."""
        FOLDER.give_sign(self._order, 0)
        self._thread.start()

    def end(self):
        """Give no more."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _beat(self):
        number = 0
        while not self._is_over.wait(SIGN_SECONDS):
            number += 1  # one that differs from the last
            FOLDER.give_sign(self._order, number)


def paint(image, config):
    """Order a painting, wait for it and put it in; return what there is to say."""
    style = config.get_property("style")
    if not style:
        raise RefusedError("Choose a style.")
    if not FOLDER.root.is_dir():
        raise RefusedError(
            f'There is no folder "{shown(FOLDER.root)}": run "nst-daemon editors install gimp".'
        )
    FOLDER.prepare()
    FOLDER.sweep()
    use = config.get_property("selection")
    selection = None if use == "ignored" else selection_of(image)
    is_masked = selection is not None and use == "mask"
    sent = image.get_width(), image.get_height()
    Gimp.progress_init(f"{style}: sends the image")
    order = FOLDER.new_id()
    mask = FOLDER.part(order, ".mask.png")
    signs = Signs(order)
    result = None
    try:
        save_photo(image, FOLDER.photo(order))
        if is_masked:
            save_grey(selection, mask)
        signs.begin()
        FOLDER.commit(order, wishes(style, config, title_of(image), mask.name if is_masked else ""))
        result = wait(order, style)
        return place(image, result, style, None if is_masked else selection, sent)
    finally:
        signs.end()
        FOLDER.tidy(order, result)
        Gimp.displays_flush()


def title_of(image):
    """Return what people call an image: the name of its file, if it has one."""
    file = image.get_xcf_file() or image.get_imported_file() or image.get_file()
    return image.get_name() if file is None else file.get_basename()


def wishes(style, config, title, mask):
    """Return the sidecar."""
    size = config.get_property("size")
    return sidecar(
        style,
        title,
        size={"configured": "", "px": str(config.get_property("px"))}.get(size, size),
        strength=config.get_property("strength"),
        colours="luminance" if config.get_property("keep-colors") else "off",
        mask=mask,
    )


def wait(order, style):
    """Wait until the painting is done, and return its path."""
    began = time.monotonic()
    before, said = None, set()
    while True:
        status = FOLDER.status(order)
        state = status.get("state")
        words = complaint(status)  # paused, a full disk: it goes on by itself, and somebody should know
        if state == "done":
            return result_of(status)
        if state in ("failed", "held"):
            raise RefusedError(words or f"The painting is {state}.")
        if state == "cancelled":
            raise WithdrawnError(words)
        if not status and not FOLDER.is_there(order):  # the machine slept, and another has the daemon
            raise RefusedError(GIVEN_UP)
        if not status and time.monotonic() - began > ANSWER_SECONDS:
            words = NOT_RUNNING
        if words and words not in said:
            said.add(words)
            Gimp.message(words)
        if status != before:
            show(status, style)
            before = status
        time.sleep(LOOK_SECONDS)


def result_of(status):
    """Return the path of a painting that may be opened."""
    path = FOLDER.result(status)
    if path is None:
        raise RefusedError(f"The painting is not where it belongs: {status.get('result', '')!r}.")
    if not path.is_file():
        raise RefusedError(f"The painting is not there any more: {shown(path)}.")
    return path


def show(status, style):
    """Show on the progress bar how far the work is."""
    state = status.get("state", "")
    if state == "running":
        percent = max(0, min(100, whole(status.get("percent", "")) or 0))
        left = whole(status.get("eta", ""))
        Gimp.progress_set_text(f"{style}: {percent} %" + (f", {duration(left)} left" if left else ""))
        Gimp.progress_update(percent / 100)
    elif not state:
        Gimp.progress_set_text(f"{style}: waits for nst-daemon")
    elif whole(status.get("ahead", "")):
        Gimp.progress_set_text(f"{style}: queued, {status['ahead']} before it")
    else:
        Gimp.progress_set_text(f"{style}: queued")
