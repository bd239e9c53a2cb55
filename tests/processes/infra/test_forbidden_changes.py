"""`pulumi preview` of a stack that is there, under the real engine: what its data forbids."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.processes.infra.bare_project import bare_project

OLD, NEW = "age1" + "q" * 58, "age1" + "p" * 58
OUTPUTS = {
    "plan": {"engine": "redis-8"},
    "sentinels": [{}, {}, {}],
    "nodes": [{"name": "redis-1", "role": "data", "address": "10.72.0.11", "port": 6379}],
    "env": {"REDIS_SENTINEL_MASTER": "mymaster"},
    "backupRecipients": [OLD],
    "backupIdentity": "AGE-SECRET-KEY-1HIDDEN",
    "generations": {"backup-key": "1"},
}
# The program got past the comparison: what stops it then is the next that it looks at.
WENT_ON = "AWS credentials are missing"
Preview = Callable[..., str]


@pytest.fixture
def preview(tmp_path: Path) -> Preview:
    """Give a preview of a prod stack whose last `up` left OUTPUTS, with some settings changed."""
    engine = bare_project(tmp_path)

    def pulumi(*words: str, stdin: str = "") -> str:
        done = engine(*words, stdin=stdin)
        assert done.returncode == 0 or words[0] == "preview", done.stderr
        return done.stdout + ("" if words[0] == "stack" else done.stderr)

    def run(*, made: bool = True, **settings: str) -> str:
        pulumi("stack", "init", "prod")
        if made:
            state = with_outputs(json.loads(pulumi("stack", "export")))
            pulumi("stack", "import", stdin=json.dumps(state))
        for name, value in settings.items():
            pulumi("config", "set", name, value)
        return pulumi("preview", "--stack", "prod")

    return run


def with_outputs(state: dict[str, Any]) -> dict[str, Any]:
    """Put a stack resource with OUTPUTS into an exported state without any."""
    urn = "urn:pulumi:prod::redis-ha::pulumi:pulumi:Stack::redis-ha-prod"
    stack = {"urn": urn, "custom": False, "type": "pulumi:pulumi:Stack", "outputs": OUTPUTS}
    state["deployment"]["resources"] = [stack]
    return state


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"engine": "redis-7"}, "redis-7 loads none above 10"),
        ({"portOffset": "100"}, "redis-1 would be at port 6479 in place of 6379"),
        ({"masterName": "other"}, "it is mymaster now"),
        ({"engine": "valkey-8"}, "valkey-8 loads none above 11"),
        (
            {"backupRecipients": f'["{NEW}"]'},
            "the private key that opens the last proven snapshot may be",
        ),
    ],
)
def test_a_change_that_the_data_would_not_survive_is_refused(
    preview: Preview, settings: dict[str, str], reason: str
) -> None:
    said = preview(**settings)
    assert "this stack may not be changed so" in said
    assert reason in said
    assert WENT_ON not in said
    assert "Traceback" not in said
    assert "HIDDEN" not in said


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"engine": "redis-7", "allowEngineChange": "redis-8>redis-7"},
        {"backupRecipients": f'["{NEW}"]', "allowBackupKeyLoss": OLD},
    ],
)
def test_who_names_it_goes_on(preview: Preview, settings: dict[str, str]) -> None:
    assert WENT_ON in preview(**settings)


def test_a_new_stack_may_be_anything(preview: Preview) -> None:
    assert WENT_ON in preview(made=False, engine="redis-7")
