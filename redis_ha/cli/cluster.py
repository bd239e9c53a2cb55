"""The options that every command has: the cluster it is about, and JSON."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from redis_ha import environment
from redis_ha.locating import find_site
from redis_ha.site import Site

F = TypeVar("F", bound=Callable[..., Any])


def stack_option(function: F) -> F:
    """Add --stack NAME."""
    text = "The Pulumi stack whose cluster it is."
    return click.option("--stack", metavar="NAME", help=text)(function)


def json_option(function: F) -> F:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def the_site(stack: str | None) -> Site:
    """Find the cluster; raises StackUnavailable, BadSetting, Unreachable."""
    say_which(stack)
    return find_site(stack, os.environ)


def say_which(stack: str | None) -> None:
    """Say so where the environment names another cluster than this folder's env file.

    Raises BadSetting.
    """
    if stack is None and (both := environment.overruled(os.environ)):
        click.echo(
            f"the environment's cluster ({both[0]}) is meant, not that of {environment.ENV_FILE} "
            f"({both[1]}): for the latter use a fresh shell",
            err=True,
        )
