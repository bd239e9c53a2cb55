"""`redis-ha checklist`: is the cluster fit for production, with evidence in a signed report."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from redis_ha.backup_report import ask_backup, ask_snapshots
from redis_ha.cli import output
from redis_ha.cli.cluster import json_option, stack_option, the_site
from redis_ha.cli.stats import measure
from redis_ha.errors import BadSetting, Unreachable
from redis_ha.locating import find_unasked
from redis_ha.site import Site
from redis_ha.surveying import take_survey
from redis_ha.upkeep.checklist import Facts, is_passed, judge_checklist
from redis_ha.upkeep.documents import read_documents
from redis_ha.upkeep.place import state_folder
from redis_ha.upkeep.record import read_record, record_path
from redis_ha.upkeep.reports import distrust, make_report, verified
from redis_ha.upkeep.signing import public_half, sign, the_key
from redis_ha.upkeep.watching import DEFAULT_URL, ask_prometheus

_SAMPLES = 200
_ALREADY = "a report of this second is there already"
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("checklist", short_help="Check all that production needs; write a signed report.")
@click.option(
    "--report", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path),
    help="Write checklist-<time>.json there, signed.",
)  # fmt: skip
@click.option("--key", metavar="FILE", type=_FILE,
              help="Ed25519 key to sign with, PEM; made where there is none.")  # fmt: skip
@click.option("--prometheus", metavar="URL", default=DEFAULT_URL, show_default=True)
@click.option(
    "--documents", metavar="FOLDER", default="docs", show_default=True,
    type=click.Path(file_okay=False, path_type=Path), help="Where the runbooks are.",
)  # fmt: skip
@click.option(
    "--verify", metavar="FILE", type=_FILE, help="Only check whether a report can be trusted."
)
@click.option(
    "--signer", metavar="KEY", help="Whose it must be, for --verify; else this machine's."
)
@stack_option
@json_option
def command(
    *,
    report: Path | None,
    key: Path | None,
    prometheus: str,
    documents: Path,
    verify: Path | None,
    signer: str | None,
    stack: str | None,
    as_json: bool,
) -> None:
    """Check what a cluster needs before production; exit code 0 when it has all, 1 when not.

    Three sentinels, the quorum, a partition that was tested and a crash that was (by `redis-ha
    failover-test`, which keeps a record), monitoring, alerts, a backup, a recovery that was tested
    (each snapshot is loaded by the worker), baselines (measured now, and kept in the report), and
    the documents with a runbook for each alert. What can't be known is not passed: without --report
    nothing is. A cluster of which no sentinel answers fails, with a report all the same. The report
    holds the evidence; nothing is changed. --verify trusts a report that --signer KEY signed, or,
    without, this machine's own key (--key).

    \b
    Examples:
      redis-ha checklist
      redis-ha checklist --report reports/
      redis-ha checklist --verify reports/checklist-20260301T090000Z.json --signer KEY
    """
    key = key or state_folder(os.environ, home=Path.home()) / "checklist-signing.pem"
    if verify is not None:
        _verify(verify, signer, key, as_json=as_json)
        return
    site = _the_site(stack)
    facts = _gather(site, prometheus, documents, recorded=report is not None)
    findings = judge_checklist(facts)
    made = make_report(site, facts, findings)
    if as_json:
        output.print_json(made)
    else:
        output.print_findings(findings)
    if report is not None:
        _write(report, made, key)
    raise click.exceptions.Exit(0 if is_passed(findings) else 1)


def _the_site(stack: str | None) -> Site:
    """Find the cluster; one whose sentinels are all silent by its settings, to be judged too."""
    try:
        return the_site(stack)
    except Unreachable as error:
        click.echo(error.cause, err=True)
        return find_unasked(stack, os.environ)


def _gather(site: Site, prometheus: str, documents: Path, *, recorded: bool) -> Facts:
    return Facts(
        survey=take_survey(site, rights=True, certificates=True, witnesses=True),
        stats=measure(site, _SAMPLES),
        backup=ask_backup(site.settings, os.environ),
        snapshots=ask_snapshots(site.settings, os.environ),
        watch=ask_prometheus(prometheus),
        deeds=read_record(record_path(site.operator, os.environ, home=Path.home())),
        documents=read_documents(documents),
        now=datetime.now(UTC),
        recorded=recorded,
    )


def _write(folder: Path, made: dict[str, Any], key: Path) -> None:
    moment = datetime.fromisoformat(made["at"])
    path = folder / f"checklist-{moment:%Y%m%dT%H%M%SZ}.json"
    signed = sign(made, the_key(key))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x") as file:
            json.dump(signed, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        cause = _ALREADY if isinstance(error, FileExistsError) else str(error.strerror)
        raise BadSetting(
            operation="write", subject=str(path), cause=cause, hint="name another folder"
        ) from error
    click.echo(f"wrote {path}, signed by {signed['signature']['signer']}", err=True)


def _verify(path: Path, signer: str | None, key: Path, *, as_json: bool) -> None:
    signed = _read(path)
    own = public_half(key) if signer is None else None
    problem = distrust(signed, signer=signer, own=own)
    if as_json:
        output.print_json(verified(signed, problem))
    elif problem:
        click.echo(f"{path}: {problem}", err=True)
    else:
        made = signed["report"]
        state = "passed" if made["passed"] else "not passed"
        click.echo(f"{made['at']}: {state}, signed by {signed['signature']['signer']}")
    raise click.exceptions.Exit(1 if problem else 0)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        cause = "it is nested too deeply for a report" if deep else str(error)
        raise BadSetting(
            operation="read", subject=str(path), cause=cause, hint="name a report"
        ) from error
