"""Several faults, each several times, on one cluster; what an earlier run left is healed first."""

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis

from redis_ha.discovery import find_master
from redis_ha.errors import HarmRefused
from redis_ha.failover_test import steadiness
from redis_ha.failover_test.hands import Hands
from redis_ha.failover_test.journal import opened
from redis_ha.failover_test.outcome import Outcome
from redis_ha.failover_test.records import BEGUN, FAULTS, PEERS, Fault
from redis_ha.failover_test.report import Circumstances
from redis_ha.failover_test.run import Options, Run, put_right
from redis_ha.failover_test.summary import Judged, judged
from redis_ha.site import Site

PRODUCTION = frozenset({"prod", "production"})
_TRUE = frozenset({"1", "true", "yes", "on"})

Say = Callable[[str], None]
Broke = Callable[[Fault], None]


@dataclass(frozen=True)
class Campaign:
    """What is to be done to a site, in this order."""

    site: Site
    faults: tuple[Fault, ...]
    repeat: int
    options: Options


def is_production(stack: str | None, settings: Mapping[str, str]) -> bool:
    """Say whether a cluster is marked so that nobody hurts it by mistake."""
    marked = settings.get("REDIS_PRODUCTION", "").lower() in _TRUE
    return marked or (stack or "").rpartition("/")[2] in PRODUCTION


def refuse_production(stack: str | None, settings: Mapping[str, str]) -> None:
    """Raise HarmRefused for a cluster that is marked production."""
    if is_production(stack, settings):
        raise HarmRefused(
            operation="hurt",
            subject=f"stack {stack}" if stack else "this cluster",
            cause="it is marked production",
            hint="use another stack, or give --yes-production if its users know",
        )


def clean_up(site: Site, hands: Hands, path: Path, *, say: Say) -> None:
    """Put right what a run that was killed has left; raises HarmRefused while another one runs."""
    with opened(path) as journal:
        if journal.debts:
            say("an earlier run was interrupted: putting the cluster right first")
            put_right(site, hands, journal)


def conduct(campaign: Campaign, hands: Hands, path: Path, *, outcome: Outcome, say: Say) -> None:
    """Carry a campaign out; what it came to is in `outcome`, when this raises too."""

    def broke(fault: Fault) -> None:
        outcome.broken = fault

    try:
        for one in carry_out(campaign, hands, path, say=say, broke=broke):
            outcome.runs.append(one)
    except BaseException as error:
        outcome.stopped = _named(error)
        raise


def _named(error: BaseException) -> str:
    text = (str(error).splitlines() or [""])[0]
    return ": ".join(filter(None, (type(error).__name__, text)))


def carry_out(
    campaign: Campaign,
    hands: Hands,
    path: Path,
    *,
    say: Say,
    broke: Broke = lambda _fault: None,
) -> Iterator[Judged]:
    """Do one run after the other, each judged; leaves the cluster as it was, whatever happens.

    `broke` is told of the fault whose run raised after it had begun.
    """
    settings = steadiness.live_settings(campaign.site)
    with opened(path) as journal:
        for fault in campaign.faults:
            if fault == "crash-unseen" and not settings.witnessed:
                say(f"{fault}: left out, no majority of witnesses listens and a crash is that")
                continue
            for number in range(1, campaign.repeat + 1):
                say(f"{fault} {number} of {campaign.repeat}")
                run = Run(campaign.site, fault, hands, journal, campaign.options, settings, say)
                yield _one(run, broke)


def _one(run: Run, broke: Broke) -> Judged:
    began = time.monotonic()
    try:
        result = judged(run.record(), run.settings)
        _tell(result, time.monotonic() - began, run.say)
    except BaseException:
        if BEGUN in run.marks:
            broke(run.fault)
        raise
    return result


def _tell(result: Judged, seconds: float, say: Say) -> None:
    word = "passed" if result.verdict.passed else "failed"
    say(f"{result.run.fault}: {word}, {seconds:.0f} s")
    if text := result.run.witnesses_text:
        say(f"  {text}")
    for check in result.verdict.failures:
        say(f"  {check.name}: {check.measured:.2f} of {check.limit or 0:.2f}; {check.reason}")


def circumstances(site: Site, stack: str | None) -> Circumstances:
    """Say under which circumstances the numbers came about."""
    with site.operator.connect(find_master(site.operator)) as client:
        info: Any = client.info("server")
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version", info["redis_version"]))
    return Circumstances(
        cluster=f"stack {stack}" if stack else site.operator.master_name,
        at=datetime.now(UTC),
        settings=steadiness.live_settings(site),
        versions={
            name: version,
            "redis-py": redis.__version__,
            "Python": platform.python_version(),
        },
        plan=site.plan,
    )


def chosen(faults: Sequence[str], *, compare: bool) -> tuple[Fault, ...]:
    """Turn the names asked for into faults, each once; `compare` adds the peers of those."""
    peers = set(PEERS.values())
    wanted = {f for f in FAULTS if f in faults or ("all" in faults and f not in peers)}
    if compare:
        wanted |= {peer for fault, peer in PEERS.items() if fault in wanted}
    return tuple(fault for fault in FAULTS if fault in wanted)
