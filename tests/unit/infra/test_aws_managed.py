"""No association before its machine is one of Systems Manager's managed nodes."""

import asyncio
from collections.abc import Iterator
from typing import Any

import boto3
import pulumi
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from botocore.stub import Stubber
from moto import mock_aws

from infra.targets.aws import managed
from infra.targets.aws.managed import (
    MANAGED_SECONDS,
    NotManaged,
    await_managed,
    once_managed,
    ping_status,
    targeted,
)
from tests.aws.associations import Made, associations
from tests.unit.infra.aws_stack import CREDENTIALS, environment

MACHINE = "i-0123456789abcdef0"
REGION = "eu-central-1"


class Time:
    """A clock that sleep alone moves, much faster than a real one."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += 100 * seconds


@pytest.fixture
def account() -> Iterator[Made]:
    with environment(**CREDENTIALS), associations(lambda _gate: False) as made, mock_aws():
        yield made


def _client() -> Any:
    return boto3.client("ssm", REGION, aws_access_key_id="a", aws_secret_access_key="b")


def _associate(ssm: Any) -> str:
    made = ssm.create_association(
        Name="AWS-RunShellScript",
        AssociationName="ready",
        Targets=[{"Key": "InstanceIds", "Values": [MACHINE]}],
    )
    return str(made["AssociationDescription"]["Overview"]["Status"])


def test_the_account_takes_an_association_that_is_made_too_early_for_done(account: Made) -> None:
    """So a test against it fails for whoever doesn't wait."""
    assert _associate(_client()) == "Success"
    assert account.early == ["ready"]


def test_after_the_hook_an_association_says_how_its_command_ended(
    account: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(managed, "_LOOK_AGAIN_SECONDS", 0.01)
    inputs = {"targets": [{"key": "InstanceIds", "values": [MACHINE]}]}
    (hook,) = once_managed(REGION).before_create or ()
    waited: Any = hook(pulumi.ResourceHookArgs("urn", "", "redis-1-ready", "", new_inputs=inputs))
    asyncio.run(waited)
    assert account.looks[MACHINE] > 1
    assert _associate(_client()) == "Failed"
    assert account.early == []


def test_a_machine_that_is_never_managed_ends_the_wait_with_the_last_word() -> None:
    time, words = Time(), iter(["not known", *["ConnectionLost"] * 1_000])
    with pytest.raises(NotManaged, match=rf"{MACHINE}: after 1800 s .*ConnectionLost; see its"):
        asyncio.run(
            await_managed(MACHINE, lambda _instance: next(words), clock=time, sleep=time.sleep)
        )
    assert MANAGED_SECONDS <= time.now < MANAGED_SECONDS + 1_000


@pytest.mark.parametrize("code", ["InvalidInstanceId", "InvalidInstanceInformationFilterValue"])
def test_an_instance_that_nobody_has_heard_of_is_waited_for(code: str) -> None:
    client = _client()
    with Stubber(client) as stub:
        stub.add_client_error("describe_instance_information", code)
        assert ping_status(client, MACHINE) == "not known"


def test_who_may_not_ask_is_told_so_at_once() -> None:
    client = _client()
    with Stubber(client) as stub:
        stub.add_client_error("describe_instance_information", "AccessDeniedException")
        with pytest.raises(NotManaged, match="allow ssm:DescribeInstanceInformation"):
            ping_status(client, MACHINE)


@pytest.mark.parametrize(
    ("error", "passes"),
    [(EndpointConnectionError(endpoint_url="https://ssm"), True), (NoCredentialsError(), False)],
)
def test_an_outage_of_the_network_passes_and_missing_credentials_do_not(
    error: Exception, *, passes: bool
) -> None:
    class Client:
        def describe_instance_information(self, **_: Any) -> Any:
            raise error

    if passes:
        assert "no answer" in ping_status(Client(), MACHINE)
    else:
        with pytest.raises(NotManaged):
            ping_status(Client(), MACHINE)


def test_what_an_association_targets_otherwise_is_not_waited_for() -> None:
    tagged = {"key": "tag:redis-ha", "values": ["redis-ha"]}
    assert targeted({"targets": [tagged, {"key": "InstanceIds", "values": [MACHINE]}]}) == [MACHINE]
    assert targeted({}) == []
