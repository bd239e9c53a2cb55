"""The backup: how old, proven or not, how far the log is behind, what waits for the store."""

from monitoring.dashboards.layout import Dashboard, Row
from monitoring.dashboards.panels import BLUE, GREEN, GREY, ORANGE, RED, Panel, Query

# Only who holds the lease answers for snapshots and log; one that stands by keeps old figures.
WORKS = "and on (instance) redis_backup_working == 1"


def working(metric: str) -> str:
    return f"redis_backup_{metric} {WORKS}"


NOW = Row(
    "Now",
    (
        Panel(
            "Workers at work",
            "One holds the lease and works, others stand by.",
            (Query("max(redis_backup:workers:working)"),),
            kind="stat", steps=((None, RED), (1, GREEN), (2, RED)), width=4,
            runbook="BackupNobodyWorks",
        ),
        Panel(
            "Newest snapshot",
            "Its age against the greatest it may have: overdue from 1 on.",
            (
                Query(
                    "max(redis_backup:last_snapshot_age_seconds:working"
                    " / on (instance) redis_backup_snapshot_age_limit_seconds)"
                ),
            ),
            kind="stat", unit="none", decimals=2, width=4, empty="none",
            steps=((None, GREEN), (0.9, ORANGE), (1, RED)), runbook="BackupOverdue",
        ),
        Panel(
            "Newest proof",
            "Its age against the greatest a snapshot may have, late from 2 on. A snapshot is "
            "proven by reading it back and loading it.",
            (
                Query(
                    "max(redis_backup:last_proof_age_seconds:working"
                    " / on (instance) redis_backup_snapshot_age_limit_seconds)"
                ),
            ),
            kind="stat", unit="none", decimals=2, width=4, empty="none",
            steps=((None, GREEN), (1, ORANGE), (2, RED)), runbook="BackupNotProven",
        ),
        Panel(
            "Log behind",
            "Age of the oldest byte that the store does not hold: lost if all nodes were.",
            (Query("max(redis_backup:log_lag_seconds:working)"),),
            kind="stat", unit="s", width=4, empty="no log",
            steps=((None, GREEN), (30, ORANGE), (60, RED)), runbook="BackupLogBehind",
        ),
        Panel(
            "Store",
            "Whether it answered the worker's last request.",
            (Query("min(redis_backup_store_up)"),),
            kind="stat", steps=((None, RED), (1, GREEN)),
            words={1: ("answers", GREEN), 0: ("away", RED)}, width=4, runbook="BackupStoreAway",
        ),
        Panel(
            "Troubles",
            "What `backup-worker status` would say, counted.",
            (Query("sum(redis_backup_troubles)"),),
            kind="stat", steps=((None, GREEN), (1, RED)), width=4, runbook="BackupTroubled",
        ),
    ),
)  # fmt: skip

SNAPSHOTS = Row(
    "Snapshots",
    (
        Panel(
            "Age of the newest",
            "A saw: it falls with each snapshot and each proof.",
            (
                Query("max(redis_backup:last_snapshot_age_seconds:working)", "snapshot"),
                Query("max(redis_backup:last_proof_age_seconds:working)", "proof"),
                Query(f"max({working('snapshot_age_limit_seconds')})", "overdue"),
            ),
            unit="s", least=0, runbook="BackupOverdue",
        ),
        Panel(
            "How long they take",
            "The last snapshot, and the drill that reads it back and loads it.",
            (
                Query(f"max({working('snapshot_seconds')})", "snapshot"),
                Query(f"max({working('drill_seconds')})", "drill"),
                Query("max(redis_backup_restore_seconds)", "last restore"),
            ),
            unit="s", least=0,
        ),
        Panel(
            "Proof",
            "Red: the newest snapshot that was read back isn't what it should be.",
            (Query(f"max({working('proof_failed')})", "newest that was tried"),),
            kind="state-timeline", words={0: ("as it should be", GREEN), 1: ("failed", RED)},
            runbook="BackupProofFailed",
        ),
        Panel(
            "Who works",
            "By the address of each worker's metrics.",
            (
                Query("max by (instance) (redis_backup_working)", "{{instance}}"),
            ),
            kind="state-timeline", words={1: ("works", BLUE), 0: ("stands by", GREY)},
            runbook="BackupNobodyWorks",
        ),
    ),
)  # fmt: skip

LOG = Row(
    "Log",
    (
        Panel(
            "Behind, in seconds",
            "Age of the oldest byte that the store does not hold; late from six sealings on.",
            (
                Query("max(redis_backup:log_lag_seconds:working)", "behind"),
                Query(f"6 * max({working('log_seal_seconds')})", "late"),
            ),
            unit="s", least=0, runbook="BackupLogBehind",
        ),
        Panel(
            "Behind, in bytes",
            "What the source has and the store has not.",
            (Query(f"max({working('log_lag_bytes')})", "behind"),),
            unit="bytes", least=0, runbook="BackupLogBehind",
        ),
        Panel(
            "Stream stored",
            "Bytes a second of the replication stream that reach the store.",
            (Query("max(deriv(redis_backup_log_offset[$__rate_interval]))", "stored"),),
            unit="Bps", least=0,
        ),
        Panel(
            "Waiting for the store",
            "The spool against its limit: when it is full the log has a gap.",
            (
                Query(f"max({working('spool_bytes')})", "waiting"),
                Query(f"max({working('spool_limit_bytes')})", "limit"),
            ),
            unit="bytes", least=0, runbook="BackupSpoolFills",
        ),
        Panel(
            "The stream is followed",
            "From a replica, never the master.",
            (Query(f"max({working('log_connected')})", "connected"),),
            kind="state-timeline", words={1: ("yes", GREEN), 0: ("no", RED)},
            runbook="BackupLogBehind",
        ),
        Panel(
            "Gap",
            "A gap is closed by the snapshot that follows it.",
            (Query(f"max({working('log_gap_open')})", "open gap"),),
            kind="state-timeline", words={0: ("none", GREEN), 1: ("open", RED)},
            runbook="BackupLogGap",
        ),
        Panel(
            "Segments waiting",
            "Sealed segments that the store does not hold yet.",
            (Query(f"max({working('spool_segments')})", "segments"),),
            decimals=0, least=0, width=8,
        ),
        Panel(
            "Failed requests",
            "Requests of the lease that the store did not answer, a second.",
            (Query("sum(rate(redis_backup_store_failures_total[$__rate_interval]))", "failed"),),
            least=0, width=8, runbook="BackupStoreAway",
        ),
        Panel(
            "Gaps and terms",
            "Gaps since the worker's start; the lease's term rises when another takes over.",
            (
                Query("sum(redis_backup_log_gaps_total)", "gaps"),
                Query("max(redis_backup_lease_term)", "term"),
            ),
            decimals=0, least=0, width=8, runbook="BackupLogHadGap",
        ),
    ),
)  # fmt: skip

DASHBOARD = Dashboard(
    "backup",
    "Redis HA: the backup",
    "How old it is, whether it is proven, how far the log is behind.",
    (NOW, SNAPSHOTS, LOG),
)
