"""The provider's functions: who is asking, which image, what a parameter says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolchain.plugins.aws.account import attempt
from toolchain.plugins.aws.shapes import camel, from_aws, names
from toolchain.plugins.base.errors import OperationFailed
from toolchain.plugins.base.values import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolchain.plugins.aws.account import Account
    from toolchain.plugins.aws.kind import Properties
    from toolchain.plugins.base.resource import Function


def functions(account: Account) -> Mapping[str, Function]:
    """Give the functions by token."""
    return {
        "aws:ec2/getAmi:getAmi": lambda given: _image(account, given),
        "aws:index/getCallerIdentity:getCallerIdentity": lambda _given: _caller(account),
        "aws:index/getPartition:getPartition": lambda _given: _partition(account),
        "aws:index/getRegion:getRegion": lambda _given: _region(account),
        "aws:ssm/getParameter:getParameter": lambda given: _parameter(account, given),
    }


def _caller(account: Account) -> Properties:
    with attempt("ask for", "the caller's identity"):
        seen = account.client("sts").get_caller_identity()
    return {"accountId": seen["Account"], "arn": seen["Arn"], **_named(seen["Account"], seen)}


def _named(identity: str, seen: Mapping[str, Any]) -> Properties:
    return {"id": identity, **from_aws(seen, {"userId": "UserId"})}


def _partition(account: Account) -> Properties:
    meta = account.client("sts").meta
    suffix = "amazonaws.com.cn" if meta.partition == "aws-cn" else "amazonaws.com"
    return {"dnsSuffix": suffix, "id": meta.partition, "partition": meta.partition}


def _region(account: Account) -> Properties:
    name = account.client("sts").meta.region_name
    return {"id": name, "name": name, "region": name}


def _image(account: Account, given: Properties) -> Properties:
    filters = [{"Name": f["name"], "Values": f["values"]} for f in given.get("filters") or ()]
    owners = {"Owners": given["owners"]} if given.get("owners") else {}
    with attempt("look for", "an image"):
        found = account.client("ec2").describe_images(Filters=filters, **owners)["Images"]
    if not found or (len(found) > 1 and not given.get("mostRecent")):
        wanted = ", ".join(f"{f['Name']}={','.join(f['Values'])}" for f in filters)
        raise OperationFailed(
            operation="choose",
            subject=f"an image with {wanted or 'no filter'}",
            cause=f"{len(found)} images match",
            hint="narrow the filters, set mostRecent, or name the image",
        )
    newest = max(found, key=lambda image: image["CreationDate"])
    table = names("architecture creationDate description imageId name ownerId rootDeviceName")
    return {"id": newest["ImageId"], **from_aws(newest, table)}


def _parameter(account: Account, given: Properties) -> Properties:
    with attempt("read", f"parameter {given['name']}"):
        seen = account.client("ssm").get_parameter(
            Name=given["name"], WithDecryption=given.get("withDecryption", True)
        )["Parameter"]
    shown = camel({name: seen[name] for name in ("Name", "Type", "Version") if name in seen})
    return {"id": seen["Name"], "arn": seen.get("ARN"), **shown, "value": Secret(seen["Value"])}
