"""`redis-ha status`: a picture of the cluster."""

import os
from dataclasses import asdict
from typing import Any

import click

from redis_ha import picture
from redis_ha.backup_report import BackupReport, ask_backup
from redis_ha.cli import output
from redis_ha.cli.cluster import json_option, stack_option, the_site
from redis_ha.locating import nobody_answers
from redis_ha.readiness import promotable
from redis_ha.survey import NodeSurvey, SentinelSurvey, Survey
from redis_ha.surveying import take_survey
from redis_ha.witnessing import witnesses_described


@click.command("status", short_help="Draw the cluster: roles, links, lag, votes, last backup.")
@stack_option
@json_option
def command(stack: str | None, as_json: bool) -> None:
    """Draw who is master, who follows and how far behind, and whom each sentinel names.

    Exit code 1 when something is not as it should be, 6 when no sentinel answers. In a pipe: one
    line a member, cells separated by tabs (node, name, address, role, state, master, offset, bytes
    behind; sentinel, name, address, master, flags, epoch, replicas, sentinels).

    \b
    Examples:
      redis-ha status
      redis-ha status --json | jq -r .master
      redis-ha status | awk -F'\\t' '$4 == "master" {print $3}'
    """
    site = the_site(stack)
    survey = take_survey(site, witnesses=True)
    backup = ask_backup(site.settings, os.environ)
    if as_json:
        output.print_json(_described(survey, backup))
    elif output.on_terminal():
        lines = picture.draw(survey, master_name=site.operator.master_name)
        output.print_lines([*lines, [], _backup_line(backup)])
    else:
        output.print_table((), picture.rows(survey))
        click.echo("\t".join(("backup", *_backup_cells(backup))))
    if not survey.answering:
        raise nobody_answers(site, [sentinel.view for sentinel in survey.sentinels])
    if not _as_it_should_be(survey):
        raise click.exceptions.Exit(1)


def _as_it_should_be(survey: Survey) -> bool:
    agreed = all(s.view.master == survey.master for s in survey.sentinels)
    replicas = len(promotable(survey))
    return agreed and survey.leader is not None and replicas == len(survey.nodes) - 1 > 0


def _backup_line(backup: BackupReport) -> list[tuple[str, str]]:
    snapshot, proof, trouble = _backup_cells(backup)
    if backup.absent:
        return [("backup: ", "bold"), (f"not known, {backup.absent}", "dim")]
    style = "red" if trouble else "green"
    return [("backup: ", "bold"), (f"{snapshot}, proven {proof}", style), (f"  {trouble}", "red")]


def _backup_cells(backup: BackupReport) -> tuple[str, str, str]:
    if backup.absent:
        return "-", "-", backup.absent
    taken = "none yet" if backup.snapshot is None else backup.snapshot
    if backup.snapshot_age is not None:
        taken += f" ({output.human_seconds(backup.snapshot_age)} ago)"
    proof = "never" if backup.proof_age is None else f"{output.human_seconds(backup.proof_age)} ago"
    return taken, proof, "; ".join(backup.troubles)


def _described(survey: Survey, backup: BackupReport) -> dict[str, Any]:
    return {
        "master": survey.name(survey.master) if survey.master else None,
        "healthy": _as_it_should_be(survey),
        "last_failover": {
            "epoch": max((s.epoch for s in survey.answering), default=None),
            "at_least_seconds_ago": max((s.since_role for s in survey.answering), default=None),
        },
        "nodes": [_node(survey, node) for node in survey.nodes],
        "sentinels": [_sentinel(survey, sentinel) for sentinel in survey.sentinels],
        "witnesses": witnesses_described(survey),
        "backup": asdict(backup),
    }


def _node(survey: Survey, node: NodeSurvey) -> dict[str, Any]:
    view = node.view
    behind, seconds = survey.lag(node)
    return {
        "name": survey.name(node.address),
        "address": str(node.address),
        "role": {"master": "master", "slave": "replica"}.get(view.role or ""),
        "master": survey.name(view.master) if view.master else None,
        "in_sync": view.link_up and not view.syncing and not view.loading,
        "offset": view.offset,
        "behind_bytes": behind if view.role == "slave" else None,
        "behind_seconds": seconds,
        "keys": view.keys,
        "problem": view.problem,
    }


def _sentinel(survey: Survey, sentinel: SentinelSurvey) -> dict[str, Any]:
    return {
        "name": survey.name(sentinel.address),
        "address": str(sentinel.address),
        "names": survey.name(sentinel.view.master) if sentinel.answers else None,
        "flags": sorted(sentinel.view.flags),
        "epoch": sentinel.epoch,
        "replicas": [survey.name(entry.address) for entry in sentinel.replicas],
        "sentinels": [survey.name(peer.address) for peer in sentinel.peers],
        "takes_for_down": [survey.name(address) for address in sentinel.takes_for_down],
        "problem": sentinel.view.problem,
    }
