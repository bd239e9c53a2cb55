"""What may not become of a stack that is there: changes that its data would not survive.

The stack's own outputs of the last `up` say how it is now. They are asked of the engine, so that
nothing of it stands in the stack's state and no resource waits for it; a new stack has none.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime.invoke import InvokeResult

from infra.config import ClusterConfig
from infra.errors import ChangeRefused, Problem
from infra.places import Identity, identity_changes, read_identity

# The RDB version that each engine writes, and those that it loads (src/rdb.h; Valkey took none of
# those that only Redis writes).
WRITES = {"redis-8": 12, "redis-7": 10, "valkey-8": 11}
_READ = "pulumi:pulumi:readStackOutputs"
# The engine writes the state of this very run meanwhile, and a local file is not replaced at once:
# who reads it in that moment finds it empty or cut off.
_HALF_WRITTEN = "failed to load checkpoint"
_LOOKS, _PAUSE_SECONDS = 20, 0.1


@dataclass(frozen=True)
class Previous:
    """A stack as its last `up` left it; what its outputs do not say is empty.

    `recipients` are who can open new snapshots; `generated` tells that their key is the stack's
    own, and `backup_keys` has the recipient of each of its generations that is kept. `passwords`
    and `authority` are generations as the settings write them.
    """

    engine: str = ""
    sentinels: int = 0
    recipients: tuple[str, ...] = ()
    generated: bool = False
    backup_keys: Mapping[int, str] = field(default_factory=dict)
    passwords: str = ""
    authority: str = ""
    identity: Identity = field(default_factory=Identity)


def refuse_forbidden_changes(config: ClusterConfig) -> None:
    """Compare with the running stack's outputs. Errors: ChangeRefused with all refusals at once."""
    problems = forbidden_changes(read_previous(last_outputs()), config)
    if problems:
        raise ChangeRefused(problems)


def last_outputs() -> Mapping[str, Any]:
    """Ask the engine for the running stack's outputs of the last `up`; empty before the first.

    Secrets among them come in clear.
    """
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    outputs = (_read_outputs(name).value or {}).get("outputs")
    return outputs if isinstance(outputs, Mapping) else {}


def _read_outputs(name: str) -> InvokeResult:
    for _ in range(_LOOKS - 1):
        try:
            return pulumi.runtime.invoke(_READ, {"name": name})
        except Exception as error:
            if _HALF_WRITTEN not in str(error):
                raise
        time.sleep(_PAUSE_SECONDS)
    return pulumi.runtime.invoke(_READ, {"name": name})


def read_previous(outputs: Mapping[str, Any]) -> Previous:
    """Take from outputs what decides; pure."""
    plan = outputs.get("plan") or {}
    generations = outputs.get("generations") or {}
    recipients = tuple(map(str, outputs.get("backupRecipients") or ()))
    return Previous(
        engine=str(plan.get("engine", "")),
        sentinels=len(outputs.get("sentinels") or ()),
        recipients=recipients,
        generated="backupIdentity" in outputs,
        backup_keys=_backup_keys_of(outputs, recipients),
        passwords=str(generations.get("users", "")),
        authority=str(generations.get("ca", "")),
        identity=read_identity(outputs),
    )


def _backup_keys_of(outputs: Mapping[str, Any], recipients: Sequence[str]) -> dict[int, str]:
    """Read who opens what each generation's key was made for.

    The outputs of an older `up` name the recipient in use alone, which then stands for both.
    """
    if "backupIdentity" not in outputs:
        return {}
    named = outputs.get("backupKeys") or {}
    generation = str((outputs.get("generations") or {}).get("backup-key", ""))
    numbers = [number for number in generation.split("+") if number]
    return {int(n): str(named.get(n, "".join(recipients[:1]))) for n in numbers}


def forbidden_changes(previous: Previous, wanted: ClusterConfig) -> list[Problem]:
    """List what may not be done to that stack; pure."""
    return [
        *identity_changes(previous.identity, wanted),
        *_engine(previous, wanted),
        *_sentinels(previous, wanted),
        *_backup_keys(previous, wanted),
        *_rotations(previous, wanted),
    ]


def _engine(previous: Previous, wanted: ClusterConfig) -> Iterator[Problem]:
    was, to_be = previous.engine, wanted.engine
    allowed = wanted.allow_engine_change
    if was and allowed and not allowed.startswith(f"{was}>"):
        yield Problem(
            "allowEngineChange",
            allowed,
            f"the stack runs {was}: it is left over from a change that was made, and would let the "
            "next of its kind pass",
            "remove it: `pulumi config rm allowEngineChange`",
        )
    written, newest = WRITES.get(was, 0), WRITES[to_be]
    if written <= newest or allowed == f"{was}>{to_be}":
        return
    yield Problem(
        "engine",
        to_be,
        f"the nodes run {was}, their data is in RDB version {written}, and {to_be} loads none "
        f"above {newest}: no node would come up with its data",
        f"set it back to {was}; if the data may go, take a snapshot first "
        f"(`backup-worker snapshot`), then `pulumi config set allowEngineChange '{was}>{to_be}'`",
    )


def _sentinels(previous: Previous, wanted: ClusterConfig) -> Iterator[Problem]:
    """A sentinel counts every peer it ever knew, and only a majority of them elects who acts."""
    needed = previous.sentinels // 2 + 1
    if wanted.layout.sentinels >= needed or not previous.sentinels:
        return
    stay = wanted.layout.sentinels
    yield Problem(
        "sentinels",
        str(stay),
        f"those that stay count {previous.sentinels}, so {needed} of them must agree on a "
        f"failover and {stay} never do",
        f"set it to {needed + 1 - needed % 2} first (`redis-ha scale` waits until those that left "
        "are forgotten), then go on",
    )


def _backup_keys(previous: Previous, wanted: ClusterConfig) -> Iterator[Problem]:
    lost = _lost_own(previous, wanted) if previous.generated else _lost_brought(previous, wanted)
    named = wanted.allow_backup_key_loss.split(",")
    if set(lost) <= set(named):
        return
    given = wanted.backup.backup_recipients
    allowed = f"`pulumi config set allowBackupKeyLoss {','.join(dict.fromkeys(lost))}`"
    if not previous.generated:
        yield Problem(
            "backupRecipients",
            ", ".join(given) or "(not set)",
            f"the last proven snapshot may be one that only {', '.join(lost)} opens",
            "keep it beside the new one until `backup-worker list --json` has a proven snapshot "
            f"with the new one among its recipients; then {allowed}",
        )
        return
    yield Problem(
        "backupRecipients" if given else "backupKeyGeneration",
        ", ".join(given) or str(wanted.generations.backup_key_generation),
        "the private key that opens the last proven snapshot may be one that is kept by this stack "
        "alone, and would go",
        "save it (`pulumi stack output --show-secrets backupIdentity > old-key.txt`), then "
        f"{allowed}; `redis-ha rotate backup-key` changes it without a loss",
    )


def _lost_own(previous: Previous, wanted: ClusterConfig) -> list[str]:
    """Name the recipients whose identity the stack has and would have no more."""
    kept = () if wanted.backup.backup_recipients else wanted.generations.backup_key_generation.all
    if not previous.backup_keys:
        # A folder of docker-compose, or outputs of long ago: there is one key, and it stays.
        return [] if kept else list(previous.recipients)
    return [key for number, key in previous.backup_keys.items() if number not in kept]


def _lost_brought(previous: Previous, wanted: ClusterConfig) -> list[str]:
    return [key for key in previous.recipients if key not in wanted.backup.backup_recipients]


def _rotations(previous: Previous, wanted: ClusterConfig) -> Iterator[Problem]:
    """What is used next must be accepted by now, and what is used by now still be accepted."""
    generations = wanted.generations
    for setting, kind, was, to_be in (
        ("passwordGeneration", "users", previous.passwords, generations.password_generation),
        ("authorityGeneration", "ca", previous.authority, generations.authority_generation),
    ):
        before = [int(number) for number in was.split("+") if number]
        if before and (to_be.used not in before or before[0] not in to_be.all):
            yield Problem(
                setting,
                str(to_be),
                f"it is {was} now, and whoever doesn't change at the same moment as the others is "
                "refused",
                f"set it back to {was}; `redis-ha rotate {kind}` goes there step by step",
            )
