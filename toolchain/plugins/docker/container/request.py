"""From a container's inputs to the daemon's requests. Pure.

Source: the Docker Engine API, version 1.41, ContainerCreate and ContainerUpdate.
"""

from __future__ import annotations

from typing import Any, Final

from toolchain.plugins.docker import labels
from toolchain.plugins.docker.container import durations
from toolchain.plugins.docker.container.schema import EVERYWHERE

_MIB: Final = 1024 * 1024


def creation(inputs: dict[str, Any]) -> dict[str, Any]:
    """The body of ContainerCreate."""
    volumes = inputs.get("volumes", [])
    return {
        "Image": inputs["image"],
        "Hostname": inputs.get("hostname", ""),
        "Domainname": inputs.get("domainname", ""),
        "User": inputs.get("user", ""),
        "Tty": inputs.get("tty", False),
        "OpenStdin": inputs.get("stdinOpen", False),
        "StopSignal": inputs.get("stopSignal", ""),
        "StopTimeout": inputs.get("stopTimeout") or None,
        "Env": inputs.get("envs"),
        "Cmd": inputs.get("command"),
        "Entrypoint": inputs.get("entrypoints"),
        "WorkingDir": inputs.get("workingDir", ""),
        "Labels": labels.to_map(inputs.get("labels")),
        "Volumes": {v["containerPath"]: {} for v in volumes if v.get("containerPath")},
        "ExposedPorts": {_port_key(port): {} for port in inputs.get("ports", [])},
        "Healthcheck": _healthcheck(inputs.get("healthcheck")),
        "HostConfig": _host(inputs, volumes),
    }


def _host(inputs: dict[str, Any], volumes: list[dict[str, Any]]) -> dict[str, Any]:
    capabilities = inputs.get("capabilities", {})
    return {
        "AutoRemove": inputs.get("rm", False),
        "Binds": [bind for bind in map(_bind, volumes) if bind],
        "CapAdd": capabilities.get("adds"),
        "CapDrop": capabilities.get("drops"),
        "Dns": inputs.get("dns"),
        "DnsOptions": inputs.get("dnsOpts"),
        "DnsSearch": inputs.get("dnsSearches"),
        "ExtraHosts": [f"{entry['host']}:{entry['ip']}" for entry in inputs.get("hosts", [])],
        "GroupAdd": inputs.get("groupAdds"),
        "Init": inputs.get("init"),
        "IpcMode": inputs.get("ipcMode", ""),
        "LogConfig": {"Type": inputs.get("logDriver", ""), "Config": inputs.get("logOpts", {})},
        "Mounts": [_mount(mount) for mount in inputs.get("mounts", [])],
        "NetworkMode": inputs.get("networkMode", "bridge"),
        "PidMode": inputs.get("pidMode", ""),
        "PortBindings": _port_bindings(inputs.get("ports", [])),
        "Privileged": inputs.get("privileged", False),
        "PublishAllPorts": inputs.get("publishAllPorts", False),
        "ReadonlyRootfs": inputs.get("readOnly", False),
        "SecurityOpt": inputs.get("securityOpts"),
        "Sysctls": inputs.get("sysctls"),
        "Tmpfs": inputs.get("tmpfs"),
        "Ulimits": [_ulimit(limit) for limit in inputs.get("ulimits", [])],
        "VolumesFrom": [v["fromContainer"] for v in volumes if v.get("fromContainer")],
        **_limits(inputs),
    }


def _limits(inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "NanoCpus": round(float(inputs.get("cpus", 0)) * 10**9),
        "ShmSize": inputs.get("shmSize", 0) * _MIB,
        **_updatable(inputs),
    }


def _updatable(inputs: dict[str, Any]) -> dict[str, Any]:
    swap = inputs.get("memorySwap", 0)
    return {
        "CpuShares": inputs.get("cpuShares", 0),
        "CpusetCpus": inputs.get("cpuSet", ""),
        "Memory": inputs.get("memory", 0) * _MIB,
        "MemorySwap": swap * _MIB if swap > 0 else swap,
        "RestartPolicy": {
            "Name": inputs.get("restart", "no"),
            "MaximumRetryCount": inputs.get("maxRetryCount", 0),
        },
    }


def update(inputs: dict[str, Any]) -> dict[str, Any]:
    """What the SDK's update_container takes; a limit that is not given is left as it is."""
    body = _updatable(inputs)
    return {
        "cpu_shares": body["CpuShares"] or None,
        "cpuset_cpus": body["CpusetCpus"] or None,
        "mem_limit": body["Memory"] or None,
        "memswap_limit": body["MemorySwap"] or None,
        "restart_policy": body["RestartPolicy"],
    }


def _healthcheck(check: dict[str, Any] | None) -> dict[str, Any] | None:
    if not check:
        return None
    return {
        "Test": check["tests"],
        "Interval": durations.parse(check.get("interval", "")),
        "Timeout": durations.parse(check.get("timeout", "")),
        "StartPeriod": durations.parse(check.get("startPeriod", "")),
        "Retries": check.get("retries", 0),
    }


def _port_key(port: dict[str, Any]) -> str:
    return f"{port['internal']}/{port.get('protocol', 'tcp')}"


def _port_bindings(ports: list[dict[str, Any]]) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        external = port.get("external")
        binding = {
            "HostIp": port.get("ip") or EVERYWHERE,
            "HostPort": str(external) if external else "",
        }
        bindings.setdefault(_port_key(port), []).append(binding)
    return bindings


def _bind(volume: dict[str, Any]) -> str | None:
    source = volume.get("volumeName") or volume.get("hostPath")
    if not source:
        return None
    return f"{source}:{volume['containerPath']}:{'ro' if volume.get('readOnly') else 'rw'}"


def _ulimit(limit: dict[str, Any]) -> dict[str, Any]:
    return {"Name": limit["name"], "Soft": limit["soft"], "Hard": limit["hard"]}


def _mount(mount: dict[str, Any]) -> dict[str, Any]:
    body = {
        "Type": mount["type"],
        "Target": mount["target"],
        "Source": mount.get("source", ""),
        "ReadOnly": mount.get("readOnly", False),
    }
    bind, volume, tmpfs = (mount.get(f"{kind}Options") for kind in ("bind", "volume", "tmpfs"))
    if bind and mount["type"] == "bind":
        body["BindOptions"] = {"Propagation": bind.get("propagation", "")}
    if volume and mount["type"] == "volume":
        driver = {"Name": volume.get("driverName", ""), "Options": volume.get("driverOptions", {})}
        body["VolumeOptions"] = {
            "NoCopy": volume.get("noCopy", False),
            "Labels": labels.to_map(volume.get("labels")),
            "DriverConfig": driver,
        }
    if tmpfs and mount["type"] == "tmpfs":
        body["TmpfsOptions"] = {
            "SizeBytes": tmpfs.get("sizeBytes", 0),
            "Mode": tmpfs.get("mode", 0),
        }
    return body
