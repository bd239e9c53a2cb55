"""What all tests share: figures that a test measured are printed at the end of the run."""

import signal
from collections.abc import Callable

import hypothesis
import pytest

# How long an example takes says how busy the machine is, nothing of the code.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []
    # What a shell starts in the background ignores ^C, and so would all that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Note a measured figure: `figure("new master after 1.3 s")`."""
    figures = request.config.stash[FIGURES]
    return lambda text: figures.append(f"{request.node.nodeid.rpartition('::')[2]}: {text}")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if config.stash[FIGURES]:
        terminalreporter.section("figures")
        terminalreporter.write_line("\n".join(config.stash[FIGURES]))
