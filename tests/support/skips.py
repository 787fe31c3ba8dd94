"""The last lines of a run: what was skipped and why, so that no test is missed unnoticed."""

from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

OPTION = "--strict-skips"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        OPTION, action="store_true", help="fail if a test was skipped for anything but a missing accelerator"
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Iterator[None]:
    """Write behind all that pytest writes itself."""
    yield
    skipped = terminalreporter.stats.get("skipped", [])
    for reason, count in _reasons(skipped).most_common():
        terminalreporter.write_line(f"skipped: {count} {reason}", yellow=True)
    if config.getoption(OPTION) and (missed := _missed(skipped)):
        terminalreporter.write_line(
            f"{OPTION}: a complete machine skips none of these {len(missed)}", red=True
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not session.config.getoption(OPTION):
        return  # a worker of xdist: the whole is known to its master alone
    if session.exitstatus == pytest.ExitCode.OK and _missed(reporter.stats.get("skipped", [])):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _reasons(skipped: Iterable[pytest.TestReport]) -> Counter[str]:
    """Return how often each reason was given; those of the mark `gpu` by that name."""
    return Counter(f"gpu ({_reason(each)})" if "gpu" in each.keywords else _reason(each) for each in skipped)


def _missed(skipped: Iterable[pytest.TestReport]) -> list[pytest.TestReport]:
    return [each for each in skipped if "gpu" not in each.keywords]


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
