"""The exporter's settings, from an env file and the environment; in a container the same names."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from redis_ha import environment
from redis_ha.connection import Address
from redis_ha.environment import or_unusable, unusable
from redis_ha.site import Member, Site, declared, numbered_sentinels
from redis_ha.stack import read_outputs, site_of

ENV_FILES = (Path("/etc/redis-ha/exporter.env"), environment.ENV_FILE)
# Where the stock exporter serves.
STOCK = "REDIS_EXPORTER_STOCK"
LISTEN = Address("127.0.0.1", 9122)
# A node that is silent for so long (s) counts as not answering: a look takes little longer.
_PATIENCE = 1.0


@dataclass(frozen=True)
class ExporterSettings:
    """The cluster, of whose nodes the configured ones are known; and where to serve, with what.

    `site.operator` is the user who asks: `exporter` where it is set, else the operator. `beside`
    are other servers whose certificates are looked at.
    """

    site: Site
    listen: Address
    certificate: Path
    private_key: Path
    health_file: Path | None = None
    beside: tuple[Member, ...] = ()


def load(
    environ: Mapping[str, str], *, stack: str | None, files: tuple[Path, ...] = ENV_FILES
) -> dict[str, str]:
    """Read the stack's settings, or else the first env file that exists and `environ`.

    Raises BadSetting, StackUnavailable.
    """
    if stack is not None:
        return {**site_of(stack, read_outputs(stack), environ).settings, **_own(environ)}
    found = next((path for path in files if path.is_file()), files[-1])
    return environment.merged(environ, file=found)


def parse(values: Mapping[str, str]) -> ExporterSettings:
    """Turn settings into ExporterSettings; raises BadSetting naming the one at fault."""
    certificate, key = (
        environment.path(values, f"REDIS_EXPORTER_TLS_{n}") for n in ("CERT", "KEY")
    )
    if certificate is None or key is None:
        raise unusable(
            "the exporter's certificate",
            "it serves over TLS and needs a certificate and its private key",
            "give --certificate and --private-key, or set REDIS_EXPORTER_TLS_CERT and _KEY",
        )
    return ExporterSettings(
        site=_site(values),
        listen=_listen(values),
        certificate=certificate,
        private_key=key,
        health_file=environment.path(values, "REDIS_EXPORTER_HEALTH_FILE"),
        beside=_beside(values),
    )


def read_address(text: str, *, setting: str) -> Address:
    """Read HOST:PORT, an IPv6 address in brackets; raises BadSetting."""

    def read(given: str) -> Address:
        host, colon, port = given.rpartition(":")
        if not (colon and host and 0 <= int(port) < 65536):
            raise ValueError
        return Address(host.removeprefix("[").removesuffix("]"), int(port))

    return or_unusable(read, text, setting, "HOST:PORT")


def _own(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environ.items() if name.startswith("REDIS_EXPORTER_")}


def _listen(values: Mapping[str, str]) -> Address:
    host = values.get("REDIS_EXPORTER_METRICS_HOST") or LISTEN.host
    port = values.get("REDIS_EXPORTER_METRICS_PORT") or str(LISTEN.port)
    return read_address(f"{host}:{port}", setting="REDIS_EXPORTER_METRICS_HOST and _PORT")


def _beside(values: Mapping[str, str]) -> tuple[Member, ...]:
    text = values.get(STOCK, "")
    return (Member("redis-exporter", read_address(text, setting=STOCK)),) if text else ()


def _site(values: Mapping[str, str]) -> Site:
    user = environment.credentials(values, "REDIS_EXPORTER")
    access = environment.access(values, user or environment.credentials(values, "REDIS_OPERATOR"))
    if access is None:
        raise unusable(
            "the cluster",
            "the settings don't say where it is or who asks",
            "run `source .redis-ha/env`, or set REDIS_SENTINEL_HOST_1, REDIS_SENTINEL_PORT_1,"
            " REDIS_TLS_CA, REDIS_EXPORTER_USERNAME and _PASSWORD",
        )
    if not os.access(access.ca, os.R_OK):
        raise unusable("REDIS_TLS_CA", f"{access.ca} can't be read", "name the CA's certificate")
    app = environment.access(values, environment.credentials(values, "REDIS"))
    return Site(
        operator=replace(access, timeout=_PATIENCE),
        app=app and replace(app, timeout=_PATIENCE),
        data_nodes=declared(values),
        sentinels=numbered_sentinels(access, values),
        settings={name: text for name, text in values.items() if name.startswith("REDIS_")},
    )
