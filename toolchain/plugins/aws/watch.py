"""CloudWatch and SNS: log groups, alarms, topics."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from toolchain.plugins.aws.kind import AwsType, Properties, chosen_name
from toolchain.plugins.aws.shapes import (
    DOCUMENT,
    FLEXIBLE,
    NAME,
    TAGS,
    from_aws,
    names,
    retag,
    tag_list,
    tag_state,
    to_aws,
)
from toolchain.plugins.base.schema import (
    BOOLEAN,
    INTEGER,
    MAP,
    NUMBER,
    STRING,
    STRING_SET,
    Schema,
    properties,
)

if TYPE_CHECKING:
    from toolchain.plugins.base.resource import Operation

_COUNT = INTEGER.but(replaces=False)
_ACTIONS = STRING_SET.but(replaces=False)


class LogGroup(AwsType):
    """A log group; its id is its name."""

    service = "logs"
    schema = Schema(
        "aws:cloudwatch/logGroup:LogGroup",
        inputs={
            "kmsKeyId": FLEXIBLE,
            "name": NAME,
            "namePrefix": NAME,
            "retentionInDays": _COUNT,
            "skipDestroy": BOOLEAN.but(replaces=False, default=False),
            "tags": TAGS,
        },
        outputs=properties("arn tagsAll"),
        partial=True,
        named=True,
    )

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        name = chosen_name(inputs)
        tags = {"tags": inputs["tags"]} if inputs.get("tags") else {}
        key = {"kmsKeyId": inputs["kmsKeyId"]} if inputs.get("kmsKeyId") else {}
        self.api.create_log_group(logGroupName=name, **tags, **key)
        return name

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        me = {"logGroupName": identity}
        if inputs.get("retentionInDays"):
            self.api.put_retention_policy(**me, retentionInDays=inputs["retentionInDays"])
        elif old.get("retentionInDays"):
            self.api.delete_retention_policy(**me)
        if not old:
            return
        if inputs.get("kmsKeyId") != old.get("kmsKeyId"):
            if inputs.get("kmsKeyId"):
                self.api.associate_kms_key(**me, kmsKeyId=inputs["kmsKeyId"])
            else:
                self.api.disassociate_kms_key(**me)
        retag(
            old.get("tags"),
            inputs.get("tags"),
            untag=lambda keys: self.api.untag_resource(resourceArn=old["arn"], tagKeys=keys),
            tag=lambda tags: self.api.tag_resource(resourceArn=old["arn"], tags=tags),
        )

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        pages = self.api.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=identity)
        found = (g for page in pages for g in page["logGroups"] if g["logGroupName"] == identity)
        seen: dict[str, Any] | None = next(found, None)
        if seen is None:
            return None
        arn = seen["arn"].removesuffix(":*")
        tags = self.api.list_tags_for_resource(resourceArn=arn)["tags"]
        return {
            "arn": arn,
            "kmsKeyId": seen.get("kmsKeyId"),
            "name": identity,
            "retentionInDays": seen.get("retentionInDays", 0),
            "tags": tags,
            "tagsAll": tags,
        }

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        if not state.get("skipDestroy"):
            self.api.delete_log_group(logGroupName=identity)


class MetricAlarm(AwsType):
    """An alarm; its id is its name."""

    service = "cloudwatch"
    schema = Schema(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        inputs={
            "actionsEnabled": BOOLEAN.but(replaces=False, default=True),
            "alarmActions": _ACTIONS,
            "alarmDescription": FLEXIBLE,
            "comparisonOperator": FLEXIBLE.but(required=True),
            "datapointsToAlarm": _COUNT,
            "dimensions": MAP.but(replaces=False),
            "evaluationPeriods": _COUNT.but(required=True),
            "insufficientDataActions": _ACTIONS,
            "metricName": FLEXIBLE,
            "name": NAME,
            "namespace": FLEXIBLE,
            "okActions": _ACTIONS,
            "period": _COUNT,
            "statistic": FLEXIBLE,
            "tags": TAGS,
            "threshold": NUMBER.but(replaces=False),
            "treatMissingData": FLEXIBLE.but(default="missing"),
            "unit": FLEXIBLE,
        },
        outputs=properties("arn tagsAll"),
        partial=True,
        named=True,
    )
    _table = names(
        "actionsEnabled alarmActions alarmDescription comparisonOperator datapointsToAlarm "
        "evaluationPeriods insufficientDataActions metricName namespace period statistic "
        "threshold treatMissingData unit",
        okActions="OKActions",
    )

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        name = chosen_name(inputs)
        self._put(name, inputs, Tags=tag_list(inputs.get("tags")))
        return name

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        if not old:
            return
        self._put(identity, inputs)
        retag(
            old.get("tags"),
            inputs.get("tags"),
            untag=lambda keys: self.api.untag_resource(ResourceARN=old["arn"], TagKeys=keys),
            tag=lambda tags: self.api.tag_resource(ResourceARN=old["arn"], Tags=tag_list(tags)),
        )

    def _put(self, name: str, inputs: Properties, **more: Any) -> None:
        dimensions = [
            {"Name": key, "Value": value}
            for key, value in sorted((inputs.get("dimensions") or {}).items())
        ]
        self.api.put_metric_alarm(
            AlarmName=name, Dimensions=dimensions, **to_aws(inputs, self._table), **more
        )

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        alarms = self.api.describe_alarms(AlarmNames=[identity])["MetricAlarms"]
        if not alarms:
            return None
        seen = alarms[0]
        tags = self.api.list_tags_for_resource(ResourceARN=seen["AlarmArn"])["Tags"]
        table = {**self._table, "arn": "AlarmArn", "name": "AlarmName"}
        return {
            **from_aws(seen, table),
            "dimensions": {each["Name"]: each["Value"] for each in seen["Dimensions"]},
            **tag_state(tags),
        }

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        self.api.delete_alarms(AlarmNames=[identity])


class Topic(AwsType):
    """A topic; its id is its ARN."""

    service = "sns"
    schema = Schema(
        "aws:sns/topic:Topic",
        inputs={
            "displayName": FLEXIBLE,
            "kmsMasterKeyId": FLEXIBLE,
            "name": NAME,
            "namePrefix": NAME,
            "tags": TAGS,
        },
        outputs=properties("arn owner policy tagsAll"),
        partial=True,
        named=True,
    )
    _attributes = names("displayName kmsMasterKeyId")

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        answer = self.api.create_topic(
            Name=chosen_name(inputs),
            Attributes=to_aws(inputs, self._attributes),
            Tags=tag_list(inputs.get("tags")),
        )
        return str(answer["TopicArn"])

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        if not old:
            return
        for name, attribute in self._attributes.items():
            if inputs.get(name) != old.get(name):
                self.api.set_topic_attributes(
                    TopicArn=identity,
                    AttributeName=attribute,
                    AttributeValue=inputs.get(name, ""),
                )
        retag(
            old.get("tags"),
            inputs.get("tags"),
            untag=lambda keys: self.api.untag_resource(ResourceArn=identity, TagKeys=keys),
            tag=lambda tags: self.api.tag_resource(ResourceArn=identity, Tags=tag_list(tags)),
        )

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        seen = self.api.get_topic_attributes(TopicArn=identity)["Attributes"]
        tags = self.api.list_tags_for_resource(ResourceArn=identity)["Tags"]
        table = {**self._attributes, **names("owner policy"), "arn": "TopicArn"}
        name = {"name": identity.rpartition(":")[2]}
        return {**from_aws(seen, table), **name, **tag_state(tags)}

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        self.api.delete_topic(TopicArn=identity)


class TopicPolicy(AwsType):
    """Who may publish to a topic; its id is the topic's ARN."""

    service = "sns"
    schema = Schema(
        "aws:sns/topicPolicy:TopicPolicy",
        inputs={"arn": STRING.but(required=True), "policy": DOCUMENT.but(required=True)},
        outputs=properties("owner"),
        partial=True,
    )

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        return str(inputs["arn"])

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        self.api.set_topic_attributes(
            TopicArn=identity, AttributeName="Policy", AttributeValue=inputs["policy"]
        )

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        seen = self.api.get_topic_attributes(TopicArn=identity)["Attributes"]
        return {**from_aws(seen, names("owner policy")), "arn": identity}

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        """Give the topic back to its owner alone, as every topic begins."""
        account = identity.split(":")[4]
        owner = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:{identity.split(':')[1]}:iam::{account}:root"},
                    "Action": ["sns:Publish", "sns:Subscribe"],
                    "Resource": identity,
                }
            ],
        }
        self.api.set_topic_attributes(
            TopicArn=identity, AttributeName="Policy", AttributeValue=json.dumps(owner)
        )
