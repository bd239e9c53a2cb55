"""How a server's answers to what it can't carry out are read; of each version as it says them."""

import pytest
import redis

from backup_worker.adopt import rights

UNKNOWN = "unknown command 'REPLICAOF', with args beginning with: "
COUNTED = "wrong number of arguments for 'replicaof' command"
COUNTED_6 = "Unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP."
NO_VALUE = "CONFIG SET failed (possibly related to argument 'replica-read-only') - argument must be"


class Answers(redis.Redis):
    """Refuses every command with the same words."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __del__(self) -> None:
        pass

    def execute_command(self, *args: object, **options: object) -> object:
        raise self.error


@pytest.mark.parametrize(
    ("error", "denied"),
    [
        (redis.ResponseError(UNKNOWN), ("replicaof", "client pause")),
        (redis.ResponseError("unknown command `CLIENT`"), ("replicaof", "client pause")),
        (redis.exceptions.NoPermissionError("no permissions"), ("replicaof", "client pause")),
        (redis.ResponseError(COUNTED), None),
        (redis.ResponseError(COUNTED_6), None),
    ],
)
def test_what_is_not_there_or_not_allowed_is_told_from_a_wrong_number_of_arguments(
    error: Exception, denied: tuple[str, ...] | None
) -> None:
    assert rights.denied(Answers(error)) == denied


def test_a_value_that_is_refused_shows_that_another_might_be_set() -> None:
    assert rights.may_forbid(Answers(redis.ResponseError(NO_VALUE)))
    assert not rights.may_forbid(Answers(redis.ResponseError(UNKNOWN)))
    assert not rights.may_forbid(Answers(redis.exceptions.NoPermissionError("no permissions")))
    assert rights.writable_replica(Answers(redis.ResponseError(UNKNOWN))) is None
