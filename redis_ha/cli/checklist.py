"""`redis-ha checklist`: is the cluster fit for production, with evidence in a signed report."""

import hashlib
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from redis_ha.backup_report import ask_backup
from redis_ha.cli import output
from redis_ha.cli.cluster import json_option, stack_option, the_site
from redis_ha.cli.stats import measure
from redis_ha.errors import BadSetting
from redis_ha.findings import Finding
from redis_ha.site import Site
from redis_ha.surveying import take_survey
from redis_ha.upkeep.checklist import DOCUMENTS, Facts, is_passed, judge_checklist
from redis_ha.upkeep.record import read_record, record_path
from redis_ha.upkeep.signing import problem_of, sign, the_key
from redis_ha.upkeep.watching import DEFAULT_URL, ask_prometheus

VERSION = 1
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
@click.option("--verify", metavar="FILE", type=_FILE, help="Only check a report's signature.")
@click.option("--signer", metavar="KEY", help="Whose it must be; for --verify.")
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
    (each snapshot is loaded by the worker), baselines (measured now), and the documents. What
    can't be known is not passed. The report holds the evidence; nothing is changed.

    \b
    Examples:
      redis-ha checklist
      redis-ha checklist --report reports/
      redis-ha checklist --verify reports/checklist-20260301T090000Z.json --signer KEY
    """
    if verify is not None:
        _verify(verify, signer, as_json=as_json)
        return
    site = the_site(stack)
    facts = _gather(site, prometheus, documents)
    findings = judge_checklist(facts)
    made = _report(site, facts, findings)
    if as_json:
        output.print_json(made)
    else:
        output.print_findings(findings)
    if report is not None:
        _write(report, made, key or _state_folder() / "checklist-signing.pem")
    raise click.exceptions.Exit(0 if is_passed(findings) else 1)


def _gather(site: Site, prometheus: str, documents: Path) -> Facts:
    return Facts(
        survey=take_survey(site, rights=True, certificates=True, witnesses=True),
        stats=measure(site, _SAMPLES),
        backup=ask_backup(site.settings, os.environ),
        watch=ask_prometheus(prometheus),
        deeds=read_record(record_path(site.operator, os.environ, home=Path.home())),
        documents={
            name: hashlib.sha256((documents / name).read_bytes()).hexdigest()
            for name in DOCUMENTS
            if (documents / name).is_file()
        },
        now=datetime.now(UTC),
    )


def _report(site: Site, facts: Facts, findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "version": VERSION,
        "cluster": {
            "master_name": site.operator.master_name,
            "nodes": {m.name: str(m.address) for m in (*site.data_nodes, *site.sentinels)},
        },
        "at": facts.now.isoformat(timespec="seconds"),
        "passed": is_passed(findings),
        "items": [finding.described() for finding in findings],
        "evidence": facts.evidence(),
    }


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


def _verify(path: Path, signer: str | None, *, as_json: bool) -> None:
    try:
        signed = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadSetting(
            operation="read", subject=str(path), cause=str(error), hint="name a report"
        ) from error
    problem = problem_of(signed, signer=signer) or _other_document(signed["report"])
    if as_json:
        output.print_json(_verified(signed, problem))
    elif problem:
        click.echo(f"{path}: {problem}", err=True)
    else:
        made = signed["report"]
        state = "passed" if made["passed"] else "not passed"
        click.echo(f"{made['at']}: {state}, signed by {signed['signature']['signer']}")
    raise click.exceptions.Exit(1 if problem else 0)


def _other_document(signed: Any) -> str:
    """Say what a signed document is, "" when it is a report of ours."""
    if not isinstance(signed, dict) or signed.get("version") != VERSION:
        return f"it is signed, but no checklist report of version {VERSION}"
    if not (isinstance(signed.get("at"), str) and isinstance(signed.get("passed"), bool)):
        return "it is signed, but doesn't say when it was made and whether all passed"
    return ""


def _verified(signed: Any, problem: str) -> dict[str, Any]:
    """Say of a report whether it can be trusted; what it says only when it can."""
    if problem:
        return {"trusted": False, "problem": problem}
    report = signed["report"]
    said = {"at": report["at"], "passed": report["passed"]}
    return {"trusted": True, "problem": "", **said, "signer": signed["signature"]["signer"]}


def _state_folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "redis-ha"
