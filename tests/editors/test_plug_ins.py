import ast
from pathlib import Path

import pytest

from nst_daemon import __version__
from nst_daemon.editors import plug_ins
from nst_daemon.editors.plug_ins import State, install, state_of, targets_of, uninstall
from nst_daemon.editors.profiles import Packing, Profile
from nst_daemon.errors import MissingError
from nst_daemon.folders.exchange import Editor

EXCHANGE = Path('/home/o\'neill "x"/Pictures/nst-daemon/éditors')


def profile_of(editor: Editor, base: Path, packing: Packing = Packing.NATIVE) -> Profile:
    folders = {
        Editor.DARKTABLE: (base / "config" / "darktable", base / "config" / "darktable" / "luarc"),
        Editor.GIMP: (base / "config" / "GIMP" / "2.10", None),
        Editor.KRITA: (base / "data" / "krita", base / "config" / "kritarc"),
    }
    folder, settings = folders[editor]
    return Profile(editor=editor, packing=packing, folder=folder, settings=settings)


@pytest.fixture(params=list(Editor))
def profile(request: pytest.FixtureRequest, tmp_path: Path) -> Profile:
    return profile_of(request.param, tmp_path)


def test_a_plug_in_is_installed_once_and_taken_away_without_a_trace(profile: Profile, tmp_path: Path) -> None:
    assert state_of(profile, EXCHANGE) is State.ABSENT
    assert install(profile, EXCHANGE)
    assert state_of(profile, EXCHANGE) is State.WELL
    assert install(profile, EXCHANGE) == []
    uninstall(profile)
    assert state_of(profile, EXCHANGE) is State.ABSENT
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert uninstall(profile) == []


def test_each_file_begins_with_our_mark_and_version(profile: Profile) -> None:
    install(profile, EXCHANGE)
    for target in targets_of(profile):
        assert plug_ins.is_ours(target.path.read_bytes())
        assert any(__version__.encode() in line for line in target.path.read_bytes().splitlines()[:2])


def test_no_token_of_the_sources_is_left(profile: Profile) -> None:
    install(profile, EXCHANGE)
    for target in targets_of(profile):
        assert b"@EXCHANGE@" not in target.path.read_bytes()
        assert b"@VERSION@" not in target.path.read_bytes()


def test_a_file_that_is_not_ours_is_never_overwritten_nor_removed(profile: Profile) -> None:
    theirs = targets_of(profile)[0].path
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs\n")
    assert state_of(profile, EXCHANGE) is State.FOREIGN
    with pytest.raises(MissingError, match="not ours"):
        install(profile, EXCHANGE)
    uninstall(profile)
    assert theirs.read_text() == "theirs\n"


def test_an_older_version_is_told_and_brought_up_to_date(profile: Profile) -> None:
    install(profile, EXCHANGE)
    path = targets_of(profile)[0].path
    path.write_bytes(path.read_bytes() + b"\n")
    assert state_of(profile, EXCHANGE) is State.OLD
    assert path in install(profile, EXCHANGE)
    assert state_of(profile, EXCHANGE) is State.WELL


def test_another_exchange_folder_makes_a_plug_in_old(profile: Profile) -> None:
    install(profile, EXCHANGE)
    assert state_of(profile, EXCHANGE.with_name("other")) is State.OLD


LUARC = b'-- mine\r\nrequire "tools/script_manager"\n-- require "nst"'


def test_in_luarc_one_line_changes_and_is_taken_back(tmp_path: Path) -> None:
    profile = profile_of(Editor.DARKTABLE, tmp_path)
    assert profile.settings is not None
    profile.settings.parent.mkdir(parents=True)
    profile.settings.write_bytes(LUARC)
    install(profile, EXCHANGE)
    assert profile.settings.read_bytes() == LUARC + b'\nrequire "nst_daemon"\n'
    uninstall(profile)
    assert profile.settings.read_bytes() == LUARC + b"\n"


def test_a_flatpak_finds_the_plug_in_where_its_manager_of_scripts_looks(tmp_path: Path) -> None:
    profile = profile_of(Editor.DARKTABLE, tmp_path, Packing.FLATPAK)
    install(profile, EXCHANGE)
    assert (profile.folder / "lua" / "contrib" / "nst_daemon.lua").is_file()
    assert profile.settings is not None
    assert profile.settings.read_bytes() == b'require "contrib/nst_daemon"\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"[General]\na=1\n", b"[General]\na=1\n\n[python]\nenable_nst_daemon=true\n"),
        (b"[python]\nenable_x=false\n[z]\n", b"[python]\nenable_nst_daemon=true\nenable_x=false\n[z]\n"),
        (b"[python]\nenable_nst_daemon=false\n", b"[python]\nenable_nst_daemon=true\n"),
        (b"[python]\nenable_nst_daemon=true\n", b"[python]\nenable_nst_daemon=true\n"),
        (b"[a]\nb=\xe4", b"[a]\nb=\xe4\n\n[python]\nenable_nst_daemon=true\n"),
    ],
)
def test_in_kritarc_one_key_changes(before: bytes, after: bytes) -> None:
    assert plug_ins.with_enabled(before) == after


def test_kritarc_is_as_it_was_when_the_plug_in_is_gone(tmp_path: Path) -> None:
    profile = profile_of(Editor.KRITA, tmp_path)
    assert profile.settings is not None
    profile.settings.parent.mkdir(parents=True)
    for before in (b"[General]\na=1\n", b"[python]\nenable_x=false\n"):
        profile.settings.write_bytes(before)
        install(profile, EXCHANGE)
        uninstall(profile)
        assert profile.settings.read_bytes() == before


def test_settings_that_are_a_link_stay_one(tmp_path: Path) -> None:
    profile = profile_of(Editor.KRITA, tmp_path)
    assert profile.settings is not None
    profile.settings.parent.mkdir(parents=True)
    real = tmp_path / "dotfiles"
    real.write_bytes(b"[a]\n")
    profile.settings.symlink_to(real)
    install(profile, EXCHANGE)
    assert profile.settings.is_symlink()
    assert b"enable_nst_daemon=true" in real.read_bytes()


def test_the_exchange_folder_is_named_as_each_language_spells_it(tmp_path: Path) -> None:
    krita = profile_of(Editor.KRITA, tmp_path)
    install(krita, EXCHANGE)
    sources = [target.path for target in targets_of(krita) if target.path.suffix == ".py"]
    found = {
        node.value
        for path in sources
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert str(EXCHANGE) in found


@pytest.fixture
def gimp_3(tmp_path: Path) -> Profile:
    return Profile(editor=Editor.GIMP, packing=Packing.NATIVE, folder=tmp_path / "GIMP" / "3.0")


def test_gimp_3_gets_one_program(gimp_3: Profile) -> None:
    install(gimp_3, EXCHANGE)
    folder = gimp_3.folder / "plug-ins" / "nst-daemon"
    program = folder / "nst-daemon.py"
    assert [path for path in folder.iterdir() if path.stat().st_mode & 0o111] == [program]
    program.chmod(0o644)
    assert install(gimp_3, EXCHANGE) == [program]
    assert program.stat().st_mode & 0o111


def test_the_plug_ins_in_python_share_a_module(tmp_path: Path, gimp_3: Profile) -> None:
    """One that was installed without it is an older one."""
    krita = profile_of(Editor.KRITA, tmp_path)
    contents = []
    for profile in (krita, gimp_3):
        install(profile, EXCHANGE)
        (shared,) = (target.path for target in targets_of(profile) if target.path.name == "protocol.py")
        contents.append(shared.read_bytes())
        shared.unlink()
        assert state_of(profile, EXCHANGE) is State.OLD
        assert install(profile, EXCHANGE) == [shared]
        assert state_of(profile, EXCHANGE) is State.WELL
    assert contents[0] == contents[1]


def test_what_an_editors_python_left_goes_with_the_plug_in(tmp_path: Path, gimp_3: Profile) -> None:
    for profile in (profile_of(Editor.KRITA, tmp_path), gimp_3):
        install(profile, EXCHANGE)
        folder = targets_of(profile)[0].path.parent
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / "protocol.cpython-311.pyc").touch()
        uninstall(profile)
        assert not folder.exists()
