"""A sentinel: seeded once, its memory kept from then on; watched and stopped like a data node."""

import signal

import redis

from node.errors import BadSettings
from node.files import write_atomically
from node.health import Health, write_health
from node.process import Events, Server
from node.sentinel_memory import monitors, with_memory
from node.settings import NodeSettings
from node.witness import Companion
from redis_ha.eventlog import EventLog

_PERIOD_SECONDS = 1.0


def run_sentinel(settings: NodeSettings) -> int:
    """Run one sentinel until it is stopped (0) or its server dies (1)."""
    log, events = EventLog(settings.name, component="guard"), Events()
    config = seed_config(settings, log)
    server = events.server = Server([settings.server, config, "--sentinel"])
    client = settings.access.connect(settings.address)
    witness = Companion(settings, log, events)
    while not events.stop_asked(_PERIOD_SECONDS):
        if server.exit_code is not None:
            log.error("server-died", exit_code=server.exit_code)
            return 1
        witness.keep_running()
        write_health(settings.health_file, _ask(client, witness.complaint))
    write_health(settings.health_file, Health(False, "stopping"))
    witness.stop()
    server.send(signal.SIGTERM)
    if events.stop_asked(settings.stop_seconds) or server.exit_code is None:
        server.send(signal.SIGKILL)
    log.info("stopped", exit_code=server.exit_code)
    return 0


def seed_config(settings: NodeSettings, log: EventLog) -> str:
    """Write the live file, the seed's settings with Sentinel's own memory; return its path.

    Raises BadSettings when a live file is there and names no master: its memory is lost.
    """
    path = settings.data_dir / "sentinel.conf"
    seed = (settings.config_dir / "sentinel.conf").read_text()
    if not path.exists():
        write_atomically(path, seed)
        log.info("seeded", file=path)
        return str(path)
    live = path.read_text()
    if not monitors(live, settings.master_name):
        raise BadSettings(
            operation="start from",
            subject=str(path),
            cause=f"it doesn't monitor {settings.master_name}",
            hint="it is torn or foreign: move it away to seed this sentinel anew",
        )
    write_atomically(path, with_memory(seed, live=live, master_name=settings.master_name))
    return str(path)


def _ask(client: redis.Redis, complaint: str) -> Health:
    """Judge the sentinel; a missing witness is worth a word, not a restart."""
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        client.close()
        return Health(False, f"the sentinel doesn't answer: {error or type(error).__name__}")
    return Health(True, f"sentinel{complaint}")
