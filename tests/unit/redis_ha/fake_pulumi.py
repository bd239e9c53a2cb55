"""A `pulumi` with settings, a planner and outputs, as far as our commands use it; in a file.

It refuses what `refuses` names, as the real one prints it, and keeps what it was asked in `asked`.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # each call of it is a process, which should not have to load this
    import pytest

_PROGRAM = """#!{python} -S
import sys
sys.path.insert(0, {here!r})
from fake_pulumi import answer
sys.exit(answer({state!r}, sys.argv[1:]))
"""
_DIAGNOSTICS = """Previewing update (dev):

Diagnostics:
  pulumi:pulumi:Stack (redis-ha-dev):
    error: the planner refuses these settings as unsafe:
"""


@dataclass
class FakePulumi:
    """What a test sees of it; each property reads the file anew."""

    state: Path

    @property
    def settings(self) -> dict[str, str]:
        return _read(self.state)["settings"]

    @property
    def asked(self) -> list[str]:
        return _read(self.state)["asked"]

    def has(self, **parts: Any) -> None:
        """Set any of settings, outputs, refuses (setting=value to reason) and after (outputs)."""
        self.state.write_text(json.dumps(_read(self.state) | parts))


def installed(directory: Path, monkeypatch: "pytest.MonkeyPatch") -> FakePulumi:
    """Put it first on the PATH."""
    state = directory / "state.json"
    empty: dict[str, Any] = {"settings": {}, "outputs": {}, "refuses": {}, "after": {}, "asked": []}
    state.write_text(json.dumps(empty))
    program = directory / "pulumi"
    here = str(Path(__file__).parent)
    program.write_text(_PROGRAM.format(python=sys.executable, here=here, state=str(state)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    return FakePulumi(state)


def answer(file: str, words: list[str]) -> int:
    """Do what a command line asks for; return its exit code."""
    path = Path(file)
    state = _read(path)
    plain = [word for word in words if not word.startswith("--") and word != "dev"]
    state["asked"].append(" ".join(plain))
    code = _carry_out(state, plain)
    path.write_text(json.dumps(state))
    return code


def _carry_out(state: dict[str, Any], words: list[str]) -> int:
    settings, outputs = state["settings"], state["outputs"]
    match words:
        case ["config", "get", name] if name in settings:
            print(settings[name])  # noqa: T201
        case ["config", "get", name]:
            sys.stderr.write(f"error: configuration key '{name}' not found for stack 'dev'\n")
            return 255
        case ["config", "set", name, value]:
            settings[name] = value
        case ["config", "rm", name]:
            settings.pop(name, None)
        case ["stack", "output"]:
            print(json.dumps(outputs))  # noqa: T201
        case ["preview" | "up", *_]:
            problems = [why for what, why in state["refuses"].items() if _is_set(settings, what)]
            if problems:
                print(_DIAGNOSTICS + "".join(f"      - {one}\n" for one in problems))  # noqa: T201
                return 1
            if words[0] == "up":
                outputs |= state["after"]
    return 0


def _is_set(settings: dict[str, str], what: str) -> bool:
    name, _, value = what.partition("=")
    return settings.get(name) == value


def _read(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(path.read_text())
    return state
