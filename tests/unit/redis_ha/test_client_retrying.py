"""What may be tried again after which error."""

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from redis_ha.client.call import Call
from redis_ha.client.retrying import (
    HARMLESS,
    UNCERTAIN_RETRIES,
    Exposure,
    Meaning,
    judge,
    meaning_of,
)

REFUSED = {
    "demoted": redis.ReadOnlyError("You can't write against a read only replica."),
    "loading": redis.BusyLoadingError("Redis is loading the dataset in memory"),
    "link down": redis.exceptions.MasterDownError("Link with MASTER is down"),
    "link down, as redis-py 4 says it": redis.ResponseError("MASTERDOWN Link with MASTER is down"),
    "fenced": redis.ResponseError("NOREPLICAS Not enough good replicas to write."),
    "unblocked": redis.ResponseError("UNBLOCKED force unblock from blocking operation"),
    "exec": redis.exceptions.ExecAbortError(
        "Transaction discarded because of: READONLY You can't write against a read only replica."
    ),
}
LOST = {
    "refused": redis.ConnectionError("Error 111 connecting to 127.0.0.1:1. Connection refused."),
    "eof": redis.ConnectionError("Connection closed by server."),
    "silent": redis.TimeoutError("Timeout reading from socket"),
}
DENIED = {
    "password": redis.AuthenticationError("invalid username-password pair or user is disabled."),
    "password, as redis-py 4 says it": redis.ResponseError("WRONGPASS invalid username-password"),
    "no login": redis.AuthenticationError("Authentication required."),
    "rights": redis.exceptions.NoPermissionError("this user has no permissions to run 'flushall'"),
    "certificate": redis.ConnectionError(
        "Error 1 connecting to h:1. [SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired."
    ),
}
CALLERS = {
    "type": redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind"),
    "watch": redis.WatchError("Watched variable changed."),
    "script": redis.exceptions.NoScriptError("No matching script. Please use EVAL."),
    "syntax": redis.ResponseError("syntax error"),
    "memory": redis.ResponseError("OOM command not allowed when used memory > 'maxmemory'."),
    "argument": redis.DataError("Invalid input of type: 'NoneType'."),
}


@pytest.mark.parametrize(
    ("error", "meaning"),
    [(error, Meaning.REFUSED) for error in REFUSED.values()]
    + [(error, Meaning.LOST) for error in LOST.values()]
    + [(error, Meaning.DENIED) for error in DENIED.values()]
    + [(error, Meaning.CALLERS) for error in CALLERS.values()],
    ids=str,
)
def test_what_an_error_means(error: Exception, meaning: Meaning) -> None:
    assert meaning_of(error) is meaning


def test_a_command_that_was_refused_was_not_applied() -> None:
    exposure = Exposure()
    exposure.command("GET")
    exposure.command("SET")
    assert judge(REFUSED["demoted"], exposure, repeatable=False).again


def test_an_acknowledged_write_before_the_refused_one_forbids_a_repetition() -> None:
    exposure = Exposure()
    exposure.command("INCR")
    exposure.command("SET")
    verdict = judge(REFUSED["demoted"], exposure, repeatable=False)
    assert (verdict.effects, verdict.again) == (1, False)
    assert judge(REFUSED["demoted"], exposure, repeatable=True).again


def test_a_write_whose_reply_never_came_may_have_been_applied() -> None:
    exposure = Exposure()
    exposure.command(b"set")
    verdict = judge(LOST["eof"], exposure, repeatable=False)
    assert (verdict.effects, verdict.again) == (1, False)


def test_a_read_whose_reply_never_came_is_repeated() -> None:
    exposure = Exposure()
    exposure.command("hgetall")
    assert judge(LOST["silent"], exposure, repeatable=False).again


def test_what_was_never_sent_is_repeated() -> None:
    assert judge(LOST["refused"], Exposure(), repeatable=False).again


def test_a_pipeline_counts_from_the_command_that_was_refused() -> None:
    def refused_at(number: int, *, transaction: bool) -> bool:
        text = f"Command # {number} (SET a 1) of pipeline caused error: You can't write against a"
        exposure = Exposure()
        exposure.pipeline(transaction=transaction)
        return judge(redis.ReadOnlyError(text), exposure, repeatable=False).again

    assert refused_at(1, transaction=False)
    assert not refused_at(2, transaction=False)
    assert refused_at(2, transaction=True)


def test_a_server_code_is_found_in_a_pipelines_error() -> None:
    text = "Command # 1 (SET a 1) of pipeline caused error: NOREPLICAS Not enough good replicas"
    assert meaning_of(redis.ResponseError(text)) is Meaning.REFUSED


def test_a_write_sent_to_a_replica_is_the_callers_mistake() -> None:
    verdict = judge(REFUSED["demoted"], Exposure(), repeatable=True, on_replica=True)
    assert (verdict.meaning, verdict.again) == (Meaning.CALLERS, False)


writes = st.sampled_from(["SET", "incr", "EVAL", "JSON.SET", "no-such-command"])
reads = st.sampled_from(sorted(HARMLESS))
sends = st.lists(st.one_of(writes, reads, st.booleans()), max_size=6)


def exposed(sent: list[str | bool]) -> Exposure:
    exposure = Exposure()
    for one in sent:
        if isinstance(one, bool):
            exposure.pipeline(transaction=one)
        else:
            exposure.command(one)
    return exposure


@given(sends, st.sampled_from([*LOST.values(), *REFUSED.values()]), st.integers(0, 5))
def test_a_possible_write_is_never_repeated_unasked(
    sent: list[str | bool], error: Exception, uncertain: int
) -> None:
    exposure = exposed(sent)
    verdict = judge(error, exposure, repeatable=False, uncertain=uncertain)
    written = sum(one not in HARMLESS for one in sent)
    last_refused = verdict.meaning is Meaning.REFUSED and bool(sent) and sent[-1] not in HARMLESS
    assert written - last_refused <= verdict.effects <= written
    assert verdict.again == (verdict.effects == 0)


@given(sends, st.sampled_from([*DENIED.values(), *CALLERS.values()]), st.booleans())
def test_no_repetition_helps_against_these(
    sent: list[str | bool], error: Exception, repeatable: bool
) -> None:
    assert not judge(error, exposed(sent), repeatable=repeatable).again


def test_even_an_idempotent_write_is_not_repeated_for_ever() -> None:
    exposure = exposed(["SET"])
    verdicts = [
        judge(LOST["eof"], exposure, repeatable=True, uncertain=times).again
        for times in range(UNCERTAIN_RETRIES + 1)
    ]
    assert verdicts == [True] * UNCERTAIN_RETRIES + [False]


def test_a_new_master_is_given_time_to_be_followed_but_not_for_ever() -> None:
    call = Call(5.0)
    fenced, demoted = (
        judge(REFUSED[name], Exposure(last="write", writes=1), repeatable=False)
        for name in ("fenced", "demoted")
    )
    assert call.pause_to_be_followed(demoted) == 0.0
    pauses = [call.pause_to_be_followed(fenced) for _ in range(20)]
    assert 0 < pauses[0] < 0.02
    assert pauses[-1] == 0.0
    assert sum(pauses) < 0.2
