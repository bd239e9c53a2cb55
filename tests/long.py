"""What takes long and says little that the rest doesn't: run with REDIS_HA_TEST_LONG=1 only."""

import os

import pytest

LONG = bool(os.environ.get("REDIS_HA_TEST_LONG"))


def only_long(reason: str) -> pytest.MarkDecorator:
    """Leave a test to the long run; `reason` says which other test sees to its subject."""
    return pytest.mark.skipif(not LONG, reason=f"{reason}; REDIS_HA_TEST_LONG=1")
