"""User-data: small, without a secret, valid, and the same for the same machine."""

import json
import subprocess
import time
from typing import Any

import pytest
import yaml
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.acl import USER_NAMES
from infra.config import ClusterConfig
from infra.errors import PackagesMissing
from infra.planner import make_plan
from infra.rendering import BackupKeys
from infra.settings import parse
from infra.targets.aws.files import member_files, members
from infra.targets.aws.place import Place
from infra.targets.aws.stage1 import signed
from infra.targets.aws.user_data import LIMIT_BYTES, BootPlaces, device_of, user_data

BUNDLE = "packages/node-" + "0f" * 32 + ".tar"

PLACES = BootPlaces(
    region="ap-southeast-2",
    bucket="b" * 63,
    package_keys=("packages/readme.txt", BUNDLE),
    node_secret="arn:aws:secretsmanager:ap-southeast-2:000000000000:secret:" + "n" * 80,
    worker_secret="arn:aws:secretsmanager:ap-southeast-2:000000000000:secret:" + "w" * 80,
    volume_id="vol-0123456789abcdef0",
    log_group="/" + "l" * 40,
    content="c" * 16,
)


def written(places: BootPlaces = PLACES, **settings: Any) -> str:
    plan = make_plan(parse(ClusterConfig, {"target": "aws", **settings}))
    return user_data(plan, plan.topology.data_nodes[0], places)


def files_of(text: str) -> dict[str, str]:
    return {each["path"]: each["content"] for each in yaml.safe_load(text)["write_files"]}


def test_fits_into_what_ec2_takes_with_the_longest_names() -> None:
    assert len(written(namePrefix="a" * 21).encode()) < LIMIT_BYTES


def test_is_cloud_config_that_reads_back() -> None:
    text = written()
    assert text.startswith("#cloud-config\n# redis-1: cccccccccccccccc\n")
    document = yaml.safe_load(text)
    assert document["hostname"] == "redis-1"
    assert document["runcmd"][-1][-1] == "redis-ha-boot.service"
    compile(files_of(text)["/usr/local/lib/redis-ha/stage1.py"], "stage1.py", "exec")


def test_says_where_things_are_and_no_content_of_them() -> None:
    plan = make_plan(parse(ClusterConfig, {"target": "aws"}))
    passwords = {user: f"password-of-{user}" for user in USER_NAMES}
    keys = BackupKeys(("age1recipient",), "signer")
    place = Place("000000000000", "eu-central-1", "redis-ha")
    files = member_files(plan, members(plan)[0], place=place, passwords=passwords, keys=keys)
    assert any("password-of-replica" in content for content in files.values())
    text = written()
    assert "password-of" not in text
    assert "PRIVATE KEY" not in text
    boot = json.loads(files_of(text)["/etc/redis-ha/boot.json"])
    assert boot["bundle"] == BUNDLE
    assert boot["device"] == device_of("vol-0123456789abcdef0")
    assert boot["limits"]["data"]["memory"] == plan.config.limits.node_memory_mb << 20


def test_changes_when_a_file_changes_and_only_then() -> None:
    assert written() == written()
    assert written() != written(BootPlaces(**{**PLACES.__dict__, "content": "d" * 16}))


def test_the_check_of_a_rolling_change_is_there_before_anything_is_installed() -> None:
    """The agent that runs it comes with the packages: it must wait for the code, not miss it."""
    files = {each["path"]: each for each in yaml.safe_load(written())["write_files"]}
    check = files["/usr/local/bin/redis-ha-node-ready"]
    assert check["permissions"] == "0755"
    subprocess.run(["sh", "-n"], input=check["content"], text=True, check=True)
    assert check["content"].index("bundle/installed") < check["content"].index("node.vm.ready")


def test_a_volume_is_found_by_its_id() -> None:
    assert device_of("vol-0abc").endswith("/nvme-Amazon_Elastic_Block_Store_vol0abc")


@pytest.mark.parametrize("keys", [(), ("packages/node-1.tar",), (BUNDLE, f"x/{BUNDLE}")])
def test_a_bundle_is_one_file_named_after_its_content(keys: tuple[str, ...]) -> None:
    with pytest.raises(PackagesMissing, match="make packages"):
        written(BootPlaces(**{**PLACES.__dict__, "package_keys": keys}))


@pytest.mark.parametrize("endpoint", ["", "http://10.0.0.1:5000"])
def test_stage_1_signs_as_botocore_does(endpoint: str) -> None:
    keys = {"AccessKeyId": "AK", "SecretAccessKey": "SK", "Token": "T", "domain": "amazonaws.com"}
    places = {"region": "eu-central-1", "bucket": "bucket", "endpoint": endpoint}
    now = time.gmtime(1_800_000_000)
    ours = signed(places, BUNDLE, keys, now)
    request = AWSRequest("GET", ours.full_url, headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    request.context["timestamp"] = time.strftime("%Y%m%dT%H%M%SZ", now)
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    request.headers["X-Amz-Security-Token"] = "T"
    reference = S3SigV4Auth(Credentials("AK", "SK", "T"), "s3", "eu-central-1")
    string = reference.string_to_sign(request, reference.canonical_request(request))
    assert reference.signature(string, request) in str(ours.get_header("Authorization"))
