"""Finds a cluster by its Pulumi stack: the outputs `nodes`, `sentinels`, `env`, `ca` and `plan`."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import takewhile
from pathlib import Path
from typing import Any

from redis_ha import environment
from redis_ha.connection import Address
from redis_ha.errors import StackUnavailable
from redis_ha.site import Member, Site

_SECONDS = 60
# A stack's variables, when they are set for this shell, must not shadow the stack that was named.
_HAND_SET = ("REDIS_HOST_OVERRIDE",)


def read_outputs(stack: str) -> dict[str, Any]:
    """Ask Pulumi for a stack's outputs, secrets in clear; raises StackUnavailable."""
    command = ["pulumi", "stack", "output", "--stack", stack, "--json", "--show-secrets"]
    try:
        shown = subprocess.run(
            [*command, "--non-interactive"],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise _unavailable(
            stack,
            "there is no pulumi command on the PATH",
            "run `source .redis-ha/env` after `make up`, or leave --stack out",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise _unavailable(stack, f"pulumi took over {_SECONDS} s", "try it by hand") from error
    if shown.returncode:
        raise explain_failure(stack, shown.stderr)
    return _outputs(stack, shown.stdout)


def _outputs(stack: str, text: str) -> dict[str, Any]:
    try:
        outputs = json.loads(text)
    except ValueError:
        outputs = None
    if not isinstance(outputs, dict):
        # Not what it printed: outputs hold secrets.
        cause = "pulumi ended well, but printed no JSON object"
        raise _unavailable(stack, cause, "run `pulumi stack output --json` by hand")
    return outputs


def explain_failure(stack: str, stderr: str) -> StackUnavailable:
    """Turn what pulumi printed into one sentence."""
    lines = [line.removeprefix("error: ").strip() for line in stderr.splitlines() if line.strip()]
    text = next((line for line in lines if line), "it ended without a word")
    if "no stack named" in stderr:
        return _unavailable(stack, "there is no stack of that name", "see `pulumi stack ls`")
    if "fully qualified name" in stderr or "no Pulumi.yaml" in stderr:
        hint = "run it there, or name the stack organization/project/stack"
        return _unavailable(stack, "this is not the project's folder (no Pulumi.yaml)", hint)
    if "passphrase" in stderr:
        hint = "set PULUMI_CONFIG_PASSPHRASE_FILE, as `source .redis-ha/env` does"
        return _unavailable(stack, "its secrets can't be opened", hint)
    return _unavailable(stack, text, "run `pulumi stack output` by hand")


def refusal(printed: str) -> str:
    """Take the reason out of what a failed preview printed: the planner's own words, if there."""
    lines = [line.strip() for line in printed.partition("Diagnostics:")[2].splitlines()]
    errors = [n for n, line in enumerate(lines) if line.startswith("error: ")]
    if not errors:
        return next((line for line in reversed(printed.splitlines()) if line.strip()), "no reason")
    headline = lines[errors[0]].removeprefix("error: ")
    problems = takewhile(lambda line: line.startswith("- "), lines[errors[0] + 1 :])
    text = "; ".join(problem.removeprefix("- ") for problem in problems)
    return f"{headline} {text}" if text else headline


def site_of(stack: str, outputs: Mapping[str, Any], environ: Mapping[str, str]) -> Site:
    """Turn a stack's outputs into a Site; raises StackUnavailable when it has no cluster."""
    missing = [name for name in ("nodes", "env", "ca") if name not in outputs]
    if missing:
        hint = f"run `pulumi up -s {stack}` first"
        raise _unavailable(stack, f"it has no output {missing[0]}: nothing is up", hint)
    own = {name: environ[name] for name in _HAND_SET if name in environ}
    marked = {"REDIS_PRODUCTION": "true"} if outputs.get("production") is True else {}
    certificate = {"REDIS_TLS_CA": str(_ca_file(str(outputs["ca"])))}
    settings = {**outputs["env"], **certificate, **marked, **own}
    parsed = environment.parse(settings)
    if parsed.operator is None:
        raise _unavailable(stack, "its output env has no operator", "run `pulumi up` again")
    return Site(
        operator=parsed.operator,
        app=parsed.app,
        data_nodes=_members(outputs["nodes"], role="data"),
        sentinels=_members((*outputs.get("sentinels", ()), *outputs["nodes"]), role="sentinel"),
        complete=True,
        settings=settings,
        plan=outputs.get("plan"),
    )


def _members(nodes: Sequence[Mapping[str, Any]], *, role: str) -> tuple[Member, ...]:
    return tuple(
        Member(n["name"], Address(n["address"], int(n["port"])), n.get("container"))
        for n in nodes
        if n.get("role") == role
    )


def _ca_file(certificate: str) -> Path:
    """Put the CA where TLS libraries want it, a file; one per certificate and user."""
    digest = sha256(certificate.encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"redis-ha-{os.getuid()}" / f"ca-{digest}.crt"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if path.parent.stat().st_uid != os.getuid():
        raise _unavailable(str(path.parent), "it belongs to somebody else", "set TMPDIR")
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(certificate)
    temporary.replace(path)
    return path


def _unavailable(stack: str, cause: str, hint: str) -> StackUnavailable:
    return StackUnavailable(
        operation="find the cluster of stack", subject=stack, cause=cause, hint=hint
    )
