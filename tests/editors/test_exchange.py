import os
from pathlib import Path

import pytest

from nst_daemon.folders.exchange import Exchange, Part, Slip, clear, write_status
from nst_daemon.folders.sidecars import is_whole


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    made = Exchange(tmp_path / "My pictures" / "nst-daemon" / "editors")
    made.make()
    return made


def put(exchange: Exchange, name: str, content: bytes = b"x", editor: str = "gimp") -> Path:
    path = exchange.root / "in" / editor / name
    path.write_bytes(content)
    return path


def test_the_folder_is_its_owners_alone(exchange: Exchange) -> None:
    assert exchange.root.stat().st_mode & 0o777 == 0o700


def test_the_files_of_one_name_are_one_commission(exchange: Exchange) -> None:
    for suffix in ("", ".mask.png", ".yaml", ".status", ".alive", ".cancel"):
        put(exchange, f"20261129-ab_c.tif{suffix}")
    put(exchange, "other.png", editor="krita")
    slips = {(slip.editor, slip.photo.name): slip.parts for slip in exchange.slips()}
    assert slips == {
        ("gimp", "20261129-ab_c.tif"): frozenset(Part),
        ("krita", "other.png"): frozenset({Part.PHOTO}),
    }


@pytest.mark.parametrize(
    "name",
    ["a b.tif", ".hidden.tif", "a.exe", "a.tif.exe", "a.tif.yaml.tmp", "ü.tif", "a" * 65 + ".tif", "a.xcf"],
)
def test_other_names_are_no_commissions(exchange: Exchange, name: str) -> None:
    put(exchange, name)
    assert list(exchange.slips()) == []


def test_links_are_not_followed(exchange: Exchange, tmp_path: Path) -> None:
    secret = tmp_path / "secret.tif"
    secret.write_bytes(b"secret")
    (exchange.root / "in" / "gimp" / "a.tif").symlink_to(secret)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "b.tif").write_bytes(b"x")
    (exchange.root / "in" / "linked").symlink_to(elsewhere)
    assert list(exchange.slips()) == []


@pytest.mark.parametrize(
    ("text", "is_it"),
    [
        (b"style: mosaic\nwhole: true\n", True),
        (b"style: mosaic\r\nwhole: true\r\n\r\n", True),
        (b"whole: true", True),
        (b"style: mosaic\nwhole: tru", False),
        (b"whole: true\nstyle: mosaic\n", False),
        (b"", False),
        (b"title: x whole: true\n", False),
        (b"#" * (1 << 20) + b"\nwhole: true\n", False),
    ],
)
def test_a_sidecar_is_whole_by_its_last_line(exchange: Exchange, text: bytes, is_it: bool) -> None:
    assert is_whole(put(exchange, "a.tif.yaml", text)) is is_it


def test_a_sidecar_that_is_a_link_is_none(exchange: Exchange, tmp_path: Path) -> None:
    real = tmp_path / "real.yaml"
    real.write_bytes(b"whole: true\n")
    link = exchange.root / "in" / "gimp" / "a.tif.yaml"
    link.symlink_to(real)
    assert not is_whole(link)


def test_an_answer_has_one_line_a_key_whatever_is_in_it(exchange: Exchange) -> None:
    slip = Slip(put(exchange, "a.tif"), frozenset({Part.PHOTO}))
    write_status(
        slip, {"state": "failed", "error": "no\nsuch ü=\x00", "remedy": "", "job": None, "percent": 0}
    )
    text = slip.path_of(Part.STATUS).read_text(encoding="utf-8")
    assert text == "nst=1\nstate=failed\nerror=no\\nsuch ü=\\x00\npercent=0\n"


def test_an_answer_is_never_written_through_what_has_its_name(exchange: Exchange, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    slip = Slip(put(exchange, "a.tif"), frozenset({Part.PHOTO}))
    slip.path_of(Part.STATUS).symlink_to(mine)
    write_status(slip, {"state": "taken"})
    assert mine.read_text() == "mine"
    assert not slip.path_of(Part.STATUS).is_symlink()


def test_what_is_cleared_is_gone_but_for_what_stays(exchange: Exchange) -> None:
    for part in Part:
        put(exchange, f"a.tif{part}")
    (slip,) = exchange.slips()
    clear(slip, but={Part.STATUS})
    assert os.listdir(exchange.root / "in" / "gimp") == ["a.tif.status"]  # noqa: PTH208


def test_a_plug_in_reads_paths_with_slashes_from_the_folder_on(exchange: Exchange) -> None:
    assert exchange.relative(exchange.out_of("gimp") / "a.mosaic.tif") == "out/gimp/a.mosaic.tif"
