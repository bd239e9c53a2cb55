"""From the daemon's description of a container to its state. Pure.

What stands here is compared with the inputs on the next run, as the official provider does;
what it does not read back (environment, labels, volumes, files, networks) keeps the inputs.
Source: terraform-provider-docker, resourceDockerContainerRead.
"""

from __future__ import annotations

from typing import Any, Final

from toolchain.plugins.docker import labels
from toolchain.plugins.docker.container import durations

_MIB: Final = 1024 * 1024


def observed(seen: dict[str, Any]) -> dict[str, Any]:
    """The properties as ContainerInspect tells them."""
    config, host = seen["Config"], seen["HostConfig"]
    return {
        **_process(config),
        **_limits(host),
        **_isolation(host),
        **_network(seen),
        "name": seen["Name"].lstrip("/"),
        "image": seen["Image"],
        "exitCode": None if seen["State"]["Running"] else seen["State"]["ExitCode"],
        "healthcheck": _healthcheck(config.get("Healthcheck")),
        "hosts": [_host_entry(entry) for entry in host.get("ExtraHosts") or []],
        "init": bool(host.get("Init")),
        "logDriver": host["LogConfig"]["Type"],
        "logOpts": host["LogConfig"].get("Config") or {},
        "maxRetryCount": host["RestartPolicy"]["MaximumRetryCount"],
        "mounts": [_mount(mount) for mount in host.get("Mounts") or []],
        "restart": host["RestartPolicy"]["Name"],
        "rm": host["AutoRemove"],
        "tmpfs": host.get("Tmpfs") or {},
    }


def _process(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "command": config.get("Cmd") or [],
        "domainname": config["Domainname"],
        "entrypoints": config.get("Entrypoint") or [],
        "hostname": config["Hostname"],
        "stdinOpen": config["OpenStdin"],
        "stopSignal": config.get("StopSignal", ""),
        "stopTimeout": config.get("StopTimeout"),
        "tty": config["Tty"],
        "user": config["User"],
        "workingDir": config["WorkingDir"],
    }


def _limits(host: dict[str, Any]) -> dict[str, Any]:
    swap = host["MemorySwap"]
    return {
        "cpuSet": host["CpusetCpus"],
        "cpuShares": host["CpuShares"],
        "memory": host["Memory"] // _MIB,
        "memorySwap": swap // _MIB if swap > 0 else swap,
        "shmSize": host["ShmSize"] // _MIB,
        "ulimits": [
            {"name": limit["Name"], "soft": limit["Soft"], "hard": limit["Hard"]}
            for limit in host.get("Ulimits") or []
        ],
    }


def _isolation(host: dict[str, Any]) -> dict[str, Any]:
    adds, drops = host.get("CapAdd") or [], host.get("CapDrop") or []
    return {
        "capabilities": {"adds": adds, "drops": drops} if adds or drops else None,
        "groupAdds": host.get("GroupAdd") or [],
        "ipcMode": host["IpcMode"],
        "pidMode": host["PidMode"],
        "privileged": host["Privileged"],
        "readOnly": host["ReadonlyRootfs"],
        "securityOpts": host.get("SecurityOpt") or [],
        "sysctls": host.get("Sysctls") or {},
    }


def _network(seen: dict[str, Any]) -> dict[str, Any]:
    host, settings = seen["HostConfig"], seen["NetworkSettings"]
    return {
        "bridge": settings.get("Bridge", ""),
        "dns": host.get("Dns") or [],
        "dnsOpts": host.get("DnsOptions") or [],
        "dnsSearches": host.get("DnsSearch") or [],
        "networkDatas": [
            _endpoint(name, data) for name, data in sorted(settings["Networks"].items())
        ],
        "networkMode": host["NetworkMode"],
        "ports": _ports(settings.get("Ports") or {}),
        "publishAllPorts": host["PublishAllPorts"],
    }


def _endpoint(name: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "networkName": name,
        "ipAddress": data["IPAddress"],
        "ipPrefixLength": data["IPPrefixLen"],
        "gateway": data["Gateway"],
        "globalIpv6Address": data["GlobalIPv6Address"],
        "globalIpv6PrefixLength": data["GlobalIPv6PrefixLen"],
        "ipv6Gateway": data["IPv6Gateway"],
        "macAddress": data["MacAddress"],
    }


def _ports(ports: dict[str, list[dict[str, str]] | None]) -> list[dict[str, Any]]:
    found = [
        {
            "internal": int(key.split("/")[0]),
            "external": int(binding["HostPort"]),
            "ip": binding["HostIp"],
            "protocol": key.split("/")[1],
        }
        for key, bindings in ports.items()
        for binding in bindings or []
    ]
    return sorted(found, key=lambda port: (port["internal"], port["protocol"], port["ip"]))


def _healthcheck(check: dict[str, Any] | None) -> dict[str, Any] | None:
    if not check:
        return None
    return {
        "tests": check.get("Test") or [],
        "interval": durations.show(check.get("Interval", 0)),
        "timeout": durations.show(check.get("Timeout", 0)),
        "startPeriod": durations.show(check.get("StartPeriod", 0)),
        "retries": check.get("Retries", 0),
    }


def _host_entry(entry: str) -> dict[str, str]:
    host, _, address = entry.partition(":")
    return {"host": host, "ip": address}


def _mount(mount: dict[str, Any]) -> dict[str, Any]:
    state = {
        "type": mount["Type"],
        "target": mount["Target"],
        "source": mount.get("Source", ""),
        "readOnly": mount.get("ReadOnly", False),
    }
    bind, volume, tmpfs = (mount.get(f"{kind}Options") for kind in ("Bind", "Volume", "Tmpfs"))
    if bind:
        state["bindOptions"] = {"propagation": bind.get("Propagation", "")}
    if volume:
        driver = volume.get("DriverConfig") or {}
        state["volumeOptions"] = {
            "noCopy": volume.get("NoCopy", False),
            "labels": labels.to_list(volume.get("Labels")),
            "driverName": driver.get("Name", ""),
            "driverOptions": driver.get("Options") or {},
        }
    if tmpfs:
        state["tmpfsOptions"] = {
            "sizeBytes": tmpfs.get("SizeBytes", 0),
            "mode": tmpfs.get("Mode", 0),
        }
    return state
