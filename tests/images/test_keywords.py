"""An editor's keywords choose the style, and hostile XMP chooses nothing."""

import io
import logging
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import features
from support.pictures import ABOUT, XMP, editor, exiftool, image, iptc_app13, load, made, save

from nst_daemon.config.blends import asked_by
from nst_daemon.folders.sidecars import xmp_beside
from nst_daemon.images import gif, iptc, xmp, xmp_result
from nst_daemon.images.labels import read_keywords


def packet(**bags: list[str]) -> bytes:
    """Return an XMP packet with keywords."""
    names = {"lr": "lr:hierarchicalSubject", "digikam": "digiKam:TagsList", "dc": "dc:subject"}
    body = "".join(
        f"<{names[key]}><rdf:Bag><rdf:li>{'</rdf:li><rdf:li>'.join(words)}</rdf:li></rdf:Bag></{names[key]}>"
        for key, words in bags.items()
    )
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:digiKam="http://www.digikam.org/ns/1.0/"'
        f' xmlns:lr="http://ns.adobe.com/lightroom/1.0/">{body}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


@pytest.mark.parametrize(
    ("keyword", "style"),
    [
        ("nst|starry_night", "starry_night"),
        ("nst/starry_night", "starry_night"),
        ("nst:starry_night", "starry_night"),
        ("style:starry_night", "starry_night"),
        ("NST|Starry Night", "Starry Night"),
        (" nst : the scream ", "the scream"),
        ("nst|oil|", "oil"),
    ],
)
def test_a_keyword_of_ours_names_a_style(keyword: str, style: str) -> None:
    assert asked_by([keyword]) == (((style,),), ())


@pytest.mark.parametrize("keyword", ["nst|oil|thick", "nst/oil/thick", "nst:oil|thick", "style: oil / thick"])
def test_a_deeper_hierarchy_may_mean_the_whole_or_one_of_its_levels(keyword: str) -> None:
    ((levels,), settings) = asked_by([keyword])
    assert levels[1:] == ("thick", "oil")
    assert settings == ()


@pytest.mark.parametrize(
    "keyword",
    [
        "starry_night",
        "nst",
        "nst|",
        "nst:",
        "nst: ",
        "nst||",
        "places|nst|a",
        "lifestyle:x",
        "style",
        "style|x",
    ],
)
def test_no_other_keyword_does(keyword: str) -> None:
    assert asked_by([keyword, ""]) == ((), ())


def test_two_styles_and_settings_are_told_apart() -> None:
    words = ["nst|a", "nst:size=2048", "river", "style:b", "nst:a", "nst|look|preserve_color = luminance"]
    assert asked_by(words) == ((("a",), ("b",)), ("size=2048", "preserve_color = luminance"))


def test_hierarchical_keywords_come_before_flat_ones() -> None:
    found = xmp.keywords(packet(dc=["starry_night", "style:b"], digikam=["nst/c"], lr=["nst|a"]))
    assert found == ("nst|a", "nst/c", "starry_night", "style:b")


def test_a_bag_of_one_item_and_an_attribute_are_read_alike() -> None:
    one = packet(dc=["nst:a"])
    attribute = one.replace(b"xmlns:dc=", b'dc:subject="nst:b" xmlns:dc=')
    assert xmp.keywords(one) == ("nst:a",)
    assert xmp.keywords(attribute) == ("nst:b", "nst:a")


def test_the_sidecar_of_the_full_name_speaks_first_then_that_of_the_stem_then_the_photo(
    tmp_path: Path,
) -> None:
    photo = tmp_path / "a.jpg"
    image().save(photo, xmp=packet(lr=["nst|embedded"]), extra=iptc_app13("nst:iptc"))
    assert read_keywords(photo, sidecars=xmp_beside(photo)) == ("nst|embedded",)
    (tmp_path / "a.xmp").write_bytes(packet(lr=["nst|stem"]))
    assert read_keywords(photo, sidecars=xmp_beside(photo)) == ("nst|stem",)
    (tmp_path / "a.jpg.xmp").write_bytes(packet(lr=["nst|full"]))
    assert read_keywords(photo, sidecars=xmp_beside(photo)) == ("nst|full",)


def test_a_sidecar_that_names_no_style_leaves_the_word_to_the_photo(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    image().save(photo, extra=iptc_app13("river", "nst:iptc"))
    (tmp_path / "a.jpg.xmp").write_bytes(packet(dc=["holiday"]))
    assert read_keywords(photo, sidecars=xmp_beside(photo)) == ("river", "nst:iptc")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp", "a.gif"])
def test_keywords_are_read_from_each_format(tmp_path: Path, name: str) -> None:
    image().save(tmp_path / name)
    subprocess.run(
        [editor(), "-q", "-overwrite_original", "-XMP-lr:HierarchicalSubject=nst|a", str(tmp_path / name)],
        check=True,
    )
    assert read_keywords(tmp_path / name) == ("nst|a",)


def test_what_a_gif_says_goes_to_its_painting(tmp_path: Path) -> None:
    frames = [image().convert("P"), image().rotate(180).convert("P")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], comment=b"x" * 600)
    words = ["-XMP-dc:Title=The tower", "-XMP-xmp:Rating=4", str(tmp_path / "a.gif")]
    subprocess.run([editor(), "-q", "-overwrite_original", *words], check=True)
    result, _ = save(load(tmp_path / "a.gif"), tmp_path / "out")
    facts = exiftool(result)
    assert (facts["XMP-dc:Title"], facts["XMP-xmp:Rating"]) == ("The tower", 4)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=40), st.integers(0, 300))
def test_no_gif_breaks_the_reader(head: bytes, rest: bytes, padding: int) -> None:
    body = b"GIF89a" + head[:7].ljust(7, b"\0")
    gif.packet(io.BytesIO(body + head[7:] + b"\x21\xff\x0bXMP DataXMP" + rest + bytes(padding)))
    gif.packet(io.BytesIO(head))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_keywords_are_read_from_avif(tmp_path: Path) -> None:
    image().save(tmp_path / "a.avif", xmp=packet(lr=["nst|a"]))
    assert read_keywords(tmp_path / "a.avif") == ("nst|a",)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_iptc_keywords_are_read_in_either_encoding(encoding: str) -> None:
    word = "nst:frühling".encode(encoding)
    assert iptc.keywords(b"\x1c\x02\x19" + struct.pack(">H", len(word)) + word) == ("nst:frühling",)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80), st.binary(max_size=80))
def test_no_iptc_breaks_the_reader(record: bytes, rest: bytes) -> None:
    iptc.keywords(b"\x1c\x02\x19" + record)
    iptc.parse_resources(b"8BIM\x04\x04" + rest)


# ── hostile XMP ──────────────────────────────────────────────────────────

LAUGHS = b"".join(
    [
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">',
        *(f'<!ENTITY b{n} "{f"&b{n - 1};" * 10 if n else "&a;" * 10}">'.encode() for n in range(9)),
        b"]><x>&b8;</x>",
    ]
)
OUTSIDE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'
DEEP = b"<a>" * 20_000 + b"</a>" * 20_000
HUGE = packet(dc=["nst:a"]).replace(b"</x:xmpmeta>", b" " * (3 << 20) + b"</x:xmpmeta>")


@pytest.mark.parametrize(
    "hostile",
    [
        LAUGHS,
        OUTSIDE,
        DEEP,
        HUGE,
        b"<x>",
        b"\xff\xfe<x/>",
        b"",
        b'<?xml version="1.0" encoding="x-none"?><a/>',
    ],
)
def test_hostile_xmp_is_left_out_with_a_line_in_the_log(
    tmp_path: Path, hostile: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.jpg.xmp").write_bytes(hostile)
    image().save(tmp_path / "a.jpg")
    with caplog.at_level(logging.INFO):
        assert read_keywords(tmp_path / "a.jpg", sidecars=xmp_beside(tmp_path / "a.jpg")) == ()
    assert not hostile or "left out" in caplog.text
    mended, is_kept = xmp_result.for_result(hostile, ABOUT, made(1, 1))
    assert xmp.provenance(mended) == ABOUT
    assert is_kept == (not hostile)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_no_xmp_breaks_the_reader(data: st.DataObject) -> None:
    raw = bytearray(XMP)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    xmp.keywords(bytes(raw))
    mended, _ = xmp_result.for_result(bytes(raw), ABOUT, made(5, 5))
    assert xmp.provenance(mended) == ABOUT


def test_xmp_of_two_bytes_a_letter_is_read() -> None:
    text = '<?xml version="1.0" encoding="UTF-16"?>' + packet(dc=["nst:a"]).decode()
    assert xmp.keywords(text.encode("utf-16")) == ("nst:a",)


def test_the_tags_that_windows_gives_a_photo_choose_its_style(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    image().save(path)
    words = ["-EXIF:XPKeywords=river;nst:mosaic; Zürich", "-q", "-overwrite_original"]
    subprocess.run([editor(), *words, str(path)], check=True)
    assert read_keywords(path, sidecars=xmp_beside(path)) == ("river", "nst:mosaic", "Zürich")
