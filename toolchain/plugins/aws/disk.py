"""What outlives an instance: network interfaces, volumes and where these are attached."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from toolchain.plugins.aws.account import wait_until
from toolchain.plugins.aws.ec2 import Ec2Type
from toolchain.plugins.aws.kind import AwsType, Properties
from toolchain.plugins.aws.shapes import FLEXIBLE, TAGS, names
from toolchain.plugins.base.schema import (
    BOOLEAN,
    INTEGER,
    STRING,
    STRING_SET,
    Schema,
    properties,
)

if TYPE_CHECKING:
    from toolchain.plugins.base.resource import Operation


class NetworkInterface(Ec2Type):
    """An interface with addresses of its own, whatever instance it is at."""

    noun, key, member = "network_interface", "NetworkInterfaceId", "NetworkInterfaces"
    tagged = "network-interface"
    schema = Schema(
        "aws:ec2/networkInterface:NetworkInterface",
        inputs={
            "description": FLEXIBLE,
            "privateIps": STRING_SET.but(replaces=False, computed=True),
            "securityGroups": STRING_SET.but(replaces=False, computed=True),
            "sourceDestCheck": BOOLEAN.but(replaces=False, default=True),
            "subnetId": STRING.but(required=True),
            "tags": TAGS,
        },
        outputs=properties("macAddress ownerId privateDnsName privateIp tagsAll"),
        partial=True,
    )
    made_with = names("description subnetId", securityGroups="Groups")
    seen_as = names(
        "description macAddress ownerId sourceDestCheck subnetId",
        privateDnsName="PrivateDnsName",
        privateIp="PrivateIpAddress",
    )

    @override
    def parameters(self, inputs: Properties) -> Properties:
        """Make the first address the primary one."""
        addresses = [
            {"PrivateIpAddress": address, "Primary": number == 0}
            for number, address in enumerate(inputs.get("privateIps") or ())
        ]
        asked = {"PrivateIpAddresses": addresses} if addresses else {}
        return {**super().parameters(inputs), **asked}

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        me = {"NetworkInterfaceId": identity}
        change = self.api.modify_network_interface_attribute
        if not inputs["sourceDestCheck"] or old:
            change(**me, SourceDestCheck={"Value": inputs["sourceDestCheck"]})
        if old:
            change(**me, Description={"Value": inputs.get("description", "")})
            if inputs.get("securityGroups"):
                change(**me, Groups=inputs["securityGroups"])
            self._readdress(me, set(old.get("privateIps") or ()), inputs.get("privateIps"))
        super().settle(identity, old, inputs, operation)

    def _readdress(self, me: dict[str, str], old: set[str], wanted: list[str] | None) -> None:
        if wanted is None:
            return
        new = set(wanted)
        if old - new:
            self.api.unassign_private_ip_addresses(**me, PrivateIpAddresses=sorted(old - new))
        if new - old:
            self.api.assign_private_ip_addresses(**me, PrivateIpAddresses=sorted(new - old))

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        described = self.describe(identity)
        seen = super().look(identity, state)
        if described is None or seen is None:
            return None
        return {
            **seen,
            "privateIps": [a["PrivateIpAddress"] for a in described["PrivateIpAddresses"]],
            "securityGroups": [group["GroupId"] for group in described["Groups"]],
        }


class Volume(Ec2Type):
    """A disk; it grows and speeds up in place."""

    noun, key, member, tagged = "volume", "VolumeId", "Volumes", "volume"
    schema = Schema(
        "aws:ebs/volume:Volume",
        inputs={
            "availabilityZone": STRING.but(required=True),
            "encrypted": BOOLEAN.but(computed=True),
            "iops": INTEGER.but(replaces=False, computed=True),
            "kmsKeyId": STRING.but(computed=True),
            "multiAttachEnabled": BOOLEAN,
            "size": INTEGER.but(replaces=False, computed=True),
            "snapshotId": STRING.but(computed=True),
            "tags": TAGS,
            "throughput": INTEGER.but(replaces=False, computed=True),
            "type": FLEXIBLE.but(computed=True),
        },
        outputs=properties("arn createTime tagsAll"),
        partial=True,
    )
    _size = names("iops size throughput", type="VolumeType")
    made_with = names(
        "availabilityZone encrypted iops kmsKeyId multiAttachEnabled size snapshotId throughput",
        type="VolumeType",
    )
    seen_as = made_with

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        wanted = {
            aws: inputs[ours]
            for ours, aws in self._size.items()
            if ours in inputs and inputs[ours] != old.get(ours)
        }
        if old and wanted:
            self.api.modify_volume(VolumeId=identity, **wanted)
        wait_until(
            lambda: (self.describe(identity) or {}).get("State") in ("available", "in-use"),
            what=f"volume {identity} is available",
            lifetime=operation.lifetime,
        )
        super().settle(identity, old, inputs, operation)


class VolumeAttachment(AwsType):
    """A volume at an instance; taking it off may stop the instance first."""

    service = "ec2"
    schema = Schema(
        "aws:ec2/volumeAttachment:VolumeAttachment",
        inputs={
            "deviceName": STRING.but(required=True),
            "forceDetach": BOOLEAN.but(replaces=False),
            "instanceId": STRING.but(required=True),
            "skipDestroy": BOOLEAN.but(replaces=False),
            "stopInstanceBeforeDetaching": BOOLEAN.but(replaces=False),
            "volumeId": STRING.but(required=True),
        },
        partial=True,
    )
    _where = names("instanceId volumeId", deviceName="Device")

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        self.api.attach_volume(**self._place(inputs))
        parts = (inputs["deviceName"], inputs["instanceId"], inputs["volumeId"])
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        return f"vai-{int(digest[:8], 16)}"

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        wait_until(
            lambda: self._find(inputs).get("State") == "attached",
            what=f"volume {inputs['volumeId']} is attached",
            lifetime=operation.lifetime,
        )

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        return {} if self._find(state) else None

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        if state.get("skipDestroy"):
            return
        if state.get("stopInstanceBeforeDetaching"):
            stop(self.api, state["instanceId"], operation)
        self.api.detach_volume(**self._place(state), Force=bool(state.get("forceDetach")))
        wait_until(
            lambda: not self._find(state),
            what=f"volume {state['volumeId']} is detached",
            lifetime=operation.lifetime,
        )

    def _place(self, inputs: Properties) -> dict[str, str]:
        return {aws: inputs[ours] for ours, aws in self._where.items()}

    def _find(self, state: Properties) -> dict[str, Any]:
        """Find the attachment in the volume's description; empty when there is none."""
        volumes = self.api.describe_volumes(VolumeIds=[state["volumeId"]])["Volumes"]
        attachments = [each for volume in volumes for each in volume.get("Attachments") or ()]
        return next((a for a in attachments if a["InstanceId"] == state["instanceId"]), {})


def instance_state(api: Any, identity: str) -> str:
    """Say what state an instance is in, as EC2 calls it."""
    found = api.describe_instances(InstanceIds=[identity])["Reservations"]
    return str(found[0]["Instances"][0]["State"]["Name"]) if found else "terminated"


def stop(api: Any, identity: str, operation: Operation) -> None:
    """Shut an instance down, and wait for it; one that is stopped or gone is fine."""
    if instance_state(api, identity) in ("stopped", "terminated"):
        return
    api.stop_instances(InstanceIds=[identity])
    await_instance(api, identity, "stopped", operation)


def start(api: Any, identity: str, operation: Operation) -> None:
    """Start a stopped instance, and wait for it."""
    api.start_instances(InstanceIds=[identity])
    await_instance(api, identity, "running", operation)


def await_instance(api: Any, identity: str, state: str, operation: Operation) -> None:
    """Wait for an instance to get into a state."""
    wait_until(
        lambda: instance_state(api, identity) == state,
        what=f"instance {identity} is {state}",
        lifetime=operation.lifetime,
    )
