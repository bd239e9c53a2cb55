"""What a snapshot costs as the data grows: time is to grow as the data does, memory not."""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.by_hand import Run
from benchmarks.snapshot import fill, filled, run_snapshot, s3_settings
from tests.processes.worker_command import WorkerCommand

GROWTH = (1, 4, 16)
GOAL_RSS = {"file": 64 << 20, "s3": 96 << 20}


def measure(*, megabytes: int = 700) -> dict[str, Any]:
    """Snapshot 1, 4 and 16 parts of the data: time (s) is to grow as the data, RSS not."""
    found: dict[str, list[tuple[Run, dict[str, Any]]]] = {"file": [], "s3": []}
    with (
        tempfile.TemporaryDirectory() as name,
        filled(Path(name), megabytes // GROWTH[-1]) as cluster,
        s3_settings(Path(name) / "s3") as s3,
    ):
        stores = {
            "file": WorkerCommand(Path(name), cluster),
            "s3": WorkerCommand(Path(name), cluster, settings=s3),
        }
        for parts in GROWTH:
            fill(cluster.master, megabytes * parts // GROWTH[-1])
            cluster.wait_until_healthy(120)
            for kind, worker in stores.items():
                found[kind].append(run_snapshot(worker))
    return {
        "benchmark": "growth",
        "goal_peak_rss_bytes": GOAL_RSS,
        **{kind: grown(runs) for kind, runs in found.items()},
    }


def grown(found: list[tuple[Run, dict[str, Any]]]) -> dict[str, Any]:
    """Compare the snapshots of less and of more data."""
    runs = [run for run, _ in found]
    sizes = [described["rdb_size"] for _, described in found]
    return {
        "rdb_bytes": sizes,
        "transfer_seconds": [run.transfer for run in runs],
        "data_factors": {
            str(parts): round(size / sizes[0], 2) for parts, size in zip(GROWTH, sizes, strict=True)
        },
        "time_factors": {
            str(parts): round(run.transfer / runs[0].transfer, 2)
            for parts, run in zip(GROWTH, runs, strict=True)
        },
        "peak_rss_bytes": [run.peak for run in runs],
        "memory_factor": round(runs[-1].peak / runs[0].peak, 2),
    }
