"""Who holds a claim, read from CLIENT LIST as Redis 7.0 and 8.0 print it."""

from dataclasses import replace

from redis_ha.switchover_claim import (
    SILENT_SECONDS,
    Holder,
    find_rival,
    left_behind,
    parse_holders,
)

LISTING = """\
id=3 addr=172.28.0.11:40212 laddr=172.28.0.11:6379 fd=8 name=sentinel-4f-cmd age=90 idle=0 flags=N \
db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=0 events=r cmd=ping user=sentinel redir=-1 resp=2
id=41 addr=172.28.0.1:51002 laddr=172.28.0.11:6379 fd=11 name=redis-ha:switchover:aa age=12 idle=1 \
flags=x db=0 sub=0 psub=0 ssub=0 multi=2 cmd=client|list user=operator resp=2 lib-name= lib-ver=
id=44 addr=172.28.0.1:51004 laddr=172.28.0.11:6379 fd=12 name=redis-ha:switchover:aa age=9 idle=0 \
flags=N db=0 multi=-1 cmd=ping user=operator resp=2
id=50 addr=172.28.0.11:51011 laddr=172.28.0.11:6379 fd=13 name= age=4 idle=0 flags=N user=node
"""
GUARD = Holder(41, "aa", "172.28.0.1:51002", "operator", age=12, silence=1)
OPERATOR = Holder(44, "aa", "172.28.0.1:51004", "operator", age=9, silence=0)


def test_only_claims_are_read() -> None:
    assert parse_holders(LISTING) == [GUARD, OPERATOR]
    assert parse_holders("") == []


def test_the_own_token_is_no_rival_and_the_oldest_other_is() -> None:
    assert find_rival([GUARD, OPERATOR], "aa") is None
    assert find_rival([OPERATOR, GUARD], "bb") == GUARD


def test_who_is_silent_counts_no_more_and_is_left_behind() -> None:
    silent = replace(GUARD, silence=SILENT_SECONDS)
    assert find_rival([silent], "bb") is None
    assert left_behind([silent], "bb") == [silent]
    assert left_behind([silent], "aa") == []
    assert find_rival([silent, OPERATOR], "bb") == OPERATOR
