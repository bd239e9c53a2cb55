"""What a terminal shows: whole tables where it is narrow, no colour where none is wanted."""

import os
import pty
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from redis_ha.cli import failover_test, maintenance, output
from redis_ha.findings import Finding, State
from redis_ha.upkeep.calendar import TASKS

LINES = (
    "17:M 24 Nov 2026 12:00:00.250 # Failed",
    "9:X 24 Nov 2026 12:00:01.000 # +sdown master mymaster 10.0.0.1 6379",
)
PLAN = (
    ("FAULT", "OUTAGE", "LOSS OF ACKNOWLEDGED WRITES", "BASIS"),
    [("crash unseen", "5.4-6.3 s", "up to 5 s until it is back", "down-after-milliseconds 5000")],
)
TESTED = (
    failover_test._HEADERS,
    [("asymmetric-partition", "redis-py retrying", "10", *["0.25 s"] * 3, "120", "0", "passed")],
)
DUE = (
    maintenance._HEADERS,
    [(task.name, "due", "never", f"{task.every.days} d", task.what) for task in TASKS],
)


@pytest.mark.parametrize("table", [PLAN, TESTED, DUE], ids=["plan", "failover-test", "due"])
@pytest.mark.parametrize("columns", [20, 40, 60, 80])
def test_a_narrow_terminal_loses_no_text(
    table: tuple[Sequence[str], Sequence[Sequence[str]]],
    columns: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    headers, rows = table
    output.print_table(headers, rows)
    shown = capsys.readouterr().out
    assert "…" not in shown
    letters, wanted = Counter(shown), Counter("".join(cell for row in rows for cell in row))
    del wanted[" "]
    assert wanted <= letters
    assert all(row[0] in shown for row in rows)


def test_a_row_without_a_place_is_a_block_of_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    output.print_table(*PLAN)
    assert capsys.readouterr().out.splitlines() == [
        "crash unseen",
        "  OUTAGE: 5.4-6.3 s",
        "  LOSS OF ACKNOWLEDGED WRITES: up to 5 s until it is back",
        "  BASIS: down-after-milliseconds 5000",
    ]
    output.print_table(("A", "B"), [("1", "two words")])
    assert capsys.readouterr().out.split() == ["A", "B", "1", "two", "words"]
    output.print_table(("A", "B"), [])
    assert capsys.readouterr().out.split() == ["A", "B"]


@pytest.mark.parametrize("state", [state for state in State if state is not State.OK])
def test_what_is_not_fine_has_its_remedy(
    state: State, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    output.print_findings([Finding("monitoring", state, "nobody listens", "name it")])
    assert "→ name it" in capsys.readouterr().out
    output.print_findings([Finding("monitoring", State.OK, "all is well", "name it")])
    assert "name it" not in capsys.readouterr().out


def on_a_terminal(*words: str, until: str, **settings: str) -> str:
    """Run `redis-ha` on a terminal of its own until it has printed that, and give what it did."""
    ours, its = pty.openpty()
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}
    process = subprocess.Popen(
        [sys.executable, "-m", "redis_ha", *words],
        stdin=subprocess.DEVNULL,
        stdout=its,
        env={**clean, "TERM": "xterm", "TZ": "UTC", **settings},
    )
    os.close(its)
    shown = b""
    try:
        while until.encode() not in shown:
            shown += os.read(ours, 4096)
        return shown.decode()
    finally:
        process.send_signal(signal.SIGINT)
        os.close(ours)
        process.wait(10)


@pytest.mark.parametrize("command", ["logs", "events"])
@pytest.mark.parametrize(("wish", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_no_color_is_honoured(
    command: str, wish: dict[str, str], coloured: bool, tmp_path: Path
) -> None:
    log = tmp_path / "sentinel-1.log"
    log.write_text("".join(f"{line}\n" for line in LINES))
    words = (command, "--follow", "--since", "2026-11-24", "--file", f"sentinel-1={log}")
    shown = on_a_terminal(*words, until="sdown", **wish)
    assert ("\x1b[" in shown) == coloured


def in_a_shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line with `redis-ha` standing for the command, without any cluster."""
    program = f'redis_ha() {{ "{sys.executable}" -m redis_ha "$@"; }}'
    clean = {k: v for k, v in os.environ.items() if not k.startswith("REDIS_")}
    return subprocess.run(
        ["sh", "-c", f"{program}; redis_ha {line}"],
        capture_output=True, text=True, timeout=60, check=False, env=clean,
    )  # fmt: skip


@pytest.mark.parametrize("words", ["scale 3", "scale 3 --json", "--help", "monitor --help"])
def test_an_output_that_is_full_is_said(words: str) -> None:
    done = in_a_shell(f"{words} >/dev/full")
    assert done.returncode == 1
    *_, last = done.stderr.splitlines()
    assert last == "redis-ha: can't write the output: No space left on device"
    assert "unexpected" not in done.stderr


@pytest.mark.parametrize("words", ["scale 3 --json", "scale 3", "maintenance due --help"])
def test_nobody_has_to_listen(words: str) -> None:
    done = in_a_shell(f"{words} >&-")
    assert (done.returncode, done.stdout) == (0, "")
    assert "unexpected" not in done.stderr


def test_a_log_is_followed_for_nobody(tmp_path: Path) -> None:
    log = tmp_path / "sentinel-1.log"
    log.write_text("".join(f"{line}\n" for line in LINES))
    done = in_a_shell(f"logs --since 2026-11-24 --file sentinel-1={log} >&-")
    assert (done.returncode, done.stderr) == (0, "")
