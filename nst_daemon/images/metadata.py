"""What a photo says about itself besides its pixels, as bytes, to be written back with its painting."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nst_daemon.images import exif, iptc, png, xmp
from nst_daemon.images.declared import Declared
from nst_daemon.images.tags import Tag
from nst_daemon.images.tiff import Block, Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """A photo's metadata, each part as it lay in the file."""

    exif: bytes | None = None  # from its byte-order mark on
    xmp: bytes | None = None
    resources: Mapping[int, bytes] | None = None  # Photoshop's image resources, IPTC among them
    # Once the photo is loaded: the RGB profile to which the result is converted back.
    icc: bytes | None = None
    declared: Declared | None = None  # colours that the file tells without a profile
    dpi: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()  # on what could not be read

    @property
    def iptc(self) -> bytes | None:
        """The IPTC record."""
        return (self.resources or {}).get(iptc.RECORD)

    def without_gps(self) -> "Metadata":
        """Return the same without where the photo was taken."""
        block = exif.without_gps(self.exif) if self.exif else None
        return replace(self, exif=block or None, xmp=xmp.without_gps(self.xmp) if self.xmp else None)

    def without_icc(self) -> "Metadata":
        """Return the same without the colour profile."""
        return replace(self, icc=None)


def of_parts(parts: Mapping[str, Any], *, resources: Any = None, dpi: Any = None) -> Metadata:
    """Return the metadata of "exif", "xmp", "icc" as a reader found them; what makes no sense is left out."""
    found = {name: value for name, value in parts.items() if isinstance(value, bytes) and value}
    return Metadata(
        exif=exif.strip_prefix(found["exif"]) if "exif" in found else None,
        xmp=found.get("xmp"),
        icc=found.get("icc"),
        resources=_resources(resources) if isinstance(resources, dict) else None,
        dpi=_resolution(dpi),
    )


def of_png(content: bytes) -> Metadata:
    """Return the metadata of a PNG file; what is damaged is left out with a note."""
    beside = png.beside(content)
    names = " and ".join(beside.damaged)
    note = f"Its {names} chunk is damaged and was left out." if names else ""
    return replace(
        of_parts(beside.parts, resources=beside.resources, dpi=beside.dpi),
        declared=beside.declared,
        notes=(note,) if note else (),
    )


def of_tiff(block: Block) -> Metadata:
    """Return the metadata of a TIFF file's first picture."""
    fields, _ = block.directory(block.first)
    resources = iptc.parse_resources(_bytes(fields, Tag.RESOURCES))
    if record := _bytes(fields, Tag.IPTC):
        resources[iptc.RECORD] = record
    return Metadata(
        exif=exif.from_tiff(block),
        xmp=_bytes(fields, Tag.XMP) or None,
        icc=_bytes(fields, Tag.ICC) or None,
        resources=_resources(resources),
    )


def _bytes(fields: Fields, tag: int) -> bytes:
    return fields[tag].value if tag in fields else b""


def _resources(found: Mapping[Any, Any]) -> dict[int, bytes] | None:
    kept = {
        key: value for key, value in found.items() if key in iptc.KEPT_RESOURCES and isinstance(value, bytes)
    }
    return kept or None


def _resolution(dpi: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(each) for each in dpi)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return (across, down) if 1 <= across <= 1e5 and 1 <= down <= 1e5 else None
