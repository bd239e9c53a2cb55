"""`restore --config`, and the files that `restore --output` lays beside the data."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

import age
from backup_worker.catalog import Catalog
from backup_worker.cli.output import print_json
from backup_worker.cli.session import Session
from backup_worker.contents import source as contents_source
from backup_worker.contents.files import differences, files
from backup_worker.errors import BackupError
from backup_worker.manifest import Manifest


def show_differences(
    session: Session, manifest: Manifest, identities: Sequence[age.Identity], *, as_json: bool
) -> None:
    """Print what a snapshot's configuration, users and sentinels are, and the live ones not."""
    before = contents_source.read_of(session.store, manifest, identities)
    now = contents_source.gather(session.access, now=datetime.now(UTC))
    print_differences([asdict(one) for one in differences(before, now)], as_json=as_json)


def print_differences(found: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Print differences as JSON, or as - and + lines by place; colour on a terminal."""
    if as_json:
        print_json(list(found))
        return
    place = None
    for one in found:
        if one["place"] != place:
            place = one["place"]
            click.secho(place, bold=True)
        for sign, side, colour in (("-", "before", "red"), ("+", "now", "green")):
            if one[side] is not None:
                click.secho(f"{sign} {one['name']} {one[side]}", fg=colour)
    if not found:
        click.echo("no difference", err=True)


def beside(
    catalog: Catalog, manifest: Manifest, identities: Sequence[age.Identity]
) -> dict[str, bytes]:
    """Return the files for a restored directory; without them the data is written all the same."""
    if manifest.contents is None:
        return {}
    try:
        return files(contents_source.read_of(catalog.store, manifest, identities))
    except BackupError as error:
        click.echo(f"without configuration and users: {error.cause}", err=True)
        return {}
