"""Holds a lease in a store: the rules' requests carried out, one state shared by all threads."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from backup_worker.clock import steady_clock
from backup_worker.errors import AlreadyExists, BackupError, LeaseLost, ObjectNotFound
from backup_worker.lease import rules
from backup_worker.lease.document import LEASES, Document, Phase, encode, key_of, term_of
from backup_worker.store.contract import Store, read_small
from redis_ha.eventlog import emit

# So many terms stay for whoever asks what happened.
KEPT_TERMS = 10
# A renewal that failed is tried again soon: VALID is short.
_AGAIN = 1.0


class Lease:
    """One worker's part in the lease of `store`; `worker_id` as worker_id.py gives it.

    One thread at a time acquires, renews and releases; `require` and `term` are for all threads.
    Open the store with short timeouts (`open_store(..., quick=True)`): one request that hangs
    for longer than a renewal counts loses the lease.
    """

    def __init__(
        self, store: Store, worker_id: str, *, clock: Callable[[], float] = steady_clock
    ) -> None:
        self._store = store
        self._me = worker_id
        self._clock = clock
        self._state: rules.State = rules.StandingBy()

    @property
    def term(self) -> int | None:
        """The term that may be published under now, None while standing by."""
        state = self._state
        held = isinstance(state, rules.Holding) and not rules.why_not(state, now=self._clock())
        return state.term if held else None

    def try_acquire(self) -> int | None:
        """Take one step towards the lease; return the term once it is held.

        Raises StoreUnreachable. Call it again after `pause` seconds.
        """
        before = self.term
        self._step()
        if self.term is not None and before is None:
            self._tidy()
        return self.term

    def renew(self) -> None:
        """Renew what is held. Raises LeaseLost; StoreUnreachable while it still counts."""
        try:
            self._step()
        except Exception:
            self.require()
            raise
        self.require()

    def require(self) -> None:
        """Raise LeaseLost unless this worker may publish at this moment."""
        reason = rules.why_not(self._state, now=self._clock())
        if reason:
            raise LeaseLost(
                operation="publish",
                subject="a backup",
                cause=reason,
                hint="nothing to do: this worker stands by and takes over when it must",
            )

    def release(self) -> None:
        """Stop holding; another worker takes over at once. Publish nothing after it.

        Raises StoreUnreachable: then the others wait until the lease has lapsed.
        """
        state, self._state = self._state, rules.StandingBy(lost="it was released")
        if not rules.why_not(state, now=self._clock()) and isinstance(state, rules.Holding):
            document = Document(self._me, Phase.RELEASED, state.counter + 1)
            self._store.put(key_of(state.term), [encode(document)])

    @property
    def pause(self) -> float:
        """Seconds until the next step is due."""
        return rules.pause(self._state, now=self._clock())

    @contextmanager
    def kept(self, on_lost: Callable[[LeaseLost], None]) -> Iterator[None]:
        """Renew in a thread during the block; call `on_lost` there, once, when it is lost.

        Releases at the end, if it is still held then.
        """
        done = threading.Event()
        thread = threading.Thread(
            target=self._keep, args=(done, on_lost), name="lease", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            with suppress(BackupError):
                self.release()

    def _keep(self, done: threading.Event, on_lost: Callable[[LeaseLost], None]) -> None:
        pause = self.pause
        while not done.wait(pause):
            try:
                self.renew()
                pause = self.pause
            except LeaseLost as error:
                on_lost(error)
                return
            except BackupError as error:
                emit("lease-not-renewed", level=logging.WARNING, error=str(error))
                pause = _AGAIN
            except Exception as error:  # noqa: BLE001 - who depends on it must be told of its end
                problem = f"unexpected {type(error).__name__}: {error}"
                emit("lease-not-renewed", level=logging.WARNING, trace=True, error=problem)
                pause = _AGAIN

    def _step(self) -> None:
        steps = rules.step(self._state, self._me, self._clock)
        try:
            request = next(steps)
            while True:
                request = steps.send(self._answer(request))
        except StopIteration as end:
            before, self._state = self._state, end.value
            _tell(before, self._state)

    def _answer(self, request: rules.Request) -> object:
        match request:
            case rules.ListTerms():
                return self._terms()
            case rules.Read(term):
                return self._read(term)
            case rules.Create(term, content):
                return self._create(term, content)
            case rules.Rewrite(term, content):
                return self._store.put(key_of(term), [content])

    def _terms(self) -> list[int]:
        found = (term_of(stored.key) for stored in self._store.list(LEASES))
        return [term for term in found if term is not None]

    def _read(self, term: int) -> bytes | None:
        try:
            return read_small(self._store, key_of(term))
        except ObjectNotFound:
            return None

    def _create(self, term: int, content: bytes) -> bool:
        try:
            self._store.put(key_of(term), [content], if_absent=True)
        except AlreadyExists:
            return False
        return True

    def _tidy(self) -> None:
        """Remove old terms; a store that refuses to delete keeps them, a few hundred bytes each."""
        with suppress(BackupError):
            for term in old_terms(self._terms()):
                self._store.delete(key_of(term))


def _tell(before: rules.State, after: rules.State) -> None:
    """Log why a term was claimed; what becomes of it logs whoever works under it."""
    if isinstance(before, rules.StandingBy) and not isinstance(after, rules.StandingBy):
        emit("lease-claimed", term=after.term, reason=after.reason)


def old_terms(terms: list[int]) -> list[int]:
    """Return all but the last KEPT_TERMS, ascending."""
    return sorted(terms)[:-KEPT_TERMS]
