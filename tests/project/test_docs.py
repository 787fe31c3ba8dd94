import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from nst_daemon import config
from nst_daemon.config import Config, keys_of
from nst_daemon.config.example import WHY, example
from nst_daemon.config.recipe import resolve
from nst_daemon.errors import ExitCode, FileConditionError, NstError, Trouble
from nst_daemon.ledger.file import CONDITIONS

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "nst_daemon").rglob("*.py"))
SECTIONS = ("", "set", "watch", "engine", "page", "farm")
REFRESH = "run: python tools/write_docs.py"


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def write_docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_docs", ROOT / "tools" / "write_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ── config.example.yaml and docs/config.md ──────────────────────────────────────────────────────────────


def test_the_example_config_is_what_init_writes() -> None:
    assert text("config.example.yaml") == example(), REFRESH


def parsed(written: str) -> Config:
    return config.parse(written, Path("/home/ann/config.yaml"))


def test_every_default_in_the_example_is_the_codes() -> None:
    plain = parsed(example())
    spoken = parsed(re.sub(r"^#(?=\s*\w+:)", "", example(), flags=re.M))
    assert resolve(spoken.folders[0].set) == resolve({})
    assert len(spoken.folders[0].set) == len(keys_of("set"))
    assert {**_facts(spoken), "set": {}} == _facts(plain)


def _facts(made: Config) -> dict[str, object]:
    facts = {key: getattr(made, key) for key in ("styles", "state_dir", "watch", "engine", "tray", "notify")}
    folder = {key: getattr(made.folders[0], key) for key in made.folders[0].__slots__}
    return facts | folder


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_in_the_example(section: str) -> None:
    for key in keys_of(section):
        indent = "  " if section else ""
        assert re.search(rf"^#?{indent}{key}:", example(), re.M), key


def test_every_line_of_why_belongs_to_a_key() -> None:
    keys = {f"{section}.{key}" if section else key for section in SECTIONS for key in keys_of(section)}
    assert set(WHY) == keys


def test_changed_values_are_live_in_the_example() -> None:
    made = parsed(example({"set.size": 512, "styles": "/my styles: all", "tray": "off", "style": "it's"}))
    assert (made.folders[0].set, made.styles, made.tray) == ({"size": 512}, Path("/my styles: all"), "off")
    assert made.folders[0].style == "it's"


def test_the_config_reference_has_the_codes_keys_and_defaults(write_docs: ModuleType) -> None:
    docs = text("docs/config.md")
    assert write_docs.with_tables(docs) == docs, REFRESH
    for _, table in write_docs.tables():
        assert table in docs


def test_the_config_reference_explains_every_key(write_docs: ModuleType) -> None:
    for section in SECTIONS:
        for key in keys_of(section):
            assert f"| `{key}` |" in write_docs.table(section)


# ── docs/errors.md ──────────────────────────────────────────────────────────────────────────────────────


def codes() -> set[str]:
    """Return every code of a problem or condition that the source has, read from its syntax trees."""
    nodes = [node for path in SOURCES for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    words = [(word.arg, word.value) for node in nodes if isinstance(node, ast.Call) for word in node.keywords]
    folders = {name for arg, value in words if arg == "name" for name in _text(value)} & {
        *keys_of(),
        "folder",
    }
    folders.discard("farm")  # the name of a command
    found = {code for code, _ in CONDITIONS.values()}
    for arg, value in words:
        if arg == "code":
            found |= set(_codes_of(value, folders))
    return found | set(_positional(nodes)) | set(_at_paths(nodes, folders))


def _at_paths(nodes: list[ast.AST], folders: set[str]) -> Iterator[str]:
    """Yield the codes that a trouble at a path has, by `FileConditionError.named`: `outbox_missing`."""
    named = set(folders)
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "named":
            named |= {name for arg in node.args for name in _text(arg)}
    for trouble in Trouble:
        error = FileConditionError("", path=Path(), trouble=trouble)
        yield error.code
        yield from (error.named(name).code for name in named)


def _text(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _codes_of(value: ast.expr, folders: set[str]) -> Iterator[str]:
    yield from _text(value)
    if isinstance(value, ast.JoinedStr):  # f"{name}_missing"
        yield from (f"{folder}{end}" for end in _text(value.values[-1]) for folder in folders)


def _positional(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield the codes that `worker._show(source, error, code)` gets, and the default of that parameter."""
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_show":
            yield from (code for arg in node.args[2:] for code in _text(arg))
        if isinstance(node, ast.FunctionDef):
            defaults = zip(reversed(node.args.args), reversed(node.args.defaults), strict=False)
            yield from (code for arg, default in defaults if arg.arg == "code" for code in _text(default))


def test_the_source_has_the_codes_that_are_looked_for() -> None:
    assert {"disk_full", "outbox_missing", "archive_unreachable", "inbox_missing", "ledger_busy"} <= codes()


@pytest.mark.parametrize("code", sorted(codes()))
def test_every_code_has_a_section_in_the_docs(code: str) -> None:
    assert f"\n### {code}\n" in text("docs/errors.md")


def kinds(base: type[NstError]) -> Iterator[type[NstError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_every_error_names_its_section() -> None:
    docs = text("docs/errors.md")
    ours = [kind for kind in kinds(NstError) if kind.__module__ == NstError.__module__]
    assert len(ours) > 10
    ours.append(NstError)
    assert [kind.__name__ for kind in ours if f"\n### {kind.code}\n" not in docs] == []


@pytest.mark.parametrize("code", ExitCode)
def test_every_exit_code_is_in_the_docs(code: ExitCode) -> None:
    assert re.search(rf"^\| {code.value} \| \w+", text("docs/errors.md"), re.M)


def test_every_section_of_errors_says_something() -> None:
    for section in text("docs/errors.md").split("\n### ")[1:]:
        title, _, body = section.partition("\n")
        assert len(body.split("\n## ")[0].strip()) > 20, title


# ── docs/glossary.md ────────────────────────────────────────────────────────────────────────────────────


WORDS = "photo style recipe sidecar job ledger inbox outbox engine scale step settled paired publish"


@pytest.mark.parametrize("word", WORDS.split())
def test_the_words_of_the_project_are_in_the_glossary(word: str) -> None:
    assert f"| **{word}** |" in text("docs/glossary.md")


def test_the_glossary_is_in_alphabetical_order() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", text("docs/glossary.md"), re.M)
    assert words == sorted(words)


# ── what the documents say of each other, and of the code ───────────────────────────────────────────────


DOCUMENTS = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), ROOT / "benchmarks" / "README.md"])


def anchors_of(document: Path) -> set[str]:
    """Return the headings' names as GitHub links to them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", document.read_text()):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_module_that_is_named_is_there(document: Path) -> None:
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_0-9]+\.py)`", document.read_text()))
    assert [
        each for each in named if not any((root / each).exists() for root in (ROOT, ROOT / "nst_daemon"))
    ] == []
