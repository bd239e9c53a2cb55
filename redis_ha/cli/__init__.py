"""The command `redis-ha`: one module a command, errors turned into exit codes in `main`."""

from redis_ha.cli.main import main

__all__ = ["main"]
