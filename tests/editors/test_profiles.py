import sys
from pathlib import Path

import pytest

from nst_daemon.editors import profiles as found_in
from nst_daemon.editors.profiles import Packing, Profile, flatpak_lack, profiles
from nst_daemon.folders.exchange import Editor

pytestmark = pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="the folders are Linux's")


@pytest.fixture(autouse=True)
def no_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found_in, "PROGRAMS", dict.fromkeys(Editor, ()))


def test_an_editor_that_is_not_there_has_no_profile(no_home: Path) -> None:
    assert [profiles(editor) for editor in Editor] == [[], [], []]


def test_native_and_packed_profiles_are_found(no_home: Path) -> None:
    for folder in (
        ".config/darktable",
        ".var/app/org.darktable.Darktable/config/darktable",
        "snap/darktable/current/.config/darktable",
    ):
        (no_home / folder).mkdir(parents=True)
    found = {profile.packing: profile for profile in profiles(Editor.DARKTABLE)}
    assert set(found) == set(Packing)
    assert found[Packing.NATIVE].settings == no_home / ".config" / "darktable" / "luarc"


def test_each_version_of_gimp_has_a_profile(no_home: Path) -> None:
    for name in ("2.10", "3.0", "3.2", "2.8", "gtkrc"):
        (no_home / ".config" / "GIMP" / name).mkdir(parents=True)
    assert [profile.folder.name for profile in profiles(Editor.GIMP)] == ["2.10", "3.0", "3.2"]


def test_kritas_plug_ins_and_settings_lie_apart(no_home: Path) -> None:
    (no_home / ".local" / "share" / "krita").mkdir(parents=True)
    (profile,) = profiles(Editor.KRITA)
    assert profile.folder == no_home / ".local" / "share" / "krita"
    assert profile.settings == no_home / ".config" / "kritarc"


def test_a_program_is_asked_for_its_version(
    no_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "gimp"
    program.write_text('#!/bin/sh\necho "GNU Image Manipulation Program version 2.10.34"\n')
    program.chmod(0o755)
    monkeypatch.setattr(found_in, "PROGRAMS", {**dict.fromkeys(Editor, ()), Editor.GIMP: (str(program),)})
    (profile,) = profiles(Editor.GIMP)
    assert (profile.words, profile.folder.name) == ("GIMP 2.10.34", "2.10")


def test_a_flatpak_that_cannot_see_the_folder_is_told_how(no_home: Path) -> None:
    exchange = no_home / "Pictures" / "nst-daemon" / "editors"
    profile = Profile(editor=Editor.KRITA, packing=Packing.FLATPAK, folder=no_home / "x")
    assert flatpak_lack(profile, exchange) is None  # nobody knows
    folder = no_home / ".local/share/flatpak/app/org.kde.krita/current/active"
    folder.mkdir(parents=True)
    metadata = folder / "metadata"
    metadata.write_text("[Application]\nname=x\n[Context]\nfilesystems=xdg-download;\n")
    lack = flatpak_lack(profile, exchange)
    assert lack is not None
    assert str(exchange) in lack
    for allowed in ("host;", "home:rw;", "xdg-pictures;", f"{exchange};"):
        metadata.write_text(f"[Context]\nfilesystems={allowed}\n")
        assert flatpak_lack(profile, exchange) is None
