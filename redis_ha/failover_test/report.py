"""The report: one HTML page that needs nothing but itself."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from redis_ha.failover_test import comparison, timeline
from redis_ha.failover_test.clients import DESCRIPTIONS
from redis_ha.failover_test.expectation import LiveSettings
from redis_ha.failover_test.measures import blind_seconds, epochs
from redis_ha.failover_test.summary import (
    FaultRow,
    Judged,
    Row,
    all_passed,
    client_rows,
    fault_rows,
)
from redis_ha.failover_test.verdict import Check

_NONE = "–"  # noqa: RUF001 - what stands in a table for "no number"
_NOTES = """\
An outage is the longest time from one acknowledged write of a writer to its next, from the fault \
on: what one thread of an application waits, whatever it is told meanwhile.
A write is lost when it was acknowledged and the master doesn't hold it in the end. It fails the \
test only outside of the time that the fault puts at risk.
A node takes writes when one that the test sends to it is accepted, not when it says it is master. \
A new master refuses them until minReplicasToWrite replicas follow it.
A read is stale when it shows less than was acknowledged before it began.
""".splitlines()


@dataclass(frozen=True)
class Circumstances:
    """What a reader of the numbers must know; `versions` names what ran, `plan` is the stack's."""

    cluster: str
    at: datetime
    settings: LiveSettings
    versions: Mapping[str, str]
    plan: Mapping[str, Any] | None = None


def render(runs: Sequence[Judged], about: Circumstances, *, stopped: str = "") -> str:
    """Render the page of at least one run; `stopped` as in `summary.document`."""
    passed = all_passed(runs, stopped)
    rows = client_rows(runs)
    page = Template(files("redis_ha.failover_test").joinpath("report.html").read_text("utf-8"))
    return page.substitute(
        title=escape(f"Failover test of {about.cluster}"),
        badge="good" if passed else "bad",
        word="passed" if passed else "failed",
        facts=escape(_facts(runs, about)),
        troubles=_troubles(runs, stopped),
        comparison=_comparison(rows),
        clients=_client_table(rows),
        faults=_fault_table(fault_rows(runs)),
        legend="".join(
            f'<li><i class="{kind}"></i>{escape(text)}</li>' for kind, text in timeline.legend()
        ),
        runs="".join(_run(number, one) for number, one in enumerate(runs, start=1)),
        notes=_notes(about),
    )


def _facts(runs: Sequence[Judged], about: Circumstances) -> str:
    settings = about.settings
    good = sum(one.verdict.passed for one in runs)
    versions = ", ".join(f"{name} {version}" for name, version in about.versions.items())
    fencing = (
        f"writes need {settings.min_replicas} replica(s) heard within {settings.max_lag:g} s"
        if settings.min_replicas
        else "writes need no replica"
    )
    return (
        f"{good} of {len(runs)} runs passed · {about.at:%Y-%m-%d %H:%M %Z} · down-after "
        f"{settings.down_after:g} s · {fencing} · {versions} · times are exact to "
        f"{max(blind_seconds(one.run) for one in runs):.2f} s · "
        + ("a majority of witnesses listens" if settings.witnessed else "no witnesses")
    )


def _troubles(runs: Sequence[Judged], stopped: str) -> str:
    lines = [f"<li>the test ended early: {escape(stopped)}</li>"] if stopped else []
    lines += [
        f"<li>run {number}, {escape(one.run.fault)}: <b>{escape(check.name)}</b>: "
        f"{escape(_measured(check))}, allowed {escape(_limit(check))}; {escape(check.reason)}</li>"
        for number, one in enumerate(runs, start=1)
        for check in one.verdict.failures
    ]
    return f"<h2>What went wrong</h2><ul>{''.join(lines)}</ul>" if lines else ""


def _comparison(rows: Sequence[Row]) -> str:
    chosen = comparison.bars(rows)
    if not chosen:
        return ""
    return (
        "<h2>A crash with and without the witnesses</h2>"
        '<p class="soft">For how long a client could not write: the middle run as a bar, the '
        f"worst as a line.</p>{comparison.draw(chosen)}"
    )


def _client_table(rows: Sequence[Row]) -> str:
    head = (
        *("fault", "client", "", "runs", "outage, middle", "worst", "allowed"),
        *("acknowledged", "lost", "stale reads", "oldest read", "longest call"),
    )
    body = [
        (
            *(row.fault, row.kind, "passed" if row.passed else "failed", str(row.runs)),
            *(_s(row.outage_middle), _s(row.outage_worst), _s(row.outage_limit)),
            *(f"{row.acknowledged:,}", f"{row.lost:,}", f"{row.stale_reads:,}"),
            *(_s(row.stale_worst) if row.stale_reads else _NONE, _s(row.longest_call)),
        )
        for row in rows
    ]
    return _table(head, body, text=(0, 1, 2))


def _fault_table(rows: Sequence[FaultRow]) -> str:
    head = (
        *("fault", "runs", "passed", "promotions a run", "two writable masters, worst", "allowed"),
        *("cut-off client wrote for", "and lost"),
    )
    body = [
        (
            *(row.fault, str(row.runs), str(row.passed)),
            *(", ".join(map(str, sorted(set(row.failovers)))), _s(row.overlap_worst)),
            _s(row.overlap_limit),
            *(_s(row.inside_worst), _NONE if row.inside_lost is None else f"{row.inside_lost:,}"),
        )
        for row in rows
    ]
    return _table(head, body, text=(0,))


def _run(number: int, one: Judged) -> str:
    run, verdict = one.run, one.verdict
    word = "passed" if verdict.passed else "failed"
    # Those that need a look are open, and the first so that there is something to see.
    shown = " open" if number == 1 or not verdict.passed else ""
    return (
        f'<details{shown} data-run="{number}"><summary>{number}. {escape(run.fault)} of '
        f"{escape(run.victim)} <span class={'good' if verdict.passed else 'bad'}>{word}</span> "
        f'<span class="soft">epoch +{epochs(run)}</span></summary>'
        f"{_witnesses(run.witnesses_text)}"
        f'<div class="scroll">{timeline.draw(run)}</div>'
        f'<div class="scroll">{_checks(verdict.checks)}{_errors(one)}</div></details>'
    )


def _witnesses(text: str) -> str:
    return f'<p class="witnesses">{escape(text)}.</p>' if text else ""


def _checks(checks: Sequence[Check]) -> str:
    body = [
        (
            check.name,
            _measured(check),
            _limit(check),
            "passed" if check.passed else "failed",
            check.reason,
        )
        for check in checks
    ]
    return _table(("check", "measured", "allowed", "", ""), body, text=(0, 3, 4))


def _errors(one: Judged) -> str:
    lines = [
        f"<li>{escape(client.kind)}, {count:,} times: <code>{escape(text)}</code></li>"
        for client in one.run.clients
        for text, count in sorted(client.errors.items(), key=lambda item: -item[1])
    ]
    return f'<p class="soft">What the applications were told:</p><ul>{"".join(lines)}</ul>'


def _notes(about: Circumstances) -> str:
    lines = [*(f"{kind}: {text}." for kind, text in DESCRIPTIONS.items()), *_NOTES]
    lines += [
        f"The plan of this stack predicts for {fault['fault']}: outage {fault['outage']}, "
        f"loss {fault['loss']}."
        for fault in (about.plan or {}).get("faults", ())
    ]
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _table(head: Iterable[str], body: Iterable[Sequence[str]], *, text: Collection[int]) -> str:
    """Write a table; all columns but those of `text` (by number) are aligned as numbers."""

    def kind(column: int, cell: str) -> str:
        words = {"passed": "good", "failed": "bad"}.get(cell, "")
        return " ".join(filter(None, ("" if column in text else "n", words)))

    top = "".join(f'<th class="{kind(n, "")}">{escape(cell)}</th>' for n, cell in enumerate(head))
    rows = "".join(
        "<tr>"
        + "".join(f'<td class="{kind(n, c)}">{escape(c)}</td>' for n, c in enumerate(cells))
        + "</tr>"
        for cells in body
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table>"


def _s(seconds: float | None) -> str:
    return _NONE if seconds is None else f"{seconds:.2f} s"


def _measured(check: Check) -> str:
    return _amount(check.measured, check.unit)


def _limit(check: Check) -> str:
    return _NONE if check.limit is None else _amount(check.limit, check.unit)


def _amount(value: float, unit: str) -> str:
    if unit == "yes or no":
        return "yes" if value else "no"
    return f"{value:.2f} s" if unit == "s" else f"{value:,.0f} {unit}".rstrip()
