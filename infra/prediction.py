"""What each fault costs: outage and lost writes, predicted from the settings.

The constants were measured on stock Redis 7.0.15 and 8.0.2 with 3 data nodes and 3 sentinels.
"""

from dataclasses import dataclass

from infra.config import ClusterConfig

# Seconds. kill -9 with down-after 0.5, 1, 2 and 5 s gave an outage of 1.8, 2.3, 3.3 and 6.3 s.
ELECTION = 1.3
# A client that asks ROLE of all data nodes found the new master after 1.4, 2.4 and 5.4 s.
ELECTION_ROLE_POLLING = 0.4
# With the witness whatever down-after is: a client that polls ROLE, one that asks a sentinel.
WITNESS_ROLE_POLLING, WITNESS = 0.4, 1.6
# An address that falls silent (a container, a machine, a network) closes nothing, or refuses one
# connection and then answers none: Sentinel counts down-after from its next PING, a second later.
SILENCE_EXTRA = 1.2
# A hung master (SIGSTOP) took up to this much longer than a killed one.
HANG_EXTRA = 2.3
# Zero-loss switchover: gap with a plain client at most, and with one that polls ROLE.
SWITCHOVER, SWITCHOVER_ROLE_POLLING = 1.4, 0.17
# An isolated master stopped accepting writes 2.3-2.9 s after with max-lag 2, 5.3-6 with 5, 4.6 with
# 3. Redis counts whole seconds, once a second: two more than max-lag at most (replication.c).
FENCING_EXTRA = 2.0


@dataclass(frozen=True)
class Prediction:
    """One fault: outage in seconds (best client to worst case; None without an end of its own).

    `loss` names the acknowledged writes at risk, `basis` the formula both come from.
    """

    fault: str
    outage: tuple[float, float] | None
    loss: str
    basis: str

    @property
    def outage_text(self) -> str:
        """The outage as a reader wants it."""
        if self.outage is None:
            return "until the host is back"
        low, high = self.outage
        return f"{low:.1f}-{high:.1f} s"

    def __str__(self) -> str:
        return f"{self.fault:<15} outage {self.outage_text:<23} loss {self.loss}"


def predict(config: ClusterConfig) -> tuple[Prediction, ...]:
    """Say for each fault what it will cost with these settings."""
    return (
        *([_witnessed_crash()] if config.sentinel.witness else []),
        _crash(config),
        _hang(config),
        _partition(config),
        Prediction(
            "switchover",
            (SWITCHOVER_ROLE_POLLING, SWITCHOVER),
            "none",
            "paused writes until the chosen replica's offset is the master's; measured",
        ),
        _zone_loss(config) if config.target == "aws" else _host_loss(config),
    )


def _witnessed_crash() -> Prediction:
    return Prediction(
        "crash",
        (WITNESS_ROLE_POLLING, WITNESS),
        "writes not yet replicated (usually none)",
        "a majority of the witnesses sees the closed connection, whatever downAfterMs is",
    )


def _crash(config: ClusterConfig) -> Prediction:
    """With the witness only where it can see nothing: the address falls silent."""
    down_after = config.sentinel.down_after_ms / 1000
    unseen = config.sentinel.witness
    basis = "downAfterMs + 0.4 s for clients that poll ROLE, + 1.3 s for those that ask a sentinel"
    silence = "where the address falls silent up to 1.2 s more"
    return Prediction(
        "crash unseen" if unseen else "crash",
        (
            down_after + ELECTION_ROLE_POLLING,
            down_after + ELECTION + (SILENCE_EXTRA if unseen else 0.0),
        ),
        "writes not yet replicated (usually none)",
        f"{basis}; {silence}",
    )


def _hang(config: ClusterConfig) -> Prediction:
    down_after = config.sentinel.down_after_ms / 1000
    return Prediction(
        "hang",
        (down_after + ELECTION_ROLE_POLLING, down_after + ELECTION + HANG_EXTRA),
        "writes not yet replicated (usually none)",
        "as a crash, up to 2.3 s more",
    )


def _partition(config: ClusterConfig) -> Prediction:
    down_after = config.sentinel.down_after_ms / 1000
    redis = config.redis
    fenced = redis.min_replicas_max_lag + FENCING_EXTRA
    loss = (
        f"what the isolated master accepts in {fenced:.0f} s"
        if redis.min_replicas_to_write
        else "all that the isolated master accepts until it is back"
    )
    return Prediction(
        "partition",
        (down_after + ELECTION_ROLE_POLLING, down_after + ELECTION + SILENCE_EXTRA),
        loss,
        "outage as a crash unseen on the majority's side; fencing within minReplicasMaxLag + 2 s",
    )


def _zone_loss(config: ClusterConfig) -> Prediction:
    """Of three zones one goes: for the other two the same as a partition."""
    partition = _partition(config)
    return Prediction(
        "zone loss",
        partition.outage,
        "writes not yet replicated (usually none)",
        "a machine that is gone closes no connection, so downAfterMs decides",
    )


def _host_loss(config: ClusterConfig) -> Prediction:
    on_disk = {"always": "none", "everysec": "1 s of writes", "no": "some 30 s of writes"}
    backup = config.backup
    if not backup.backup_enabled:
        without_disk = "everything, there is no backup"
    elif backup.backup_store.startswith("file://"):
        without_disk = "everything, the store is on the same host"
    else:
        without_disk = f"up to {backup.backup_interval} s and a snapshot's duration"
    return Prediction(
        "host loss",
        None,
        f"{on_disk[config.redis.appendfsync]}; with its disk {without_disk}",
        "every container is on one host: appendfsync, else the newest snapshot off the host",
    )
