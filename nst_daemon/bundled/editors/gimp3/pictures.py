# nst-daemon plug-in @VERSION@
"""Pictures of GIMP's: what is visible of an image goes out, a painting comes in as a layer."""

import struct
import zlib

from gi.repository import Gegl, Gimp, Gio


class RefusedError(Exception):
    """What the user has to be told instead of a painting."""


# Out.


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


# In.


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


def add_mask(image, layer, selection):
    """Give a layer the selection as its mask, by way of a layer that has it as alpha: nothing is lost so."""
    width, height, grey = selection
    carrier = Gimp.Layer.new(
        image, "selection", width, height, layer.type_with_alpha(), 100.0, Gimp.LayerMode.NORMAL
    )
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
