"""The command `backup-worker`: one module a command, errors turned into exit codes in `main`."""

from backup_worker.cli.main import main

__all__ = ["main"]
