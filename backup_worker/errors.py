"""Everything that backup_worker raises on purpose.

BackupError                  exit code 1
├── UsageError               2  the command or a setting is wrong
├── SnapshotNotFound         3
├── ObjectNotFound           3
├── PointNotFound            3  the log does not reach that point
├── SnapshotCorrupt          4  bytes are missing, changed or not ours
├── WrongKey                 4  the identity does not open the object
├── StoreUnreachable         5
├── StoreFull                1
├── DeletionRefused          1  the store keeps what it has: no permission, or a lock
├── SpoolFull                1  the store took too little for too long
├── LeaseLost                1  another worker has taken over
├── AlreadyExists            1  a conditional write lost the race
├── ClusterUnreachable       6
│   ├── ProtocolError        6  a node sent what no server sends
│   └── SourceLost           6  this node can't serve now; another may
│       └── HistoryLost      6  this node doesn't hold the bytes that are wanted
└── RefusedForSafety         7
"""

from typing import ClassVar


class BackupError(Exception):
    """Something that was attempted and failed, told so that it can be acted upon."""

    exit_code: ClassVar[int] = 1

    def __init__(self, *, operation: str, subject: str, cause: str, hint: str) -> None:
        super().__init__(operation, subject, cause, hint)
        self.operation = operation
        self.subject = subject
        self.cause = cause
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.operation} {self.subject}: {self.cause}; {self.hint}"


class UsageError(BackupError):
    """The command line or a setting cannot be used as it is."""

    exit_code = 2


class SnapshotNotFound(BackupError):
    """The catalogue holds no such snapshot."""

    exit_code = 3


class ObjectNotFound(BackupError):
    """The store holds no object of that name."""

    exit_code = 3


class PointNotFound(BackupError):
    """No snapshot and log together reach the point in time that was asked for."""

    exit_code = 3


class SnapshotCorrupt(BackupError):
    """An object's bytes are missing, were changed, or were never written by us."""

    exit_code = 4


class WrongKey(BackupError):
    """None of the given identities opens the object."""

    exit_code = 4


class StoreUnreachable(BackupError):
    """The object store does not answer, or refuses us."""

    exit_code = 5


class StoreFull(BackupError):
    """No space left where an object or a scratch file was to be written."""


class DeletionRefused(BackupError):
    """The store does not let this object be deleted: not by this user, or not yet."""


class SpoolFull(BackupError):
    """The spool holds as much as it may: what comes now can't be kept."""


class LeaseLost(BackupError):
    """This worker may not publish any more: another one holds the lease, or may by now."""


class AlreadyExists(BackupError):
    """A write that must create the object found it there."""


class ClusterUnreachable(BackupError):
    """No node, or no sentinel majority, answers."""

    exit_code = 6


class ProtocolError(ClusterUnreachable):
    """What came over a replication link is not the replication protocol."""


class SourceLost(ClusterUnreachable):
    """A node did not begin or finish its transfer; another node, or another time, may serve."""


class HistoryLost(SourceLost):
    """A node can't continue the stream where we left it: it offers only a full copy."""


class RefusedForSafety(BackupError):
    """It could be done, but would risk data or availability."""

    exit_code = 7
