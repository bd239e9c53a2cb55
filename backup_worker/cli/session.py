"""What every command is given: the settings, the command line, and where output goes."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import click

from backup_worker import config as settings
from backup_worker import remote
from backup_worker.errors import UsageError

if TYPE_CHECKING:
    from age import Recipient
    from backup_worker.catalog import Catalog
    from backup_worker.config import WorkerConfig
    from backup_worker.proving.drill import Proving
    from backup_worker.snapshot import Destination
    from backup_worker.store.contract import Store
    from backup_worker.transform.signing import Signer
    from redis_ha.discovery import Access


@dataclass(frozen=True)
class Session:
    """One invocation. `args` is the command line as it was given, without the program's name."""

    args: tuple[str, ...]

    @cached_property
    def config(self) -> "WorkerConfig":
        """The settings, read when a command first needs them; raises UsageError."""
        return settings.load(os.environ)

    @property
    def elsewhere(self) -> bool:
        """True when this command has to run in the worker's container."""
        return remote.is_elsewhere(self.config)

    @property
    def access(self) -> "Access":
        """How to reach the cluster; raises UsageError when the settings don't say."""
        if self.config.access is None:
            raise _missing(
                "how to reach the cluster",
                "REDIS_SENTINEL_HOST_1, REDIS_SENTINEL_PORT_1, REDIS_TLS_CA,"
                " REDIS_BACKUP_USERNAME and REDIS_BACKUP_PASSWORD, or run where .env.redis-ha is",
            )
        return self.config.access

    @cached_property
    def store(self) -> "Store":
        """The object store; raises UsageError when none is set, StoreUnreachable."""
        from backup_worker.store.factory import open_store  # noqa: PLC0415

        if not self.config.store_url:
            raise _missing("where snapshots are kept", "REDIS_BACKUP_STORE")
        return open_store(self.config.store_url, endpoint=self.config.s3_endpoint)

    def lease_store(self) -> "Store":
        """The same store, where each request ends within seconds."""
        from backup_worker.store.factory import open_store  # noqa: PLC0415

        return open_store(self.config.store_url, endpoint=self.config.s3_endpoint, quick=True)

    def _writing_store(self, moved: Callable[[], None]) -> "Store":
        """Open the same store for streams: where it is slow, they wait in a spool on the disk."""
        from backup_worker.store.factory import open_store  # noqa: PLC0415
        from backup_worker.store.spooled import Spool  # noqa: PLC0415

        config = self.config
        if not config.store_url.startswith("s3:"):
            return self.store
        config.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        spool = Spool(config.state / "snapshot-spool", config.log.spool_bytes, moved)
        return open_store(config.store_url, endpoint=config.s3_endpoint, spool=spool)

    @cached_property
    def signer(self) -> "Signer | None":
        """This worker's signing key, if it has one; raises UsageError when it is unreadable."""
        from backup_worker.transform.signing import Signer  # noqa: PLC0415

        path = self.config.signing_key
        if path is None:
            return None
        try:
            return Signer.load(path.read_bytes(), source=str(path))
        except OSError as error:
            raise _missing(
                f"the signing key {path} ({error.strerror})", "REDIS_BACKUP_SIGNING_KEY"
            ) from error

    @property
    def catalog(self) -> "Catalog":
        """The store's snapshots, as the trusted signers and this worker's own key vouch for."""
        from backup_worker.catalog import Catalog  # noqa: PLC0415

        return Catalog(self.store, self.trusted)

    @property
    def trusted(self) -> tuple[bytes, ...]:
        """Whose signatures count, this worker's own key included; raises UsageError for nobody."""
        own = (self.signer.public_key,) if self.signer else ()
        trusted = tuple(dict.fromkeys((*self.config.trusted_signers, *own)))
        if not trusted:
            raise _missing("whose signature is trusted", "REDIS_BACKUP_TRUSTED_SIGNERS")
        return trusted

    @property
    def recipients(self) -> "tuple[Recipient, ...]":
        """Who can open the snapshots; raises UsageError for none: encryption is never off."""
        from backup_worker.transform.encryption import read_recipients  # noqa: PLC0415

        recipients = read_recipients(self.config.recipients)
        if not recipients:
            raise _missing(
                "who can open the snapshots",
                "REDIS_BACKUP_RECIPIENT (`backup-worker keygen` makes one)",
            )
        return recipients

    @property
    def destination(self) -> "Destination":
        """Where snapshots go; raises UsageError without a recipient or a signing key."""
        return self.open_destination(lambda: None)

    def open_destination(self, moved: Callable[[], None]) -> "Destination":
        """Return where snapshots go; `moved` is called whenever its store took some of a stream."""
        from backup_worker.snapshot import Destination  # noqa: PLC0415

        recipients = self.recipients
        if self.signer is None:
            raise _missing("the signing key", "REDIS_BACKUP_SIGNING_KEY")
        return Destination(self._writing_store(moved), recipients, self.signer)

    @property
    def proving(self) -> "Proving | None":
        """How snapshots are proven; None when REDIS_BACKUP_DRILL says that they are not."""
        from backup_worker.proving.drill import Proving  # noqa: PLC0415

        return Proving(self.config.state) if self.config.drill else None

    def forward(self) -> None:
        """When the worker is elsewhere, run this command line there and end with its code."""
        if self.elsewhere:
            raise click.exceptions.Exit(remote.run(self.config, self.args))


def _missing(what: str, setting: str) -> UsageError:
    return UsageError(
        operation="read", subject="settings", cause=f"{what} is not set", hint=f"set {setting}"
    )


pass_session = click.make_pass_decorator(Session)
