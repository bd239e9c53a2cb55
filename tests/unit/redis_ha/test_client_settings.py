"""What a client refuses before a call waits for its time, and the time that a call may take."""

import math
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from redis_ha import AsyncClient, Client
from redis_ha.client.base import LONGEST_CALL, bounded
from redis_ha.connection import Address, Credentials, tls_context
from redis_ha.discovery import Access
from redis_ha.errors import BadSetting
from tests.processes.redis_ha.strangers import paper

KINDS: tuple[Any, ...] = (Client, AsyncClient)


@pytest.fixture
def access(tmp_path: Path) -> Access:
    """Give a cluster that nobody asks, with a CA that is one."""
    ca, _ = paper(tmp_path, valid_for=timedelta(days=1))
    sentinel = Address("127.0.0.1", 1)
    return Access((sentinel,), "mymaster", Credentials("app", "secret"), ca)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [None, b"", b"garbage", b"\xff\xfe\x00"])
def test_a_ca_that_is_none_is_named_at_once(
    access: Access, tmp_path: Path, kind: Any, content: bytes | None
) -> None:
    ca = tmp_path / "wrong.crt"
    if content is not None:
        ca.write_bytes(content)
    with pytest.raises(BadSetting, match=r"wrong\.crt.*REDIS_TLS_CA"):
        kind(replace(access, ca=ca))


def test_a_directory_is_no_ca(access: Access, tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="it is no CA"):
        Client(replace(access, ca=tmp_path))


def test_a_ca_that_is_replaced_later_is_the_one_that_counts(access: Access, tmp_path: Path) -> None:
    Client(access)
    before = tls_context(str(access.ca))
    new, _ = paper(tmp_path / "new", valid_for=timedelta(days=2))
    time.sleep(0.02)  # ctime's clock ticks each 4 to 10 ms
    new.replace(access.ca)
    Client(access)
    assert tls_context(str(access.ca)).get_ca_certs() != before.get_ca_certs()


@pytest.mark.parametrize("kind", KINDS)
def test_no_sentinel_at_all(access: Access, kind: Any) -> None:
    with pytest.raises(BadSetting, match="REDIS_SENTINEL_HOST_1"):
        kind(replace(access, sentinels=()))


@pytest.mark.parametrize("timeout", [math.nan, -1.0, -math.inf, -1e-9])
def test_no_time_in_seconds(access: Access, timeout: float) -> None:
    for kind in KINDS:
        with pytest.raises(BadSetting, match="timeout"):
            kind(access, timeout=timeout)
    with pytest.raises(BadSetting, match="timeout"):
        Client(access).execute_with_failover(lambda connection: connection, timeout=timeout)


@pytest.mark.parametrize("timeout", [math.inf, 1e10, 1e300, LONGEST_CALL + 1])
def test_more_time_than_a_lock_can_wait_for(timeout: float) -> None:
    assert bounded(timeout) == LONGEST_CALL


@pytest.mark.parametrize("timeout", [0.0, 0.001, 10, 86400.0])
def test_other_times_are_taken_as_they_are(timeout: float) -> None:
    assert bounded(timeout) == timeout
