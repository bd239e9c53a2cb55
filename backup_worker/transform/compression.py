"""zstd as a stream, one frame an object, in bounded memory."""

import zstandard

from backup_worker.errors import SnapshotCorrupt

# Level 3 costs 16 % of a snapshot's wall time where level 1 costs 3 %.
LEVEL = 1
# What a decompressor must be ready to hold: stock levels up to 19 need no more.
MAX_WINDOW = 8 * 1024 * 1024
# Zeros come out 32,000 times as long as they went in. Small steps bound that, large ones are
# twice as fast on all else, so the step follows what the last one gave.
_LARGE_STEP = 1024
_SMALL_STEP = 64
_SMALL_STEP_ABOVE = 1024 * 1024


class Compress:
    """zstd level 1 with a content checksum; about 1.5 MB of state."""

    step = 256 * 1024

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()

    def update(self, data: bytes) -> bytes:
        """Compress the next bytes."""
        return self._zstd.compress(data)

    def finish(self) -> bytes:
        """Return the end of the frame."""
        return self._zstd.flush()


class Decompress:
    """Undoes Compress. Raises SnapshotCorrupt for all that is not exactly one whole frame."""

    def __init__(self, *, subject: str) -> None:
        self.step = _SMALL_STEP
        self._subject = subject
        self._zstd = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompressobj()

    def update(self, data: bytes) -> bytes:
        """Decompress the next bytes."""
        if not data:
            return b""
        if self._zstd.eof:
            raise self._corrupt("bytes follow the end of the zstd frame")
        try:
            plain = self._zstd.decompress(data)
        except zstandard.ZstdError as error:
            raise self._corrupt(str(error)) from None
        if self._zstd.unused_data:
            raise self._corrupt("bytes follow the end of the zstd frame")
        self.step = _SMALL_STEP if len(plain) > _SMALL_STEP_ABOVE else _LARGE_STEP
        return plain

    def finish(self) -> bytes:
        """Check that the frame was complete."""
        if not self._zstd.eof:
            raise self._corrupt("it ends inside the zstd frame")
        return b""

    def _corrupt(self, cause: str) -> SnapshotCorrupt:
        return SnapshotCorrupt(
            operation="decompress",
            subject=self._subject,
            cause=cause,
            hint="restore another snapshot: `backup-worker list` shows those that are proven",
        )
