"""`redis-ha rotate backup-key --finish`: the old key goes once the new one opens what is proven."""

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.acl import USER_NAMES
from infra.config import ClusterConfig
from infra.planner import make_plan
from infra.rendering import BackupKeys, host_environment
from redis_ha.backup_report import Snapshot
from redis_ha.cli.main import execute
from redis_ha.rotation import why_keep

OLD, NEW = "age1" + "q" * 58, "age1" + "p" * 58
# Keeps the settings in a file, and a note of each command; `up` makes the settings outputs.
PULUMI = """\
#!{python}
import json, pathlib, sys
here, words = pathlib.Path({here!r}), [w for w in sys.argv[1:] if not w.startswith("--")]
state = json.loads((here / "state.json").read_text())
words = [w for w in words if w != "dev"]
with (here / "commands").open("a") as file:
    file.write(" ".join(words) + "\\n")
if words[:2] == ["config", "get"]:
    print(state["config"][words[2]])
elif words[:2] == ["config", "set"]:
    state["config"][words[2]] = words[3]
elif words[:2] == ["config", "rm"]:
    state["config"].pop(words[2])
elif words == ["up"]:
    state["outputs"]["generations"]["backup-key"] = state["config"]["backupKeyGeneration"]
else:
    print(json.dumps(state["outputs"]))
(here / "state.json").write_text(json.dumps(state))
"""
WORKER = "#!/bin/sh\ncat {here}/snapshots.json\n"


def snapshot(state: str, *recipients: str) -> dict[str, Any]:
    return {
        "id": state,
        "taken_at": "2026-11-30T20:00:00Z",
        "state": state,
        "recipients": recipients,
        "proof": None,
        "note": "",
    }


class Stack:
    """A stack in the middle of the rotation, on which a made-up pulumi works."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in (("pulumi", PULUMI), ("backup-worker", WORKER)):
            program = folder / name
            program.write_text(text.format(python=sys.executable, here=str(folder)))
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
        passwords = {user: f"p-{user}" for user in USER_NAMES}
        keys = BackupKeys((NEW,), "c2lnbmVy")
        environment = host_environment(make_plan(ClusterConfig()), passwords=passwords, keys=keys)
        outputs = {
            "nodes": [],
            "sentinels": [],
            "env": environment,
            "ca": "PEM",
            "backupRecipients": [NEW],
            "backupKeys": {"2": NEW, "1": OLD},
            "generations": {"backup-key": "2+1"},
        }
        state = {"config": {"backupKeyGeneration": "2+1"}, "outputs": outputs}
        (folder / "state.json").write_text(json.dumps(state))
        self.hold()

    def hold(self, *snapshots: dict[str, Any]) -> None:
        (self.folder / "snapshots.json").write_text(json.dumps(snapshots))

    @property
    def config(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / "state.json").read_text())["config"]
        return found

    @property
    def commands(self) -> list[str]:
        """What changed the stack."""
        lines = (self.folder / "commands").read_text().splitlines()
        return [line for line in lines if not line.startswith(("config get", "stack output"))]


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Stack(tmp_path)


def finish() -> int:
    return execute(["rotate", "backup-key", "--finish", "--yes"])


@pytest.mark.parametrize(
    "held", [(), (("proven", OLD),), (("not proven", NEW), ("failed", NEW), ("proven", OLD))]
)
def test_the_old_key_stays_while_the_new_one_opens_nothing_proven(
    stack: Stack, capsys: pytest.CaptureFixture[str], held: tuple[tuple[str, str], ...]
) -> None:
    stack.hold(*(snapshot(*each) for each in held))
    assert finish() == 7
    said = capsys.readouterr().err
    assert f"that {NEW} opens none is proven" in said
    assert "`backup-worker snapshot`" in said
    assert stack.config == {"backupKeyGeneration": "2+1"}


def test_once_one_is_proven_the_old_key_goes_and_only_it(stack: Stack) -> None:
    stack.hold(snapshot("not proven", NEW), snapshot("proven", NEW, "age1once"))
    assert finish() == 0
    assert stack.commands[-4:] == [
        f"config set allowBackupKeyLoss {OLD}",
        "config set backupKeyGeneration 2",
        "up",
        "config rm allowBackupKeyLoss",
    ]
    assert stack.config == {"backupKeyGeneration": "2"}


def test_what_cannot_be_known_is_a_reason_to_keep_it(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    (stack.folder / "snapshots.json").unlink()
    assert finish() == 7
    assert "which snapshots are proven isn't known: " in capsys.readouterr().err


def test_each_present_recipient_must_open_it() -> None:
    proven = Snapshot("a", 0.0, "proven", recipients=(NEW, "age1once"))
    assert why_keep([proven], [NEW]) == ""
    assert why_keep([proven], [NEW, OLD]) != ""
    assert why_keep([proven], []) != ""
