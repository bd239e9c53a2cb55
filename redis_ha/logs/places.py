"""Where the logs of a cluster's nodes are, by what its stack or settings say."""

from collections.abc import Callable, Collection, Mapping, Sequence

from redis_ha.containers import inspect
from redis_ha.errors import BadSetting, UnknownNode, Unreachable
from redis_ha.locating import find_unasked
from redis_ha.logs.cloudwatch import CloudWatchSource
from redis_ha.logs.docker import DockerSource
from redis_ha.logs.files import find_files
from redis_ha.logs.source import Source
from redis_ha.site import Site

# Those of whom a stack has one: the name, and the setting that names the container.
SINGLE = {"backup-worker": "REDIS_BACKUP_CONTAINER", "ha-exporter": "REDIS_EXPORTER_CONTAINER"}
_SENTINEL_UNIT = "redis-ha-sentinel"


def find_sources(
    stack: str | None,
    environ: Mapping[str, str],
    *,
    files: Sequence[str],
    nodes: Collection[str],
    tell: Callable[[str], None],
) -> tuple[list[Source], list[str]]:
    """Find the sources that have the lines of `nodes` (all when empty), and whose aren't there.

    `files` are NODE=PATH and stand for the whole cluster; `tell` hears what of them can't be read.
    Raises BadSetting, StackUnavailable, UnknownNode and Unreachable.
    """
    if files:
        return _of(find_files(files, tell=tell), nodes), []
    site = find_unasked(stack, environ)
    if site.settings.get("REDIS_LOG_GROUP"):
        return _of(machines(site), nodes), []
    return _present(_of(containers(site), nodes))


def known_names(stack: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    """Give the nodes' names by address (host:port). Raises BadSetting, StackUnavailable."""
    site = find_unasked(stack, environ)
    return {str(member.address): member.name for member in (*site.data_nodes, *site.sentinels)}


def containers(site: Site) -> list[DockerSource]:
    """Give the containers that settings name: data nodes, sentinels, the worker, the exporter."""
    members = [(m.name, m.container) for m in (*site.data_nodes, *site.sentinels)]
    members += [(name, site.settings.get(setting)) for name, setting in SINGLE.items()]
    named = [DockerSource(name, container) for name, container in members if container]
    if named:
        return named
    raise BadSetting(
        operation="find",
        subject="the logs of the cluster",
        cause="neither containers nor a log group are named",
        hint="give --stack NAME or --file NODE=PATH, or set REDIS_NODE_CONTAINER_1, ...",
    )


def machines(site: Site) -> list[CloudWatchSource]:
    """Give the streams of the machines on AWS: a data node, and the sentinel of its address."""
    sentinels = {member.address.host: member.name for member in site.sentinels}
    return [
        CloudWatchSource(
            machine=member.name,
            group=site.settings["REDIS_LOG_GROUP"],
            region=site.settings.get("REDIS_LOG_REGION"),
            units={_SENTINEL_UNIT: sentinels[member.address.host]}
            if member.address.host in sentinels
            else {},
        )
        for member in site.data_nodes
    ]


def _of(sources: Sequence[Source], nodes: Collection[str]) -> list[Source]:
    known = sorted({node for source in sources for node in source.nodes})
    for node in nodes:
        if node not in known:
            raise UnknownNode(
                operation="find node",
                subject=node,
                cause="no node of this cluster is called that",
                hint="name one of " + ", ".join(known),
            )
    return [source for source in sources if not nodes or source.nodes & set(nodes)]


def _present(sources: Sequence[Source]) -> tuple[list[Source], list[str]]:
    """Part those whose containers are there from those that aren't."""
    wanted = [source for source in sources if isinstance(source, DockerSource)]
    views = inspect([source.container for source in wanted])
    if isinstance(views, str):
        raise _unreachable("the containers", views)
    absent = [s.node for s in wanted if not views[s.container].status]
    if len(absent) == len(wanted):
        raise _unreachable(", ".join(absent), "there are no such containers on this host")
    return [source for source in wanted if source.node not in absent], absent


def _unreachable(subject: str, cause: str) -> Unreachable:
    return Unreachable(
        operation="read the logs of",
        subject=subject,
        cause=cause,
        hint="run it where the containers are, as somebody who may use Docker, or give --file",
    )
