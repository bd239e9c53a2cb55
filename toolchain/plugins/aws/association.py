"""aws:ssm/association:Association: a command that Systems Manager runs on machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from toolchain.plugins.aws.account import wait_until
from toolchain.plugins.aws.kind import AwsType, Properties
from toolchain.plugins.aws.shapes import FLEXIBLE, names, pascal, to_aws
from toolchain.plugins.base.errors import OperationFailed
from toolchain.plugins.base.schema import (
    INTEGER,
    MAP,
    STRING,
    STRING_SET,
    Schema,
    blocks,
    properties,
)

if TYPE_CHECKING:
    from toolchain.plugins.base.resource import Operation


class Association(AwsType):
    """A document for targets; making it may wait until every target has succeeded."""

    service = "ssm"
    schema = Schema(
        "aws:ssm/association:Association",
        inputs={
            "associationName": FLEXIBLE,
            "name": STRING.but(computed=True),
            "parameters": MAP.but(replaces=False, computed=True),
            "targets": blocks(
                {"key": FLEXIBLE.but(required=True), "values": STRING_SET.but(required=True)}
            ).but(replaces=False, computed=True),
            "waitForSuccessTimeoutSeconds": INTEGER.but(replaces=False),
        },
        outputs=properties("arn associationId"),
        partial=True,
    )

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        answer = self.api.create_association(Name=inputs["name"], **_parameters(inputs))
        return str(answer["AssociationDescription"]["AssociationId"])

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        if old:
            self.api.update_association(AssociationId=identity, **_parameters(inputs))
        patience = inputs.get("waitForSuccessTimeoutSeconds")
        if not old and patience:
            wait_until(
                lambda: self._succeeded(identity),
                what=f"association {identity} has succeeded",
                lifetime=operation.lifetime,
                patience=patience,
            )

    def _succeeded(self, identity: str) -> bool:
        status = self._describe(identity).get("Overview", {}).get("Status")
        if status == "Failed":
            raise OperationFailed(
                operation="wait for", subject=f"association {identity}", cause="its command failed"
            )
        return bool(status == "Success")

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        seen = self._describe(identity)
        targets = [{"key": t["Key"], "values": t["Values"]} for t in seen.get("Targets") or ()]
        parameters = {name: ",".join(v) for name, v in (seen.get("Parameters") or {}).items()}
        return {
            "associationId": identity,
            "associationName": seen.get("AssociationName"),
            "name": seen["Name"],
            "parameters": parameters,
            "targets": targets,
        }

    def _describe(self, identity: str) -> dict[str, Any]:
        answer = self.api.describe_association(AssociationId=identity)
        seen: dict[str, Any] = answer["AssociationDescription"]
        return seen

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        self.api.delete_association(AssociationId=identity)


def _parameters(inputs: Properties) -> Properties:
    wanted: Properties = pascal(to_aws(inputs, names("associationName targets")))
    if inputs.get("parameters"):
        wanted["Parameters"] = {name: [value] for name, value in inputs["parameters"].items()}
    return wanted
