"""The cluster at a glance: does it have a master, would a failover work, what happened."""

from monitoring.dashboards.layout import Dashboard, Row
from monitoring.dashboards.panels import BLUE, GREEN, GREY, ORANGE, RED, Panel, Query

YES_NO = {1: ("yes", GREEN), 0: ("no", RED)}
UP_DOWN = {1: ("up", GREEN), 0: ("down", RED)}
HEALTH = {0: ("healthy", GREEN), 1: ("degraded", ORANGE), 2: ("down", RED)}
WITNESS_COUNTS = {
    "verdicts": "deaths seen",
    "asked": "failovers asked for",
    "accepted": "taken up",
    "withdrawn": "deaths taken back",
    "fenced": "old masters fenced",
    "rejected": "messages not theirs",
}
FIRING = 'ALERTS{alertstate="firing", alertname!="Watchdog"}'
STATES = "max by (state, witness) (redis_ha_witness_state)"
WATCHERS = "redis|sentinel|redis-exporter|redis-ha|backup-worker|prometheus|alertmanager"


def counted(name: str) -> str:
    return f"increase(redis_ha_witness_{name}_total[$__range])"


NOW = Row(
    "Now",
    (
        Panel(
            "Master available",
            "Exactly one writable master, named by a majority of the sentinels.",
            (Query("min(redis_ha_master_available)"),),
            kind="stat", steps=((None, RED), (1, GREEN)), words=YES_NO, width=4,
            runbook="RedisMasterDown",
        ),
        Panel(
            "Master",
            "The data node that says it is master and that the exporter sees as one.",
            (Query("max by (node) (redis_ha_node_is_master) == 1", "{{node}}"),),
            kind="stat", by_name=True, steps=((None, BLUE),), width=4, empty="none",
        ),
        Panel(
            "Writable masters",
            "Data nodes that take writes as master. More than one is a split brain.",
            (Query("max(redis_ha_writable_masters)"),),
            kind="stat", steps=((None, RED), (1, GREEN), (2, RED)), width=4,
            runbook="RedisTwoMasters",
        ),
        Panel(
            "Ready for a failover",
            "Would an automatic failover work now? As `redis-ha ready` says.",
            (Query("min(redis_ha_ready)"),),
            kind="stat", steps=((None, RED), (1, GREEN)), words=YES_NO, width=4,
            runbook="RedisNotReady",
        ),
        Panel(
            "Alerts",
            "Firing now, the dead man's switch aside.",
            (Query(f"count(count by (alertname, node) ({FIRING})) or vector(0)"),),
            kind="stat", steps=((None, GREEN), (1, RED)), width=4,
        ),
        Panel(
            "Newest snapshot",
            "Age of the newest good snapshot, as the worker that works says. Red is for one "
            "snapshot an hour (`backupInterval`); the backup's own dashboard knows yours.",
            (Query("min(redis_backup:last_snapshot_age_seconds:working)"),),
            kind="stat", unit="s", steps=((None, GREEN), (4530, RED)), width=4,
            runbook="BackupOverdue", empty="none",
        ),
        Panel(
            "Available",
            "Share of the time shown in which Redis could be used: the lesser of those with a "
            "master and with round trips that worked.",
            (
                Query(
                    "1 - max(increase(redis_ha_outage_seconds_total[$__range])"
                    ' or 2 * increase(redis_ha_round_trips_total{result="failed"}[$__range]))'
                    " / $__range_s"
                ),
            ),
            kind="stat", unit="percentunit", decimals=3,
            steps=((None, RED), (0.999, ORANGE), (0.9995, GREEN)), width=4,
        ),
        Panel(
            "Error budget left",
            "Of the 0.05 % of 30 days that Redis may be unusable; below 0 the promise is broken.",
            (Query("min(redis_ha:error_budget_left:ratio30d)"),),
            kind="stat", unit="percentunit", decimals=1,
            steps=((None, RED), (0, ORANGE), (0.5, GREEN)), width=4,
            runbook="RedisErrorBudgetBurnsFast", empty="not known yet",
        ),
        Panel(
            "Failovers",
            "Failovers and switchovers in the time shown.",
            (Query("round(max(increase(redis_ha_failovers_total[$__range])))"),),
            kind="stat", steps=((None, BLUE),), width=4, runbook="RedisFailoversOften",
        ),
        Panel(
            "Last failover took",
            "How long no master was available in it; 0 when it was over between two looks.",
            (Query("max(redis_ha_last_failover_seconds)"),),
            kind="stat", unit="s", steps=((None, GREEN), (5, ORANGE), (15, RED)), width=4,
            empty="none yet",
        ),
        Panel(
            "First certificate ends in",
            "Until the first certificate ends: of nodes, exporters, workers, or their CA.",
            (Query("min(redis:certificate_expiry_timestamp_seconds:all) - time()"),),
            kind="stat", unit="s",
            steps=((None, RED), (3 * 86_400, ORANGE), (21 * 86_400, GREEN)), width=4,
            runbook="RedisCertificateEndsSoon",
        ),
        Panel(
            "Targets that don't answer",
            "Of all that Prometheus scrapes for this cluster.",
            (Query(f'count(up{{job=~"{WATCHERS}"}} == 0) or vector(0)'),),
            kind="stat", steps=((None, GREEN), (1, RED)), width=4, runbook="MonitorDown",
        ),
    ),
)  # fmt: skip

MASTERSHIP = Row(
    "Mastership and health",
    (
        Panel(
            "Firing",
            "Alerts, as long as they fire; docs/OPERATIONS.md has a heading for each.",
            (Query(f"max by (alertname) ({FIRING})", "{{alertname}}"),),
            kind="state-timeline", words={1: ("firing", RED)}, empty="nothing fires", width=24,
        ),
        Panel(
            "Who is master",
            "By what each data node says of itself.",
            (Query("max by (node) (redis_ha_node_is_master)", "{{node}}"),),
            kind="state-timeline", words={1: ("master", BLUE), 0: ("replica or down", GREY)},
        ),
        Panel(
            "Health",
            "The four levels of `redis-ha health`, the worst that any exporter sees.",
            (Query("max by (level) (redis_ha_health)", "{{level}}"),),
            kind="state-timeline", words=HEALTH,
        ),
        Panel(
            "Data nodes and sentinels",
            "Who answers.",
            (
                Query("min by (node) (redis_ha_node_up)", "{{node}}"),
                Query("min by (node) (redis_ha_sentinel_up)", "{{node}}"),
            ),
            kind="state-timeline", words=UP_DOWN, runbook="RedisNodeDown",
        ),
        Panel(
            "What a failover needs",
            "The checks of `redis-ha ready`; red stands in a failover's way.",
            (Query("min by (check) (redis_ha_ready_check)", "{{check}}"),),
            kind="state-timeline", words={1: ("fine", GREEN), 0: ("in the way", RED)},
            runbook="RedisNotReady",
        ),
        Panel(
            "Round trip as the application",
            "Writing through the master that the sentinels name, and reading back, each 2 s.",
            (
                Query("max(redis_ha:round_trip_seconds:p50_5m)", "half within"),
                Query("max(redis_ha:round_trip_seconds:p95_5m)", "95 % within"),
                Query("max(redis_ha_round_trip_seconds)", "last"),
            ),
            unit="s", steps=((None, GREEN), (0.25, RED)), least=0, runbook="RedisSlow",
        ),
        Panel(
            "Failed round trips and outage",
            "The share of the time in which the application's round trips failed (one each 2 s), "
            "and that without an available master.",
            (
                Query(
                    'max(2 * rate(redis_ha_round_trips_total{result="failed"}[$__rate_interval]))',
                    "failed",
                ),
                Query("max(rate(redis_ha_outage_seconds_total[$__rate_interval]))", "no master"),
            ),
            unit="percentunit", least=0, runbook="RedisApplicationFailsOften",
        ),
    ),
)  # fmt: skip

REPLICATION = Row(
    "Replication",
    (
        Panel(
            "Behind, in bytes",
            "Of the master's stream not applied; what a crash of the master could lose.",
            (Query("max by (node) (redis_ha_replica_lag_bytes)", "{{node}}"),),
            unit="bytes", steps=((None, GREEN), (10 << 20, RED)), least=0, width=8,
            runbook="RedisReplicaBehindInBytes",
        ),
        Panel(
            "Behind, in seconds",
            "Since the master last heard from the replica.",
            (Query("max by (node) (redis_ha_replica_lag_seconds)", "{{node}}"),),
            unit="s", steps=((None, GREEN), (10, RED)), least=0, width=8,
            runbook="RedisReplicaBehindInSeconds",
        ),
        Panel(
            "Commands",
            "Per second and data node; replicas repeat the master's writes.",
            (Query("sum by (node) (redis:commands:rate1m)", "{{node}}"),),
            unit="ops", least=0, width=8,
        ),
        Panel(
            "Memory used",
            "Share of `maxmemory`; nodes without a limit have no line.",
            (Query("max by (node) (redis:memory_used:ratio)", "{{node}}"),),
            unit="percentunit", steps=((None, GREEN), (0.9, RED)), least=0, most=1, width=8,
            runbook="RedisMemoryHigh",
        ),
        Panel(
            "Connections used",
            "Share of `maxclients`, replicas included.",
            (Query("max by (node) (redis:connections_used:ratio)", "{{node}}"),),
            unit="percentunit", steps=((None, GREEN), (0.8, ORANGE), (0.99, RED)), least=0, width=8,
            runbook="RedisConnectionsHigh",
        ),
        Panel(
            "Time in the server",
            "Mean of all commands; the network isn't in it.",
            (Query("redis:command_seconds:mean1m", "{{node}}"),),
            unit="s", least=0, width=8,
        ),
    ),
)  # fmt: skip

SENTINELS = Row(
    "Sentinels and witnesses",
    (
        Panel(
            "Sentinels that agree",
            "Who names the master that the majority names.",
            (Query("min by (node) (redis_ha_sentinel_agrees)", "{{node}}"),),
            kind="state-timeline", words={1: ("agrees", GREEN), 0: ("differs or silent", RED)},
            width=8, runbook="RedisSentinelsDisagree",
        ),
        Panel(
            "Votes",
            "Sentinels that may vote, that count enough others for a failover (CKQUORUM), the "
            "quorum, and how many there should be.",
            (
                Query("sum(min by (node) (redis_ha_sentinel_may_vote))", "may vote"),
                Query("sum(min by (node) (redis_ha_sentinel_quorum_ok))", "count enough others"),
                Query("max(redis_ha_quorum)", "quorum"),
                Query("max(redis_ha_sentinels_expected)", "expected"),
            ),
            least=0, decimals=0, width=8, runbook="RedisSentinelsTooFew",
        ),
        Panel(
            "Configuration epoch",
            "Rises by one with each failover; a sentinel that stays behind missed it.",
            (Query("max by (node) (redis_ha_sentinel_config_epoch)", "{{node}}"),),
            decimals=0, width=8,
        ),
        Panel(
            "Witnesses",
            "Who answered when asked last.",
            (Query("max by (witness) (redis_ha_witness_up)", "witness-{{witness}}"),),
            kind="state-timeline", words=UP_DOWN, width=8, runbook="RedisWitnessDown",
        ),
        Panel(
            "What they do",
            "`watching` when all is well.",
            (Query(f"count by (state) ({STATES} == 1)", "{{state}}"),),
            decimals=0, least=0, width=8,
        ),
        Panel(
            "What they did",
            "In the time shown, all witnesses together.",
            tuple(
                Query(f"round(sum(max by (witness) ({counted(name)})))", text)
                for name, text in WITNESS_COUNTS.items()
            ),
            kind="bargauge", decimals=0, least=0, width=8,
        ),
    ),
)  # fmt: skip

WATCHING = Row(
    "Who watches",
    (
        Panel(
            "Age of the last look",
            "What the exporter serves is that old: one second, two with a node that hangs; "
            "readiness and health twenty.",
            (
                Query("max(redis_ha_survey_age_seconds)", "quick look"),
                Query("max(redis_ha_check_age_seconds)", "thorough look"),
                Query("max(redis_ha_round_trip_age_seconds)", "round trip"),
            ),
            unit="s", steps=((None, GREEN), (120, RED)), least=0, width=8,
            runbook="RedisPartlyUnwatched",
        ),
        Panel(
            "Length of a look",
            "A node that hangs costs a look its timeout, one second.",
            (
                Query("max(redis_ha_survey_seconds)", "quick look"),
                Query("max(redis_ha_check_seconds)", "thorough look"),
            ),
            unit="s", least=0, width=8,
        ),
        Panel(
            "Slowest scrape",
            "Of each job.",
            (Query(f'max by (job) (scrape_duration_seconds{{job=~"{WATCHERS}"}})', "{{job}}"),),
            unit="s", steps=((None, GREEN), (4, RED)), least=0, width=8,
        ),
    ),
)  # fmt: skip

DASHBOARD = Dashboard(
    "overview",
    "Redis HA: the cluster",
    "Does it have a master, would a failover work, what happened lately.",
    (NOW, MASTERSHIP, REPLICATION, SENTINELS, WATCHING),
)
