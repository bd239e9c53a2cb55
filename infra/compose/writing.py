"""From settings to a folder that docker-compose brings up: the same plan, files and containers."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from infra.changes import Previous, forbidden_changes
from infra.compose.contents import contents
from infra.compose.document import Surroundings, document, write_document
from infra.compose.folder import COMPOSE_FILE, IMAGE, NODES, PUT_BACK, Folder
from infra.compose.rolling import Member, count_sentinels, leaving, member_of, steps
from infra.compose.secrets import Secrets, complete
from infra.config import ClusterConfig
from infra.containers import Container, members, monitors
from infra.errors import ChangeRefused, FolderUnusable, Problem
from infra.live import digest, manifest
from infra.monitoring import read_rules
from infra.places import identity_of
from infra.planner import Plan, make_plan
from infra.rendering import host_environment
from infra.settings import parse
from infra.targets.docker.context import build_args, context_hash, image_name


@dataclass(frozen=True)
class Written:
    """What was written: the plan, how many services, and whether the folder holds the identity.

    It is the `first` where no run was before; `leave` are who may run and are no more wanted. A
    `new_authority` is trusted by nobody who runs.
    """

    plan: Plan
    services: int
    identity: bool
    first: bool
    leave: tuple[Member, ...]
    new_authority: bool


def write_folder(
    folder: Folder, changed: Mapping[str, str], *, root: Path, now: datetime
) -> Written:
    """Write the folder of a cluster; `root` is the checkout, whose image is built.

    Settings are those of the last run and what is `changed`. Errors: ConfigRefused, PlanRefused and
    ChangeRefused, before anything is written; FolderUnusable.
    """
    if not (root / "node" / "Dockerfile").is_file():
        hint = "run it from a checkout: pip install --editable ."
        raise FolderUnusable(f"read {root / 'node'}: the image's Dockerfile is not there; {hint}")
    with folder.locked():
        return _write_locked(folder, changed, root=root, now=now)


def _write_locked(
    folder: Folder, changed: Mapping[str, str], *, root: Path, now: datetime
) -> Written:
    settings = {**folder.read_settings(), **changed}
    plan = make_plan(parse(ClusterConfig, settings))
    previous, running = folder.read_written(), folder.read_running()
    containers = (*members(plan), *monitors(plan))
    certified = tuple(each.node for each in containers if each.certified)
    kept = folder.read_secrets()
    secrets = complete(kept, plan.config, certified, now=now)
    if problems := [
        *forbidden_changes(_as_it_may_run(previous, running), plan.config),
        *_lost_secrets(previous, plan.config, kept),
        *_lost_key(previous, plan.config, secrets, found=folder.read_identity()),
    ]:
        raise ChangeRefused(problems)
    wanted = tuple(member_of(each) for each in containers)
    leave = leaving(running, wanted)
    with folder.writing():
        folder.write_running((*wanted, *leave))
        folder.write_kept(settings, secrets, made=_made(plan, secrets))
        text = _write_all(folder, plan, containers, secrets, root)
        folder.write_roll(steps(containers, leave))
        folder.write_document(text)
    return Written(
        plan,
        len(containers),
        identity=not plan.config.backup.backup_recipients,
        first=not previous.engine,
        leave=leave,
        new_authority=bool(previous.engine and (not kept or kept.authority != secrets.authority)),
    )


def _as_it_may_run(previous: Previous, running: tuple[Member, ...]) -> Previous:
    """Count the sentinels that may run: what was written last may never have been brought up."""
    return replace(previous, sentinels=max(previous.sentinels, count_sentinels(running)))


def _write_all(
    folder: Folder, plan: Plan, containers: tuple[Container, ...], secrets: Secrets, root: Path
) -> str:
    """Write all that docker-compose's file names, and return that file's text."""
    rules = read_rules(root)
    files = {
        each.node.name: contents(plan, each, secrets=secrets, rules=rules) for each in containers
    }
    digests = {name: digest(manifest(texts)) for name, texts in files.items()}
    arguments = build_args(plan.config)
    folder.write_identity(None if plan.config.backup.backup_recipients else secrets.identity)
    folder.write_nodes(files, digests)
    folder.write_image(root, arguments)
    folder.write_environment(_environment(folder, plan, secrets))
    around = Surroundings(
        images=image_names(plan, context_hash(root, arguments)),
        build_args=arguments,
        digests=digests,
        group=folder.group,
        files=f"./{NODES}",
        context=f"./{IMAGE}",
    )
    return write_document(document(plan, around), name=COMPOSE_FILE)


def _lost_secrets(
    previous: Previous, wanted: ClusterConfig, kept: Secrets | None
) -> Iterator[Problem]:
    """Refuse to make passwords and an authority anew that were made before: nobody would know them.

    Of a key of the folder's own `_lost_key` tells, and how it may go.
    """
    own_key = previous.generated and not wanted.backup.backup_recipients
    if kept or not previous.engine or own_key:
        return
    yield Problem(
        "secrets.json",
        "missing",
        "all passwords and the certificate authority would be new, and what runs would refuse them",
        f"{PUT_BACK}; to begin anew on purpose, take the containers away (`docker-compose down`) "
        "and delete written.json",
    )


def _lost_key(
    previous: Previous, wanted: ClusterConfig, secrets: Secrets, *, found: str
) -> Iterator[Problem]:
    """Refuse another key to the backups than the folder's own; `found` is its identity.txt.

    `secrets` has another one where the file that kept it is no more.
    """
    lost = set(wanted.allow_backup_key_loss.split(",")) & set(previous.recipients)
    if wanted.backup.backup_recipients or lost:
        return
    recipients = secrets.keys(wanted).recipients
    if previous.generated and not set(recipients) & set(previous.recipients):
        opened = ", ".join(previous.recipients)
        yield Problem(
            "secrets.json",
            "missing, or not the last run's",
            f"the key that opens the backups of {opened} would be replaced, and what runs would "
            "refuse the new passwords",
            f"{PUT_BACK}; or, if those backups may go, `pulumi config set allowBackupKeyLoss "
            f"{previous.recipients[0]}`",
        )
    elif found.strip() and secrets.identity not in found.split():
        yield Problem(
            "identity.txt",
            "of other secrets",
            "it opens the backups that were made with it, and would be overwritten",
            f"{PUT_BACK}; or move identity.txt to where you keep such keys",
        )


def _made(plan: Plan, secrets: Secrets) -> Previous:
    """Give what decides whether a later change would lose data or the key to it."""
    return Previous(
        engine=plan.config.engine,
        sentinels=len(plan.topology.sentinels),
        recipients=secrets.keys(plan.config).recipients,
        generated=not plan.config.backup.backup_recipients,
        identity=identity_of(plan.topology, master_name=plan.config.sentinel.master_name),
    )


def image_names(plan: Plan, content: str) -> dict[str, str]:
    """Name the images of the stages as the Docker target does, which may have built them."""
    network, engine = plan.topology.network, plan.config.engine
    repositories = {"node": network, "monitoring": f"{network}-monitoring"}
    return {
        stage: image_name(repository, engine=engine, content=content)
        for stage, repository in repositories.items()
    }


def _environment(folder: Folder, plan: Plan, secrets: Secrets) -> str:
    here = folder.path.resolve()
    settings = {
        **host_environment(plan, passwords=secrets.passwords, keys=secrets.keys(plan.config)),
        "REDIS_TLS_CA": str(here / folder.ca.name),
    }
    if not plan.config.backup.backup_recipients:
        settings["REDIS_BACKUP_IDENTITY"] = str(here / folder.identity.name)
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(settings.items()))
