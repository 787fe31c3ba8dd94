import errno
from dataclasses import fields
from pathlib import Path

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.faults import Faults

from nst_daemon import config
from nst_daemon.config import Config, EngineConfig, Originals, TrayMode, Watch
from nst_daemon.config.blends import blend_of
from nst_daemon.config.recipe import SETTINGS, Rule
from nst_daemon.errors import ConfigError, ExitCode
from nst_daemon.folders.library import Library

PAIR = "inbox: in\noutbox: out\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def parse(text: str, source: Path) -> Config:
    return config.parse(PAIR + text, source)


def refusal(text: str, source: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        config.parse(text, source)
    assert caught.value.exit_code is ExitCode.USAGE
    return str(caught.value)


# ── what a config means ─────────────────────────────────────────────────────────────────────────────────


def test_two_lines_make_a_complete_config(source: Path) -> None:
    source.write_text(PAIR)
    loaded = config.load(source)
    (folder,) = loaded.folders
    home = source.parent
    assert (folder.inbox, folder.outbox) == (home / "in", home / "out")
    assert (folder.archive, folder.failed) == (home / "archive", home / "failed")
    assert (loaded.styles, loaded.source) == (home / "styles", source)
    assert (loaded.watch, loaded.engine, loaded.tray) == (Watch(), EngineConfig(), TrayMode.AUTO)
    assert (folder.originals, folder.rules, folder.set) == (Originals.MOVE, (), {})
    assert folder.style == config.DEFAULT_STYLE


def test_the_default_style_is_a_built_in_one() -> None:
    assert config.DEFAULT_STYLE in Library(None).names()


def test_archive_and_failed_lie_beside_the_inbox_and_not_beside_the_config(
    source: Path, tmp_path: Path
) -> None:
    (folder,) = config.parse("inbox: photos/in\noutbox: out", source).folders
    assert (folder.archive, folder.failed) == (tmp_path / "photos/archive", tmp_path / "photos/failed")


def test_a_tilde_is_the_home_folder(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "ann"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "ann"))
    (folder,) = config.parse("inbox: ~/in\noutbox: ~/out", source).folders
    assert folder.inbox == tmp_path / "ann" / "in"


def test_folders_take_what_they_do_not_say_from_the_top(source: Path) -> None:
    loaded = config.parse(
        """
        style: mosaic
        originals: keep
        set: {size: 512, steps: 10}
        rules: [{match: "*.png", style: etching}]
        folders:
          - {inbox: a, outbox: out}
          - inbox: b/in
            outbox: out
            style: woodcut
            originals: delete
            set: {size: 256}
            rules: [{match: "x/**", style: pastel}]
        """,
        source,
    )
    first, second = loaded.folders
    assert (first.style, first.originals, first.set) == ("mosaic", Originals.KEEP, {"size": 512, "steps": 10})
    assert (second.style, second.originals) == ("woodcut", Originals.DELETE)
    assert second.set == {"size": 256, "steps": 10}
    assert [rule.match for rule in second.rules] == ["x/**", "*.png"]


def test_a_pair_at_the_top_and_folders_go_together(source: Path) -> None:
    loaded = parse("folders: [{inbox: b/in, outbox: b/out}]", source)
    assert [folder.inbox.name for folder in loaded.folders] == ["in", "in"]


def test_off_is_a_word_and_not_a_boolean(source: Path) -> None:
    assert parse("tray: off\nnotify: off", source).tray is TrayMode.OFF


def test_a_word_may_be_in_any_case_and_a_number_may_be_text(source: Path) -> None:
    loaded = parse("tray: Off\nwatch: {recursive: No, settle_seconds: '3'}\nengine: {device: CUDA:1}", source)
    assert (loaded.tray, loaded.watch.recursive, loaded.watch.settle_seconds) == (TrayMode.OFF, False, 3.0)
    assert loaded.engine.device == "cuda:1"


def test_a_folder_or_a_style_may_be_called_by_a_number(source: Path) -> None:
    loaded = parse("styles: 2024\nstyle: 1984", source)
    assert (loaded.styles.name, loaded.folders[0].style) == ("2024", "1984")


def test_an_empty_key_is_a_key_that_is_not_there(source: Path) -> None:
    assert parse("rules:\nset:\nwatch:\n", source).watch == Watch()


def test_rules_keep_their_order_and_their_blends(source: Path) -> None:
    (folder,) = parse(
        'rules: [{match: "a/**", style: [mosaic, {etching: 0.4}]}, {match: "*", set: {size: 64}}]', source
    ).folders
    assert folder.rules == (
        Rule(match="a/**", style=("mosaic", {"etching": 0.4})),
        Rule(match="*", set={"size": 64}),
    )


def test_weights_may_be_a_file_beside_the_config(source: Path) -> None:
    assert parse("engine: {weights: my/vgg.pth}", source).engine.weights == str(source.parent / "my/vgg.pth")
    assert parse("engine: {weights: torchvision}", source).engine.weights == "torchvision"


@pytest.mark.parametrize(
    ("text", "seconds"), [("15m", 900), ("90s", 90), ("2h", 7200), ("45", 45), ("never", 0), ("1d", 86400)]
)
def test_keep_warm_is_a_time(source: Path, text: str, seconds: float) -> None:
    assert parse(f"engine: {{keep_warm: {text}}}", source).engine.idle_seconds == seconds


@pytest.mark.parametrize(
    ("text", "each", "first"),
    [
        ("engine: {}", ("auto",), "auto"),
        ("engine: {device: cuda:1}", ("cuda:1",), "cuda:1"),
        ("engine: {devices: [CUDA:1, cuda:0]}", ("cuda:1", "cuda:0"), "cuda:1"),
        ("engine: {devices: [cpu, cpu]}", ("cpu", "cpu"), "cpu"),
        ("engine: {device: cpu, devices: [cpu]}", ("cpu",), "cpu"),
        ("engine: {devices: All}", ("all",), "auto"),
        ("engine:\n  devices:\n  device: cpu", ("cpu",), "cpu"),
    ],
)
def test_several_devices_are_a_list_or_all(
    source: Path, text: str, each: tuple[str, ...], first: str
) -> None:
    engine = parse(text, source).engine
    assert (engine.each_device, engine.first_device) == (each, first)


def test_keep_warm_always_never_ends() -> None:
    assert EngineConfig(keep_warm="always").idle_seconds == float("inf")


@pytest.mark.parametrize(
    ("text", "amount"),
    [("4GB", 4_000_000_000), ("512 mb", 512_000_000), ("1.5GiB", 1_610_612_736), ("8g", 8 * 10**9)],
)
def test_memory_limit_is_an_amount(source: Path, text: str, amount: int) -> None:
    assert parse(f"engine: {{memory_limit: {text}}}", source).engine.memory_bytes == amount


def test_without_a_memory_limit_the_engine_may_use_what_there_is() -> None:
    assert EngineConfig().memory_bytes is None


def test_two_configs_never_share_a_state_folder(tmp_path: Path) -> None:
    texts = {config.parse(PAIR, tmp_path / name / "config.yaml").state_dir for name in ("a", "b")}
    assert len(texts) == 2


def test_the_default_config_has_the_platforms_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platformdirs, "user_config_path", lambda *_, **__: tmp_path)
    monkeypatch.setattr(platformdirs, "user_state_path", lambda *_, **__: tmp_path / "state")
    assert config.parse(PAIR, tmp_path / "config.yaml").state_dir == tmp_path / "state"


def test_the_environment_names_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NST_DAEMON_CONFIG", str(tmp_path / "mine.yaml"))
    assert config.default_path() == tmp_path / "mine.yaml"
    monkeypatch.delenv("NST_DAEMON_CONFIG")
    assert config.default_path().name == "config.yaml"


# ── what is refused, and how ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sytle: mosaic", ["line 3", "sytle", "did you mean style?"]),
        ("watch:\n  settle_second: 3", ["line 4", "watch.settle_second", "did you mean settle_seconds?"]),
        ("watch: {mode: nativ}", ["line 3", "watch.mode", "'nativ'", "auto, native or polling", "native?"]),
        ("size: 300", ["line 3", "it belongs under set:"]),
        ("set:\n  sise: 300", ["line 4", "set.sise", "did you mean size?"]),
        ("set: {steps: 0}", ["set.steps", "got 0", "from 1 to 100000"]),
        ("set: {steps: true}", ["set.steps", "got True"]),
        ("set: {strength: .nan}", ["set.strength", "got nan"]),
        ("set: {content_weight: .inf}", ["set.content_weight", "got inf"]),
        ("set: {style_layers: []}", ["set.style_layers", "is empty"]),
        ("set: {content_layers: [relu9_1]}", ["set.content_layers", "relu9_1", "relu1_1 to relu5_4"]),
        ("set: 5", ["set", "got 5", "keys with values"]),
        ('rules: [{match: "*", style: ../x.jpg}]', ["rules[0].style", "no path and no URL"]),
        ('rules: [{match: "*", sets: {}}]', ["rules[0].sets", "did you mean set?"]),
        ("rules: [{style: mosaic}]", ["rules[0].match", "is missing"]),
        ("folders: [{inbox: b}]", ["folders[0].outbox", "is missing"]),
        ("folders: [{inbox: b, outbox: c, set: {qualitty: 3}}]", ["folders[0].set.qualitty", "quality?"]),
        ("engine: {device: gpu}", ["engine.device", "'gpu'", "cuda:1"]),
        ("engine: {devices: []}", ["engine.devices", "got []", "all, or a list of devices"]),
        ("engine: {devices: [cpu, gpu]}", ["engine.devices", "'gpu'", "[cuda:0, cuda:1]"]),
        ("engine: {devices: [auto, cpu]}", ["engine.devices", "got ['auto', 'cpu']"]),
        ("engine: {devices: cuda:0}", ["engine.devices", "got 'cuda:0'", "all, or a list"]),
        ("engine: {devices: [1]}", ["engine.devices", "got [1]"]),
        (
            "engine: {device: cpu,\n  devices: [cpu, cpu]}",
            ["line 4", "engine.devices", "engine.device says cpu", "one of the two"],
        ),
        ("engine: {device: auto, devices: all}", ["engine.devices", "engine.device says auto"]),
        ("engine: {keep_warm: 15x}", ["engine.keep_warm", "15m or 2h"]),
        ("engine: {memory_limit: much}", ["engine.memory_limit", "4GB"]),
        ("max_megapixels: big", ["max_megapixels", "a number"]),
        ("style: mosaic\nstyle: etching", ["line 3", "style", "twice", "line 4"]),
        ("watch: {mode: auto, mode: native}", ["watch.mode", "twice"]),
        ("set: [", ["line 3"]),
        ("rules: [{match: *.jpg}]", ["line 3", "quotes"]),
        ("set:\n\tsize: 3", ["line 4", "spaces"]),
        ('styles: "\\ud800"', ["line 3", "'\\ud800' is no text"]),
        ('archive: "a\\0b"', ["line 3", "is no text"]),
        ("folders: !!set {a}", ["line 3", "set"]),
        ("watch: {settle_seconds: true}", ["watch.settle_seconds", "got True", "a number, 0 or more"]),
        ("tray: [ON]", ["tray", "got ['ON']", "auto, on or off"]),
        ("watch: {mode: NATIV}", ["watch.mode", "'NATIV'", "native?"]),
        ("folders: [b]", ["folders[0]", "got 'b'", "keys with values"]),
        ("watch: {ignore: '*.bak'}", ["watch.ignore", "got '*.bak'", "a list"]),
    ],
)
def test_a_mistake_names_file_line_key_and_remedy(source: Path, text: str, words: list[str]) -> None:
    message = refusal(PAIR + text, source)
    assert str(source) in message
    for word in words:
        assert word in message


def test_all_mistakes_are_listed_in_the_order_of_their_lines(source: Path) -> None:
    message = refusal(PAIR + "set: {steps: 0}\nwatch: {mode: x}\ntrai: on\n", source)
    assert [message.index(word) for word in ("set.steps", "watch.mode", "trai:")] == sorted(
        message.index(word) for word in ("set.steps", "watch.mode", "trai:")
    )
    assert "3 errors" in message


@pytest.mark.parametrize(
    "text", ["", "style: mosaic", "- a", "inbox: in", "outbox: out", "inbox: in\nfolders: []"]
)
def test_a_config_without_an_inbox_and_an_outbox_is_refused(source: Path, text: str) -> None:
    assert "box" in refusal(text, source) or "no keys" in refusal(text, source)


def test_a_missing_config_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="init") as caught:
        config.load(tmp_path / "none.yaml")
    assert "none.yaml" in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "inbox: in\noutbox: in/out",
        "inbox: in\noutbox: in",
        "inbox: out/in\noutbox: out",
        "inbox: in\noutbox: out\nstate_dir: in/.state",
        "inbox: state/in\noutbox: out\nstate_dir: state",
        "inbox: in\noutbox: out\narchive: in/done",
        "inbox: archive/in\noutbox: out\narchive: archive",
        "inbox: in\noutbox: out\nfailed: in/failed",
        "inbox: in\noutbox: out\nstyles: in/styles",
        "inbox: in\noutbox: out\nfolders: [{inbox: in/b, outbox: out2}]",
        "folders: [{inbox: a, outbox: b}, {inbox: b, outbox: c}]",
        "folders: [{inbox: a, outbox: b}, {inbox: a, outbox: c}]",
    ],
)
def test_folders_that_would_feed_each_other_are_refused(source: Path, text: str) -> None:
    message = refusal(text, source)
    assert "inside" in message or "overlap" in message


def test_an_outbox_in_the_inbox_is_found_through_a_link(source: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "out").symlink_to(tmp_path / "in" / "sub", target_is_directory=True)
    assert "inside the inbox" in refusal(PAIR, source)


def test_a_loop_of_links_is_no_crash(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "out")
    assert config.parse(PAIR, source).folders[0].outbox == tmp_path / "out"


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_parser(text: bytes) -> None:
    try:
        config.parse(text, Path("/c/config.yaml"))
    except ConfigError as error:
        assert "config.yaml" in str(error)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_config_from_windows_notepad_is_read(source: Path, encoding: str) -> None:
    source.write_bytes((PAIR + "style: étude").encode(encoding))
    assert config.load(source).folders[0].style == "étude"


def test_an_alias_that_contains_itself_is_refused(source: Path) -> None:
    assert "itself" in refusal(PAIR + "set: &a {size: *a}", source)


def test_a_few_lines_cannot_stand_for_billions(source: Path) -> None:
    bomb = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
        for old, new in zip("abcdefg", "bcdefgh", strict=True)
    )
    assert "more than" in refusal(bomb, source)


def test_the_keys_of_the_text_are_those_of_the_config() -> None:
    complete = {f.name for f in fields(Config)} - {"source"} | {f.name for f in fields(config.Folder)}
    assert set(config.keys_of()) == complete
    assert config.keys_of("set") == SETTINGS


SPELLINGS = (
    "2024_05",
    "2024__05",
    "1_",
    "1_000",
    "2024_05_01",
    "1e3",
    "+12",
    "012",
    "1984",
    "2024.10",
    "2024-05-01",
    "0x1F",
    "-0",
)


@pytest.mark.parametrize("word", SPELLINGS)
def test_what_looks_like_a_number_is_the_text_as_written_where_text_is_expected(word: str) -> None:
    text = (
        f"inbox: {word}i\noutbox: {word}\nstyles: {word}\narchive: {word}\nstate_dir: x/{word}\n"
        f"style: {word}\n"
        f"rules: [{{match: {word}, style: {word}}}, {{match: x, style: [{word}, {{{word}b: 0.5}}]}}]\n"
        f"watch: {{ignore: [{word}]}}\nengine: {{weights: {word}}}\n"
    )
    made = config.parse(text, Path("/home/config.yaml"))
    folder = made.folders[0]
    places = (folder.outbox, made.styles, folder.archive, made.state_dir, Path(made.engine.weights))
    assert {path.name for path in places} == {word}
    assert (folder.style, made.watch.ignore) == (word, (word,))
    assert [rule.match for rule in folder.rules] == [word, "x"]
    assert blend_of(folder.rules[0].style) == ((word, 1.0),)
    assert blend_of(folder.rules[1].style) == ((word, 1.0), (f"{word}b", 0.5))


def test_a_number_is_a_number_where_one_is_expected_whatever_its_spelling() -> None:
    text = (
        "inbox: i\noutbox: o\nset: {size: 1_024, tv_weight: 1e-3, strength: .5, steps: +12}\n"
        "max_megapixels: 1_00\nengine: {keep_warm: 1_0, memory_limit: 4_000_000_000}\n"
    )
    made = config.parse(text, Path("/home/config.yaml"))
    assert made.folders[0].set == {"size": 1024, "tv_weight": 0.001, "strength": 0.5, "steps": 12}
    assert made.max_megapixels == 100
    assert (made.engine.idle_seconds, made.engine.memory_bytes) == (10, 4_000_000_000)
    short = config.parse("inbox: i\noutbox: o\nengine: {memory_limit: 4e9}", Path("/c"))
    assert short.engine.memory_bytes == 4_000_000_000


def test_keys_are_the_text_that_was_written() -> None:
    made = config.parse("inbox: i\noutbox: o\nrules: [{match: x, style: [{10: 1, 1_0: 2}]}]", Path("/c"))
    assert blend_of(made.folders[0].rules[0].style) == (("10", 1.0), ("1_0", 2.0))


def test_an_edit_of_the_spelling_alone_is_an_edit() -> None:
    found = {
        str(config.parse(f"inbox: i\noutbox: o\nrules: [{{match: x, style: {word}}}]", Path("/c")))
        for word in ("2024_05", "202405")
    }
    assert len(found) == 2


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE, errno.EMFILE])
def test_a_config_that_cannot_be_read_is_told_as_such(tmp_path: Path, faults: Faults, number: int) -> None:
    source = tmp_path / "config.yaml"
    source.write_text("inbox: i\noutbox: o\n")
    faults.fail("open", number)
    with pytest.raises(ConfigError) as caught:
        config.load(source)
    assert (caught.value.code, str(source) in caught.value.message) == ("config_unreadable", True)
    assert config.load(source).source == source


def test_a_folder_in_place_of_a_config_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder") as caught:
        config.load(tmp_path)
    assert str(tmp_path / "config.yaml") in caught.value.remedy


def test_the_exchange_folder_is_among_the_pictures_unless_named_or_off(tmp_path: Path, no_home: Path) -> None:
    def exchange(line: str) -> Path | None:
        return config.parse(f"inbox: in\noutbox: out\n{line}\n", tmp_path / "config.yaml").exchange

    assert exchange("") == exchange("exchange: AUTO") == no_home / "Pictures" / "nst-daemon" / "editors"
    assert exchange("exchange: off") is None
    assert exchange("exchange: plug-ins") == tmp_path / "plug-ins"


def test_an_inbox_of_all_pictures_has_no_exchange_folder_in_it(no_home: Path) -> None:
    pictures = no_home / "Pictures"
    text = f"inbox: {pictures}\noutbox: {no_home}/out\n"
    assert config.parse(text, no_home / "config.yaml").exchange is None
    with pytest.raises(ConfigError, match="exchange"):
        config.parse(f"{text}exchange: {pictures}/plug-ins\n", no_home / "config.yaml")


# ── folders that machines of a farm share ───────────────────────────────────────────────────────────────


def test_a_shared_folder_is_absolute_and_knows_the_way_to_its_files(source: Path) -> None:
    (folder,) = parse(r"farm: {shared: [{here: photos, there: 'P:\photos'}]}", source).farm.shared
    assert folder.here == str(source.parent / "photos")
    assert folder.parts_of(source.parent / "photos" / "trip" / "a.jpg") == ("trip", "a.jpg")
    assert folder.parts_of(source.parent / "photos2" / "a.jpg") is None


@pytest.mark.parametrize(
    ("shared", "words"),
    [
        ("[{here: /p, there: mnt}]", "a path from the root on, as the other machine writes it"),
        ("[{here: /p}]", "is missing"),
        ("[{her: /p, there: /m}]", "did you mean here"),
        ("/p", "a list"),
    ],
)
def test_a_shared_folder_that_is_none_is_refused(source: Path, shared: str, words: str) -> None:
    said = refusal(f"{PAIR}farm: {{shared: {shared}}}", source)
    assert "farm.shared" in said
    assert words in said.lower()
