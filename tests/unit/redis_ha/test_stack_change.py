"""A change of a stack is judged by its planner first; refused, it leaves nothing behind."""

import sys
from pathlib import Path

import pytest

from redis_ha.cli import scale, stack_change
from redis_ha.cli.main import execute
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access
from redis_ha.errors import ChangeRefused
from redis_ha.site import Member, Site
from redis_ha.stack import refusal
from tests.unit.redis_ha.fake_pulumi import FakePulumi, installed

Said = pytest.CaptureFixture[str]
WHY = "replicas = 1: there is only 1 replica, so the master refuses every write; set it to 2"
PRINTED = f"""Previewing update (dev):
 +  pulumi:pulumi:Stack redis-ha-dev create error: the planner refuses these settings as unsafe:
Diagnostics:
  pulumi:pulumi:Stack (redis-ha-dev):
    error: the planner refuses these settings as unsafe:
      - {WHY}
      - quorum = 1: too few; set it to 2

Resources:
    1 errored
"""


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePulumi:
    return installed(tmp_path, monkeypatch)


def test_the_planners_words_are_taken_out_of_what_was_printed() -> None:
    assert refusal(PRINTED) == (
        f"the planner refuses these settings as unsafe: {WHY}; quorum = 1: too few; set it to 2"
    )
    assert refusal("error: could not lock\n\nthe stack is locked\n") == "the stack is locked"
    assert refusal("Diagnostics:\n  x:\n    error: no docker\n") == "no docker"
    assert refusal("") == "no reason"


def test_what_the_planner_refuses_leaves_the_settings_as_they_were(
    pulumi: FakePulumi, capfd: Said
) -> None:
    pulumi.has(settings={"replicas": "2"}, refuses={"replicas=1": WHY})
    assert execute(["scale", "1", "--sentinels", "5", "--yes"]) == 7
    assert pulumi.settings == {"replicas": "2"}
    assert "up" not in pulumi.asked
    assert f"refuses these settings as unsafe: {WHY}; nothing was changed" in capfd.readouterr().err


def test_the_mastership_stays_where_it_is_when_the_planner_refuses(
    pulumi: FakePulumi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Member("redis-3", Address("10.0.0.1", 6381))
    access = Access((), "mymaster", Credentials("u", "p"), Path("ca"))
    program, trace = tmp_path / "python", tmp_path / "failed-over"
    program.write_text(f"#!/bin/sh\ntouch {trace}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(scale, "site_of", lambda *_: Site(access, None, (here,), ()))
    monkeypatch.setattr(scale, "_heir", lambda *_, **__: here)
    pulumi.has(outputs={"files": {}}, refuses={"replicas=1": WHY})
    with pytest.raises(ChangeRefused):
        scale.command.main(["1", "--yes"], standalone_mode=False)
    assert not trace.exists()
    scale.command.main(["2", "--yes"], standalone_mode=False)
    assert trace.exists()
    assert pulumi.settings == {"replicas": "2"}


def test_whatever_ends_the_block_sets_them_back(pulumi: FakePulumi) -> None:
    pulumi.has(settings={"replicas": "2"})
    with pytest.raises(KeyboardInterrupt):
        interrupted(pulumi)
    assert pulumi.settings == {"replicas": "2"}


def interrupted(pulumi: FakePulumi) -> None:
    with stack_change.proposed("dev", {"replicas": "4", "quorum": "3"}, operation="scale"):
        assert pulumi.settings == {"replicas": "4", "quorum": "3"}
        raise KeyboardInterrupt


def test_what_is_accepted_stays(pulumi: FakePulumi) -> None:
    with stack_change.proposed("dev", {"replicas": "4"}, operation="scale"):
        assert pulumi.asked[-1] == "preview"
    assert pulumi.settings == {"replicas": "4"}
