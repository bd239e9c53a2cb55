"""Who may do what on AWS: the documents decide as they should, and the guardrails hold."""

import asyncio
import gc
import json
from collections.abc import Callable, Iterator
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from infra.errors import GuardrailBroken
from infra.targets.aws import policies
from infra.targets.aws.guardrails import guard, violations, wildcards
from infra.targets.aws.place import Place
from tests.unit.infra.aws_stack import custom, fill, record_prod, snake
from tests.unit.infra.iam_evaluator import allowed
from tests.unit.infra.recorded_graph import LOOP, Graph, Recorder

PLACE = Place("123456789012", "eu-central-1", "redis-ha")
BUCKET = "arn:aws:s3:::redis-ha-123456789012-eu-central-1"
OWN, WORKERS, ANOTHERS = (
    f"arn:aws:secretsmanager:eu-central-1:123456789012:secret:redis-ha/{name}-x"
    for name in ("redis-1", "backup-worker", "redis-2")
)
DATA_KEY, SECRETS_KEY = (f"arn:aws:kms:eu-central-1:123456789012:key/{k}" for k in ("d", "s"))
RIGHTS = policies.NodeRights((OWN, WORKERS), SECRETS_KEY, DATA_KEY)
WORKER = [policies.worker_policy(PLACE, RIGHTS)]
NODE = [policies.node_policy(PLACE, RIGHTS), *WORKER]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return record_prod(fill(tmp_path_factory.mktemp("packages")))


@pytest.mark.parametrize("action", ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"])
def test_the_worker_writes_and_reads_its_backups(action: str) -> None:
    assert allowed(WORKER, action, f"{BUCKET}/backup/snapshots/1")


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:DeleteObject", f"{BUCKET}/backup/snapshots/1"),
        ("s3:DeleteObjectVersion", f"{BUCKET}/backup/snapshots/1"),
        ("s3:GetObjectVersion", f"{BUCKET}/backup/snapshots/1"),
        ("s3:PutObjectRetention", f"{BUCKET}/backup/snapshots/1"),
        ("s3:PutLifecycleConfiguration", BUCKET),
        ("s3:PutBucketPolicy", BUCKET),
        ("s3:GetObject", f"{BUCKET}/other/1"),
        ("s3:PutObject", f"{BUCKET}/packages/redis.deb"),
        ("s3:GetObject", "arn:aws:s3:::another/backup/1"),
        ("s3:GetObject", f"{BUCKET}/backup-of-another/1"),
    ],
)
def test_the_worker_neither_deletes_nor_reaches_elsewhere(action: str, resource: str) -> None:
    assert not allowed(NODE, action, resource)


def test_the_worker_marks_its_backups_as_expired_and_as_nothing_else() -> None:
    def marks(value: str, where: str) -> bool:
        context = {"s3:RequestObjectTag/redis-ha-backup": value}
        return allowed(WORKER, "s3:PutObjectTagging", f"{BUCKET}/{where}", context)

    assert marks("expired", "backup/snapshots/1")
    assert not marks("for ever", "backup/snapshots/1")
    assert not marks("expired", "packages/node.tar")
    assert not allowed(NODE, "s3:PutObjectTagging", f"{BUCKET}/backup/snapshots/1")
    assert not allowed(NODE, "s3:DeleteObjectTagging", f"{BUCKET}/backup/snapshots/1")


def test_the_worker_lists_its_own_prefix_and_learns_of_absence() -> None:
    def lists(**context: str) -> bool:
        renamed = {f"s3:{name}": value for name, value in context.items()}
        return allowed(WORKER, "s3:ListBucket", BUCKET, renamed)

    assert lists(prefix="backup/snapshots/")
    assert not lists(prefix="other/")
    # A HEAD of an object that isn't there names no prefix.
    assert lists()


def test_keys_are_used_only_through_the_service_that_they_are_for() -> None:
    s3, secrets = (f"{s}.eu-central-1.amazonaws.com" for s in ("s3", "secretsmanager"))
    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
        assert allowed(NODE, action, DATA_KEY, {"kms:ViaService": s3})
        assert not allowed(NODE, action, DATA_KEY)
        assert not allowed(NODE, action, DATA_KEY, {"kms:ViaService": secrets})
    assert allowed(NODE, "kms:Decrypt", SECRETS_KEY, {"kms:ViaService": secrets})
    assert not allowed(NODE, "kms:GenerateDataKey", SECRETS_KEY, {"kms:ViaService": secrets})
    assert not allowed(NODE, "kms:Decrypt", SECRETS_KEY, {"kms:ViaService": s3})


def test_a_node_reads_its_own_secret_and_the_workers_and_no_others() -> None:
    assert [
        allowed(NODE, "secretsmanager:GetSecretValue", s) for s in (OWN, WORKERS, ANOTHERS)
    ] == [True, True, False]
    assert not allowed(NODE, "secretsmanager:PutSecretValue", OWN)


def test_a_node_changes_nothing_of_ec2_or_iam() -> None:
    granted = {
        action
        for document in NODE
        for statement in json.loads(document)["Statement"]
        for action in statement["Action"]
    }
    services = {action.partition(":")[0] for action in granted}
    assert services == {"cloudwatch", "kms", "logs", "s3", "secretsmanager", "ssm", "ssmmessages"}
    assert allowed(NODE, "cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "RedisHA"})
    assert not allowed(NODE, "cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "AWS/EC2"})


def test_the_bucket_is_for_tls_only() -> None:
    account_wide = policies.document({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    documents = [account_wide, policies.bucket_policy(PLACE)]

    def gets(transport: str) -> bool:
        return allowed(
            documents, "s3:GetObject", f"{BUCKET}/backup/1", {"aws:SecureTransport": transport}
        )

    assert gets("true")
    assert not gets("false")


def test_endpoints_let_through_what_nodes_may_and_nothing_of_other_accounts() -> None:
    store = [policies.store_endpoint_policy(PLACE)]
    for action in ("s3:PutObject", "s3:PutObjectTagging"):
        assert allowed(store, action, f"{BUCKET}/backup/1")
    assert not allowed(store, "s3:DeleteObject", f"{BUCKET}/backup/1")
    assert not allowed(store, "s3:PutObject", "arn:aws:s3:::elsewhere/loot")
    secrets = [policies.endpoint_policy(PLACE, "secretsmanager")]
    for account, passes in (("123456789012", True), ("999999999999", False)):
        context = {"aws:PrincipalAccount": account}
        assert allowed(secrets, "secretsmanager:GetSecretValue", OWN, context) is passes


def test_the_log_service_uses_the_key_for_this_cluster_only() -> None:
    statements = json.loads(policies.secrets_key_policy(PLACE))["Statement"]
    (logs,) = (policies.document(s) for s in statements if s["Sid"] == "Logs")

    def uses(group: str) -> bool:
        arn = f"arn:aws:logs:eu-central-1:123456789012:log-group:{group}"
        return allowed([logs], "kms:Encrypt", "*", {"kms:EncryptionContext:aws:logs:arn": arn})

    assert uses("/redis-ha")
    assert not uses("/another")


def test_the_recorded_graph_breaks_no_rule(graph: Graph) -> None:
    checked = 0
    for each in custom(graph):
        properties = snake(each.inputs)
        assert violations(each.type, properties) == [], each.name
        for name in ("policy", "assume_role_policy"):
            if isinstance(properties.get(name), str):
                assert wildcards(properties[name]) == [], each.name
                checked += 1
    # Two keys, six endpoints, the bucket, and three roles with their trust and two policies each.
    assert checked == 18


@pytest.mark.parametrize(
    ("kind", "properties", "reason"),
    [
        ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
         {"cidr_ipv4": "0.0.0.0/0"}, "everybody"),
        ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
         {"cidr_ipv6": "::/0"}, "everybody"),
        ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
         {"cidr_ipv4": "8.0.0.0/7"}, "everybody"),
        ("aws:ec2/securityGroup:SecurityGroup", {"ingress": [{"from_port": 1}]}, "in the group"),
        ("aws:ebs/volume:Volume", {"encrypted": False}, "not encrypted"),
        ("aws:ec2/instance:Instance", {"root_block_device": {"encrypted": False}}, "root volume"),
        ("aws:ec2/instance:Instance", {"metadata_options": {"http_tokens": "optional"}}, "IMDSv1"),
        ("aws:ec2/instance:Instance", {"associate_public_ip_address": True}, "public address"),
        ("aws:ec2/instance:Instance", {"key_name": "mine"}, "SSH"),
        ("aws:ec2/subnet:Subnet", {"map_public_ip_on_launch": True}, "public addresses"),
        ("aws:ec2/eip:Eip", {}, "outside"),
        ("aws:ec2/internetGateway:InternetGateway", {}, "outside"),
        ("aws:kms/key:Key", {"enable_key_rotation": False}, "renewed"),
        ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
         {"block_public_policy": False}, "block_public_policy is off"),
        ("aws:secretsmanager/secret:Secret", {"kms_key_id": None}, "under a key"),
        ("aws:cloudwatch/logGroup:LogGroup", {"kms_key_id": ""}, "under a key"),
        ("aws:sns/topic:Topic", {"kms_master_key_id": None}, "under a key"),
    ],
)  # fmt: skip
def test_each_rule_catches_what_it_is_for(
    graph: Graph, kind: str, properties: dict[str, Any], reason: str
) -> None:
    """One property of a good resource is changed, and that is what is said."""
    good = next((snake(each.inputs) for each in custom(graph) if each.type == kind), {})
    (found,) = violations(kind, {**good, **_deep(good, properties)})
    assert reason in found


@pytest.mark.parametrize(
    ("action", "found"), [("s3:*", ["s3:*"]), ("*", ["*"]), (["s3:Get?bject"], ["s3:Get?bject"])]
)
def test_wildcards_are_found_where_something_is_allowed(action: Any, found: list[str]) -> None:
    statement = {"Action": action, "Resource": "*"}
    assert wildcards(policies.document({"Effect": "Allow", **statement})) == found
    assert wildcards(policies.document({"Effect": "Deny", **statement})) == []


def _open_rule(parent: pulumi.Resource) -> None:
    aws.vpc.SecurityGroupIngressRule(
        "open",
        security_group_id="sg-0a",
        ip_protocol="tcp",
        cidr_ipv4="0.0.0.0/0",
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _mighty_policy(parent: pulumi.Resource) -> None:
    later = pulumi.Output.from_input("kms:*").apply(
        lambda action: policies.document({"Effect": "Allow", "Action": action, "Resource": "*"})
    )
    aws.kms.Key(
        "mighty",
        policy=later,
        enable_key_rotation=True,
        opts=pulumi.ResourceOptions(parent=parent),
    )


@pytest.fixture
def _failed_tasks() -> Iterator[None]:
    """Let nobody hear of the tasks that a failed program leaves: what they raise is the test's."""
    yield
    LOOP.set_exception_handler(lambda _loop, _context: None)
    gc.collect()
    LOOP.set_exception_handler(None)


@pytest.mark.usefixtures("_failed_tasks")
@pytest.mark.parametrize(
    ("declare", "reason"),
    [(_open_rule, "refuse open .*lets in everybody"), (_mighty_policy, r"refuse mighty .*kms:\*")],
)
def test_a_child_that_breaks_a_rule_fails_the_preview(
    declare: Callable[[pulumi.Resource], None], reason: str
) -> None:
    asyncio.set_event_loop(LOOP)
    pulumi.runtime.set_mocks(Recorder(), project="redis-ha", stack="prod")

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> None:
        guarded = pulumi.ResourceOptions(transformations=[guard])
        declare(pulumi.ComponentResource("test:Guarded", "guarded", None, guarded))

    with pytest.raises(GuardrailBroken, match=reason):
        program()


def _deep(good: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {**good[name], **value} if isinstance(value, dict) and name in good else value
        for name, value in changed.items()
    }
