# ruff: noqa: F811  fixtures are imported by name
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from support.commands import SAMPLE, Ask, ask, finish, home, loaded, photo  # noqa: F401
from support.faults import Faults

from nst_daemon import config
from nst_daemon.cli import bench, checks
from nst_daemon.cli import common as cli_common
from nst_daemon.cli import paint as cli_paint
from nst_daemon.cli import setup as cli_setup
from nst_daemon.config import Config
from nst_daemon.config.orders import EngineFacts, Order, Painting, Progress
from nst_daemon.config.recipe import Format
from nst_daemon.folders.library import BUILT_IN
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState, Snapshot
from nst_daemon.system import machine

# ── styles and explain ──────────────────────────────────────────────────────────────────────────────────


def test_styles_lists_built_in_and_own_styles(ask: Ask, loaded: Config) -> None:
    shutil.copy(BUILT_IN / "mosaic.jpg", loaded.styles / "mine.jpg")
    entries = {entry["name"]: entry for entry in ask("styles", "--json").json}
    assert entries["mine"] == {"name": "mine", "path": str(loaded.styles / "mine.jpg"), "builtin": False}
    assert any(entry["builtin"] for entry in entries.values())
    assert "mine\tyours" in ask("styles").out


@pytest.mark.parametrize(
    ("content", "said"), [(b"<html>404</html>", "is no picture"), (b"", "is empty"), (None, "leads to none")]
)
def test_styles_and_check_say_which_style_no_photo_would_be_painted_in(
    ask: Ask, loaded: Config, content: bytes | None, said: str
) -> None:
    path = loaded.styles / "mosaic.jpg"  # the default style
    path.unlink()
    path.symlink_to("nowhere") if content is None else path.write_bytes(content)
    entries = {entry["name"]: entry for entry in ask("styles", "--json").json}
    assert said in entries["mosaic"]["error"]
    assert said in ask("styles").out
    assert [finding.what for finding in checks._styles(loaded) if not finding.is_ok]


def test_styles_says_that_the_folder_cannot_be_read(ask: Ask, loaded: Config, faults: Faults) -> None:
    faults.fail_for_ever("scandir", number=errno.ESTALE, at=loaded.styles)
    answer = ask("styles", "--json")
    assert (answer.code, all(entry["builtin"] for entry in answer.json)) == (0, True)
    assert "does not answer" in answer.err


def test_styles_needs_no_config(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NST_DAEMON_CONFIG")
    assert "built-in" in ask("styles").out


def test_explain_says_what_a_photo_would_get_and_why(ask: Ask, loaded: Config) -> None:
    photo = loaded.folders[0].inbox / "woodcut" / "a.jpg"
    answer = ask("explain", photo)
    assert answer.code == 0
    assert answer.out.splitlines()[0] == f"{Path('woodcut/a.jpg')} gets woodcut"
    assert "sub-folder: woodcut is the name of a style ← decides" in answer.out
    assert "settings: the defaults" in answer.out


def test_explain_says_why_a_photo_would_wait(ask: Ask, photo: Path) -> None:
    photo.with_name("cat.yaml").write_text("style: wodcut\n")
    assert "waits: No style named wodcut" in ask("explain", photo).out


# ── painting ────────────────────────────────────────────────────────────────────────────────────────────


class FakeEngine:
    """Paints by copying the style."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.suffix = ""  # of all that it paints
        self.precision = "float32"
        self.pid = os.getpid()

    def warm_up(self) -> EngineFacts:
        return EngineFacts(state="warm", device="cpu", precision=self.precision)

    def paint(
        self, order: Order, *, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]
    ) -> Painting:
        assert not should_stop()
        self.orders.append(order)
        picture = order.result.with_name(order.result.name + (self.suffix or f".{order.recipe.format}"))
        picture.write_bytes(order.styles[0].path.read_bytes())
        step = {"scale": 1, "scales": 1, "width": 64, "height": 48, "steps": 2, "losses": {}, "seconds": 1.0}
        for number in (1, 2):
            on_progress(Progress(step=number, fraction=number / 2, eta_seconds=2.0 - number, **step))  # type: ignore[arg-type]
        return Painting(
            picture=picture,
            report=None,
            width=64,
            height=48,
            seconds=1.0,
            seconds_to_first_step=0.5,
            device="cpu",
            losses={},
            notes=("no EXIF",),
        )


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    engine = FakeEngine()

    @contextmanager
    def engine_of(_: Config | None) -> Iterator[FakeEngine]:
        yield engine

    monkeypatch.setattr(cli_paint, "engine_of", engine_of)
    return engine


def test_render_paints_to_the_very_path(ask: Ask, engine: FakeEngine, tmp_path: Path) -> None:
    target = tmp_path / "new" / "cat.png"
    answer = ask("render", SAMPLE, "--style", "mosaic", "-o", target, "--set", "size=64")
    assert (answer.code, answer.out) == (0, f"{target}\n")
    assert target.is_file()
    (order,) = engine.orders
    assert (order.recipe.size, order.recipe.format, order.styles[0].name) == (64, "png", "mosaic")
    assert "50 %" in answer.err
    assert "no EXIF" in answer.err


@pytest.mark.parametrize("form", [form for form in Format if form is not Format.SAME])
def test_render_writes_every_format(ask: Ask, engine: FakeEngine, tmp_path: Path, form: Format) -> None:
    ending = {"jpeg": "jpg", "tiff": "tif"}.get(form, form)
    assert ask("render", SAMPLE, "--style", "mosaic", "-o", tmp_path / f"a.{ending}").code == 0
    assert engine.orders[0].recipe.format is form


def test_render_never_gives_a_picture_the_ending_of_another_format(
    ask: Ask, engine: FakeEngine, tmp_path: Path
) -> None:
    engine.suffix = ".png"  # as a WebP becomes that is too large for its format
    answer = ask("render", SAMPLE, "--style", "mosaic", "-o", tmp_path / "a.webp")
    assert (answer.code, answer.out) == (0, f"{tmp_path / 'a.png'}\n")
    assert not (tmp_path / "a.webp").exists()


def test_render_paints_with_the_real_network(
    ask: Ask, loaded: Config, tmp_path: Path, cache: Callable[[Path], Path]
) -> None:
    cache(loaded.state_dir / "weights")
    target = tmp_path / "cat.png"
    own = sorted(BUILT_IN.glob("*.jpg"))[0].stem
    answer = ask("render", SAMPLE, "--style", own, "-o", target, "--set", "size=48", "--set", "steps=2")
    assert (answer.code, answer.out) == (0, f"{target}\n"), answer.err
    assert target.read_bytes().startswith(b"\x89PNG")


def test_render_takes_the_settings_of_the_config(
    ask: Ask, engine: FakeEngine, home: Path, tmp_path: Path
) -> None:
    (home / "config.yaml").write_text("inbox: inbox\noutbox: outbox\nset: {size: 99, steps: 3}\n")
    ask("render", SAMPLE, "--style", "mosaic", "-o", tmp_path / "a.webp", "--set", "steps=4")
    assert (engine.orders[0].recipe.size, engine.orders[0].recipe.steps) == (99, 4)


def test_render_takes_a_style_picture_of_ones_own(ask: Ask, engine: FakeEngine, tmp_path: Path) -> None:
    own = tmp_path / "own.jpg"
    own.write_bytes(b"x")
    assert ask("render", SAMPLE, "--style", own, "-o", tmp_path / "a.jpg").code == 0
    assert engine.orders[0].styles[0].path == own


def test_bench_measures_each_preset_at_each_size(ask: Ask, engine: FakeEngine) -> None:
    answer = ask("bench", "--size", "64", "--size", "32", "--preset", "draft", "--json")
    assert [row["preset"] for row in answer.json] == ["draft", "draft"]
    assert [order.recipe.size for order in engine.orders] == [64, 32]
    assert ask("bench", "--quick").out.splitlines()[0].startswith("preset\tpicture\tseconds")


def test_bench_tells_memory_and_the_forecast_beside_what_was_measured(
    ask: Ask, engine: FakeEngine, home: Path
) -> None:
    (home / "config.yaml").write_text(
        "inbox: inbox\noutbox: outbox\nstate_dir: state\nengine: {device: cpu, memory_limit: 3GB}\n"
    )
    small, large = ask("bench", "--size", "64", "--size", "1024", "--preset", "fine", "--json").json
    assert small["memory"] == large["memory"] > 0  # this process plays the engine's
    assert 0.5 < small["memory forecast"] < large["memory forecast"] < 3.6
    assert small["forecast"] is None  # nothing was painted on this machine yet


def test_a_process_that_is_no_more_has_no_memory() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert machine.memory_of(process.pid) == 0 < machine.memory_of(os.getpid())


def test_a_peak_outlasts_what_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, pids = iter([3, 9, 5]), iter([None, 1, 1, 2])
    monkeypatch.setattr(machine, "memory_of", lambda pid: next(seen))
    peak = bench.Peak(lambda: next(pids))
    assert not any(peak.should_stop() for _ in range(4))
    assert peak.bytes == 9


def test_bench_says_where_its_pictures_are_still_to_choose_the_precision(
    ask: Ask, engine: FakeEngine
) -> None:
    assert "not chosen yet" not in ask("bench", "--quick").err
    engine.precision = ""
    answer = ask("bench", "--quick", "--json")
    assert "not chosen yet" in answer.err
    assert len(answer.json) == 1


class FakeDaemon:
    """Does one job: the photo that lies in the inbox."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def run(self, *, once: bool, on_change: Callable[[Snapshot], None] | None) -> int:
        assert once
        folder = self.config.folders[0]
        (photo,) = folder.inbox.iterdir()
        with Ledger(cli_common.ledger_path(self.config)) as ledger:
            from nst_daemon.folders.library import Library
            from nst_daemon.intake import submission

            library = Library(self.config.styles)
            proposal = submission.proposal_for(photo, config=self.config, library=library, keywords=())
            choices = submission.choices_of(proposal, style=None, settings={})
            (job,) = submission.submit(
                photo, choices, proposal=proposal, config=self.config, library=library, ledger=ledger
            )
            finish(ledger, job.job, JobState.DONE, result=folder.outbox / "painted.jpg")
            if on_change:
                on_change(ledger.snapshot(running=True))
        return 0


def test_demo_prints_where_the_picture_is(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("nst_daemon.daemon.daemon")
    module.Daemon = FakeDaemon  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nst_daemon.daemon.daemon", module)
    answer = ask("demo", "--dir", tmp_path / "demo")
    assert (answer.code, answer.out) == (0, f"{tmp_path / 'demo' / 'outbox' / 'painted.jpg'}\n")
    made = config.load(tmp_path / "demo" / "config.yaml")
    assert made.state_dir == tmp_path / "demo" / "state"
    assert made.folders[0].set == cli_paint.DEMO_SETTINGS


def test_demo_takes_a_new_folder_each_time(tmp_path: Path) -> None:
    assert cli_setup.new_folder(tmp_path / "demo") == tmp_path / "demo"
    (tmp_path / "demo").mkdir()
    assert cli_setup.new_folder(tmp_path / "demo") == tmp_path / "demo-2"
