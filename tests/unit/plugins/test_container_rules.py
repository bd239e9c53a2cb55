"""Containers, without a daemon: requests, state, rules, durations, health, files."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.plugins.base.checking import complete, failures
from toolchain.plugins.base.diffing import changes
from toolchain.plugins.base.values import UNKNOWN
from toolchain.plugins.docker.container import durations, files, health, request, rules
from toolchain.plugins.docker.container.schema import NOTED, SCHEMA, UPDATED
from toolchain.plugins.docker.container.state import observed

IMAGE = "sha256:" + "0" * 64


def _inputs(**given: Any) -> dict[str, Any]:
    return complete(SCHEMA, {"image": IMAGE, "name": "n", **given}, olds={}, name="n", seed=b"")


def _inspected(inputs: dict[str, Any], **answers: Any) -> dict[str, Any]:
    """What a daemon would say of a container created with these inputs."""
    body = request.creation(inputs)
    host: dict[str, Any] = {**body.pop("HostConfig")}
    if host["Memory"] and not host["MemorySwap"]:
        host["MemorySwap"] = 2 * host["Memory"]  # as the daemon does
    host["ShmSize"] = host["ShmSize"] or 64 * 1024 * 1024
    bindings = host["PortBindings"]
    return {
        "Id": "1",
        "Name": "/n",
        "Image": IMAGE,
        "Config": {**body, "Hostname": "made-up"},
        "HostConfig": {**host, **answers},
        "NetworkSettings": {"Networks": {}, "Ports": bindings},
        "State": {"Running": True, "Restarting": False, "ExitCode": 0},
    }


def _changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, bool]:
    state = {**old, **observed(_inspected(old))}
    return {name: change.replaces for name, change in changes(SCHEMA, state, new).items()}


_FULL: dict[str, Any] = {
    "capabilities": {"drops": ["ALL"]},
    "command": ["data"],
    "cpuShares": 512,
    "dns": ["10.0.0.1"],
    "entrypoints": ["node"],
    "groupAdds": ["0"],
    "healthcheck": {"tests": ["CMD", "x"], "interval": "5s"},
    "hosts": [{"host": "h", "ip": "10.0.0.9"}],
    "memory": 256,
    "memorySwap": 512,
    "mounts": [
        {"type": "bind", "source": "/a", "target": "/b", "bindOptions": {"propagation": "shared"}},
        {
            "type": "volume",
            "source": "v",
            "target": "/v",
            "volumeOptions": {"noCopy": True, "labels": [{"label": "l", "value": "v"}]},
        },
        {"type": "tmpfs", "target": "/t", "tmpfsOptions": {"sizeBytes": 4096, "mode": 448}},
    ],
    "ports": [{"internal": 9, "external": 18109}, {"internal": 8, "ip": "127.0.0.1"}],
    "restart": "on-failure",
    "maxRetryCount": 3,
    "securityOpts": ["no-new-privileges:true"],
    "sysctls": {"net.core.somaxconn": "512"},
    "tmpfs": {"/run": "mode=0700"},
    "ulimits": [{"name": "nofile", "soft": 10, "hard": 20}],
    "user": "10001",
}


def test_what_was_asked_for_is_no_change_when_read_back() -> None:
    inputs = _inputs(**{**_FULL, "ports": [{"internal": 9, "external": 18109}]})
    assert failures(SCHEMA, inputs) == []
    assert _changes(inputs, inputs) == {}


@pytest.mark.parametrize("name", sorted(UPDATED))
def test_updated_properties_do_not_replace(name: str) -> None:
    assert not SCHEMA.inputs[name].replaces


@pytest.mark.parametrize(
    ("changed", "replaces"),
    [
        ({"memory": 128}, False),
        ({"restart": "always"}, False),
        ({"waitTimeout": 5}, False),
        ({"healthcheck": {"tests": ["CMD", "y"], "interval": "5s"}}, False),
        ({"command": ["sentinel"]}, True),
        ({"envs": ["A=1"]}, True),
        ({"ports": [{"internal": 9, "external": 18108}]}, True),
        ({"uploads": [{"file": "/f", "content": "x"}]}, True),
        ({"image": UNKNOWN}, True),
        ({"user": "0"}, True),
    ],
)
def test_which_change_replaces(changed: dict[str, Any], replaces: bool) -> None:
    old = {**_FULL, "ports": [{"internal": 9, "external": 18109}]}
    found = _changes(_inputs(**old), _inputs(**{**old, **changed}))
    assert found == dict.fromkeys(changed, replaces)


def test_traps_of_the_official_provider_are_kept() -> None:
    swapless = _inputs(memory=64)
    assert _changes(swapless, swapless) == {"memorySwap": False}
    minute = _inputs(healthcheck={"tests": ["CMD", "x"], "interval": "60s"})
    assert _changes(minute, minute) == {"healthcheck": False}
    by_name = _inputs(image="debian:trixie-slim")
    assert _changes(by_name, by_name) == {"image": True}


def test_noted_properties_are_neither_updated_nor_a_reason_to_replace() -> None:
    assert not NOTED & UPDATED
    assert not any(SCHEMA.inputs[name].replaces for name in NOTED)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"capabilities": {"adds": ["NET_ADMIN"]}}, "CAP_ prefix"),
        ({"restart": "sometimes"}, "none of"),
        ({"healthcheck": {"tests": ["CMD"], "interval": "5"}}, "not a duration"),
        ({"healthcheck": {"interval": "5s"}}, "missing required"),
        ({"uploads": [{"file": "/f", "content": "x", "permissions": "440"}]}, "a mode such as"),
        ({"uploads": [{"file": "/f"}]}, "exactly one of content"),
        ({"uploads": [{"file": "/f", "content": "x", "source": "/y"}]}, "content and source"),
        ({"uploads": [{"file": "/f", "content": "x"}], "readOnly": True}, "refuses to copy"),
        ({"volumes": [{"volumeName": "v"}]}, "exactly one of containerPath"),
        ({"volumes": [{"hostPath": "a", "containerPath": "/b"}]}, "an absolute path"),
        ({"command": ["a", ""]}, "may not be empty"),
        ({"start": False}, "needs mustRun: false"),
        ({"memorySwap": -2}, "below -1"),
        ({"networksAdvanced": [{"name": "n", "gwPriority": 1}]}, "does not support it"),
    ],
)
def test_what_is_refused(given: dict[str, Any], said: str) -> None:
    inputs = _inputs(**given)
    found = failures(SCHEMA, inputs) or list(rules.failures(inputs))
    assert len(found) == 1
    assert said in found[0].reason


def test_unknown_values_break_no_rule() -> None:
    inputs = _inputs(uploads=[UNKNOWN], volumes=UNKNOWN, command=[UNKNOWN])
    assert failures(SCHEMA, inputs) == []
    assert list(rules.failures(inputs)) == []


def test_an_update_leaves_alone_what_is_not_given() -> None:
    assert request.update(_inputs(restart="always")) == {
        "cpu_shares": None,
        "cpuset_cpus": None,
        "mem_limit": None,
        "memswap_limit": None,
        "restart_policy": {"Name": "always", "MaximumRetryCount": 0},
    }


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("", "0s"),
        ("0s", "0s"),
        ("500ms", "500ms"),
        ("1500ms", "1.5s"),
        ("60s", "1m0s"),
        ("1m30s", "1m30s"),
        ("1h", "1h0m0s"),
        ("2us", "2µs"),
        ("7ns", "7ns"),
    ],
)
def test_durations_are_shown_as_go_does(written: str, shown: str) -> None:
    assert durations.show(durations.parse(written)) == shown


@given(st.integers(0, 10**16))
def test_a_shown_duration_reads_the_same(nanoseconds: int) -> None:
    shown = durations.show(nanoseconds).replace("µ", "u")
    assert durations.parse(shown) == nanoseconds


@pytest.mark.parametrize("text", ["5", "s", "5 s", "-5s", "5sx", "1.5.5s"])
def test_what_is_no_duration(text: str) -> None:
    assert durations.fault(text) is not None


def _health(**state: Any) -> health.Health:
    return health.judge({"State": {"Running": True, "Restarting": False, "ExitCode": 0, **state}})


def test_health() -> None:
    log = [{"ExitCode": 1, "Output": "no\n"}]
    assert _health(Health={"Status": "healthy", "Log": log}).ready
    unhealthy = _health(Health={"Status": "unhealthy", "Log": log})
    assert not unhealthy.ready
    assert unhealthy.hopeless is None, "it may recover"
    assert unhealthy.detail == "last health check exited with code 1: no"
    assert _health(Health=None).hopeless == "it has no health check, so `wait` can never end"
    gone = _health(Running=False, ExitCode=7, Health={"Status": "unhealthy", "Log": []})
    assert gone.hopeless == "it exited with code 7"
    assert _health(Running=False, Restarting=True, Health={"Status": "starting"}).hopeless is None


def test_files_are_roots_with_the_asked_mode() -> None:
    packed = files.archive(
        [
            {"file": "/etc/a", "content": "é", "permissions": "0440"},
            {"file": "/b", "contentBase64": "AAE=", "executable": True},
            {"file": "/c", "source": __file__},
        ]
    )
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        entries = [(m.name, oct(m.mode), m.uid, m.gid) for m in tar.getmembers()]
        assert tar.extractfile("b").read() == b"\x00\x01"
    assert entries == [("etc/a", "0o440", 0, 0), ("b", "0o744", 0, 0), ("c", "0o644", 0, 0)]
