"""The stack `dev` of the embedded default environment: up, down, and what it hands out.

Runs in the virtual environment.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain import collisions, console, environment, stack_config
from toolchain.environment import STACK
from toolchain.errors import ToolchainError
from toolchain.files import append_missing, write_atomically
from toolchain.host import SHOWN_LINES, Task, perform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolchain.environment import Environment
    from toolchain.layout import Layout

STEP = "stack"
QUIET = ("--yes", "--non-interactive", "--stack", STACK)


def prepare(layout: Layout, settings: Sequence[str]) -> dict[str, Any]:
    """Make the state folder, the passphrase and the effective configuration; return the latter.

    Errors: Refused for settings that can't be read.
    """
    layout.state.mkdir(mode=0o700, exist_ok=True)
    layout.state.chmod(0o700)
    (layout.state / "state").mkdir(exist_ok=True)
    passphrase = layout.state / "passphrase"
    if not passphrase.exists():
        write_atomically(passphrase, secrets.token_urlsafe(32) + "\n", mode=0o600)
    committed = layout.checkout / f"Pulumi.{STACK}.yaml"
    return stack_config.update(committed, environment.effective_config(layout), settings=settings)


def initialise(layout: Layout, env: Environment) -> None:
    """Make the stack in the local backend unless it is there.

    It is made from a folder of its own: `pulumi stack init` would write the salt into the
    committed file, and can't be told another one.
    """
    if checkpoint(layout).is_file():
        return
    console.doing(STEP, f"making the stack {STACK}", why="this checkout has no state yet")
    task = Task(operation="make", subject=f"the stack {STACK}", hint="see the lines above")
    with tempfile.TemporaryDirectory(dir=layout.state, prefix=".init-") as scratch:
        folder = Path(scratch)
        project = (layout.checkout / "Pulumi.yaml").read_text()
        (folder / "Pulumi.yaml").write_text(project)
        command = ["pulumi", "stack", "init", STACK, "--non-interactive"]
        perform(task, command, environment=env.over(os.environ), folder=folder)
        new = folder / f"Pulumi.{STACK}.yaml"
        stack_config.adopt_salt(new, environment.effective_config(layout))


def checkpoint(layout: Layout) -> Path:
    """Say where the file backend keeps the stack's state."""
    stacks = layout.state / "state" / ".pulumi" / "stacks"
    return stacks / stack_config.PROJECT / f"{STACK}.json"


def up(layout: Layout, env: Environment, config: dict[str, Any]) -> dict[str, Any]:
    """Run `pulumi up` and return the stack's outputs, secrets in clear.

    Errors: Refused when another stack holds what this one wants; ToolchainError when it fails.
    """
    if not collisions.has_resources(checkpoint(layout)):
        collisions.refuse(config)
    initialise(layout, env)
    console.doing(STEP, "pulumi up", why="the real engine compares and changes what differs")
    command = ["pulumi", "up", *QUIET, "--skip-preview", "--suppress-outputs"]
    _run(command, layout, env, hint="correct what it says; `make up` goes on from there")
    return outputs(layout, env)


def down(layout: Layout, env: Environment) -> None:
    """Run `pulumi destroy`.

    Errors: ToolchainError when it fails.
    """
    command = ["pulumi", "destroy", *QUIET, "--skip-preview", "--suppress-outputs"]
    console.doing(STEP, "pulumi destroy", why="`make down` takes the cluster away")
    _run(command, layout, env, hint="correct what it says; `make down` goes on from there")


def outputs(layout: Layout, env: Environment) -> dict[str, Any]:
    """Ask Pulumi for the stack's outputs, secrets in clear.

    Errors: ToolchainError when it doesn't answer.
    """
    command = ["pulumi", "stack", "output", "--json", "--show-secrets", "--stack", STACK]
    done = subprocess.run(
        command,
        cwd=layout.checkout,
        env=env.over(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ToolchainError(
            operation="read",
            subject="the stack's outputs",
            cause=" / ".join(done.stderr.splitlines()[-SHOWN_LINES:]),
            hint="run `make up` again",
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _run(command: list[str], layout: Layout, env: Environment, *, hint: str) -> None:
    code = run_through(command, folder=layout.checkout, env=env)
    if code:
        raise ToolchainError(
            operation="finish",
            subject=f"`{shlex.join(command[:2])}`",
            cause=f"it ended with {code} (see above)",
            hint=hint,
        )


def run_through(command: Sequence[str], *, folder: Path, env: Environment) -> int:
    """Run a command on our own terminal; on ^C it ends in its own order, and we wait for it."""
    with subprocess.Popen(
        command, cwd=folder, env=env.over(os.environ), stdin=subprocess.DEVNULL
    ) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def hand_out(layout: Layout, env: Environment, found: dict[str, Any]) -> Environment:
    """Write what clients and restores need into the state folder; return the environment.

    Identities and signers are only ever added: an old backup stays readable after a new stack.
    """
    variables: dict[str, str] = dict(found.get("env") or {})
    if ca := found.get("ca"):
        write_atomically(layout.state / "ca.crt", ca, mode=0o600)
        variables["REDIS_TLS_CA"] = str(layout.state / "ca.crt")
    if identity := found.get("backupIdentity"):
        for line in identity.split():  # two while they are rotated
            append_missing(layout.state / "identity.txt", line)
        variables["REDIS_BACKUP_IDENTITY"] = str(layout.state / "identity.txt")
    if signer := found.get("backupSigner"):
        for line in signer.split(","):
            append_missing(layout.state / "signers.txt", line.strip())
    signers = layout.state / "signers.txt"
    if signers.is_file():
        variables["REDIS_BACKUP_TRUSTED_SIGNERS"] = ",".join(signers.read_text().split())
    if password := variables.get("REDIS_PASSWORD"):
        variables["REDISCLI_AUTH"] = password  # where redis-cli looks, so no command line shows it
    complete = env.plus(variables)
    environment.save(layout, complete)
    return complete
