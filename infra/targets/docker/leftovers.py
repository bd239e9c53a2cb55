"""Containers that an interrupted `up` made and its state doesn't know: they are in the way.

Pulumi notes a container when it has been made and is healthy. Killed before, it leaves one that
bears the name and the address, and Docker refuses the next `up` both. So right before one is made,
what bears its name and label is stopped, a master handing over, and removed; data is in volumes.
Another stack of the same names can't be meant: it would have failed at the network already.
"""

import subprocess

import pulumi

LABEL = "redis-ha.node"
# Beyond the stop grace that a container itself has.
_PATIENCE_SECONDS = 300


def clearing() -> pulumi.ResourceHookBinding:
    """Give what a container is declared with."""
    return pulumi.ResourceHookBinding(before_create=[_clear])


def _clear(args: pulumi.ResourceHookArgs) -> None:
    inputs = args.new_inputs or {}
    labels = {each["label"]: each["value"] for each in inputs.get("labels", [])}
    name, node = inputs.get("name"), labels.get(LABEL)
    if name and node and _is_there(str(name), str(node)):
        pulumi.log.info(f"{name} was left by an interrupted update: it is replaced")
        # In order, and with its own grace: it may be the master.
        _docker("stop", str(name))
        _docker("rm", "--force", str(name))


def _is_there(name: str, node: str) -> bool:
    """Say whether there is a container of that name that is this node's."""
    by_name, by_label = f"name=^/{name}$", f"label={LABEL}={node}"
    return bool(_docker("ps", "--all", "--quiet", "--filter", by_name, "--filter", by_label))


def _docker(*words: str) -> str:
    """Run the docker client; where it fails or isn't there, the provider says what is wrong."""
    try:
        done = subprocess.run(
            ["docker", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
