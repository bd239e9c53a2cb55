"""`redis-ha exporter`: the process that Prometheus scrapes."""

import os
import socket
from pathlib import Path

import click

from redis_ha.cli.cluster import stack_option


@click.command("exporter", short_help="Serve metrics of the cluster for Prometheus.")
@click.option("--listen", metavar="HOST:PORT", help="Where to serve [default: 127.0.0.1:9122].")
@click.option("--certificate", type=click.Path(path_type=Path, dir_okay=False),
              help="The certificate to serve with, PEM.")  # fmt: skip
@click.option("--private-key", type=click.Path(path_type=Path, dir_okay=False),
              help="Its private key, PEM.")  # fmt: skip
@click.option("--health-file", type=click.Path(path_type=Path, dir_okay=False),
              help="Where to say each 3 s that it works; the line begins with `ok`.")  # fmt: skip
@click.option("--node", help="This exporter's name in the log [default: host name].")
@stack_option
def command(
    listen: str | None,
    certificate: Path | None,
    private_key: Path | None,
    health_file: Path | None,
    node: str | None,
    stack: str | None,
) -> None:
    """Look at the cluster each second and serve what is seen at https://HOST:PORT/metrics.

    What the stock Redis exporter can't say: whether there is one writable master that a majority
    of the sentinels names, whether a failover would work, failovers and outages with their length,
    replicas and certificates, and a write and reading back as the application each 2 s. A scrape
    asks nobody: it gets what was seen last, and how old that is.

    It asks as REDIS_EXPORTER_USERNAME (else the operator) and writes as REDIS_USERNAME. In a
    container the options are REDIS_EXPORTER_METRICS_HOST and _PORT, REDIS_EXPORTER_TLS_CERT and
    _KEY, and REDIS_EXPORTER_HEALTH_FILE, in the environment or in /etc/redis-ha/exporter.env.
    Events go to standard output, one JSON object a line. SIGTERM ends it with exit code 0.

    \b
    Examples:
      redis-ha exporter --certificate exporter.crt --private-key exporter.key
      redis-ha exporter --listen 172.28.0.42:9122 --health-file /run/redis-ha/health
      curl --cacert "$REDIS_TLS_CA" https://127.0.0.1:9122/metrics
    """
    from redis_ha import eventlog  # noqa: PLC0415 - not to show --help
    from redis_ha.cli.main import Terminated  # noqa: PLC0415
    from redis_ha.exporter import settings  # noqa: PLC0415
    from redis_ha.exporter.running import exporting, stay  # noqa: PLC0415

    values = settings.load(os.environ, stack=stack)
    if listen is not None:
        address = settings.read_address(listen, setting="--listen")
        values["REDIS_EXPORTER_METRICS_HOST"] = address.host
        values["REDIS_EXPORTER_METRICS_PORT"] = str(address.port)
    given = {"TLS_CERT": certificate, "TLS_KEY": private_key, "HEALTH_FILE": health_file}
    values.update({f"REDIS_EXPORTER_{name}": str(path) for name, path in given.items() if path})
    parsed = settings.parse(values)
    eventlog.configure(node or socket.gethostname(), component="exporter")
    try:
        with exporting(parsed) as exporter:
            stay(exporter, parsed.health_file)
    except (Terminated, KeyboardInterrupt):
        eventlog.emit("stopped")
