#!/usr/bin/env python3
# nst-daemon plug-in @VERSION@
"""Filters > Artistic > Paint in a style…, for GIMP 3: nst-daemon's painting of the image becomes a layer.

Touches files in the exchange folder and nothing else. Lives in a process of its own, so that the image stays
usable while it waits. Cancel kills that process before it can tidy up: hence the signs of life, without which
the daemon ends the work within ten seconds and takes the order's files away.

GIMP starts this file, which is named like its folder. The others are imported.
"""

import sys

import gi

for library, version in (
    ("Gimp", "3.0"),
    ("GimpUi", "3.0"),
    ("Gegl", "0.4"),
    ("GdkPixbuf", "2.0"),
    ("Gtk", "3.0"),
):
    gi.require_version(library, version)
from dialog import asked  # noqa: E402
from gi.repository import Gegl, Gimp, GLib, GObject  # noqa: E402
from order import FOLDER, WithdrawnError, paint  # noqa: E402
from pictures import RefusedError  # noqa: E402

NAME = "nst-daemon-paint"
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
    Gimp.Layer: "add_mask create_mask get_buffer new resize_to_image_size scale type_with_alpha",
}


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
            if not FOLDER.styles():
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
