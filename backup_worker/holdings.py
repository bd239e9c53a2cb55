"""All that a store holds of ours, read in one go for the retention's plan."""

from collections.abc import Mapping
from dataclasses import dataclass

from backup_worker.catalog import Catalog, Listing
from backup_worker.lease.document import LEASES, term_of
from backup_worker.log.catalog import LogCatalog, LogListing
from backup_worker.log.history import read_timelines
from backup_worker.log.segment import Timeline


@dataclass(frozen=True)
class Holdings:
    """Snapshots, log and lease terms at one moment.

    `timelines` are those whose place could be read.
    """

    snapshots: Listing
    log: LogListing
    timelines: Mapping[str, Timeline]
    leases: tuple[int, ...]


def read_holdings(catalog: Catalog) -> Holdings:
    """Look at a store. Raises StoreUnreachable.

    The log is listed first: what is new by the time the snapshots are listed is judged next time.
    """
    log = LogCatalog(catalog.store, catalog.trusted)
    found = log.list()
    terms = (term_of(stored.key) for stored in catalog.store.list(LEASES))
    return Holdings(
        snapshots=catalog.list(),
        log=found,
        timelines=read_timelines(log, found.names).known,
        leases=tuple(sorted(term for term in terms if term is not None)),
    )
