"""`make soak`'s program, as it is called: its exit code and what it writes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.chance import random_scenario
from tests.faults.lan import why_not

# The line that docs/FAULTS.md shows: a sentinel crashes.
SEED = 42


@pytest.mark.timeout(300)
@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_one_seed_is_played_and_written_down(tmp_path: Path) -> None:
    words = ["--seed", str(SEED), "--faults", "1", "--output", str(tmp_path / "soak")]
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.soak", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "soak.json").read_text())
    assert row["faults"] == [str(fault) for fault in random_scenario(SEED).faults]
    assert row["acknowledged"] > 0
    assert row["troubles"] == []
    assert "in 1 scenarios, 0 of these failed" in (tmp_path / "soak.md").read_text()
