"""`redis-ha env`: the cluster's settings for a shell or an env file."""

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import click

from redis_ha.cli import output
from redis_ha.cli.cluster import json_option, say_which, stack_option
from redis_ha.errors import BadSetting
from redis_ha.locating import find_unasked

_LARAVEL = re.compile(
    r"REDIS_(SENTINEL_(MASTER|HOST_\d|PORT_\d)|USERNAME|PASSWORD|TLS_CA|HOST_OVERRIDE"
    r"|POOL_SIZE|(MAX|MIN)_CONNECTIONS)"
)
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
@click.option("--laravel", is_flag=True, help="Print what a Laravel application's .env needs.")
@stack_option
@json_option
def command(
    *, stack: str | None, secrets: bool, target: Path | None, laravel: bool, as_json: bool
) -> None:
    """Print the settings as `export` lines; passwords only with --secrets or into a file.

    The cluster isn't asked: it may be down.

    \b
    Examples:
      redis-ha env --stack dev -o .env.redis-ha
      eval "$(redis-ha env --secrets)"
      redis-ha env --laravel --secrets >> .env
    """
    say_which(stack)
    settings = dict(sorted(find_unasked(stack, os.environ).settings.items()))
    if laravel:
        settings = laravel_settings(settings)
    if target is not None:
        _write(target, settings, laravel=laravel, as_json=as_json)
        return
    shown = settings if secrets else without_secrets(settings)
    if as_json:
        output.print_json(shown)
    else:
        lines = dotenv_lines(shown) if laravel else env_lines(shown, export=True)
        click.echo(lines, nl=False)
    if len(shown) < len(settings):
        click.echo(
            f"{len(settings) - len(shown)} secrets left out: --secrets, or -o FILE", err=True
        )


def _write(target: Path, settings: Mapping[str, str], *, laravel: bool, as_json: bool) -> None:
    lines = dotenv_lines(settings) if laravel else env_lines(settings, export=False)
    write_private(target, lines)
    if as_json:
        output.print_json({"written": str(target), "settings": len(settings)})
    click.echo(f"wrote {len(settings)} settings to {target}, mode 0600", err=True)


def without_secrets(settings: Mapping[str, str]) -> dict[str, str]:
    """Leave out what must not be seen over a shoulder."""
    return {k: v for k, v in settings.items() if not any(w in k for w in _SECRET_WORDS)}


def env_lines(settings: Mapping[str, str], *, export: bool) -> str:
    """Write settings as lines that a shell and our env file reader read alike."""
    head = "export " if export else ""
    return "".join(f"{head}{name}={shlex.quote(value)}\n" for name, value in settings.items())


def laravel_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Keep what the package in laravel/ reads; leave out what is the operator's."""
    switched_on = {"REDIS_CLIENT": "phpredis", "REDIS_SENTINEL_ENABLED": "true"}
    return switched_on | {k: v for k, v in settings.items() if _LARAVEL.fullmatch(k)}


def dotenv_lines(settings: Mapping[str, str]) -> str:
    """Write settings as Laravel's .env reads them: phpdotenv has no shell quoting."""
    return "".join(f"{name}={_dotenv_value(value)}\n" for name, value in settings.items())


def _dotenv_value(value: str) -> str:
    if re.fullmatch(r"[\w./:@%+,-]*", value, re.ASCII):
        return value
    return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'


def write_private(path: Path, text: str) -> None:
    """Replace a file that nobody else may read; raises BadSetting."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
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
