"""The container's properties: kinds, defaults, and which change replaces.

Only six properties can be changed on a running container. Some others are no reason to replace
it either: the official provider notes the new value and leaves the container as it is.
Source: terraform-provider-docker, resource_docker_container.go.
"""

from __future__ import annotations

from typing import Final

from toolchain.plugins.base.rules import at_least, matching, one_of
from toolchain.plugins.base.schema import (
    BOOLEAN,
    INTEGER,
    MAP,
    STRING,
    STRING_SET,
    STRINGS,
    Field,
    Schema,
    block,
    blocks,
    properties,
)
from toolchain.plugins.docker import labels
from toolchain.plugins.docker.container import durations

UPDATED: Final = properties("cpuSet cpuShares maxRetryCount memory memorySwap restart")
NOTED: Final = properties("healthcheck init rm tmpfs")  # the container keeps the old

EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - where a port without `ip` is published

_NAME: Final = matching("[a-zA-Z0-9][a-zA-Z0-9_.-]*", say="a container name")
_CAPABILITY: Final = STRING.but(
    rule=matching(
        "ALL|CAP_[A-Z_]+",
        say="ALL or a name with the CAP_ prefix; Docker adds the prefix, "
        "so without it every run would replace the container",
    )
)
_CAPABILITIES: Final = STRING_SET.but(element=_CAPABILITY)
_DURATION: Final = STRING.but(default="0s", rule=durations.fault)
_COUNT: Final = INTEGER.but(rule=at_least(0))
_IN_PLACE: Final = {"replaces": False}

_HEALTHCHECK: Final = block(
    {
        "interval": _DURATION,
        "retries": _COUNT,
        "startPeriod": _DURATION,
        "tests": STRINGS.but(required=True),
        "timeout": _DURATION,
    },
    unsupported=properties("startInterval"),
)
_MOUNT: Final = blocks(
    {
        "bindOptions": block({"propagation": STRING}),
        "readOnly": BOOLEAN,
        "source": STRING,
        "target": STRING.but(required=True),
        "tmpfsOptions": block({"mode": INTEGER, "sizeBytes": INTEGER}),
        "type": STRING.but(required=True, rule=one_of("bind", "volume", "tmpfs")),
        "volumeOptions": block(
            {
                "driverName": STRING,
                "driverOptions": MAP,
                "labels": labels.LABELS,
                "noCopy": BOOLEAN,
            },
            unsupported=properties("subpath"),
        ),
    }
)
_NETWORK: Final = blocks(
    {
        "aliases": STRING_SET,
        "ipv4Address": STRING,
        "ipv6Address": STRING,
        "name": STRING.but(required=True),
    },
    unsupported=properties("driverOpts gwPriority linkLocalIps macAddress"),
)
_PORT: Final = blocks(
    {
        "external": INTEGER.but(computed=True),
        "internal": INTEGER.but(required=True),
        "ip": STRING.but(default=EVERYWHERE),
        "protocol": STRING.but(default="tcp"),
    }
)
_UPLOAD: Final = blocks(
    {
        "content": STRING,
        "contentBase64": STRING,
        "executable": BOOLEAN,
        "file": STRING.but(required=True),
        "permissions": STRING.but(rule=matching("0[0-7]{3}", say="a mode such as 0440")),
        "source": STRING,
        "sourceHash": STRING,
    }
)
_VOLUME: Final = blocks(
    {
        "containerPath": STRING,
        "fromContainer": STRING,
        "hostPath": STRING.but(rule=matching("/.*", say="an absolute path")),
        "readOnly": BOOLEAN,
        "volumeName": STRING,
    },
    unsupported=properties("selinuxRelabel"),
)
_INPUTS: Final[dict[str, Field]] = {
    "capabilities": block({"adds": _CAPABILITIES, "drops": _CAPABILITIES}),
    "command": STRINGS.but(computed=True),
    "containerReadRefreshTimeoutMilliseconds": INTEGER.but(default=15000, **_IN_PLACE),
    "cpuSet": STRING.but(
        rule=matching(r"\d+([,-]\d+)*", say="a list of CPUs such as 0-1"), **_IN_PLACE
    ),
    "cpuShares": _COUNT.but(**_IN_PLACE),
    "cpus": STRING.but(rule=matching(r"\d+(\.\d+)?", say="a number such as 1.5")),
    "destroyGraceSeconds": INTEGER.but(**_IN_PLACE),
    "dns": STRING_SET,
    "dnsOpts": STRING_SET,
    "dnsSearches": STRING_SET,
    "domainname": STRING,
    "entrypoints": STRINGS.but(computed=True),
    "envs": STRING_SET.but(computed=True),
    "groupAdds": STRING_SET,
    "healthcheck": _HEALTHCHECK.but(computed=True, **_IN_PLACE),
    "hostname": STRING.but(computed=True),
    "hosts": blocks({"host": STRING.but(required=True), "ip": STRING.but(required=True)}),
    "image": STRING.but(required=True),
    "init": BOOLEAN.but(computed=True, **_IN_PLACE),
    "ipcMode": STRING.but(computed=True),
    "labels": labels.LABELS.but(computed=True),
    "logDriver": STRING.but(computed=True),
    "logOpts": MAP,
    "maxRetryCount": INTEGER.but(**_IN_PLACE),
    "memory": _COUNT.but(**_IN_PLACE),
    "memorySwap": INTEGER.but(rule=at_least(-1), **_IN_PLACE),
    "mounts": _MOUNT,
    "mustRun": BOOLEAN.but(default=True, **_IN_PLACE),
    "name": STRING.but(rule=_NAME),
    "networkMode": STRING.but(default="bridge"),
    "networksAdvanced": _NETWORK,
    "pidMode": STRING,
    "ports": _PORT,
    "privileged": BOOLEAN,
    "publishAllPorts": BOOLEAN,
    "readOnly": BOOLEAN.but(default=False),
    "removeVolumes": BOOLEAN.but(default=True, **_IN_PLACE),
    "restart": STRING.but(
        default="no", rule=one_of("no", "on-failure", "always", "unless-stopped"), **_IN_PLACE
    ),
    "rm": BOOLEAN.but(default=False, **_IN_PLACE),
    "securityOpts": STRING_SET.but(computed=True),
    "shmSize": _COUNT.but(computed=True),
    "start": BOOLEAN.but(default=True, **_IN_PLACE),
    "stdinOpen": BOOLEAN.but(default=False),
    "stopSignal": STRING.but(computed=True),
    "stopTimeout": INTEGER.but(computed=True),
    "sysctls": MAP,
    "tmpfs": MAP.but(**_IN_PLACE),
    "tty": BOOLEAN.but(default=False),
    "ulimits": blocks(
        {
            "hard": INTEGER.but(required=True),
            "name": STRING.but(required=True),
            "soft": INTEGER.but(required=True),
        }
    ),
    "uploads": _UPLOAD,
    "user": STRING,
    "volumes": _VOLUME,
    "wait": BOOLEAN.but(default=False, **_IN_PLACE),
    "waitTimeout": INTEGER.but(default=60, rule=at_least(0), **_IN_PLACE),
    "workingDir": STRING,
}

SCHEMA: Final = Schema(
    "docker:index/container:Container",
    inputs=_INPUTS,
    outputs=properties("bridge containerLogs exitCode networkDatas"),
    unsupported=properties(
        "attach cgroupParent cgroupnsMode cpuPeriod cpuQuota deviceReadBps "
        "deviceReadIops deviceRequests deviceWriteBps deviceWriteIops devices gpus "
        "logs memoryReservation platform runtime storageOpts usernsMode"
    ),
    named=True,
    delete_before_replace=True,
    undo_unclaimed=True,
)
