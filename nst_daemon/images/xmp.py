"""XMP packets: keywords and provenance read, and what a painted photo says written.

A packet is hostile until parsed: no entities, no DTD, bounded in size and depth. One that breaks these bounds
is left out with a line in the log; it never ends a job. Only import of defusedxml. Knows no picture format.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Final
from xml.dom.minidom import Attr, Document, Element, Text
from xml.parsers.expat import ExpatError

from defusedxml import DefusedXmlException
from defusedxml import minidom as safe_minidom

from nst_daemon.images.keywords import unique

logger = logging.getLogger(__name__)

NST: Final = "https://nst-daemon.readthedocs.io/ns/1.0/"  # our namespace: a name, no page needs to be there
RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XMLNS: Final = "http://www.w3.org/2000/xmlns/"
TIFF_NS: Final = "http://ns.adobe.com/tiff/1.0/"
EXIF_NS: Final = "http://ns.adobe.com/exif/1.0/"
EXIF_EX_NS: Final = "http://cipa.jp/exif/1.0/"
XMP_NS: Final = "http://ns.adobe.com/xap/1.0/"
MAX_BYTES: Final = 2 << 20  # bytes; real packets have 2 to 200 kB, and a tree takes 50 times its text
MAX_DEPTH: Final = 48  # elements; real packets have below 12

KEYWORD_FIELDS: Final = (  # hierarchical first: the flat list repeats them in pieces
    ("http://ns.adobe.com/lightroom/1.0/", "hierarchicalSubject"),
    ("http://www.digikam.org/ns/1.0/", "TagsList"),
    ("http://purl.org/dc/elements/1.1/", "subject"),
)
# What is wrong once the photo is painted: how an editor developed it, pictures of it, data appended to it.
STALE_NAMESPACES: Final = frozenset(
    {
        NST,
        "http://ns.adobe.com/camera-raw-settings/1.0/",
        "http://ns.adobe.com/xmp/note/",
        "http://ns.adobe.com/hdr-gain-map/1.0/",
        "http://ns.google.com/photos/1.0/container/",
        "http://ns.google.com/photos/1.0/camera/",
        "http://darktable.sf.net/",
    }
)
STALE_NAMES: Final = frozenset(
    {
        ("http://ns.adobe.com/xap/1.0/mm/", "History"),
        ("http://ns.adobe.com/xap/1.0/mm/", "Pantry"),
        ("http://ns.adobe.com/xap/1.0/mm/", "Ingredients"),
        ("http://ns.adobe.com/photoshop/1.0/", "DocumentAncestors"),
        ("http://ns.adobe.com/photoshop/1.0/", "TextLayers"),
        (XMP_NS, "Thumbnails"),
    }
)
HEAD: Final = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
EMPTY: Final = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"/></x:xmpmeta>'


def parse(packet: bytes) -> Document | None:
    """Return the tree of an XMP packet; None, and a line in the log, if it is broken or hostile."""
    if len(packet) > MAX_BYTES:
        logger.info("XMP of %d bytes was left out: the limit is %d", len(packet), MAX_BYTES)
        return None
    if packet[:2] not in (b"\xff\xfe", b"\xfe\xff"):  # in UTF-16 a zero is half a letter
        packet = packet.strip(b"\0 \t\r\n")
    try:
        # Bytes, not text: expat knows the encodings. The stub knows text only.
        document: Document = safe_minidom.parseString(packet, forbid_dtd=True)  # type: ignore[arg-type]
    except (ExpatError, DefusedXmlException, ValueError, LookupError, AttributeError) as error:
        logger.info("XMP was left out: %s", str(error) or type(error).__name__)
        return None
    if _depth(document) > MAX_DEPTH:
        logger.info("XMP was left out: nested more than %d deep", MAX_DEPTH)
        return None
    return document


def _depth(document: Document) -> int:
    """Return how deep the elements nest. Without recursion, which the next step would need."""
    deepest, level = 0, [_root(document)]
    while level and deepest <= MAX_DEPTH:
        deepest += 1
        level = [child for element in level for child in _elements(element)]
    return deepest


def _elements(node: Element) -> list[Element]:
    return [child for child in node.childNodes if isinstance(child, Element)]


def _text(element: Element) -> str:
    return "".join(child.data for child in element.childNodes if isinstance(child, Text)).strip()


def _descriptions(document: Document) -> list[Element]:
    return list(document.getElementsByTagNameNS(RDF, "Description"))


def _values(document: Document, namespace: str, name: str) -> Iterator[str]:
    """Yield the values of a property, written as an attribute, as text, or as items of a bag or list."""
    for description in _descriptions(document):
        if description.hasAttributeNS(namespace, name):
            yield description.getAttributeNS(namespace, name)
    for element in document.getElementsByTagNameNS(namespace, name):
        items = element.getElementsByTagNameNS(RDF, "li")
        yield from (_text(item) for item in items) if items else [_text(element)]


def keywords(packet: bytes) -> tuple[str, ...]:
    """Return the keywords of a packet, hierarchical ones first; none if it is broken or hostile."""
    document = parse(packet)
    if document is None:
        return ()
    found = (value for field in KEYWORD_FIELDS for value in _values(document, *field))
    return unique(found)


def provenance(packet: bytes) -> dict[str, str] | None:
    """Return what a painting wrote of itself, e.g. {"style": …, "job_key": …}; None if it is a photo."""
    if NST.encode() not in packet:  # cheap, and true of nearly every photo
        return None
    document = parse(packet)
    if document is None:
        return None
    found = {}
    for element in document.getElementsByTagNameNS(NST, "*"):
        found[_snake(element.localName or "")] = _text(element)
    for description in _descriptions(document):
        for attribute in _attributes(description):
            if attribute.namespaceURI == NST:
                found[_snake(attribute.localName or "")] = attribute.value
    return found or None


def without_gps(packet: bytes) -> bytes:
    """Return a packet without the places of `exif:GPS…`; one that cannot be read as it is."""
    document = parse(packet)
    if document is None:
        return packet
    for description in _descriptions(document):
        for attribute in _attributes(description):
            if _is_place(attribute.namespaceURI, attribute.localName):
                description.removeAttributeNode(attribute)
        for element in _elements(description):
            if _is_place(element.namespaceURI, element.localName):
                description.removeChild(element)
    return _root(document).toxml().encode("utf-8", "replace")


def _is_place(namespace: str | None, name: str | None) -> bool:
    return namespace in (EXIF_NS, EXIF_EX_NS) and (name or "").startswith("GPS")


def for_result(packet: bytes | None, about: Mapping[str, str], width: int, height: int) -> tuple[bytes, bool]:
    """Return the photo's XMP mended for its painting, with our provenance; and whether it could be kept.

    Mended: upright, the result's dimensions, without editing history, develop settings and thumbnails.
    """
    document = parse(packet) if packet else None
    root = None if document is None else _rdf(document)
    is_kept = not packet or root is not None
    if document is None or root is None:
        document = safe_minidom.parseString(EMPTY)
        root = _elements(_root(document))[0]
    for description in _elements(root):
        _drop_stale(description)
        for name, value in (("Orientation", 1), ("ImageWidth", width), ("ImageLength", height)):
            _correct(document, description, TIFF_NS, name, str(value))
        for name, value in (("PixelXDimension", width), ("PixelYDimension", height)):
            _correct(document, description, EXIF_NS, name, str(value))
    root.appendChild(_description(document, about))
    body = _root(document).toxml()
    return f'{HEAD}{body}\n<?xpacket end="w"?>'.encode("utf-8", "replace"), is_kept


def _root(document: Document) -> Element:
    root = document.documentElement
    assert root is not None  # a parsed document has one
    return root


def _rdf(document: Document) -> Element | None:
    root = _root(document)
    found = [root, *document.getElementsByTagNameNS(RDF, "RDF")]
    return next((element for element in found if element.localName == "RDF"), None)


def _drop_stale(description: Element) -> None:
    for attribute in _attributes(description):
        if _is_stale(attribute.namespaceURI, attribute.localName):
            description.removeAttributeNode(attribute)
    for element in _elements(description):
        if _is_stale(element.namespaceURI, element.localName):
            description.removeChild(element)


def _is_stale(namespace: str | None, name: str | None) -> bool:
    return namespace in STALE_NAMESPACES or (namespace, name) in STALE_NAMES


def _correct(document: Document, description: Element, namespace: str, name: str, value: str) -> None:
    """Write a value over a property that is there; add none."""
    if (attribute := description.getAttributeNodeNS(namespace, name)) is not None:
        attribute.value = value
    for element in _elements(description):
        if (element.namespaceURI, element.localName) == (namespace, name):
            for child in list(element.childNodes):
                element.removeChild(child)
            element.appendChild(document.createTextNode(value))


def _description(document: Document, about: Mapping[str, str]) -> Element:
    """Return our own rdf:Description."""
    description = document.createElementNS(RDF, "nstrdf:Description")
    description.setAttributeNS(XMLNS, "xmlns:nstrdf", RDF)  # the packet may use the prefix rdf for another
    description.setAttributeNS(XMLNS, "xmlns:nst", NST)
    description.setAttributeNS(RDF, "nstrdf:about", "")
    for name, value in about.items():
        element = document.createElementNS(NST, f"nst:{_camel(name)}")
        element.appendChild(document.createTextNode(printable(value)))
        description.appendChild(element)
    return description


def _attributes(element: Element) -> list[Attr]:
    return list(element.attributes.values())


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in re.findall(r"[a-z0-9]+", name.lower()))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def printable(text: str) -> str:
    """Return a text without what XML cannot hold: control characters and lone surrogates."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
