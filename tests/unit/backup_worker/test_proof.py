"""What makes a proof fail, and when two of them contradict one another."""

from dataclasses import replace
from typing import Any

import pytest

from backup_worker.proving import drill, proof
from backup_worker.proving.proof import Held, Loader
from tests.unit.backup_worker.test_formats import FAILED, PROOF, SECOND

HELD = Held("d" * 40, {0: 100, 3: 20}, {})
assert PROOF.held is not None
OTHER_DIGEST = replace(PROOF, held=replace(PROOF.held, digest="e" * 40))
OTHER_KEYS = replace(PROOF, held=replace(PROOF.held, keys={0: 1}))
OTHER_SERVER = replace(OTHER_DIGEST, loader=Loader("valkey", "9.0.0"))


@pytest.mark.parametrize(
    ("info", "cause"),
    [
        ({"rdb_last_load_keys_loaded": 120, "rdb_last_load_keys_expired": 0}, ""),
        ({}, ""),
        (
            {"rdb_last_load_keys_loaded": 121},
            "the server read 121 keys, dropped 0 and holds 120",
        ),
        (
            {"rdb_last_load_keys_loaded": 120, "rdb_last_load_keys_expired": 1},
            "the server read 120 keys, dropped 1 and holds 120",
        ),
    ],
)
def test_all_that_was_read_must_be_held(info: dict[str, Any], cause: str) -> None:
    assert proof.judge(info, HELD) == cause


@pytest.mark.parametrize(
    ("now", "earlier", "words"),
    [
        (PROOF, None, ""),
        (PROOF, PROOF, ""),
        (PROOF, FAILED, ""),
        (FAILED, PROOF, ""),
        (OTHER_SERVER, PROOF, ""),
        (OTHER_DIGEST, PROOF, "its digest is eee"),
        (OTHER_KEYS, PROOF, "it holds 1 keys, 127 by the proof of 2026-11-24 08:30"),
        (replace(OTHER_KEYS, loader=OTHER_SERVER.loader), PROOF, "it holds 1 keys"),
    ],
)
def test_contradictions(now: proof.Proof, earlier: proof.Proof | None, words: str) -> None:
    found = proof.contradiction(now, earlier)
    assert found.startswith(words)
    assert bool(found) == bool(words)


def test_what_contradicts_fails_and_keeps_the_measure() -> None:
    failed = drill.against(OTHER_DIGEST, PROOF)
    assert not failed.proven
    assert failed.held == PROOF.held
    # The next one that holds the same again is measured by the same, and so is one that does not.
    assert drill.against(PROOF, failed).proven
    assert not drill.against(OTHER_DIGEST, failed).proven
    assert drill.against(PROOF, None) == PROOF
    unread = drill.against(FAILED, PROOF)
    assert (unread.proven, unread.cause, unread.held) == (False, "Short read", PROOF.held)


def test_a_proof_belongs_to_one_rdb_of_one_snapshot() -> None:
    assert proof.mismatch(PROOF, SECOND) == ""
    other = replace(PROOF, snapshot="20200101T000000Z-00000000")
    assert "20200101T000000Z-00000000" in proof.mismatch(other, SECOND)
    assert "another RDB" in proof.mismatch(replace(PROOF, rdb_sha256="9" * 64), SECOND)
