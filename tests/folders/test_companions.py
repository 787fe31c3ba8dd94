"""Sidecars, XMP and masks belong to a photo by their names, in every spelling."""

import errno
import unicodedata
from pathlib import Path

import pytest
from support.faults import Faults, under

from nst_daemon import disk
from nst_daemon.errors import ConditionError
from nst_daemon.folders import companions
from nst_daemon.folders.companions import Claims, companions_of, neighbours_in, photos_of
from nst_daemon.folders.masks import namers_of, take_masks
from nst_daemon.folders.sidecars import (
    editors_part,
    find_sidecar,
    fingerprint,
    foreign_beside,
    own_mask,
    sidecars_beside,
    xmp_beside,
)
from nst_daemon.images.endings import Role, role_of
from nst_daemon.images.labels import read_keywords

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "étude") for form in ("NFC", "NFD"))
XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag><rdf:li>nst:mosaic</rdf:li>
</rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"""


def put(folder: Path, *names: str, content: bytes = b"x") -> Path:
    for name in names:
        (folder / name).write_bytes(content)
    return folder / names[0]


def names_of(photo: Path) -> list[str]:
    return [each.path.name for each in companions_of(photo)]


@pytest.mark.parametrize(
    ("photo", "sidecar"),
    [
        ("a.jpg", "a.jpg.YAML"),
        ("a.jpg", "A.Yaml"),
        ("a.jpg", "a.YML"),
        ("a.jpg", "a.JSON"),
        ("a.jpg", "a.jpg.Json"),
        ("IMG_1.JPG", "img_1.yaml"),
        ("IMG_1.jpg", "IMG_1.JPG.yAmL"),
        (f"{COMPOSED}.jpg", f"{DECOMPOSED}.yaml"),
        (f"{DECOMPOSED}.JPG", f"{COMPOSED}.jpg.YAML"),
    ],
)
def test_a_sidecar_is_read_in_every_spelling_of_its_name(tmp_path: Path, photo: str, sidecar: str) -> None:
    path = put(tmp_path, photo)
    beside_it = put(tmp_path, sidecar, content=b'{"style": "mosaic"}')
    found = find_sidecar(path)
    assert found is not None
    assert found.style == (("mosaic", 1.0),)
    assert sidecars_beside(path) == [beside_it]
    assert photos_of(beside_it) == [path]
    assert fingerprint(path)


@pytest.mark.parametrize("sidecar", ["IMG_1.XMP", "IMG_1.JPG.XMP", "img_1.Xmp", "IMG_1.jpg.xmp"])
def test_an_editors_xmp_is_read_in_every_spelling(tmp_path: Path, sidecar: str) -> None:
    path = put(tmp_path, "IMG_1.JPG")
    put(tmp_path, sidecar, content=XMP.encode())
    assert read_keywords(path, sidecars=xmp_beside(path)) == ("nst:mosaic",)


@pytest.mark.parametrize("mask", ["IMG_1.MASK.PNG", "IMG_1.Mask.png", "img_1.jpg.mask.PNG", "IMG_1.mask.png"])
def test_a_mask_is_taken_in_every_spelling(tmp_path: Path, mask: str) -> None:
    path = put(tmp_path, "IMG_1.JPG")
    put(tmp_path, mask)
    assert own_mask(path) == tmp_path / mask
    assert take_masks(path, None, tmp_path / "copies").painting is not None


@pytest.mark.parametrize("mask", ["Sky.PNG", "sky.png", f"{DECOMPOSED}.png"])
def test_a_mask_that_a_sidecar_names_is_found_as_the_folder_spells_it(tmp_path: Path, mask: str) -> None:
    path = put(tmp_path, "a.jpg")
    picture = put(tmp_path, mask)
    asked = unicodedata.normalize("NFC", mask.lower())
    sidecar = put(tmp_path, "A.YAML", content=f"mask: {asked}".encode())
    masks = take_masks(path, find_sidecar(path), tmp_path / "copies")
    assert (masks.fault, masks.painting is not None) == (None, True)
    assert namers_of(picture) == [sidecar]
    assert picture in sidecars_beside(path)


def test_yaml_speaks_before_json_and_the_full_name_before_the_stem(tmp_path: Path) -> None:
    photo = put(
        tmp_path, "a.jpg", "A.JSON", "a.YAML", "a.jpg.yml", "A.jpg.YAML", "a.yml", "a.mask.png", "a.xmp"
    )
    assert names_of(photo) == ["A.jpg.YAML", "a.YAML", "a.jpg.yml", "a.yml", "A.JSON", "a.mask.png", "a.xmp"]


def test_a_name_that_fits_to_the_letter_goes_before_one_that_nearly_does(tmp_path: Path) -> None:
    small = put(tmp_path, "a.jpg", "a.yaml", "A.jpg", "A.yaml", "A.Yml")
    assert names_of(small) == ["a.yaml"]
    assert names_of(tmp_path / "A.jpg") == ["A.yaml", "A.Yml"]
    assert photos_of(tmp_path / "a.yaml") == [small]


def test_one_stem_may_serve_several_photos(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "a.PNG", "ab.jpg", "a.txt", "a.yaml", "a.jpg.yaml")
    assert set(photos_of(tmp_path / "a.yaml")) == {tmp_path / "a.jpg", tmp_path / "a.PNG"}
    assert photos_of(tmp_path / "a.jpg.yaml") == [tmp_path / "a.jpg"]
    assert photos_of(tmp_path / "none" / "a.yaml") == []


def test_links_folders_and_bare_endings_belong_to_no_photo(tmp_path: Path) -> None:
    photo = put(tmp_path, "a.jpg", "elsewhere", ".mask.png", ".yaml")
    (tmp_path / "a.yaml").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a.jpg.yaml").mkdir()
    assert names_of(photo) == []
    assert [role_of(name) for name in ("a.JPG", "a", "x.MASK.png", "a.Xmp")] == [
        None,
        None,
        Role.MASK,
        Role.XMP,
    ]


def test_a_large_folder_is_not_read_at_every_look(tmp_path: Path, faults: Faults) -> None:
    photo = put(tmp_path, *(f"{number}.jpg" for number in range(companions.LARGE + 1)))
    for _ in range(50):
        companions_of(photo)
    assert [call for call, _ in faults.made].count("scandir") == 1
    put(tmp_path, "0.yaml")
    assert [each.path.name for each in companions_of(photo, is_fresh=True)] == ["0.yaml"]


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
@pytest.mark.parametrize("call", ["scandir", "lstat", "open", "read"])
def test_what_a_sick_disk_says_of_a_sidecar_is_a_condition(
    tmp_path: Path, faults: Faults, call: str, number: int
) -> None:
    photo = put(tmp_path, "a.jpg")
    put(tmp_path, "a.yaml", content=b"style: mosaic")
    faults.fail_for_ever(call, number=number, at=under(tmp_path))
    with pytest.raises(ConditionError):
        find_sidecar(photo)
    if call in ("scandir", "lstat"):
        with pytest.raises(ConditionError):
            fingerprint(photo)
    faults.heal()
    assert find_sidecar(photo) is not None


def test_a_sidecar_that_goes_at_the_wrong_moment_is_not_there(tmp_path: Path, faults: Faults) -> None:
    photo = put(tmp_path, "a.jpg")
    put(tmp_path, "a.yaml", content=b"style: mosaic")
    faults.fail("open", errno.ENOENT, at=tmp_path / "a.yaml")
    assert find_sidecar(photo) is None
    assert find_sidecar(photo) is not None


def test_a_folder_that_may_not_be_listed_has_the_usual_names(tmp_path: Path, faults: Faults) -> None:
    photo = put(tmp_path, "a.jpg")
    put(tmp_path, "a.yaml", content=b"style: mosaic")
    faults.fail_for_ever("scandir", number=errno.EACCES, at=tmp_path)
    found = find_sidecar(photo)
    assert found is not None
    assert found.style == (("mosaic", 1.0),)


PHOTOPRISM = b"UID: psxyz\nType: image\nTitle: Sea\nDetails:\n  Keywords: blue, sea\nQuality: 3\n"
FRONT_MATTER = b"---\ntitle: A day at the sea\nregion: North\ntags: [sea]\n---\nWe went to the sea.\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.yml", PHOTOPRISM),
        ("a.jpg.yaml", FRONT_MATTER),
        ("a.jpg.json", b'{"title": "a.jpg", "photoTakenTime": {"timestamp": "1"}}'),
        ("a.json", b'{"captions": ["half'),
        ("a.yaml", b"- one\n- two\n"),
        ("a.yaml", b"note: *undefined\n"),
        ("a.json", b'{"objects": [' + b'{"x": 1},' * 20_000 + b"{}]}"),
    ],
    ids=str,
)
def test_another_programs_file_of_that_name_asks_for_nothing(
    tmp_path: Path, name: str, content: bytes
) -> None:
    photo = put(tmp_path, "a.jpg")
    foreign = put(tmp_path, name, content=content)
    assert find_sidecar(photo) is None
    assert foreign_beside(photo) == [foreign]
    put(tmp_path, "a.jpg.JSON", content=b'{"style": "mosaic"}')
    ours = find_sidecar(photo)
    assert ours is not None
    assert ours.style == (("mosaic", 1.0),)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"stlye: mosaic\n", "did you mean style?"),
        (b"stlye: mosaic\nregoins: []\n", "did you mean style?"),
        (b"style: mosaic\nsize: 64\n", "size"),
        (b"size: 64\nsteps: 10\n", "size"),
        (b"colour: x\nstyle: mosaic\n", "colour"),
        (b"style: [mosaic\n", "line"),
        (b"stlye: [mosaic\n", "line"),
        (b"mosaic\n", "no keys"),
        (b"\xff\xfe\x00", "no text"),
    ],
)
def test_a_slip_in_ours_holds_the_photo_with_a_hint(tmp_path: Path, content: bytes, words: str) -> None:
    photo = put(tmp_path, "a.jpg")
    put(tmp_path, "a.yml", content=content)
    found = find_sidecar(photo)
    assert found is not None
    assert words in (found.fault or "")


def test_the_disk_is_asked_for_what_a_companion_is(tmp_path: Path) -> None:
    photo = put(tmp_path, "a.jpg", "a.yaml")
    there = neighbours_in(tmp_path)
    disk.remove(tmp_path / "a.yaml")
    assert there.companions_of(photo.name) == []


def test_a_fingerprint_tells_what_the_editors_wrote_from_what_we_are_told(tmp_path: Path) -> None:
    photo = put(tmp_path, "a.jpg", "a.yaml", "a.jpg.XMP", "a.mask.png")
    before = fingerprint(photo)
    assert len(editors_part(before)) == 1
    put(tmp_path, "a.yaml", content=b"style: mosaic")
    assert fingerprint(photo) != before
    assert editors_part(fingerprint(photo)) == editors_part(before)
    put(tmp_path, "a.jpg.XMP", content=b"another")
    assert editors_part(fingerprint(photo)) != editors_part(before)
    assert editors_part("") == []


@pytest.mark.parametrize("name", ["a.jpg", "A.JPG", "a.b.jpg", "a.jpg.yaml", f"{DECOMPOSED}.jpg", "b.png"])
def test_in_a_large_folder_the_same_belongs_to_a_photo_as_in_a_small_one(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a.jpg", "A.JPG", "a.b.jpg", "b.png", "b.jpg", f"{COMPOSED}.jpg")
    put(tmp_path, "a.yaml", "A.json", "a.jpg.xmp", "a.b.jpg.yaml", "a.mask.png", "b.yml", f"{COMPOSED}.yaml")
    small = (companions_of(tmp_path / name), photos_of(tmp_path / name))
    monkeypatch.setattr(companions, "LARGE", 3)
    assert (companions_of(tmp_path / name), photos_of(tmp_path / name)) == small


def test_the_names_of_a_large_folder_are_kept_for_a_moment_and_not_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(companions, "LARGE", 1)
    folders = [tmp_path / str(number) for number in range(5)]
    for folder in folders:
        folder.mkdir()
        put(folder, "a.jpg", "b.jpg")
    monkeypatch.setattr(companions, "REUSE_SECONDS", 0.0)
    for folder in folders:
        names_of(folder / "a.jpg")
    assert [folder for folder in folders if folder in companions._recent] == [folders[-1]]


def test_claims_are_on_the_photos_that_a_sidecar_may_belong_to(tmp_path: Path) -> None:
    claims = Claims([tmp_path / "x" / "A.yaml", tmp_path / "b.jpg.xmp"])
    wanted = ["x/a.jpg", "x/A.png", "b.jpg"]
    others = ["a.jpg", "x/ab.jpg", "x/a.b.jpg", "b.png", "x/b.jpg"]
    assert [name for name in wanted + others if claims.are_on(str(tmp_path / name))] == wanted
    assert claims.folders == [tmp_path / "x", tmp_path]
