"""What a cluster is set to, and that there is one."""

from dataclasses import replace
from pathlib import Path

import pytest

from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access
from redis_ha.errors import Unreachable
from redis_ha.failover_test.steadiness import complaints, live_settings, unfit
from redis_ha.site import Site
from tests.unit.redis_ha.surveys import HEALTHY


def test_a_cluster_whose_sentinels_are_all_silent_is_unreachable() -> None:
    nobody = tuple(Address("127.0.0.1", port) for port in (1, 2, 3))
    access = Access(nobody, "mymaster", Credentials("u", "p"), Path("ca.crt"), timeout=0.5)
    with pytest.raises(Unreachable, match="no majority"):
        live_settings(Site(access, None, (), ()))


def test_a_cluster_with_old_news_is_whole_but_not_fit_to_hand_over() -> None:
    """Promoted now, that replica would be taken for a master against the sentinel's will."""
    assert unfit(HEALTHY) == []
    first, *others = HEALTHY.sentinels
    late = replace(first, replicas=(replace(first.replicas[0], role="master"), *first.replicas[1:]))
    survey = replace(HEALTHY, sentinels=(late, *others))
    assert complaints(survey) == []
    assert unfit(survey) == ["sentinel-1 still takes redis-2 for a master"]
