"""Tests that run an editor itself take minutes and large programs: they are slow, whatever else they are."""

from pathlib import Path

import pytest

EDITORS = frozenset({"darktable", "krita_screen", "studio"})  # fixtures that start one


@pytest.hookimpl(tryfirst=True)  # before those that are slow are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if item.path.is_relative_to(Path(__file__).parent) and not EDITORS.isdisjoint(fixtures):
            item.add_marker(pytest.mark.slow)
