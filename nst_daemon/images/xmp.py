"""XMP packets parsed: keywords and provenance. What a painting writes is made by `xmp_result`.

A packet is hostile until parsed: no entities, no DTD, bounded in size and depth. One that breaks these bounds
is left out with a line in the log; it never ends a job. Only import of defusedxml. Knows no picture format.
"""

import logging
import re
from collections.abc import Iterator
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
PANORAMA_NS: Final = "http://ns.google.com/photos/1.0/panorama/"
XMP_NS: Final = "http://ns.adobe.com/xap/1.0/"
MAX_BYTES: Final = 2 << 20  # bytes; real packets have 2 to 200 kB, and a tree takes 50 times its text
MAX_DEPTH: Final = 48  # elements; real packets have below 12

KEYWORD_FIELDS: Final = (  # hierarchical first: the flat list repeats them in pieces
    ("http://ns.adobe.com/lightroom/1.0/", "hierarchicalSubject"),
    ("http://www.digikam.org/ns/1.0/", "TagsList"),
    ("http://purl.org/dc/elements/1.1/", "subject"),
)


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
    deepest, level = 0, [root(document)]
    while level and deepest <= MAX_DEPTH:
        deepest += 1
        level = [child for element in level for child in elements(element)]
    return deepest


def elements(node: Element) -> list[Element]:
    """Return the elements right below one."""
    return [child for child in node.childNodes if isinstance(child, Element)]


def text(element: Element) -> str:
    """Return the words right in an element."""
    return "".join(child.data for child in element.childNodes if isinstance(child, Text)).strip()


def descriptions(document: Document) -> list[Element]:
    """Return all that describe something."""
    return list(document.getElementsByTagNameNS(RDF, "Description"))


def values(document: Document, namespace: str, name: str) -> Iterator[str]:
    """Yield the values of a property, written as an attribute, as text, or as items of a bag or list."""
    for description in descriptions(document):
        if description.hasAttributeNS(namespace, name):
            yield description.getAttributeNS(namespace, name)
    for element in document.getElementsByTagNameNS(namespace, name):
        items = element.getElementsByTagNameNS(RDF, "li")
        yield from (text(item) for item in items) if items else [text(element)]


def keywords(packet: bytes) -> tuple[str, ...]:
    """Return the keywords of a packet, hierarchical ones first; none if it is broken or hostile."""
    document = parse(packet)
    if document is None:
        return ()
    found = (value for field in KEYWORD_FIELDS for value in values(document, *field))
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
        found[_snake(element.localName or "")] = text(element)
    for description in descriptions(document):
        for attribute in attributes(description):
            if attribute.namespaceURI == NST:
                found[_snake(attribute.localName or "")] = attribute.value
    return found or None


def is_sphere(packet: bytes) -> bool:
    """Return whether a packet says that the photo goes all the way round: its left and right ends meet."""
    if PANORAMA_NS.encode() not in packet:  # cheap, and true of nearly every photo
        return False
    document = parse(packet)
    if document is None:
        return False
    names = ("ProjectionType", "FullPanoWidthPixels", "CroppedAreaImageWidthPixels")
    kind, full, cropped = (next(values(document, PANORAMA_NS, name), "") for name in names)
    return kind.strip().lower() == "equirectangular" and full.strip() == cropped.strip()


def without_gps(packet: bytes) -> bytes:
    """Return a packet without the places of `exif:GPS…`; one that cannot be read as it is."""
    document = parse(packet)
    if document is None:
        return packet
    for description in descriptions(document):
        for attribute in attributes(description):
            if _is_place(attribute.namespaceURI, attribute.localName):
                description.removeAttributeNode(attribute)
        for element in elements(description):
            if _is_place(element.namespaceURI, element.localName):
                description.removeChild(element)
    return root(document).toxml().encode("utf-8", "replace")


def _is_place(namespace: str | None, name: str | None) -> bool:
    return namespace in (EXIF_NS, EXIF_EX_NS) and (name or "").startswith("GPS")


def root(document: Document) -> Element:
    """Return the outermost element."""
    found = document.documentElement
    assert found is not None  # a parsed document has one
    return found


def attributes(element: Element) -> list[Attr]:
    """Return the attributes of an element."""
    return list(element.attributes.values())


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def printable(text: str) -> str:
    """Return a text without what XML cannot hold: control characters and lone surrogates."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
