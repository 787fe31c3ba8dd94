"""darktable's plug-in, in the real darktable with the real daemon; its text without either."""

import io
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import tifffile
import yaml
from PIL import ImageCms
from support import real
from support.darktable import CANCEL_AT, PLUGIN, Darktable, darktable, lua_string, plugin_for, wide_screen
from support.desktops import click

__all__ = ["darktable", "wide_screen"]  # fixtures

pytestmark = [pytest.mark.xdist_group("editors"), pytest.mark.timeout(400)]

ADOBE_RGB: Final = "2"  # as darktable counts profiles
FORBIDDEN: Final = (
    *("os.execute", "io.popen", "control.execute", "subprocess", "os.system", "QProcess", "socket"),
    *("dofile", "load", "eval", "exec", "loadfile", "loadstring", "package.loadlib"),
)


# ── its text ────────────────────────────────────────────────────────────────────────────────────────────


def code_of(source: str) -> str:
    """Return Lua's source without comments and texts."""
    source = re.sub(r"--\[\[.*?\]\]", "", source, flags=re.DOTALL)
    source = re.sub(r'"(\\.|[^"\\\n])*"|\'(\\.|[^\'\\\n])*\'', '""', source)
    return re.sub(r"--[^\n]*", "", source)


def test_the_plug_in_begins_with_its_mark_and_has_the_exchange_folder_once() -> None:
    source = PLUGIN.read_text(encoding="utf-8")
    assert source.splitlines()[0] == "-- nst-daemon plug-in @VERSION@"
    assert source.count('"@EXCHANGE@"') == 1


def test_the_plug_in_starts_no_process_opens_no_socket_and_runs_no_text() -> None:
    code = code_of(PLUGIN.read_text(encoding="utf-8"))
    found = [word for word in FORBIDDEN if re.search(rf"(?<![\w.]){re.escape(word)}\s*\(?", code)]
    assert found == []


@pytest.mark.parametrize("folder", ["/home/me/Pictures/nst", '/it\'s "here"/a\\b ü\n'])
def test_the_plug_in_is_lua_whatever_the_exchange_folder_is_called(folder: str, tmp_path: Path) -> None:
    compiler = shutil.which("luac5.4") or shutil.which("luac")
    if compiler is None:
        pytest.skip("NOT TESTED: no luac. Debian: apt-get install lua5.4")
    installed = tmp_path / "nst_daemon.lua"
    installed.write_text(plugin_for(Path(folder)), encoding="utf-8")
    done = subprocess.run([compiler, "-p", installed], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# ── in darktable ────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def painting(
    darktable: Darktable, cache: Callable[[Path], Path], settings: str = "size: 48, steps: 3, pyramid: 0"
) -> Iterator[Path]:
    """Run the real daemon over the exchange folder, with two styles."""
    home = darktable.base / "daemon"
    if not home.exists():
        for name in ("inbox", "outbox", "styles"):
            (home / name).mkdir(parents=True)
        real.picture(home / "styles" / "stripes.png", seed=3)
        real.picture(home / "styles" / "Red Dots.png", seed=8)
        cache(home / "state" / "weights")
    (home / "config.yaml").write_text(
        "inbox: inbox\noutbox: outbox\nstate_dir: state\nstyle: stripes\nexchange: ../exchange\n"
        f"tray: off\nnotify: off\nset: {{{settings}}}\n"
    )
    with real.running(home):
        yield home


def states(home: Path) -> list[str]:
    return [job.state.value for job in real.jobs_of(home).values()]


PAINTED = """
  wait("%d paintings", function() return #dt.database == %d end)
  wait("an empty exchange folder", closed)
  dt.control.sleep(1500) -- for the last words
"""


def test_photos_come_back_grouped_leading_and_with_what_their_originals_had(
    darktable: Darktable, cache: Callable[[Path], Path]
) -> None:
    shared = Path("/dev/shm")
    if shared.is_dir() and shared.stat().st_dev != darktable.base.stat().st_dev:
        darktable.temporary = shared  # from another disk a file cannot be renamed
    names = ['a/IMG\'1 "ü".tif', 'b/IMG\'1 "ü".tif']
    for seed, name in enumerate(names):
        darktable.photo(name, seed)
    (darktable.photos / "a" / 'IMG\'1 "ü".stripes.tif').write_bytes(b"another's")
    (darktable.photos / "b" / 'IMG\'1 "ü".stripes.tif.xmp').write_bytes(b"of one that was deleted")
    script = f"""
      local one, two = import({lua_string(names[0])}, {lua_string(names[1])})
      one.rating, one.red, one.blue, two.rating = 4, true, true, -1
      tag(one, "sea|beach")
      order {{ one, two }}
      {PAINTED % (2, 4)}
      for _, image in ipairs(dt.database) do describe(image) end
    """
    with painting(darktable, cache):
        marks = darktable.run(script, lua__nst_daemon__style="stripes")
    at = f"{darktable.photos}/"
    one, two = names[0].removesuffix(".tif"), names[1].removesuffix(".tif")
    assert sorted(mark[1:] for mark in marks if mark[0] == "image") == [
        [f"{at}{one}.stripes-2.tif", f"{at}{one}.stripes-2.tif", "4", "true", "true", "sea|beach"],
        [f"{at}{one}.tif", f"{at}{one}.stripes-2.tif", "4", "true", "true", "sea|beach"],
        [f"{at}{two}.stripes-2.tif", f"{at}{two}.stripes-2.tif", "-1", "false", "false", ""],
        [f"{at}{two}.tif", f"{at}{two}.stripes-2.tif", "-1", "false", "false", ""],
    ]
    assert (darktable.orders(), darktable.results()) == ([], [])
    assert darktable.said()[-1] == "2 pictures painted."
    assert (darktable.photos / names[0]).with_name('IMG\'1 "ü".stripes.tif').read_bytes() == b"another's"


def test_sixteen_bits_and_a_wide_profile_stay_to_the_end(
    darktable: Darktable, cache: Callable[[Path], Path]
) -> None:
    darktable.photo("deep.tif", bits=16)
    script = f"""order {{ import("deep.tif") }} {PAINTED % (1, 2)}"""
    conf = {"lua__nst_daemon__style": "stripes", "plugins__lighttable__export__icctype": ADOBE_RGB}
    with painting(darktable, cache):
        darktable.run(script, **conf)
    with tifffile.TiffFile(darktable.photos / "deep.stripes.tif") as painted:
        page = painted.pages.first
        assert page.dtype == "uint16"
        profile = ImageCms.ImageCmsProfile(io.BytesIO(page.tags["InterColorProfile"].value))
    assert "Adobe RGB" in ImageCms.getProfileDescription(profile)


def test_tags_of_a_photo_win_and_the_choice_is_remembered(darktable: Darktable) -> None:
    for name in ("plain.tif", "tagged.tif", "twice.tif"):
        darktable.photo(name)
    styles = darktable.exchange.root / "styles.txt"
    styles.write_text("".join(f"{name}\tthumbs/{name}.jpg\n" for name in ("dots", "stripes", "b", "c")))
    script = f"""
      local file = io.open({lua_string(str(styles))}, "wb") -- the library has changed since the start
      file:write("Red Dots\\tthumbs/a.jpg\\n")
      file:close()
    """
    script += """
      local plain, tagged, twice = import("plain.tif", "tagged.tif", "twice.tif")
      tag(tagged, "nst|dots|red-dots|unknown")
      tag(tagged, "nst|size=96")
      tag(twice, "style:Red Dots")
      tag(twice, "nst|mosaic")
      order { plain, tagged, twice }
      wait("orders", open)
      dt.control.sleep(5500)
      for _, key in ipairs { "style", "size", "colours", "tags" } do
        note("pref", key, dt.preferences.read("nst_daemon", key, "string"))
      end
    """
    marks = darktable.run(
        script,
        lua__nst_daemon__style="stripes",
        lua__nst_daemon__size="px",
        lua__nst_daemon__px="640",
        lua__nst_daemon__strength="81",
        lua__nst_daemon__colours="luminance",
    )
    folder = darktable.exchange.root / "in" / "darktable"
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.yaml")]
    assert all(text.endswith("\nwhole: true\n") for text in texts)
    orders = sorted(
        (yaml.safe_load(text) for text in texts), key=lambda order: (order["title"], order["style"])
    )
    usual = {"format": "same", "preserve_color": "luminance", "size": 640, "strength": 0.8}
    assert [(order["title"], order["style"], order["set"]) for order in orders] == [
        ("plain.tif", "stripes", usual),
        ("tagged.tif", "Red Dots", usual | {"size": 96}),
        ("twice.tif", "Red Dots", usual),
        ("twice.tif", "mosaic", usual),
    ]
    assert [tuple(mark[1:]) for mark in marks if mark[0] == "pref"] == [
        ("style", "stripes"),
        ("size", "px"),
        ("colours", "luminance"),
        ("tags", "on"),
    ]
    assert sum("nst-daemon is not running: start it with" in text for text in darktable.said()) == 1


def test_a_cancel_ends_what_is_painted_and_what_waits(
    darktable: Darktable, cache: Callable[[Path], Path], wait_for: Callable[..., None]
) -> None:
    for name in ("one.tif", "two.tif"):
        darktable.photo(name)
    script = """
      order { import("one.tif", "two.tif") }
      wait("orders", open)
      wait("an end", closed, 120)
      dt.control.sleep(3000)
      note("pictures", #dt.database)
    """
    with painting(darktable, cache, "size: 512, steps: 100000") as home:
        darktable.start(script, lua__nst_daemon__style="stripes")
        wait_for(
            lambda: sorted(states(home)) == ["queued", "running"],
            seconds=200,
            what="a painting that has begun, and one that waits",
        )
        click(darktable.display, *CANCEL_AT)
        wait_for(lambda: states(home) == ["cancelled"] * 2, seconds=10, what="two cancelled jobs")
        marks = darktable.end()
    assert ["pictures", "2"] in marks
    assert (darktable.orders(), darktable.results()) == ([], [])
    assert darktable.said()[-1] == "Cancelled. None painted before."


def test_a_failure_is_said_with_its_remedy_and_the_others_are_painted(
    darktable: Darktable, cache: Callable[[Path], Path]
) -> None:
    darktable.photo("good.tif")
    darktable.photo("bad.tif")
    script = f"""
      local good, bad = import("good.tif", "bad.tif")
      tag(bad, "nst|style_weight=heavy")
      order {{ bad, good }}
      {PAINTED % (1, 3)}
    """
    with painting(darktable, cache):
        darktable.run(script, lua__nst_daemon__style="stripes")
    assert darktable.pictures() == ["bad.tif", "good.stripes.tif", "good.tif"]
    (said,) = (text for text in darktable.said() if text.startswith("bad.tif: "))
    assert "style_weight" in said
    assert darktable.said()[-1] == "1 of 2 pictures painted."
    assert darktable.orders() == []


def test_an_unknown_style_is_said_and_painted_once_it_is_there(
    darktable: Darktable, cache: Callable[[Path], Path], wait_for: Callable[..., None]
) -> None:
    darktable.photo("one.tif")
    script = f"""
      order {{ import("one.tif") }} {PAINTED % (1, 2)}
      for _, image in ipairs(dt.database) do describe(image) end
    """
    with painting(darktable, cache) as home:
        darktable.start(script, lua__nst_daemon__style="stripe", lua__nst_daemon__leader="FALSE")
        wait_for(lambda: any("stripe" in text for text in darktable.said()[1:]), seconds=120, what="a word")
        real.picture(home / "styles" / "stripe.png", seed=5)
        marks = darktable.end()
    said = [text for text in darktable.said() if text.startswith("one.tif: ")]
    assert "Did you mean stripes" in said[0]
    assert darktable.pictures() == ["one.stripe.tif", "one.tif"]
    leaders = {mark[2] for mark in marks if mark[0] == "image"}
    assert leaders == {f"{darktable.photos}/one.tif"}  # as the preference says


def test_a_darktable_that_is_closed_ends_and_leaves_its_orders(
    darktable: Darktable, wait_for: Callable[..., None]
) -> None:
    darktable.photo("one.tif")
    script = """
      order { import("one.tif") }
      wait("an order", open)
      dt.control.sleep(2000)
      dt.gui.action("global/quit", 0, "", "", 1.0)
    """
    darktable.start(script)
    wait_for(lambda: not darktable.is_alive(), seconds=60, what="darktable's end")
    assert [Path(name).suffix for name in darktable.orders()] == [".tif", ".yaml"]
    assert len((darktable.profile / "nst_daemon.orders").read_text().splitlines()) == 1


def test_a_darktable_that_was_killed_fetches_its_painting_at_the_next_start(
    darktable: Darktable, cache: Callable[[Path], Path], wait_for: Callable[..., None]
) -> None:
    darktable.photo("one.tif")
    darktable.photo("other.tif")
    script = """
      local one = import("one.tif", "other.tif")
      order { one }
      wait("an order", open)
      dt.control.sleep(1000)
      dt.database.delete(one)
      import("one.tif") -- has another number in the library now
    """
    darktable.run(script, library="library.db", lua__nst_daemon__style="stripes")
    with painting(darktable, cache) as home:
        wait_for(lambda: states(home) == ["done"], seconds=120, what="a painting")
        then = f"""{PAINTED % (1, 3)} for _, image in ipairs(dt.database) do describe(image) end"""
        marks = darktable.run(then, library="library.db")
    painted = f"{darktable.photos}/one.stripes.tif"
    leaders = {Path(mark[1]).name: mark[2] for mark in marks if mark[0] == "image"}
    assert leaders.pop("other.tif").endswith("other.tif")
    assert leaders == {"one.tif": painted, "one.stripes.tif": painted}
    assert (darktable.orders(), darktable.results()) == ([], [])


def test_a_result_that_lies_elsewhere_is_not_loaded(
    darktable: Darktable, wait_for: Callable[..., None]
) -> None:
    results = [
        "../secret.tif", "out/darktable/../../secret.tif", "/etc/passwd.png", "out/gimp/a.tif",
        "out/darktable/a.lua", "out\\darktable\\a.tif", "", "out/darktable/gone.tif",
    ]  # fmt: skip
    (darktable.base / "secret.tif").write_bytes(b"secret")
    for folder in ("gimp/a.tif", "darktable/a.lua"):
        (darktable.exchange.root / "out" / folder).write_bytes(b"secret")
    names = [f"{number}.tif" for number in range(len(results))]
    for name in names:
        darktable.photo(name)
    quoted = ", ".join(f'"{name}"' for name in names)
    script = f"""
      order {{ import({quoted}) }}
      wait("orders", open)
      wait("their ends", closed)
      dt.control.sleep(1000)
      note("pictures", #dt.database)
    """
    darktable.start(script)
    orders = darktable.exchange.root / "in" / "darktable"
    wait_for(lambda: len(list(orders.glob("*.yaml"))) == len(names), seconds=120, what="all orders")
    for sidecar in orders.glob("*.yaml"):
        number = int(yaml.safe_load(sidecar.read_text())["title"].removesuffix(".tif"))
        answer = f"nst=1\nunknown=1\nstate=done\nresult={results[number]}\n"
        sidecar.with_name(sidecar.name.replace(".yaml", ".status")).write_text(answer)
    marks = darktable.end()
    assert ["pictures", str(len(names))] in marks
    assert darktable.pictures() == names
    assert darktable.said()[-1] == f"0 of {len(names)} pictures painted."
    assert (darktable.base / "secret.tif").exists()
    assert darktable.orders() == []
