#!/usr/bin/env python3
# nst-daemon plug-in @VERSION@
"""Filters > Artistic > Paint in a style…, for GIMP 3: nst-daemon's painting of the image becomes a layer.

Touches files in the exchange folder and nothing else. Lives in a process of its own, so that the image stays
usable while it waits. Cancel kills that process before it can tidy up: hence the life sign, without which the
daemon ends the work within ten seconds and takes the order's files away.
"""

import random
import struct
import sys
import threading
import time
import zlib
from pathlib import Path

import gi

for library, version in (
    ("Gimp", "3.0"),
    ("GimpUi", "3.0"),
    ("Gegl", "0.4"),
    ("GdkPixbuf", "2.0"),
    ("Gtk", "3.0"),
):
    gi.require_version(library, version)
from gi.repository import GdkPixbuf, Gegl, Gimp, GimpUi, Gio, GLib, GObject, Gtk  # noqa: E402

EXCHANGE = Path("@EXCHANGE@")
IN = EXCHANGE / "in" / "gimp"
NAME = "nst-daemon-paint"
TITLE = "Paint in a style"
THUMB = 48  # px
LOOK_SECONDS = 0.25  # between two looks at the status
ALIVE_SECONDS = 2.0  # between two signs of life; after 10 s without one the daemon ends the work
ANSWER_SECONDS = 3.0  # a daemon that runs has answered by then
NOT_RUNNING = (
    'nst-daemon is not running: start it with "nst-daemon start". The picture waits, and will be painted.'
)
ENDINGS = (".tif", ".tiff", ".png", ".jpg")
SIZES = (
    ("configured", "As in config.yaml"),
    ("original", "As the image"),
    ("px", "As below"),
)
SELECTIONS = (
    ("layer-mask", "Becomes the mask of the new layer"),
    ("mask", "Is painted, and the rest stays photo"),
    ("ignored", "Is ignored"),
)
# What this plug-in calls. The API moved between versions, and a missing name is better told than met.
CALLS = {
    Gimp: "Choice ImageProcedure Selection file_load file_load_layer get_pdb progress_init progress_update",
    Gimp.Image: "duplicate get_selected_layers insert_layer merge_visible_layers undo_group_start is_valid",
    Gimp.Layer: "add_mask create_mask get_buffer new resize_to_image_size scale",
}


class RefusedError(Exception):
    """What the user has to be told instead of a painting."""


class WithdrawnError(Exception):
    """Somebody has cancelled the work, in the daemon or by closing GIMP."""


# ── the exchange folder ─────────────────────────────────────────────────────────────────────────────────────


def styles():
    """Return the names of the styles and the paths of their small pictures, None where there is none."""
    found = []
    try:
        lines = (EXCHANGE / "styles.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    for line in lines:
        name, _, thumb = line.partition("\t")
        is_inside = thumb.startswith("thumbs/") and ".." not in thumb and "\\" not in thumb
        if name:
            found.append((name, EXCHANGE / thumb if is_inside else None))
    return found


def quoted(text):
    """Return a text as YAML takes it, between double quotes."""
    marks = {'"': '\\"', "\\": "\\\\"}
    return '"' + "".join(marks.get(c, c if c.isprintable() else escaped(c)) for c in text) + '"'


def escaped(character):
    """Return a character as YAML spells it by its number."""
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class Order:
    """The files of one order."""

    def __init__(self):
        letters = "".join(random.SystemRandom().choice("abcdefghijklmnopqrstuvwxyz") for _ in range(6))
        self.id = time.strftime("%Y%m%d-%H%M%S-gimp3-") + letters
        self.photo = IN / f"{self.id}.tif"
        self.mask = self.path(".mask.png")
        self.signs = 0
        self.is_over = threading.Event()
        self.pulse = threading.Thread(target=self.beat, daemon=True)

    def path(self, ending):
        """Return where one of its files is, or would be."""
        return self.photo.with_name(self.photo.name + ending)

    def commit(self, lines):
        """Write the sidecar, which says that all is there; by rename, so that nobody sees half of it."""
        part = IN / f".{self.id}.part"
        part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        part.replace(self.path(".yaml"))

    def live(self):
        """Give a sign of life: one that differs from the last."""
        self.signs += 1
        self.path(".alive").write_text(f"{self.signs}\n", encoding="ascii")

    def beat(self):
        """Give signs of life until the order is over; on a thread, since a GIMP at work answers nobody."""
        while not self.is_over.wait(ALIVE_SECONDS):
            try:
                self.live()
            except OSError:  # the disk is full: the next may succeed
                continue

    def status(self):
        """Return what the daemon says, empty as long as it has said nothing."""
        try:
            lines = self.path(".status").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return {}
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def tidy(self, result=None):
        """Remove all that belongs to the order. Without its sidecar it asks for nothing."""
        self.is_over.set()
        if self.pulse.is_alive():
            self.pulse.join()
        endings = (".yaml", "", ".mask.png", ".alive", ".cancel", ".status")
        own = [self.path(ending) for ending in endings]
        if result is not None and result.name.startswith(f"{self.id}."):
            own.insert(0, result)
        for path in own:
            try:
                path.unlink()
            except OSError:
                continue  # it was never there, or the daemon sweeps it


def result_of(status):
    """Return the path of a result that may be opened: relative, inside our outbox, a picture by its name."""
    result = status.get("result", "")
    if not result.startswith("out/gimp/") or ".." in result or "\\" in result or not result.endswith(ENDINGS):
        raise RefusedError(f"The painting is not where it belongs: {result!r}.")
    path = EXCHANGE / result
    if not path.is_file():
        raise RefusedError(f"The painting is not there any more: {path}.")
    return path


# ── pictures ────────────────────────────────────────────────────────────────────────────────────────────────


def save_photo(image, path):
    """Write a flat duplicate of what is visible, with its transparency, its profile and its 8 or 16 bits."""
    flat = image.duplicate()
    try:
        flat.undo_disable()
        Gimp.Selection.none(flat)
        floating = flat.get_floating_sel()
        if floating is not None:
            Gimp.floating_sel_anchor(floating)
        layer = flat.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE)
        if layer is None:
            raise RefusedError("Nothing of the image is visible.")
        layer.resize_to_image_size()
        if flat.get_base_type() != Gimp.ImageBaseType.RGB:
            flat.convert_rgb()
        eight = (Gimp.Precision.U8_LINEAR, Gimp.Precision.U8_NON_LINEAR, Gimp.Precision.U8_PERCEPTUAL)
        is_deep = flat.get_precision() not in eight
        wanted = Gimp.Precision.U16_NON_LINEAR if is_deep else Gimp.Precision.U8_NON_LINEAR
        if flat.get_precision() != wanted:
            flat.convert_precision(wanted)
        export(flat, path)
    finally:
        flat.delete()


def export(image, path):
    """Write a TIFF with profile and metadata, which GIMP leaves out where nobody asks."""
    procedure = Gimp.get_pdb().lookup_procedure("file-tiff-export")
    if procedure is None:
        raise RefusedError("This GIMP cannot write TIFF.")
    config = procedure.create_config()
    wanted = {
        "include-color-profile": True,
        "include-exif": True,
        "include-xmp": True,
        "include-iptc": True,
        "include-thumbnail": False,
        "save-transparent-pixels": True,
    }
    known = {each.name for each in config.list_properties()}
    config.set_property("image", image)
    config.set_property("file", Gio.File.new_for_path(str(path)))
    for name, value in wanted.items():
        if name in known:
            config.set_property(name, value)
    procedure.run(config)
    if not path.exists():
        raise RefusedError(f"GIMP could not write {path}.")


def selection_of(image):
    """Return width, height and one byte a pixel of what is selected; None: nothing is."""
    if Gimp.Selection.is_empty(image):
        return None
    width, height = image.get_width(), image.get_height()
    area = Gegl.Rectangle.new(0, 0, width, height)
    grey = image.get_selection().get_buffer().get(area, 1.0, "Y u8", Gegl.AbyssPolicy.NONE)
    return width, height, bytes(grey)


def save_grey(selection, path):
    """Write a selection as a PNG of 8 bits, white where selected; GIMP itself would change its greys."""
    width, height, grey = selection
    rows = b"".join(b"\0" + grey[at : at + width] for at in range(0, width * height, width))

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.write(chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)))
        file.write(chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def add_mask(image, layer, selection):
    """Give a layer the selection as its mask, by way of a layer that has it as alpha: nothing is lost so."""
    width, height, grey = selection
    base = Gimp.ImageType.RGBA_IMAGE if layer.is_rgb() else Gimp.ImageType.GRAYA_IMAGE
    carrier = Gimp.Layer.new(image, "selection", width, height, base, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(carrier, None, 0)
    pixels = bytearray(b"\xff") * (2 * len(grey))
    pixels[1::2] = grey
    buffer = carrier.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, width, height), "YA u8", bytes(pixels))
    buffer.flush()
    if (width, height) != (layer.get_width(), layer.get_height()):
        carrier.scale(layer.get_width(), layer.get_height(), False)
    mask = carrier.create_mask(Gimp.AddMaskType.ALPHA)
    image.remove_layer(carrier)
    layer.add_mask(mask)
    layer.set_edit_mask(False)


def insert(image, layer, name):
    """Put a layer above the active one, at 0,0."""
    active = image.get_selected_layers()
    parent = active[0].get_parent() if active else None
    position = image.get_item_position(active[0]) if active else 0
    layer.set_name(name)
    if not image.insert_layer(layer, parent, position):
        raise RefusedError("GIMP could not put the painting into the image.")
    layer.set_offsets(0, 0)
    image.set_selected_layers([layer])


def fit(image, layer, sent):
    """Scale a layer to its image, and return a sentence that says so; empty where it fits."""
    size = image.get_width(), image.get_height()
    was = layer.get_width(), layer.get_height()
    if was == size:
        return ""
    layer.scale(*size, False)
    said = f"{layer.get_name()} was painted at {px(was)} and is scaled to the image, {px(size)}"
    return said + (f", which had {px(sent)} when it was sent." if sent != size else ".")


def px(size):
    """Return a width and a height in words."""
    return f"{size[0]} × {size[1]} px"


# ── one order, from its dialog to its layer ─────────────────────────────────────────────────────────────────


def place(image, path, style, selection, sent):
    """Put a painting into its image as one step to undo, or into a new one if that is closed."""
    file = Gio.File.new_for_path(str(path))
    if not image.is_valid():
        return place_alone(file, style)
    if image.get_floating_sel() is not None:
        return place_alone(file, style)
    image.undo_group_start()
    try:
        layer = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image, file)
        if layer is None:
            raise RefusedError(f"GIMP could not open the painting, {path}.")
        insert(image, layer, style)
        said = fit(image, layer, sent)
        if selection is not None:
            add_mask(image, layer, selection)
    finally:
        image.undo_group_end()
    return said


def place_alone(file, style):
    """Open a painting as an image of its own, and return a sentence that says so."""
    painting = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    if painting is None:
        raise RefusedError(f"GIMP could not open the painting, {file.get_path()}.")
    for layer in painting.get_layers():
        layer.set_name(style)
    Gimp.Display.new(painting)
    return f"{style} is an image of its own: the one that was painted is closed, or has a floating selection."


def sentence(status):
    """Return what the daemon tells the user: what is wrong, and what to do."""
    return " ".join(status[key] for key in ("error", "remedy") if status.get(key))


def show(status, style):
    """Show on the progress bar how far the work is."""
    state = status.get("state", "")
    if state == "running":
        percent = int(status["percent"]) if status.get("percent", "").isdecimal() else 0
        left = f", {duration(int(status['eta']))} left" if status.get("eta", "").isdecimal() else ""
        Gimp.progress_set_text(f"{style}: {percent} %{left}")
        Gimp.progress_update(percent / 100)
    elif not state:
        Gimp.progress_set_text(f"{style}: waits for nst-daemon")
    elif status.get("ahead", "0") not in ("0", ""):
        Gimp.progress_set_text(f"{style}: queued, {status['ahead']} before it")
    else:
        Gimp.progress_set_text(f"{style}: queued")


def duration(seconds):
    """Return a time in words."""
    if seconds < 90:
        return f"{seconds} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{round(seconds / 3600)} h"


def wait(order, style):
    """Wait until the painting is done, give signs of life meanwhile, and return its path."""
    began = time.monotonic()
    shown, said = None, set()
    while True:
        status = order.status()
        state = status.get("state")
        if state == "done":
            return result_of(status)
        if state in ("failed", "held"):
            raise RefusedError(sentence(status) or f"The painting is {state}.")
        if state == "cancelled":
            raise WithdrawnError(sentence(status))
        words = sentence(status)  # paused, a full disk: it goes on by itself, and somebody should know
        if not status and time.monotonic() - began > ANSWER_SECONDS:
            words = NOT_RUNNING
        if words and words not in said:
            said.add(words)
            Gimp.message(words)
        if status != shown:
            show(status, style)
            shown = status
        time.sleep(LOOK_SECONDS)


def paint(image, config):
    """Order a painting, wait for it and put it in; return what there is to say."""
    style = config.get_property("style")
    if not style:
        raise RefusedError("Choose a style.")
    if not EXCHANGE.is_dir():
        raise RefusedError(f'There is no folder "{EXCHANGE}": run "nst-daemon editors install gimp".')
    IN.mkdir(mode=0o700, parents=True, exist_ok=True)
    use = config.get_property("selection")
    selection = None if use == "ignored" else selection_of(image)
    sent = image.get_width(), image.get_height()
    Gimp.progress_init(f"{style}: sends the image")
    order = Order()
    result = None
    try:
        save_photo(image, order.photo)
        is_masked = selection is not None and use == "mask"
        if is_masked:
            save_grey(selection, order.mask)
        order.live()
        order.pulse.start()
        order.commit(wishes(style, config, title_of(image), order.mask.name if is_masked else None))
        result = wait(order, style)
        return place(image, result, style, None if is_masked else selection, sent)
    finally:
        order.tidy(result)
        Gimp.displays_flush()


def title_of(image):
    """Return what people call an image: the name of its file, if it has one."""
    file = image.get_xcf_file() or image.get_imported_file() or image.get_file()
    return image.get_name() if file is None else file.get_basename()


def wishes(style, config, title, mask):
    """Return the lines of the sidecar."""
    size = config.get_property("size")
    settings = {
        "strength": f"{config.get_property('strength') / 100:.2f}",
        "preserve_color": "luminance" if config.get_property("keep-colors") else "off",
    }
    if size != "configured":
        settings["size"] = str(config.get_property("px")) if size == "px" else "original"
    return [
        f"style: {quoted(style)}",
        "set: {" + ", ".join(f"{key}: {value}" for key, value in settings.items()) + "}",
        *([f"mask: {quoted(mask)}"] if mask else []),
        f"title: {quoted(title)}",
        "attended: true",
        "whole: true",
    ]


# ── the dialog ──────────────────────────────────────────────────────────────────────────────────────────────


def chooser(config):
    """Return a list of styles with small pictures, which keeps the config's style as it is changed."""
    store = Gtk.ListStore(str, GdkPixbuf.Pixbuf)
    names = []
    for name, thumb in styles():
        store.append([name, small(thumb)])
        names.append(name)
    combo = Gtk.ComboBox.new_with_model(store)
    combo.set_wrap_width(3 if len(names) > 8 else 0)
    for renderer, kind, column in (
        (Gtk.CellRendererPixbuf(xpad=3, ypad=2), "pixbuf", 1),
        (Gtk.CellRendererText(xpad=6, xalign=0), "text", 0),
    ):
        combo.pack_start(renderer, kind == "text")
        combo.add_attribute(renderer, kind, column)

    def follow(*_):
        chosen = config.get_property("style")
        combo.set_active(names.index(chosen) if chosen in names else 0)

    def keep(*_):
        if combo.get_active() >= 0:
            config.set_property("style", names[combo.get_active()])

    follow()
    keep()
    combo.connect("changed", keep)
    config.connect("notify::style", follow)
    return combo


def small(path):
    """Return the small picture of a style, None where there is none."""
    try:
        return GdkPixbuf.Pixbuf.new_from_file_at_scale(str(path), THUMB, THUMB, True) if path else None
    except GLib.Error:
        return None


def asked(procedure, config, image):
    """Return whether the user wants it, with what was chosen in the config."""
    GimpUi.init(NAME)
    dialog = GimpUi.ProcedureDialog.new(procedure, config, TITLE)
    row = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=6)
    label = Gtk.Label.new_with_mnemonic("_Style")
    combo = chooser(config)
    label.set_mnemonic_widget(combo)
    row.pack_start(label, False, False, 0)
    row.pack_start(combo, True, True, 0)
    row.show_all()
    dialog.get_content_area().pack_start(row, False, False, 0)
    dialog.fill(["size", "px", "strength", "keep-colors", "selection"])
    size = dialog.get_widget("size", GObject.TYPE_NONE)
    if isinstance(size, GimpUi.Labeled):  # one column of labels
        column = Gtk.SizeGroup.new(Gtk.SizeGroupMode.HORIZONTAL)
        label.set_xalign(0.0)
        for each in (label, size.get_label()):
            column.add_widget(each)
    sizes = dialog.get_widget("px", GObject.TYPE_NONE)
    uses = dialog.get_widget("selection", GObject.TYPE_NONE)

    def follow(*_):
        if sizes is not None:
            sizes.set_sensitive(config.get_property("size") == "px")

    config.connect("notify::size", follow)
    follow()
    if uses is not None:
        uses.set_sensitive(not Gimp.Selection.is_empty(image))
    wanted = dialog.run()
    dialog.destroy()
    return wanted


def missing():
    """Return the names that this plug-in calls and this GIMP lacks."""
    return [
        f"{owner.__name__}.{name}"
        for owner, names in CALLS.items()
        for name in names.split()
        if not hasattr(owner, name)
    ]


def run(procedure, run_mode, image, drawables, config, data):
    """Do what the menu entry says."""
    Gegl.init(None)

    def ended(status, words=""):
        error = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), words, 0) if words else GLib.Error()
        return procedure.new_return_values(status, error)

    try:
        if lacks := missing():
            raise RefusedError(
                f"This plug-in is for GIMP 3.0, and GIMP {Gimp.version()} lacks {', '.join(lacks)}. "
                'Bring it up to date: "nst-daemon editors install gimp".'
            )
        if run_mode == Gimp.RunMode.INTERACTIVE:
            if not styles():
                raise RefusedError('No styles are known yet: start nst-daemon with "nst-daemon start".')
            if not asked(procedure, config, image):
                return ended(Gimp.PDBStatusType.CANCEL)
        if words := paint(image, config):
            Gimp.message(words)
    except WithdrawnError as withdrawn:
        Gimp.message(f"{config.get_property('style')} is cancelled. {withdrawn}".strip())
        return ended(Gimp.PDBStatusType.CANCEL)
    except RefusedError as refused:
        return ended(Gimp.PDBStatusType.EXECUTION_ERROR, str(refused))
    except OSError as error:
        return ended(Gimp.PDBStatusType.EXECUTION_ERROR, f"The exchange folder cannot be used: {error}.")
    return ended(Gimp.PDBStatusType.SUCCESS)


class NstDaemon(Gimp.PlugIn):
    """Tells GIMP of the menu entry."""

    def do_set_i18n(self, name):
        """Say that the texts are not translated."""
        return False

    def do_query_procedures(self):
        """Return the names of the procedures."""
        return [NAME]

    def do_create_procedure(self, name):
        """Return the procedure, with its menu entry and its arguments."""
        flags = GObject.ParamFlags.READWRITE
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        procedure.set_image_types("RGB*, GRAY*")
        mask = Gimp.ProcedureSensitivityMask
        procedure.set_sensitivity_mask(mask.DRAWABLE | mask.DRAWABLES | mask.NO_DRAWABLES)
        procedure.set_menu_label("Paint in a _style…")
        procedure.add_menu_path("<Image>/Filters/Artistic")
        procedure.set_documentation(
            "Has nst-daemon paint the image in the style of a picture",
            "The painting becomes a new layer. nst-daemon has to run on this machine, or where the exchange "
            "folder is mounted.",
            name,
        )
        procedure.set_attribution("nst-daemon", "nst-daemon", "@VERSION@")
        # A text and no choice: GIMP would hold a choice to the styles of the day of its registration.
        procedure.add_string_argument("style", "_Style", "A style of nst-daemon's library", "", flags)
        for argument, label, words, pairs in (
            ("size", "Si_ze", "How large it is painted; it is scaled to the image", SIZES),
            ("selection", "What is s_elected", "What a selection is for", SELECTIONS),
        ):
            choice = Gimp.Choice.new()
            for number, (value, shown) in enumerate(pairs):
                choice.add(value, number, shown, "")
            procedure.add_choice_argument(argument, label, words, choice, pairs[0][0], flags)
        procedure.add_int_argument(
            "px", "Longer side in _px", 'Used with the size "As below"', 64, 16384, 1024, flags
        )
        procedure.add_int_argument(
            "strength", "S_trength in %", "0 is the photo, 100 the painting", 0, 100, 100, flags
        )
        procedure.add_boolean_argument("keep-colors", "_Keep the photo's colours", "", False, flags)
        return procedure


Gimp.main(NstDaemon.__gtype__, sys.argv)
