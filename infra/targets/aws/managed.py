"""A machine is asked nothing through Systems Manager before it is one of its managed nodes.

An association of a machine that isn't yet can be reported as done at once, with nothing run
(hashicorp/terraform-provider-aws#31175): the gate of a rolling change would open before the machine
has booted. The hook runs right before an association is made, so neither a preview nor an `up`
that makes none asks anything.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import boto3
import pulumi
from botocore import exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import InfraError

# The boot up to the agent, which comes with the packages; several times what it takes.
MANAGED_SECONDS = 1_800.0
_LOOK_AGAIN_SECONDS = 2.0
_ONLINE = "Online"
# What Systems Manager may say of an instance that it hasn't heard of.
_UNHEARD_OF = ("InvalidInstanceId", "InvalidInstanceInformationFilterValue")
_PATIENCE = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard"})

# Says in a word how an instance is; raises NotManaged when asking is of no use.
Ask = Callable[[str], str]


class NotManaged(InfraError):
    """Systems Manager doesn't reach a machine, so nobody can say whether it is in sync."""


def once_managed(region: str) -> pulumi.ResourceHookBinding:
    """Give what an association is declared with: its instances are managed before it is made.

    It asks with the credentials and at the endpoint that the AWS SDKs find, as the provider does.
    """

    async def wait(args: pulumi.ResourceHookArgs) -> None:
        client = boto3.client("ssm", region_name=region, config=_PATIENCE)
        for instance in targeted(args.new_inputs or {}):
            await await_managed(instance, lambda each: ping_status(client, each))

    return pulumi.ResourceHookBinding(before_create=[wait])


def targeted(inputs: Mapping[str, Any]) -> list[str]:
    """List the instances that an association's inputs name."""
    targets = inputs.get("targets") or ()
    return [str(v) for each in targets if each["key"] == "InstanceIds" for v in each["values"]]


async def await_managed(
    instance: str,
    ask: Ask,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Return once an instance is online; raises NotManaged.

    The question is asked in a thread: the program serves the engine meanwhile, and may be ended.
    """
    deadline = clock() + MANAGED_SECONDS
    while (status := await asyncio.to_thread(ask, instance)) != _ONLINE:
        if clock() >= deadline:
            raise NotManaged(
                f"wait for {instance}: after {MANAGED_SECONDS:.0f} s Systems Manager says of it: "
                f"{status}; see its console output (aws ec2 get-console-output), that the bundle "
                "has the agent's package, that it reaches the endpoints ssm and ssmmessages, and "
                "that your credentials are of the cluster's account; then run `pulumi up` again"
            )
        await sleep(_LOOK_AGAIN_SECONDS)


def ping_status(ssm: Any, instance: str) -> str:
    """Ask Systems Manager for an instance's ping status; raises NotManaged to who may not ask.

    What passes by itself, an outage of the network or an instance that isn't known yet, is a word.
    """
    wanted = [{"Key": "InstanceIds", "Values": [instance]}]
    try:
        found = ssm.describe_instance_information(Filters=wanted)["InstanceInformationList"]
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        return f"no answer ({error})"
    except (BotoCoreError, ClientError) as error:
        if _code(error) in _UNHEARD_OF:
            return "not known"
        raise NotManaged(
            f"ask Systems Manager for {instance}: {error}; allow ssm:DescribeInstanceInformation "
            "to whoever runs `pulumi up`"
        ) from error
    return str(found[0]["PingStatus"]) if found else "not known"


def _code(error: Exception) -> str:
    """Give AWS's own word for an error; of one that isn't AWS's answer there is none."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""
