"""What may not become of a stack that is there; what its outputs say is all that is known of it."""

from dataclasses import replace

import pytest
from pulumi.runtime.invoke import InvokeResult

from backup_worker.restore.compatibility import can_read, newest_readable
from infra import changes
from infra.changes import WRITES, Previous, forbidden_changes, last_outputs, read_previous
from infra.config import BASE_IMAGES, ClusterConfig
from infra.errors import ConfigRefused
from infra.settings import parse

OURS, THEIRS, THIRD = ("age1" + letter * 58 for letter in "qpz")
VERSIONS = {"redis-8": ("redis", "8.0.2"), "redis-7": ("redis", "7.0.15"), "valkey-8": ("valkey", "8.1.1")}  # fmt: skip  # noqa: E501
MADE = Previous("redis-8", 3, (OURS,), generated=True, backup_keys={1: OURS})

HALF_WRITTEN = "invoke of readStackOutputs failed: failed to load checkpoint: EOF"


def settings_refused(previous: Previous, **wanted: str) -> list[str]:
    return [one.setting for one in forbidden_changes(previous, parse(ClusterConfig, wanted))]


@pytest.mark.parametrize("was", sorted(WRITES))
@pytest.mark.parametrize("to_be", sorted(WRITES))
def test_an_engine_is_refused_exactly_when_it_does_not_load_the_data(was: str, to_be: str) -> None:
    readable = can_read(*VERSIONS[to_be], newest_readable(*VERSIONS[was]))
    refused = settings_refused(Previous(engine=was), engine=to_be)
    assert refused == ([] if readable else ["engine"])


def test_each_engine_that_can_be_chosen_has_its_version() -> None:
    assert set(WRITES) == set(BASE_IMAGES)
    assert all(WRITES[name] == newest_readable(*VERSIONS[name]) for name in WRITES)


def test_who_names_both_engines_may_go_down() -> None:
    for named in ("redis-7>valkey-8", "valkey-8>redis-7", "redis-8>valkey-8"):
        assert "engine" in settings_refused(MADE, engine="redis-7", allowEngineChange=named)
    assert settings_refused(MADE, engine="redis-7", allowEngineChange="redis-8>redis-7") == []


def test_an_engine_alone_allows_no_change() -> None:
    with pytest.raises(ConfigRefused, match="two engines, from and to, such as redis-8>redis-7"):
        parse(ClusterConfig, {"allowEngineChange": "redis-7"})


def test_an_allowance_that_did_its_work_has_to_go() -> None:
    left = {"allowEngineChange": "redis-8>redis-7"}
    now = Previous(engine="redis-7")
    assert settings_refused(now, engine="redis-7", **left) == ["allowEngineChange"]
    assert settings_refused(now, engine="redis-8", **left) == ["allowEngineChange"]
    (problem,) = forbidden_changes(now, parse(ClusterConfig, {"engine": "redis-7", **left}))
    assert "`pulumi config rm allowEngineChange`" in problem.remedy
    # Before it, and on a stack that is new, there is nothing to be left over from.
    assert settings_refused(MADE, engine="redis-8", **left) == []
    assert settings_refused(Previous(), engine="redis-7", **left) == []


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [(5, 3, False), (7, 3, True), (7, 5, False), (9, 5, False), (9, 3, True), (3, 5, False)],
)
def test_sentinels_that_stay_must_be_a_majority_of_those_they_count(
    before: int, after: int, refused: bool
) -> None:
    found = settings_refused(replace(MADE, sentinels=before), sentinels=str(after), quorum="2")
    assert found == (["sentinels"] if refused else [])


@pytest.mark.parametrize(
    ("wanted", "refused"),
    [
        ({}, []),
        ({"backupRecipients": f'["{THEIRS}"]'}, ["backupRecipients"]),
        ({"backupRecipients": f'["{OURS}"]'}, ["backupRecipients"]),
        ({"backupRecipients": f'["{THEIRS}"]', "allowBackupKeyLoss": THEIRS}, ["backupRecipients"]),
        ({"backupRecipients": f'["{THEIRS}"]', "allowBackupKeyLoss": OURS}, []),
        ({"backupKeyGeneration": "1+2"}, []),
        ({"backupKeyGeneration": "2+1"}, []),
        ({"backupKeyGeneration": "2"}, ["backupKeyGeneration"]),
    ],
)
def test_the_stacks_own_key_does_not_go_at_once(wanted: dict[str, str], refused: list[str]) -> None:
    assert settings_refused(MADE, **wanted) == refused


BOTH = replace(MADE, recipients=(THEIRS,), backup_keys={2: THEIRS, 1: OURS})


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ({"backupKeyGeneration": "2+1"}, None),
        ({"backupKeyGeneration": "1+2"}, None),
        # It may be what opens the last proven snapshot: of the new key there may be none yet.
        ({"backupKeyGeneration": "2"}, OURS),
        ({"backupKeyGeneration": "2", "allowBackupKeyLoss": THEIRS}, OURS),
        ({"backupKeyGeneration": "2", "allowBackupKeyLoss": OURS}, None),
        ({"backupKeyGeneration": "1"}, THEIRS),
        ({"backupKeyGeneration": "3+2"}, OURS),
        ({"backupKeyGeneration": "3"}, f"{THEIRS},{OURS}"),
        ({"backupKeyGeneration": "3", "allowBackupKeyLoss": OURS}, f"{THEIRS},{OURS}"),
        ({"backupKeyGeneration": "3", "allowBackupKeyLoss": f"{OURS},{THEIRS}"}, None),
        ({"backupRecipients": f'["{THIRD}"]', "allowBackupKeyLoss": OURS}, f"{THEIRS},{OURS}"),
    ],
)
def test_neither_of_two_keys_goes_unless_it_is_named(
    wanted: dict[str, str], named: str | None
) -> None:
    problems = forbidden_changes(BOTH, parse(ClusterConfig, wanted))
    assert len(problems) == (named is not None)
    assert all(f"allowBackupKeyLoss {named}`" in problem.remedy for problem in problems)


@pytest.mark.parametrize(
    ("wanted", "refused"),
    [
        ({"backupRecipients": f'["{OURS}"]'}, []),
        ({"backupRecipients": f'["{THEIRS}", "{OURS}"]'}, []),
        ({"backupRecipients": f'["{THEIRS}"]'}, ["backupRecipients"]),
        ({}, ["backupRecipients"]),
        ({"allowBackupKeyLoss": OURS}, []),
    ],
)
def test_one_of_the_operators_keys_stays(wanted: dict[str, str], refused: list[str]) -> None:
    theirs = replace(MADE, generated=False, backup_keys={})
    assert settings_refused(theirs, **wanted) == refused


def test_each_of_the_operators_keys_stays_unless_it_is_named() -> None:
    theirs = Previous(recipients=(OURS, THEIRS))
    assert settings_refused(theirs, backupRecipients=f'["{THEIRS}"]') == ["backupRecipients"]
    named = {"backupRecipients": f'["{THEIRS}"]', "allowBackupKeyLoss": OURS}
    assert settings_refused(theirs, **named) == []
    assert settings_refused(theirs, **(named | {"allowBackupKeyLoss": THEIRS})) != []


def test_a_new_stack_and_an_old_ones_outputs_forbid_nothing() -> None:
    for outputs in ({}, {"plan": {}, "sentinels": [], "generations": None}):
        assert read_previous(outputs) == Previous()
        assert settings_refused(read_previous(outputs), engine="redis-7") == []


def test_outputs_are_read() -> None:
    outputs = {
        "plan": {"engine": "redis-8"},
        "sentinels": [{}, {}, {}],
        "backupRecipients": [OURS],
        "backupIdentity": "AGE-SECRET-KEY-1",
        "generations": {"backup-key": "1"},
    }
    assert read_previous(outputs) == MADE
    both = {"generations": {"backup-key": "2+1"}, "backupKeys": {"1": OURS, "2": THEIRS}}
    assert read_previous(outputs | both | {"backupRecipients": [THEIRS]}) == BOTH
    # An older `up` named the key in use alone, and it stands for both.
    old = read_previous(outputs | {"generations": {"backup-key": "2+1"}})
    assert old.backup_keys == {2: OURS, 1: OURS}
    named = {"backupKeyGeneration": "2", "allowBackupKeyLoss": OURS}
    assert settings_refused(old, backupKeyGeneration="2") == ["backupKeyGeneration"]
    assert settings_refused(old, **named) == []


def test_a_reason_says_the_way_back_and_no_secret() -> None:
    (problem,) = forbidden_changes(MADE, parse(ClusterConfig, {"engine": "redis-7"}))
    assert "RDB version 12" in problem.reason
    assert "set it back to redis-8" in problem.remedy
    assert "allowEngineChange 'redis-8>redis-7'`" in problem.remedy


@pytest.mark.parametrize(
    ("was", "to_be", "refused"),
    [
        ("", "2", False),
        ("1", "1", False),
        ("1", "1+2", False),
        ("1+2", "2+1", False),
        ("1+2", "1", False),
        ("2+1", "2", False),
        ("2+1", "1+2", False),
        ("1", "2", True),
        ("1", "2+1", True),
        ("1+2", "2", True),
        ("2", "3+4", True),
        ("2", "1", True),
    ],
)
def test_a_rotation_leaves_out_no_step(was: str, to_be: str, refused: bool) -> None:
    previous = replace(MADE, passwords=was, authority=was)
    found = settings_refused(previous, passwordGeneration=to_be, authorityGeneration=to_be)
    assert found == (["passwordGeneration", "authorityGeneration"] if refused else [])


@pytest.mark.parametrize(("failures", "text"), [(0, ""), (3, HALF_WRITTEN)])
def test_a_state_that_is_being_written_is_read_again(
    monkeypatch: pytest.MonkeyPatch, failures: int, text: str
) -> None:
    engine = Engine(monkeypatch, failures, text)
    assert last_outputs() == {"a": 1}
    assert engine.asked == failures + 1


@pytest.mark.parametrize(("failures", "text"), [(1, "no such function"), (1000, HALF_WRITTEN)])
def test_what_stays_wrong_is_told(
    monkeypatch: pytest.MonkeyPatch, failures: int, text: str
) -> None:
    Engine(monkeypatch, failures, text)
    with pytest.raises(Exception, match=text):
        last_outputs()


class Engine:
    """Fails so many times with a text before it gives outputs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failures: int, text: str) -> None:
        self.failures, self.text, self.asked = failures, text, 0
        monkeypatch.setattr(changes.pulumi.runtime, "invoke", self.invoke)
        monkeypatch.setattr(changes, "_PAUSE_SECONDS", 0.0)

    def invoke(self, _function: str, _arguments: object) -> InvokeResult:
        self.asked += 1
        if self.asked <= self.failures:
            raise Exception(self.text)  # noqa: TRY002 - as the SDK does
        return InvokeResult({"outputs": {"a": 1}})
