# nst-daemon plug-in @VERSION@
"""The dialog: the styles with their small pictures, and GIMP's own widgets for the rest."""

from gi.repository import GdkPixbuf, Gimp, GimpUi, GLib, GObject, Gtk
from order import FOLDER

TITLE = "Paint in a style"
THUMB = 48  # px


def asked(procedure, config, image):
    """Return whether the user wants it, with what was chosen in the config."""
    GimpUi.init("nst-daemon-paint")
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


def chooser(config):
    """Return a list of styles with small pictures, which keeps the config's style as it is changed."""
    store = Gtk.ListStore(str, GdkPixbuf.Pixbuf)
    names = []
    for entry in FOLDER.styles():
        store.append([entry.name, small(entry.thumb)])
        names.append(entry.name)
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
