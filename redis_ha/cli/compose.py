"""`redis-ha compose`: the cluster for docker-compose, which the package infra writes."""

import subprocess
import sys
from importlib.util import find_spec

import click

from redis_ha.errors import BadSetting

# A program of its own, because this package may not know that one.
PACKAGE, PROGRAM = "infra", "infra.compose"


@click.command(
    "compose",
    short_help="Write a docker-compose file and all that it needs, without Pulumi.",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Hand everything on, --help too, and end as it ends."""
    if find_spec(PACKAGE) is None:
        raise BadSetting(
            operation="run",
            subject=f"python -m {PROGRAM}",
            cause="this installation holds only what runs on a node",
            hint="run it where the project's checkout is installed: pip install --editable .",
        )
    return subprocess.run([sys.executable, "-m", PROGRAM, *arguments], check=False).returncode
