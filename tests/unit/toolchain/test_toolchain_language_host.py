"""Programs under the real engine and whichever Python language host the toolchain provides."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = f"""name: trivial
runtime:
  name: python
  options:
    virtualenv: {sys.prefix}
"""
UP = ("up", "--yes", "--skip-preview", "--non-interactive", "--stack", "dev")


@dataclass(frozen=True)
class Project:
    """A Pulumi project of one program with a local backend of its own."""

    folder: Path
    environment: dict[str, str]

    def program(self, text: str) -> None:
        (self.folder / "__main__.py").write_text(text)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        assert shutil.which("pulumi"), "no pulumi on PATH: run it by `make test`"
        return subprocess.Popen(
            ["pulumi", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        with self.start(*arguments) as process:
            shown, _ = process.communicate(timeout=120)
            return process.returncode, shown

    def processes(self) -> list[int]:
        """Find the language hosts that serve this project: they have it as their directory."""
        return [
            int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and self._is_host(p)
        ]

    def _is_host(self, process: Path) -> bool:
        try:
            ours = process.joinpath("cwd").readlink() == self.folder
            return ours and b"language" in process.joinpath("cmdline").read_bytes()
        except OSError:
            return False


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder, state = tmp_path / "project", tmp_path / "state"
    folder.mkdir()
    state.mkdir()
    (folder / "Pulumi.yaml").write_text(PROJECT)
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("PULUMI_OPTION_")},
        "PULUMI_BACKEND_URL": f"file://{state}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    made = Project(folder.resolve(), environment)
    code, shown = made.run("stack", "init", "dev", "--non-interactive")
    assert code == 0, shown
    return made


def wait_until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def test_a_program_runs_in_its_directory_and_its_secrets_stay_hidden(project: Project) -> None:
    project.program(
        "import os, pulumi\n"
        "print('at', os.getcwd())\n"
        "pulumi.export('word', pulumi.Output.secret('hush'))\n"
    )
    code, shown = project.run(*UP)
    assert code == 0, shown
    assert f"at {project.folder}" in shown
    assert "hush" not in shown
    assert project.run("stack", "output", "word", "--show-secrets", "-s", "dev")[1] == "hush\n"
    assert project.processes() == []


def test_a_run_error_shows_its_message_alone_and_once(project: Project) -> None:
    project.program("import pulumi\nraise pulumi.RunError('the subnet is taken')\n")
    code, shown = project.run(*UP)
    assert code != 0
    assert "error: the subnet is taken" in shown
    assert "Traceback" not in shown
    assert "unhandled" not in shown


@pytest.mark.parametrize(
    "program",
    [
        "{}['absent']\n",
        "import pulumi\npulumi.Output.from_input(1).apply(lambda _: {}['absent'])\n",
    ],
    ids=["in the program", "in an apply"],
)
def test_any_other_error_shows_the_program_s_own_traceback(project: Project, program: str) -> None:
    project.program(program)
    code, shown = project.run(*UP)
    assert code != 0
    assert "Program failed with an unhandled exception:" in shown
    assert "KeyError: 'absent'" in shown
    assert f"{project.folder}/__main__.py" in shown


def test_an_interrupted_program_ends_with_its_host_and_frees_the_stack(project: Project) -> None:
    project.program("import time\ntime.sleep(300)\n")
    with project.start(*UP) as process:
        wait_until(lambda: bool(project.processes()))
        time.sleep(1)  # into the program
        os.killpg(process.pid, signal.SIGINT)
        shown, _ = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "KeyboardInterrupt" not in shown
    wait_until(lambda: not project.processes())
    project.program("")
    assert project.run(*UP)[0] == 0


def test_a_killed_engine_leaves_no_host_behind(project: Project) -> None:
    project.program("import time\ntime.sleep(300)\n")
    with project.start(*UP) as process:
        wait_until(lambda: bool(project.processes()))
        process.kill()
        process.communicate(timeout=30)
    wait_until(lambda: not project.processes(), seconds=10)
