"""aws:ec2/instance:Instance."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from typing_extensions import override

from toolchain.plugins.aws.account import wait_until
from toolchain.plugins.aws.disk import await_instance, instance_state, start, stop
from toolchain.plugins.aws.ec2 import Ec2Type, tag_specifications
from toolchain.plugins.aws.shapes import FLEXIBLE, TAGS, camel, from_aws, names, pascal, to_aws
from toolchain.plugins.base.diffing import Change
from toolchain.plugins.base.schema import (
    BOOLEAN,
    INTEGER,
    STRING,
    STRING_SET,
    Schema,
    block,
    properties,
)

if TYPE_CHECKING:
    from toolchain.plugins.aws.kind import Properties
    from toolchain.plugins.base.resource import Operation

_PROFILE_SECONDS = 120.0  # as long as the official provider tries
_SWITCH = BOOLEAN.but(replaces=False)
_METADATA = {
    "httpEndpoint": FLEXIBLE.but(computed=True),
    "httpPutResponseHopLimit": INTEGER.but(replaces=False, computed=True),
    "httpTokens": FLEXIBLE.but(computed=True),
    "instanceMetadataTags": FLEXIBLE.but(computed=True),
}
_ROOT = {
    "deleteOnTermination": BOOLEAN.but(default=True),
    "encrypted": BOOLEAN.but(computed=True),
    "iops": INTEGER.but(computed=True),
    "kmsKeyId": STRING.but(computed=True),
    "tags": TAGS,
    "throughput": INTEGER.but(computed=True),
    "volumeSize": INTEGER.but(computed=True),
    "volumeType": STRING.but(computed=True),
}


class Instance(Ec2Type):
    """A machine. A new type or other user data stops it and starts it again."""

    noun, key, member, tagged = "instance", "InstanceId", "Reservations", "instance"
    schema = Schema(
        "aws:ec2/instance:Instance",
        inputs={
            "ami": STRING.but(required=True),
            "disableApiTermination": _SWITCH.but(computed=True),
            "ebsOptimized": BOOLEAN,
            "iamInstanceProfile": FLEXIBLE.but(computed=True),
            "instanceInitiatedShutdownBehavior": FLEXIBLE.but(computed=True),
            "instanceType": FLEXIBLE.but(required=True),
            "metadataOptions": block(_METADATA).but(replaces=False, computed=True),
            "monitoring": _SWITCH.but(computed=True),
            "primaryNetworkInterface": block(
                {"networkInterfaceId": STRING.but(required=True)},
            ),
            "rootBlockDevice": block(_ROOT).but(computed=True),
            "subnetId": STRING.but(computed=True),
            "tags": TAGS,
            "userData": FLEXIBLE,
            "userDataReplaceOnChange": _SWITCH.but(default=False),
            "vpcSecurityGroupIds": STRING_SET.but(replaces=False, computed=True),
        },
        outputs=properties(
            "availabilityZone instanceState primaryNetworkInterfaceId privateDns privateIp "
            "publicDns publicIp tagsAll"
        ),
        partial=True,
    )
    made_with = names(
        "disableApiTermination ebsOptimized instanceInitiatedShutdownBehavior instanceType "
        "metadataOptions subnetId userData",
        ami="ImageId",
        vpcSecurityGroupIds="SecurityGroupIds",
    )
    seen_as = names(
        "ebsOptimized instanceType subnetId",
        ami="ImageId",
        privateDns="PrivateDnsName",
        privateIp="PrivateIpAddress",
        publicDns="PublicDnsName",
        publicIp="PublicIpAddress",
    )

    @override
    def diff(self, state: Properties, inputs: Properties) -> dict[str, Change]:
        """Let other user data replace it where the program says so."""
        found = super().diff(state, inputs)
        if "userData" in found and inputs.get("userDataReplaceOnChange"):
            found["userData"] = Change(found["userData"].kind, replaces=True)
        return found

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        parameters: Properties = pascal(to_aws(inputs, self.made_with))
        if inputs.get("primaryNetworkInterface"):
            interface = inputs["primaryNetworkInterface"]["networkInterfaceId"]
            parameters["NetworkInterfaces"] = [{"DeviceIndex": 0, "NetworkInterfaceId": interface}]
        if inputs.get("iamInstanceProfile"):
            parameters["IamInstanceProfile"] = {"Name": inputs["iamInstanceProfile"]}
        if inputs.get("rootBlockDevice"):
            parameters["BlockDeviceMappings"] = [self._root(inputs)]
        parameters["Monitoring"] = {"Enabled": bool(inputs.get("monitoring"))}
        parameters["TagSpecifications"] = tag_specifications(inputs.get("tags"), self.tagged)
        return self._run(parameters, operation)

    def _run(self, parameters: Properties, operation: Operation) -> str:
        """Start it; EC2 hears of a new instance profile some seconds after IAM has made it."""
        started: list[str] = []

        def run() -> bool:
            try:
                answer = self.api.run_instances(MinCount=1, MaxCount=1, **parameters)
            except ClientError as error:
                if "Invalid IAM Instance Profile" not in str(error):
                    raise
                return False
            started.append(str(answer["Instances"][0]["InstanceId"]))
            return True

        what = f"EC2 knows the profile {parameters.get('IamInstanceProfile')}"
        wait_until(run, what=what, lifetime=operation.lifetime, patience=_PROFILE_SECONDS)
        return started[0]

    def _root(self, inputs: Properties) -> dict[str, Any]:
        image = self.api.describe_images(ImageIds=[inputs["ami"]])["Images"][0]
        disk = {name: value for name, value in inputs["rootBlockDevice"].items() if name != "tags"}
        return {"DeviceName": image["RootDeviceName"], "Ebs": pascal(disk)}

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        if not old:
            await_instance(self.api, identity, "running", operation)
        else:
            self._change(identity, old, inputs)
            self._restart(identity, old, inputs, operation)
        root = (inputs.get("rootBlockDevice") or {}).get("tags")
        if root:
            self.tag(self._root_volume(identity), None, root)
        super().settle(identity, old, inputs, operation)

    def _change(self, identity: str, old: Properties, inputs: Properties) -> None:
        """Change what needs no stop."""
        wanted = inputs.get("metadataOptions")
        if wanted:
            self.api.modify_instance_metadata_options(InstanceId=identity, **pascal(wanted))
        if inputs.get("monitoring") != old.get("monitoring"):
            watch = "monitor" if inputs.get("monitoring") else "unmonitor"
            getattr(self.api, f"{watch}_instances")(InstanceIds=[identity])
        change = self.api.modify_instance_attribute
        for name, parameter in names(
            "disableApiTermination instanceInitiatedShutdownBehavior"
        ).items():
            if name in inputs and inputs[name] != old.get(name):
                change(InstanceId=identity, **{parameter: {"Value": inputs[name]}})
        groups = inputs.get("vpcSecurityGroupIds")
        if groups and set(groups) != set(old.get("vpcSecurityGroupIds") or ()):
            change(InstanceId=identity, Groups=groups)
        if inputs.get("iamInstanceProfile") != old.get("iamInstanceProfile"):
            self._change_profile(identity, inputs.get("iamInstanceProfile"))

    def _change_profile(self, identity: str, wanted: str | None) -> None:
        filters = [{"Name": "instance-id", "Values": [identity]}]
        answer = self.api.describe_iam_instance_profile_associations(Filters=filters)
        for each in answer["IamInstanceProfileAssociations"]:
            self.api.disassociate_iam_instance_profile(AssociationId=each["AssociationId"])
        if wanted:
            profile = {"Name": wanted}
            self.api.associate_iam_instance_profile(InstanceId=identity, IamInstanceProfile=profile)

    def _restart(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        """Change what can only be changed while the machine is off."""
        wanted: Properties = {}
        if inputs["instanceType"] != old.get("instanceType"):
            wanted["InstanceType"] = {"Value": inputs["instanceType"]}
        if inputs.get("userData", "") != old.get("userData", ""):
            wanted["UserData"] = {"Value": inputs.get("userData", "").encode()}
        if not wanted:
            return
        stop(self.api, identity, operation)
        for name, value in wanted.items():
            self.api.modify_instance_attribute(InstanceId=identity, **{name: value})
        start(self.api, identity, operation)

    @override
    def describe(self, identity: str) -> dict[str, Any] | None:
        found = self.api.describe_instances(InstanceIds=[identity])["Reservations"]
        instance: dict[str, Any] | None = found[0]["Instances"][0] if found else None
        return instance

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        described = self.describe(identity)
        seen = super().look(identity, state)
        if described is None or seen is None or described["State"]["Name"] == "terminated":
            return None
        interfaces = described.get("NetworkInterfaces") or [{}]
        first = interfaces[0].get("NetworkInterfaceId")
        profile = described.get("IamInstanceProfile", {}).get("Arn", "").rpartition("/")[2]
        options = camel(described.get("MetadataOptions") or {})
        return {
            **seen,
            "availabilityZone": described["Placement"]["AvailabilityZone"],
            "iamInstanceProfile": profile,
            "instanceInitiatedShutdownBehavior": self._attribute(
                identity, "instanceInitiatedShutdownBehavior"
            ),
            "instanceState": described["State"]["Name"],
            "metadataOptions": {name: options[name] for name in _METADATA if name in options},
            "monitoring": described["Monitoring"]["State"] in ("enabled", "pending"),
            "primaryNetworkInterface": {"networkInterfaceId": first},
            "primaryNetworkInterfaceId": first,
            "rootBlockDevice": self._root_state(described, state),
            "userData": self._user_data(identity),
            "vpcSecurityGroupIds": [g["GroupId"] for g in described.get("SecurityGroups") or ()],
        }

    def _root_state(self, described: dict[str, Any], state: Properties) -> Properties | None:
        """Tell of the root disk; what its attachment alone knows stays as the program wrote it."""
        mapped = [m for m in described["BlockDeviceMappings"] if _is_root(m, described)]
        if not mapped:
            return None
        disk = self.api.describe_volumes(VolumeIds=[mapped[0]["Ebs"]["VolumeId"]])["Volumes"][0]
        table = names("encrypted iops kmsKeyId throughput volumeType", volumeSize="Size")
        known = state.get("rootBlockDevice") or {}
        return {
            **known,
            **from_aws(disk, table),
            "deleteOnTermination": mapped[0]["Ebs"]["DeleteOnTermination"],
        }

    def _attribute(self, identity: str, name: str) -> Any:
        answer = self.api.describe_instance_attribute(InstanceId=identity, Attribute=name)
        return answer.get(name[0].upper() + name[1:], {}).get("Value")

    def _user_data(self, identity: str) -> str | None:
        value = self._attribute(identity, "userData")
        return base64.b64decode(value).decode() if value else None

    def _root_volume(self, identity: str) -> str:
        described = self.describe(identity) or {}
        root = next(m for m in described["BlockDeviceMappings"] if _is_root(m, described))
        return str(root["Ebs"]["VolumeId"])

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        self.api.terminate_instances(InstanceIds=[identity])
        wait_until(
            lambda: instance_state(self.api, identity) == "terminated",
            what=f"instance {identity} is terminated",
            lifetime=operation.lifetime,
        )


def _is_root(mapping: dict[str, Any], described: dict[str, Any]) -> bool:
    return bool(mapping["DeviceName"] == described["RootDeviceName"])
