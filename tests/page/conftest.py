"""One page over played jobs for all tests of a module."""

from collections.abc import Iterator

import pytest
from support.asking import Browser, let_in
from support.played_page import Played, served


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    with served(tmp_path_factory.mktemp("page")) as played:
        yield played


@pytest.fixture(scope="module")
def browser(played: Played) -> Browser:
    """Return a browser that was let in."""
    return let_in(played)


@pytest.fixture(scope="module")
def stranger(played: Played) -> Browser:
    return Browser(played.address)
