"""What a cluster is set to, and that there is one."""

from pathlib import Path

import pytest

from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access
from redis_ha.errors import Unreachable
from redis_ha.failover_test.steadiness import live_settings
from redis_ha.site import Site


def test_a_cluster_whose_sentinels_are_all_silent_is_unreachable() -> None:
    nobody = tuple(Address("127.0.0.1", port) for port in (1, 2, 3))
    access = Access(nobody, "mymaster", Credentials("u", "p"), Path("ca.crt"), timeout=0.5)
    with pytest.raises(Unreachable, match="no majority"):
        live_settings(Site(access, None, (), ()))
