"""`explain` asks the gatekeeper that the intake asks, and says why a file is left alone."""

# ruff: noqa: F811  fixtures are imported by name
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import SAMPLE, Ask, ask, home  # noqa: F401


@pytest.fixture
def inbox(home: Path) -> Path:
    text = (home / "config.yaml").read_text()
    (home / "config.yaml").write_text(text.replace("#  ignore: []", "  ignore: ['drafts/**']"))
    assert "drafts" in (home / "config.yaml").read_text()
    return home / "inbox"


def put(inbox: Path, name: str) -> Path:
    path = inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(SAMPLE, path)
    return path


def link(path: Path) -> None:
    path.symlink_to(SAMPLE)


def pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.jxl", "endings"),
        ("b.psd", "endings"),
        ("photo", "endings"),
        ("c.JPG.jpg_medium", "endings"),
        ("@eaDir/x.jpg", "hidden, temporary, or the system's"),
        ("@Recycle/x.jpg", "hidden, temporary, or the system's"),
        ("Photos.photoslibrary/originals/x.jpg", "another program"),
        (".hidden.jpg", "hidden"),
        ("drafts/a.jpg", "watch.ignore"),
        ("a (conflicted copy 2024-01-01).jpg", "conflict"),
    ],
)
def test_a_file_that_is_left_alone_is_explained_as_such(ask: Ask, inbox: Path, name: str, words: str) -> None:
    answer = ask("explain", put(inbox, name))
    assert answer.code == 0
    assert f"{name} is left alone, and never painted:" in answer.out
    assert words in answer.out
    assert "gets" not in answer.out


@pytest.mark.parametrize(("make", "words"), [(link, "links are not followed"), (pipe, "no ordinary file")])
def test_links_and_pipes_are_explained(
    ask: Ask, inbox: Path, make: Callable[[Path], None], words: str
) -> None:
    make(inbox / "x.jpg")
    assert words in ask("explain", inbox / "x.jpg").out


def test_a_photo_behind_a_linked_folder_is_left_alone_and_one_in_a_linked_inbox_is_not(
    ask: Ask, inbox: Path, tmp_path: Path
) -> None:
    put(tmp_path / "elsewhere", "a.jpg")
    (inbox / "trip").symlink_to(tmp_path / "elsewhere")
    assert "links are not followed" in ask("explain", inbox / "trip" / "a.jpg").out
    put(inbox, "b.jpg")
    (tmp_path / "door").symlink_to(inbox)
    assert "b.jpg gets mosaic" in ask("explain", tmp_path / "door" / "b.jpg").out


def test_a_raw_file_beside_its_picture_is_explained(ask: Ask, inbox: Path) -> None:
    put(inbox, "IMG_1.JPG")
    assert "the picture of the same name" in ask("explain", put(inbox, "IMG_1.CR2")).out


def test_a_sidecar_and_a_mask_are_explained(ask: Ask, inbox: Path) -> None:
    put(inbox, "a.jpg")
    (inbox / "A.YAML").write_text("mask: sky.png")
    assert "A.YAML is no photo: it belongs to a.jpg" in ask("explain", inbox / "A.YAML").out
    assert "it is a mask, by the word of A.YAML" in ask("explain", put(inbox, "sky.png")).out


def test_another_programs_sidecar_is_named(ask: Ask, inbox: Path) -> None:
    photo = put(inbox, "a.jpg")
    (inbox / "a.yml").write_text("UID: x\nTitle: Sea\n")
    answer = ask("explain", photo).out
    assert "a.jpg gets mosaic" in answer
    assert "a.yml: another program's" in answer


def test_a_file_that_is_not_there_is_explained_by_its_name(ask: Ask, inbox: Path) -> None:
    assert "never painted" in ask("explain", inbox / "none.psd").out
    assert "gets mosaic" in ask("explain", inbox / "none.jpg").out


def test_a_folder_is_explained_as_one(ask: Ask, inbox: Path) -> None:
    put(inbox, "trip/a.jpg")
    put(inbox, "Cat.lrdata/a.jpg")
    assert "trip is a folder, and is looked into." in ask("explain", inbox / "trip").out
    assert (
        "Cat.lrdata is a folder, and left alone: another program" in ask("explain", inbox / "Cat.lrdata").out
    )
