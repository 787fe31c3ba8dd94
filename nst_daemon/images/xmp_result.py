"""The XMP packet of a painting: the photo's, mended where the painting is another picture than the photo.

Pure: bytes in, bytes out. What speaks of px speaks of the painting's, what ties the photo's file to others
ties the painting to none, and what an editor did to the photo is not repeated.

Source: Adobe, XMP specification part 2 (media management); Metadata Working Group, guidelines 2.0, 5.9
    (regions); Google, Photo Sphere XMP metadata; IPTC Photo Metadata 2021.1, image regions.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from xml.dom.minidom import Attr, Document, Element

from nst_daemon.images import xmp
from nst_daemon.images.made import SIDES_SWAPPED, Made
from nst_daemon.images.xmp import EXIF_EX_NS, EXIF_NS, NST, PANORAMA_NS, RDF, TIFF_NS, XMLNS, XMP_NS

DC_NS: Final = "http://purl.org/dc/elements/1.1/"
MM_NS: Final = "http://ns.adobe.com/xap/1.0/mm/"
REF_NS: Final = "http://ns.adobe.com/xap/1.0/sType/ResourceRef#"
PHOTOSHOP_NS: Final = "http://ns.adobe.com/photoshop/1.0/"
REGIONS_NS: Final = "http://www.metadataworkinggroup.com/schemas/regions/"
SIZE_NS: Final = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
AREA_NSS: Final = ("http://ns.adobe.com/xmp/sType/Area#", "http://ns.adobe.com/xap/1.0/sType/Area#")
IPTC_NS: Final = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
DIGIKAM_NS: Final = "http://www.digikam.org/ns/1.0/"
MICROSOFT_NS: Final = "http://ns.microsoft.com/photo/1.2/"

# What is wrong once the photo is painted: how an editor developed it, pictures of it, data appended to it.
STALE_NAMESPACES: Final = frozenset(
    {
        NST,
        MM_NS,  # the painting gets its own
        "http://ns.adobe.com/camera-raw-settings/1.0/",
        "http://ns.adobe.com/xmp/note/",
        "http://ns.adobe.com/hdr-gain-map/1.0/",
        "http://darktable.sf.net/",
    }
)
STALE_VENDORS: Final = ("http://ns.google.com/", "http://ns.apple.com/")  # films, bursts, depths, gain maps
KEPT_OF_VENDORS: Final = frozenset({PANORAMA_NS, "http://ns.apple.com/faceinfo/1.0/"})
STALE_NAMES: Final = frozenset(
    {
        (PHOTOSHOP_NS, "DocumentAncestors"),
        (PHOTOSHOP_NS, "TextLayers"),
        (XMP_NS, "Thumbnails"),
        (XMP_NS, "Identifier"),
        (DC_NS, "identifier"),
        (TIFF_NS, "NativeDigest"),
        (EXIF_NS, "NativeDigest"),
        (EXIF_NS, "RelatedSoundFile"),
        (EXIF_NS, "FocalPlaneXResolution"),
        (EXIF_NS, "FocalPlaneYResolution"),
        (IPTC_NS, "DigImageGUID"),
        (DIGIKAM_NS, "ImageUniqueID"),
        (DIGIKAM_NS, "ImageHistory"),
    }
)
PLACES: Final = frozenset({(EXIF_NS, "SubjectArea"), (EXIF_NS, "SubjectLocation")})  # in px of the file
OTHER_COLORS: Final = frozenset(
    {
        (PHOTOSHOP_NS, "ICCProfile"),
        (EXIF_EX_NS, "Gamma"),
        (TIFF_NS, "TransferFunction"),
        (TIFF_NS, "WhitePoint"),
        (TIFF_NS, "PrimaryChromaticities"),
    }
)
PANORAMA_ACROSS: Final = (
    *("CroppedAreaImageWidthPixels", "CroppedAreaLeftPixels"),
    *("LargestValidInteriorRectWidth", "LargestValidInteriorRectLeft"),
)
PANORAMA_DOWN: Final = (
    *("CroppedAreaImageHeightPixels", "CroppedAreaTopPixels"),
    *("LargestValidInteriorRectHeight", "LargestValidInteriorRectTop"),
)
HEAD: Final = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
EMPTY: Final = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"/></x:xmpmeta>'.encode()


def for_result(packet: bytes | None, about: Mapping[str, str], made: Made) -> tuple[bytes, bool]:
    """Return the photo's XMP mended for its painting, with our provenance; and whether it could be kept."""
    document = xmp.parse(packet) if packet else None
    root = None if document is None else _rdf(document)
    is_kept = not packet or root is not None
    if document is None or root is None:
        document = xmp.parse(EMPTY)
        assert document is not None  # it is ours
        root = xmp.elements(xmp.root(document))[0]
    ids = {name: next(xmp.values(document, MM_NS, name), "") for name in ("DocumentID", "InstanceID")}
    _mend(document, root, made)
    root.appendChild(_provenance(document, about))
    root.appendChild(_ids(document, ids, made.identity))
    body = xmp.root(document).toxml()
    return f'{HEAD}{body}\n<?xpacket end="w"?>'.encode("utf-8", "replace"), is_kept


def _rdf(document: Document) -> Element | None:
    root = xmp.root(document)
    found = [root, *document.getElementsByTagNameNS(RDF, "RDF")]
    return next((element for element in found if element.localName == "RDF"), None)


def _mend(document: Document, root: Element, made: Made) -> None:
    for description in xmp.elements(root):
        _drop(description, made)
    for (namespace, name), value in {
        (TIFF_NS, "Orientation"): "1",
        (TIFF_NS, "ImageWidth"): str(made.width),
        (TIFF_NS, "ImageLength"): str(made.height),
        (EXIF_NS, "PixelXDimension"): str(made.width),
        (EXIF_NS, "PixelYDimension"): str(made.height),
        (EXIF_NS, "ImageUniqueID"): made.identity,
        (DC_NS, "format"): made.mime,
        **({(EXIF_NS, "ColorSpace"): "1"} if made.is_srgb else {}),
    }.items():
        _write(document, root, namespace, name, value)
    _mend_panorama(document, root, made)
    _mend_regions(document, root, made)


def _drop(description: Element, made: Made) -> None:
    for attribute in xmp.attributes(description):
        if _is_stale(attribute.namespaceURI, attribute.localName, made):
            description.removeAttributeNode(attribute)
    for element in xmp.elements(description):
        if _is_stale(element.namespaceURI, element.localName, made):
            description.removeChild(element)


def _is_stale(namespace: str | None, name: str | None, made: Made) -> bool:
    if namespace in STALE_NAMESPACES or (namespace, name) in STALE_NAMES:
        return True
    if namespace == PANORAMA_NS or (namespace, name) == (MICROSOFT_NS, "RegionInfo"):
        return made.turned != 1  # its places lie as the file did
    if (namespace, name) in PLACES:
        return made.is_moved
    if (namespace, name) in OTHER_COLORS:
        return made.is_srgb
    return str(namespace).startswith(STALE_VENDORS) and namespace not in KEPT_OF_VENDORS


def _nodes(within: Element, namespace: str, name: str) -> Iterator[Attr | Element]:
    """Yield each attribute and element of a name in a tree."""
    for element in [within, *within.getElementsByTagNameNS("*", "*")]:
        if isinstance(element, Element):
            if (attribute := element.getAttributeNodeNS(namespace, name)) is not None:
                yield attribute
            if (element.namespaceURI, element.localName) == (namespace, name):
                yield element


def _said(node: Attr | Element) -> str:
    return node.value if isinstance(node, Attr) else xmp.text(node)


def _put(document: Document, node: Attr | Element, value: str) -> None:
    if isinstance(node, Attr):
        node.value = value
        return
    for child in list(node.childNodes):
        node.removeChild(child)
    node.appendChild(document.createTextNode(value))


def _write(document: Document, within: Element, namespace: str, name: str, value: str) -> None:
    """Write a value over a property that is there; add none."""
    for node in _nodes(within, namespace, name):
        _put(document, node, value)


def _scale(document: Document, within: Element, namespace: str, name: str, factor: float) -> None:
    """Multiply a number of px; leave what is none."""
    for node in _nodes(within, namespace, name):
        number = _number(_said(node))
        if number is not None:
            _put(document, node, str(round(number * factor)))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e9 else None


def _mend_panorama(document: Document, root: Element, made: Made) -> None:
    """Let a panorama's sizes be those of the painting, and the sphere as much smaller."""
    for side, size, of_size, scaled in (
        ("Width", made.width, made.of_width, PANORAMA_ACROSS),
        ("Height", made.height, made.of_height, PANORAMA_DOWN),
    ):
        cropped = next(_nodes(root, PANORAMA_NS, f"CroppedAreaImage{side}Pixels"), None)
        before = _number(_said(cropped)) if cropped is not None else None
        factor = size / (before or of_size)
        for name in (*scaled, f"FullPano{side}Pixels"):
            _scale(document, root, PANORAMA_NS, name, factor)


def _mend_regions(document: Document, root: Element, made: Made) -> None:
    """Let regions lie where they lie on the painting: those that are told in shares only turn with it."""
    for regions in list(_nodes(root, REGIONS_NS, "Regions")):
        if isinstance(regions, Element):
            is_turned = _is_told_of_file(regions, made)
            for node in _nodes(regions, REGIONS_NS, "AppliedToDimensions"):
                if isinstance(node, Element):
                    _write(document, node, SIZE_NS, "w", str(made.width))
                    _write(document, node, SIZE_NS, "h", str(made.height))
            for node in _nodes(regions, REGIONS_NS, "Area"):
                if isinstance(node, Element) and is_turned:
                    _turn(document, node, made.turned)
    for node in _nodes(root, IPTC_NS, "RegionBoundary"):
        if isinstance(node, Element) and "pixel" in [_said(n) for n in _nodes(node, IPTC_NS, "rbUnit")]:
            for name in ("rbX", "rbW", "rbRx"):
                _scale(document, node, IPTC_NS, name, made.across)
            for name in ("rbY", "rbH"):
                _scale(document, node, IPTC_NS, name, made.down)


def _is_told_of_file(regions: Element, made: Made) -> bool:
    """Whether regions lie on the photo as its file has it, and not upright: their own size tells."""
    if made.turned not in SIDES_SWAPPED:
        return made.turned != 1
    sides = [_number(_said(node)) for name in ("w", "h") for node in _nodes(regions, SIZE_NS, name)]
    if len(sides) != 2 or None in sides or sides[0] == sides[1]:
        return True
    wide, high = (float(side or 0) for side in sides)
    return (wide > high) != (made.of_width > made.of_height)


def _turn(document: Document, area: Element, turned: int) -> None:
    """Turn a rectangle of shares, told by its middle, as EXIF's orientation turns the photo."""
    for namespace in AREA_NSS:
        found = {name: next(_nodes(area, namespace, name), None) for name in "xywh"}
        numbers = {name: _number(_said(node)) for name, node in found.items() if node is not None}
        x, y = numbers.get("x"), numbers.get("y")
        if x is None or y is None:
            continue
        wide, high = numbers.get("w"), numbers.get("h")
        if turned in SIDES_SWAPPED:
            x, y, wide, high = y, x, high, wide
        if turned in (2, 3, 6, 7):
            x = 1 - x
        if turned in (3, 4, 7, 8):
            y = 1 - y
        for name, value in zip("xywh", (x, y, wide, high), strict=True):
            node = found[name]
            if node is not None and value is not None:
                _put(document, node, f"{value:.6g}")


def _description(document: Document, prefix: str, namespace: str) -> Element:
    """Return an rdf:Description of our own."""
    # Exiv2, and so GIMP, digiKam and darktable, refuses the packet under any other prefix. It is declared
    # here again: outside it may mean another.
    description = document.createElementNS(RDF, "rdf:Description")
    description.setAttributeNS(XMLNS, "xmlns:rdf", RDF)
    description.setAttributeNS(XMLNS, f"xmlns:{prefix}", namespace)
    description.setAttributeNS(RDF, "rdf:about", "")
    return description


def _provenance(document: Document, about: Mapping[str, str]) -> Element:
    description = _description(document, "nst", NST)
    for name, value in about.items():
        element = document.createElementNS(NST, f"nst:{_camel(name)}")
        element.appendChild(document.createTextNode(xmp.printable(value)))
        description.appendChild(element)
    return description


def _ids(document: Document, photo: Mapping[str, str], identity: str) -> Element:
    """Return the ids of the painting, and from which file it is derived."""
    description = _description(document, "xmpMM", MM_NS)
    document_id = f"xmp.did:{identity}"
    own = {"DocumentID": document_id, "OriginalDocumentID": document_id, "InstanceID": f"xmp.iid:{identity}"}
    for name, value in own.items():
        element = document.createElementNS(MM_NS, f"xmpMM:{name}")
        element.appendChild(document.createTextNode(value))
        description.appendChild(element)
    if any(photo.values()):
        source = document.createElementNS(MM_NS, "xmpMM:DerivedFrom")
        source.setAttributeNS(XMLNS, "xmlns:stRef", REF_NS)
        source.setAttributeNS(RDF, "rdf:parseType", "Resource")
        for name, value in photo.items():
            if value:
                element = document.createElementNS(REF_NS, f"stRef:{name[0].lower()}{name[1:]}")
                element.appendChild(document.createTextNode(xmp.printable(value)))
                source.appendChild(element)
        description.appendChild(source)
    return description


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in re.findall(r"[a-z0-9]+", name.lower()))
