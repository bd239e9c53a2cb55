"""One data node: load, memory, replication, persistence."""

from monitoring.dashboards.layout import Dashboard, Row, Variable
from monitoring.dashboards.panels import BLUE, GREEN, ORANGE, RED, Panel, Query

# What the chosen node's series have in common.
ITS = '{job="redis", node="$node"}'
FOR = "[$__rate_interval]"
OK_FAILED = {1: ("ok", GREEN), 0: ("failed", RED)}
# Legends stay readable whatever commands the application uses.
MOST = 8


def rate(metric: str) -> str:
    return f"rate({metric}{ITS}{FOR})"


HITS, MISSES = rate("redis_keyspace_hits_total"), rate("redis_keyspace_misses_total")

NOW = Row(
    "Now",
    (
        Panel(
            "Answers",
            "Whether the stock exporter reaches it.",
            (Query(f"min(redis_up{ITS})"),),
            kind="stat", steps=((None, RED), (1, GREEN)),
            words={1: ("yes", GREEN), 0: ("no", RED)}, width=3, runbook="RedisNodeDown",
        ),
        Panel(
            "Role",
            "As the node itself says.",
            (Query(f"max by (role) (redis_instance_info{ITS})", "{{role}}"),),
            kind="stat", by_name=True, width=3, empty="unknown",
        ),
        Panel(
            "Version",
            "Of the server.",
            (Query(f"max by (redis_version) (redis_instance_info{ITS})", "{{redis_version}}"),),
            kind="stat", by_name=True, width=3, empty="unknown",
        ),
        Panel(
            "Up for",
            "Since its process began.",
            (Query(f"max(redis_uptime_in_seconds{ITS})"),),
            kind="stat", unit="s", width=3, steps=((None, ORANGE), (300, BLUE)),
        ),
        Panel(
            "Keys",
            "In all databases.",
            (Query(f"sum(redis_db_keys{ITS})"),),
            kind="stat", width=3,
        ),
        Panel(
            "Memory used",
            "Share of `maxmemory`.",
            (Query('max(redis:memory_used:ratio{node="$node"})'),),
            kind="stat", unit="percentunit", decimals=1, width=3, empty="no limit",
            steps=((None, GREEN), (0.8, ORANGE), (0.9, RED)), runbook="RedisMemoryHigh",
        ),
        Panel(
            "Connections used",
            "Share of `maxclients`, replicas included.",
            (Query('max(redis:connections_used:ratio{node="$node"})'),),
            kind="stat", unit="percentunit", decimals=1, width=3,
            steps=((None, GREEN), (0.6, ORANGE), (0.8, RED)), runbook="RedisConnectionsHigh",
        ),
        Panel(
            "Certificate ends in",
            "The certificate that the node presented last.",
            (Query('min(redis_ha_certificate_expiry_timestamp_seconds{node="$node"}) - time()'),),
            kind="stat", unit="s", width=3,
            steps=((None, RED), (3 * 86_400, ORANGE), (21 * 86_400, GREEN)),
            runbook="RedisCertificateEndsSoon",
        ),
    ),
)  # fmt: skip

LOAD = Row(
    "Load",
    (
        Panel(
            "Commands",
            f"The {MOST} most frequent, a second.",
            (Query(f"topk({MOST}, sum by (cmd) ({rate('redis_commands_total')}))", "{{cmd}}"),),
            unit="ops", least=0,
        ),
        Panel(
            "Time for a command",
            f"Mean inside the server, the {MOST} slowest; the network isn't in it.",
            (
                Query(
                    f"topk({MOST}, sum by (cmd) ({rate('redis_commands_duration_seconds_total')})"
                    f" / (sum by (cmd) ({rate('redis_commands_total')}) > 0))",
                    "{{cmd}}",
                ),
            ),
            unit="s", least=0,
        ),
        Panel(
            "Slowest percent",
            f"99th percentile inside the server since its start, the {MOST} slowest commands. "
            "Redis 7 and later.",
            (
                Query(
                    f"topk({MOST}, max by (cmd) (redis_latency_percentiles_usec"
                    '{job="redis", node="$node", quantile="99"}))',
                    "{{cmd}}",
                ),
            ),
            unit="µs", least=0,
        ),
        Panel(
            "Processor",
            "Cores in use: the server's own threads, and its children while they save.",
            (
                Query(f"sum({rate('redis_cpu_user_seconds_total')})", "user"),
                Query(f"sum({rate('redis_cpu_sys_seconds_total')})", "system"),
                Query(
                    f"sum({rate('redis_cpu_user_children_seconds_total')})"
                    f" + sum({rate('redis_cpu_sys_children_seconds_total')})",
                    "children",
                ),
            ),
            least=0, decimals=2,
        ),
        Panel(
            "Clients",
            "Connected, and waiting in a blocking command.",
            (
                Query(f"max(redis_connected_clients{ITS})", "connected"),
                Query(f"max(redis_blocked_clients{ITS})", "blocked"),
            ),
            least=0, runbook="RedisConnectionsHigh",
        ),
        Panel(
            "Refused and failed",
            "Connections refused because `maxclients` was reached, and error replies, a second.",
            (
                Query(f"sum({rate('redis_rejected_connections_total')})", "connections refused"),
                Query(f"sum({rate('redis_total_error_replies')})", "error replies"),
            ),
            least=0, runbook="RedisConnectionsRejected",
        ),
        Panel(
            "Network",
            "Clients and replication together.",
            (
                Query(f"sum({rate('redis_net_input_bytes_total')})", "in"),
                Query(f"sum({rate('redis_net_output_bytes_total')})", "out"),
            ),
            unit="Bps", least=0,
        ),
        Panel(
            "Found in the cache",
            "Share of reads of keys that were there.",
            (
                Query(f"sum({HITS}) / (sum({HITS}) + sum({MISSES}) > 0)", "hits"),
            ),
            unit="percentunit", least=0, most=1,
        ),
    ),
)  # fmt: skip

MEMORY = Row(
    "Memory and keys",
    (
        Panel(
            "Memory",
            "What it holds, what its process takes, the most it held, and its limit.",
            (
                Query(f"max(redis_memory_used_bytes{ITS})", "used"),
                Query(f"max(redis_memory_used_rss_bytes{ITS})", "resident"),
                Query(f"max(redis_memory_used_peak_bytes{ITS})", "peak"),
                Query(f"max(redis_memory_max_bytes{ITS} > 0)", "limit"),
            ),
            unit="bytes", least=0, runbook="RedisMemoryHigh",
        ),
        Panel(
            "Fragmentation",
            "Resident against used. Far above 1.5 on a filled node is waste, below 1 is swapping.",
            (Query(f"max(redis_mem_fragmentation_ratio{ITS})", "ratio"),),
            steps=((None, GREEN),), least=0,
        ),
        Panel(
            "Keys over time",
            "All, and those with a time to live.",
            (
                Query(f"sum(redis_db_keys{ITS})", "all"),
                Query(f"sum(redis_db_keys_expiring{ITS})", "with a time to live"),
            ),
            least=0,
        ),
        Panel(
            "Keys gone",
            "A second. Evicted: thrown away because memory was full.",
            (
                Query(f"sum({rate('redis_expired_keys_total')})", "expired"),
                Query(f"sum({rate('redis_evicted_keys_total')})", "evicted"),
            ),
            least=0, runbook="RedisKeysEvicted",
        ),
    ),
)  # fmt: skip

REPLICATION = Row(
    "Replication",
    (
        Panel(
            "Link to the master",
            "As our exporter sees it; the master itself has none.",
            (Query('min by (node) (redis_ha_replica_link_up{node="$node"})', "{{node}}"),),
            kind="state-timeline", words={1: ("up", GREEN), 0: ("down", RED)}, width=8,
            runbook="RedisReplicaUnlinked",
        ),
        Panel(
            "Stream",
            "Bytes a second that the replication stream grows by.",
            (Query(f"sum({rate('redis_master_repl_offset')})", "growth"),),
            unit="Bps", least=0, width=8,
        ),
        Panel(
            "Resynchronisations",
            "In the time shown. Full ones copy all data: many are a sign of a small backlog.",
            (
                Query(f"round(max(increase(redis_replica_resyncs_full{ITS}[$__range])))", "full"),
                Query(
                    f"round(max(increase(redis_replica_partial_resync_accepted{ITS}[$__range])))",
                    "partial",
                ),
                Query(
                    f"round(max(increase(redis_replica_partial_resync_denied{ITS}[$__range])))",
                    "partial, denied",
                ),
            ),
            kind="bargauge", decimals=0, least=0, width=8,
        ),
        Panel(
            "Backlog",
            "How much of the stream is kept for replicas that come back, and how much is in it.",
            (
                Query(f"max(redis_replication_backlog_bytes{ITS})", "size"),
                Query(f"max(redis_repl_backlog_history_bytes{ITS})", "filled"),
            ),
            unit="bytes", least=0,
        ),
        Panel(
            "Attached replicas",
            "To this node; the backup worker counts as one.",
            (Query(f"max(redis_connected_slaves{ITS})", "attached"),),
            decimals=0, least=0,
        ),
    ),
)  # fmt: skip

PERSISTENCE = Row(
    "Persistence",
    (
        Panel(
            "Last AOF write",
            "A master whose AOF can't be written refuses writes.",
            (Query(f"min(redis_aof_last_write_status{ITS})"),),
            kind="stat", steps=((None, RED), (1, GREEN)), words=OK_FAILED, width=4,
            runbook="RedisAofWriteFails",
        ),
        Panel(
            "Last save",
            "Whether the last RDB file could be written.",
            (Query(f"min(redis_rdb_last_bgsave_status{ITS})"),),
            kind="stat", steps=((None, RED), (1, GREEN)), words=OK_FAILED, width=4,
            runbook="RedisSaveFails",
        ),
        Panel(
            "AOF",
            "Its files together.",
            (Query(f"max(redis_aof_current_size_bytes{ITS})"),),
            kind="stat", unit="bytes", width=4, empty="off",
        ),
        Panel(
            "Last fork",
            "How long the server stood still for it.",
            (Query(f"max(redis_latest_fork_seconds{ITS})"),),
            kind="stat", unit="s", steps=((None, GREEN), (0.5, ORANGE), (2, RED)), width=4,
        ),
        Panel(
            "Changes not in the RDB file",
            "The AOF has them.",
            (Query(f"max(redis_rdb_changes_since_last_save{ITS})"),),
            kind="stat", width=4,
        ),
        Panel(
            "Slow commands kept",
            "Entries of SLOWLOG.",
            (Query(f"max(redis_slowlog_length{ITS})"),),
            kind="stat", width=4,
        ),
        Panel(
            "Late disk",
            "Times a second that a write waited for the disk's fsync.",
            (Query(f"sum({rate('redis_aof_delayed_fsync')})", "delayed"),),
            least=0,
        ),
        Panel(
            "Under way",
            "Saving, rewriting the AOF, loading: each costs memory or answers.",
            (
                Query(f"max(redis_rdb_bgsave_in_progress{ITS})", "saving"),
                Query(f"max(redis_aof_rewrite_in_progress{ITS})", "rewriting the AOF"),
                Query(f"max(redis_loading_dump_file{ITS})", "loading"),
            ),
            kind="state-timeline", words={1: ("yes", ORANGE), 0: ("no", GREEN)},
        ),
    ),
)  # fmt: skip

DASHBOARD = Dashboard(
    "node",
    "Redis HA: a data node",
    "Load, memory, replication and persistence of one data node.",
    (NOW, LOAD, MEMORY, REPLICATION, PERSISTENCE),
    variables=(Variable("node", "Node", 'redis_up{job="redis"}', "node"),),
)
