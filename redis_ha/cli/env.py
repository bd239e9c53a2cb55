"""`redis-ha env`: the cluster's settings for a shell or an env file."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

import click

from redis_ha.cli import output
from redis_ha.cli.cluster import json_option, stack_option, the_site
from redis_ha.errors import BadSetting

_SECRET_WORDS = ("PASSWORD", "SECRET", "AUTH", "TOKEN")


@click.command("env", short_help="Print the settings to connect with, or write .env.redis-ha.")
@click.option("--secrets", is_flag=True, help="Print passwords too.")
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all, passwords too, to this file (mode 0600).",
)
@stack_option
@json_option
def command(stack: str | None, secrets: bool, target: Path | None, as_json: bool) -> None:
    """Print the settings as `export` lines; passwords only with --secrets or into a file.

    \b
    Examples:
      redis-ha env --stack dev -o .env.redis-ha
      eval "$(redis-ha env --secrets)"
    """
    settings = dict(sorted(the_site(stack).settings.items()))
    if target is not None:
        write_private(target, env_lines(settings, export=False))
        click.echo(f"wrote {len(settings)} settings to {target}, mode 0600", err=True)
        return
    shown = settings if secrets else without_secrets(settings)
    if as_json:
        output.print_json(shown)
    else:
        click.echo(env_lines(shown, export=True), nl=False)
    if len(shown) < len(settings):
        click.echo(
            f"{len(settings) - len(shown)} secrets left out: --secrets, or -o FILE", err=True
        )


def without_secrets(settings: Mapping[str, str]) -> dict[str, str]:
    """Leave out what must not be seen over a shoulder."""
    return {k: v for k, v in settings.items() if not any(w in k for w in _SECRET_WORDS)}


def env_lines(settings: Mapping[str, str], *, export: bool) -> str:
    """Write settings as lines that a shell and our env file reader read alike."""
    head = "export " if export else ""
    return "".join(f"{head}{name}={shlex.quote(value)}\n" for name, value in settings.items())


def write_private(path: Path, text: str) -> None:
    """Replace a file that nobody else may read; raises BadSetting."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise BadSetting(
            operation="write",
            subject=str(path),
            cause=error.strerror or str(error),
            hint="name a file in a folder that you may write to",
        ) from error
