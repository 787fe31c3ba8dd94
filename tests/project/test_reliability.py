"""docs/reliability.md as far as a test can say: every promise is there, and every test that it names."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
    for line in TEXT.splitlines()
    if re.match(r"\| \d+ \|", line)
]


def test_all_45_promises_are_in_the_table_in_order() -> None:
    assert [int(row[0]) for row in ROWS] == list(range(1, 46))


def test_each_row_tells_promise_tests_faults_and_risk() -> None:
    assert {len(row) for row in ROWS} == {5}


def test_every_test_that_the_page_names_is_there() -> None:
    for file, test in re.findall(r"`(test_\w+)::(test_\w+)`", TEXT):
        (path,) = (ROOT / "tests").rglob(f"{file}.py")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_promise_names_a_test_that_there_is(row: list[str]) -> None:
    named = re.findall(r"`(test_\w+)::(test_\w+)`", row[2])
    assert named or row[2].startswith("open"), "a promise without a test is said to be open"
    for file, test in named:
        (path,) = (ROOT / "tests").rglob(f"{file}.py")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
