"""What a failed attempt means: whether it may be tried again, decided on the error alone.

Rules: FACTS 5. A command that the server refused was certainly not applied; one whose reply never
came may have been. What was sent before the error in the same attempt counts too.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

import redis

# Commands that change nothing, so that repeating them is safe. What is missing here is taken for
# a write: that only costs a repetition.
# fmt: off
HARMLESS = frozenset(
    (
        "AUTH", "HELLO", "SELECT", "CLIENT", "PING", "ECHO", "TIME", "INFO", "ROLE", "COMMAND",
        "MEMORY", "OBJECT", "GET", "MGET", "GETRANGE", "SUBSTR", "STRLEN", "GETBIT",
        "BITCOUNT", "BITPOS", "BITFIELD_RO", "LCS", "EXISTS", "TYPE", "TTL", "PTTL",
        "EXPIRETIME", "PEXPIRETIME", "KEYS", "SCAN", "RANDOMKEY", "DBSIZE", "DUMP", "SORT_RO",
        "TOUCH", "WATCH", "UNWATCH", "WAIT", "HGET", "HMGET", "HGETALL", "HKEYS", "HVALS",
        "HLEN", "HEXISTS", "HSTRLEN", "HRANDFIELD", "HSCAN", "HTTL", "HPTTL", "LRANGE", "LLEN",
        "LINDEX", "LPOS", "SCARD", "SISMEMBER", "SMISMEMBER", "SMEMBERS", "SRANDMEMBER",
        "SSCAN", "SINTER", "SUNION", "SDIFF", "SINTERCARD", "ZCARD", "ZCOUNT", "ZLEXCOUNT",
        "ZRANGE", "ZRANGEBYSCORE", "ZRANGEBYLEX", "ZREVRANGE", "ZREVRANGEBYSCORE",
        "ZREVRANGEBYLEX", "ZRANK", "ZREVRANK", "ZSCORE", "ZMSCORE", "ZRANDMEMBER", "ZSCAN",
        "ZINTER", "ZUNION", "ZDIFF", "ZINTERCARD", "XLEN", "XRANGE", "XREVRANGE", "XREAD",
        "XPENDING", "XINFO", "PFCOUNT", "GEOPOS", "GEODIST", "GEOHASH", "GEOSEARCH", "EVAL_RO",
        "EVALSHA_RO", "FCALL_RO", "SUBSCRIBE", "PSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE",
        "PUBSUB",
    )
)
# fmt: on
_REFUSALS = ("READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "UNBLOCKED")
_REFUSAL_CLASSES = (redis.ReadOnlyError, redis.BusyLoadingError, redis.exceptions.MasterDownError)
_DENIALS = ("WRONGPASS", "NOAUTH", "NOPERM")
_DISCARDED = re.compile(r".*Transaction discarded because of: (.*)", re.DOTALL)
_IN_PIPELINE = re.compile(r"Command # (\d+) .* caused error: (.*)", re.DOTALL)
_NO_TRUST = "CERTIFICATE_VERIFY_FAILED"


class Meaning(Enum):
    """What an error says of the attempt."""

    # Not applied, and the node or the moment is wrong: look for the master, try again.
    REFUSED = auto()
    # The connection broke or could not be made: look for the master.
    LOST = auto()
    # User, rights or certificate: trying again won't help.
    DENIED = auto()
    # The caller's own business: a wrong type, a failed WATCH, a syntax error.
    CALLERS = auto()


@dataclass
class Exposure:
    """What one attempt has sent so far that may have changed something."""

    writes: int = 0
    pipelines: int = 0
    last: str = ""

    def command(self, name: object) -> None:
        """Note a single command that is about to be sent."""
        if isinstance(name, bytes):
            name = name.decode(errors="replace")
        word = str(name).split(" ", 1)[0].upper()
        harmless = word in HARMLESS
        self.writes += not harmless
        self.last = "read" if harmless else "write"

    def add(self, writes: int) -> None:
        """Note what another call sent on behalf of this one."""
        self.writes += writes
        self.last = self.last or "read"

    def pipeline(self, *, transaction: bool) -> None:
        """Note commands that are sent together; what they do is not looked at."""
        self.pipelines += 1
        self.last = "transaction" if transaction else "pipeline"

    def effects(self, error: Exception, meaning: Meaning) -> int:
        """Return how many of the things sent may have been applied when this error came."""
        refused = meaning is Meaning.REFUSED and self._last_did_nothing(error)
        return self.writes + self.pipelines - refused

    def _last_did_nothing(self, error: Exception) -> bool:
        """A transaction is refused as a whole, a pipeline from the command that the error names."""
        if self.last == "pipeline":
            found = _IN_PIPELINE.match(str(error))
            return found is not None and found[1] == "1"
        return self.last in ("write", "transaction")


@dataclass(frozen=True)
class Judgement:
    """What becomes of a failed attempt."""

    meaning: Meaning
    effects: int
    again: bool
    # A master that has fewer replicas than it must: just promoted, or cut off.
    lacks_replicas: bool = False

    def may_be_crowded(self, connections: int) -> bool:
        """Say whether the node may just take no more connections than the pool has already.

        Then a search can't get through either, and one of those will serve the next attempt.
        """
        return self.meaning is Meaning.LOST and not self.effects and connections > 0


# A replica follows one that was just promoted within this time (s): so long the same node is tried
# again, after pauses that are short at first.
FOLLOWING_PAUSES = (0.01, 0.01, 0.02, 0.02, 0.04, 0.04)
# The connection may break again on the new master; a third time is no coincidence.
UNCERTAIN_RETRIES = 2


def judge(
    error: Exception,
    exposure: Exposure,
    *,
    repeatable: bool,
    uncertain: int = 0,
    on_replica: bool = False,
) -> Judgement:
    """Say whether an attempt may be repeated; `uncertain` earlier ones may have been applied."""
    meaning = meaning_of(error)
    if on_replica and isinstance(error, redis.ReadOnlyError):
        # A write in a call that was said to read only: it was sent there on purpose.
        meaning = Meaning.CALLERS
    effects = exposure.effects(error, meaning)
    if meaning in (Meaning.DENIED, Meaning.CALLERS):
        return Judgement(meaning, effects, again=False)
    again = not effects or (repeatable and uncertain < UNCERTAIN_RETRIES)
    return Judgement(meaning, effects, again, lacks_replicas=_code(error) == "NOREPLICAS")


def meaning_of(error: Exception) -> Meaning:
    """Read an error of redis-py, whose classes differ from version to version."""
    if _is_denial(error):
        return Meaning.DENIED
    if isinstance(error, _REFUSAL_CLASSES):
        return Meaning.REFUSED
    if isinstance(error, redis.ResponseError):
        return Meaning.REFUSED if _code(error) in _REFUSALS else Meaning.CALLERS
    lost = isinstance(error, redis.ConnectionError | redis.TimeoutError | OSError)
    return Meaning.LOST if lost else Meaning.CALLERS


def _is_denial(error: Exception) -> bool:
    classes = (redis.AuthenticationError, redis.exceptions.NoPermissionError)
    return isinstance(error, classes) or _code(error) in _DENIALS or _NO_TRUST in str(error)


def _code(error: Exception) -> str:
    """Return the server's error code; newer redis-py cuts some off and gives a class instead."""
    text = str(error)
    if found := _IN_PIPELINE.match(text):
        text = found[2]
    if found := _DISCARDED.match(text):
        text = found[1]
    return text.removeprefix("-").split(" ", 1)[0]
