"""Whether a signed report can be trusted."""

import json
import stat
from pathlib import Path

import pytest

from redis_ha.cli.main import execute
from redis_ha.upkeep.signing import problem_of, public_half, sign, the_key

REPORT = {"version": 1, "at": "2026-03-01T09:00:00+00:00", "passed": True}
Said = pytest.CaptureFixture[str]


@pytest.fixture
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this machine's key is, if it has one."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "redis-ha" / "checklist-signing.pem"


def test_a_report_that_was_changed_is_found_out(tmp_path: Path) -> None:
    key = the_key(tmp_path / "keys" / "signing.pem")
    signed = json.loads(json.dumps(sign({"passed": False, "at": "2026-03-01"}, key)))
    signer = signed["signature"]["signer"]
    assert problem_of(signed, signer=signer) == ""
    assert the_key(tmp_path / "keys" / "signing.pem").public_key() == key.public_key()
    assert stat.S_IMODE((tmp_path / "keys" / "signing.pem").stat().st_mode) == 0o600
    assert "changed" in problem_of({**signed, "report": {**signed["report"], "passed": True}})
    other = sign(signed["report"], the_key(tmp_path / "other.pem"))
    assert "not by" in problem_of(other, signer=signer)
    for broken in (None, [], {}, {"report": {}, "signature": {"algorithm": "none"}}):
        assert problem_of(broken)


def test_a_signature_that_nobody_vouched_for_is_not_trusted(
    own_key: Path, tmp_path: Path, capsys: Said
) -> None:
    path = tmp_path / "report.json"
    signed = sign(REPORT, the_key(tmp_path / "theirs.pem"))
    path.write_text(json.dumps(signed))
    assert execute(["checklist", "--verify", str(path)]) == 1
    said = capsys.readouterr().err
    assert f"signed by {signed['signature']['signer']}, which nobody vouched for" in said
    assert not own_key.exists(), "no key is made to check one"


def test_without_a_signer_this_machine_s_key_is_whose_it_must_be(
    own_key: Path, tmp_path: Path, capsys: Said
) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(sign(REPORT, the_key(own_key))))
    assert execute(["checklist", "--verify", str(path)]) == 0
    path.write_text(json.dumps(sign(REPORT, the_key(tmp_path / "theirs.pem"))))
    assert execute(["checklist", "--verify", str(path)]) == 1
    assert f"not by {public_half(own_key)}, this machine's key" in capsys.readouterr().err
    command = ["checklist", "--verify", str(path), "--key", str(tmp_path / "theirs.pem")]
    assert execute(command) == 0


@pytest.mark.parametrize("depth", [5_000, 100_000])
def test_a_report_that_is_nested_too_deeply_is_told_in_a_sentence(
    depth: int, tmp_path: Path, capsys: Said
) -> None:
    path = tmp_path / "report.json"
    path.write_text("[" * depth + "]" * depth)
    assert execute(["checklist", "--verify", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "nested too deeply" in said


def test_a_deep_report_within_a_signed_document_is_no_signed_report(tmp_path: Path) -> None:
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    signature = sign({}, the_key(tmp_path / "key.pem"))["signature"]
    assert "no signed report" in problem_of({"report": deep, "signature": signature})
