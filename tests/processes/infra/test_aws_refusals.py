"""`pulumi preview -s prod` under the real engine: what is wrong is said before AWS is asked."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes.infra.bare_project import bare_project

Preview = Callable[..., str]


@pytest.fixture
def preview(tmp_path: Path) -> Preview:
    """Give a preview of the committed prod stack with some settings changed; it must fail."""
    pulumi = bare_project(tmp_path)

    def run(**settings: str) -> str:
        assert pulumi("stack", "init", "prod").returncode == 0
        for name, value in settings.items():
            assert pulumi("config", "set", name, value).returncode == 0
        done = pulumi("preview", "--stack", "prod")
        assert done.returncode != 0
        return done.stdout + done.stderr

    return run


def test_without_credentials_one_sentence_says_what_is_missing(preview: Preview) -> None:
    said = preview()
    sentence = (
        "error: AWS credentials are missing: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY, for an account where this stack may be made, and run it again\n"
    )
    diagnostics = said.partition("Diagnostics:")[2].partition("Resources:")[0].strip().splitlines()
    assert [line.strip() for line in diagnostics[1:]] == [sentence.strip()]
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"zones": '["us-east-1a","us-east-1b"]'}, "can take the majority of the sentinels"),
        ({"subnetCidrs": '["10.72.0.0/24","10.72.0.0/25","10.72.2.0/24"]'}, "networks overlap"),
        ({"instanceType": "x1.unheard"}, "its size is not known here"),
        ({"instanceType": "c6in.large"}, "less than the guide's minimum"),
        ({"downAfterMs": "3000"}, "two masters take writes at once"),
    ],
)
def test_a_bad_setting_is_refused_with_its_reason(
    preview: Preview, settings: dict[str, str], reason: str
) -> None:
    said = preview(**settings)
    assert "the planner refuses these settings as unsafe" in said
    assert reason in said
    assert "credentials" not in said
    assert "Traceback" not in said
