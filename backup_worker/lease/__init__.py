"""The lease in the store: of several workers one works, the others stand by (docs/FORMAT.md)."""

from backup_worker.lease.keeping import Lease

__all__ = ["Lease"]
