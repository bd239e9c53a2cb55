"""`redis-ha compose [DIRECTORY]`: the cluster for docker-compose, without Pulumi.

Each setting of a stack is an option of the same name. They are kept in the folder's settings.yaml.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.compose.folder import COMPOSE_FILE, ROLL_FILE, Folder
from infra.compose.rolling import farewell
from infra.compose.writing import Written, write_folder
from infra.config import Aws, ClusterConfig, Generations
from infra.errors import ConfigRefused, InfraError, Refused
from infra.settings import Described, described

ROOT = Path(__file__).resolve().parents[2]
# A stack's alone: here there is one target, and what was made once is kept.
LEFT_OUT = {"target", *(each.name for group in (Aws, Generations) for each in described(group))}
FORGOTTEN = "then `sh roll.sh`, and two minutes for those that left to be forgotten"
DESCRIPTION = """\
Write what docker-compose needs to run the cluster: docker-compose.redis-ha.yml, the nodes'
configuration, passwords, certificates, and the image's sources. The same plan, files and
hardening as `pulumi up` with the Docker target. Settings are kept in DIRECTORY/settings.yaml,
and options change them; run it again at any time. Nothing is started, and what runs stays as
it is until roll.sh, which is written too, replaces it, one container after another.

Examples:
  redis-ha compose
  redis-ha compose /srv/redis-ha --downAfterMs 3000 --maxmemory 1gb --nodeMemoryMb 2304
  cd redis-ha-compose && docker-compose -f docker-compose.redis-ha.yml up -d && redis-ha status
  redis-ha compose --ioThreads 4 && sh redis-ha-compose/roll.sh

Exit codes: 0 written, 1 the folder can't be used, 2 wrong use or setting, 7 refused as unsafe."""


def options() -> list[Described]:
    """List the settings that are options; what is secret has no place on a command line."""
    known = described(ClusterConfig)
    return [each for each in known if each.name not in LEFT_OUT and not each.secret]


def make_parser() -> argparse.ArgumentParser:
    """Make an option of each setting."""
    parser = argparse.ArgumentParser(
        prog="redis-ha compose",
        usage="redis-ha compose [DIRECTORY] [--json] [--SETTING VALUE ...]",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "directory", nargs="?", type=Path, default=Path("redis-ha-compose"), metavar="DIRECTORY"
    )
    parser.add_argument("--json", dest="as_json", action="store_true", help="print JSON")
    group = parser.add_argument_group("settings (with their defaults)")
    for each in options():
        text = f"{each.expects} [{_shown(each.default)}]".replace("%", "%%")
        group.add_argument(f"--{each.name}", dest=each.name, metavar="VALUE", help=text)
    return parser


def main(words: Sequence[str]) -> int:
    """Write the folder and say what comes next."""
    given = vars(make_parser().parse_args(list(words)))
    directory: Path = given.pop("directory")
    as_json: bool = given.pop("as_json")
    changed = {name: value for name, value in given.items() if value is not None}
    folder = Folder(directory, os.getegid())
    try:
        written = write_folder(folder, changed, root=ROOT, now=datetime.now(UTC))
    except InfraError as error:
        sys.stderr.write(f"redis-ha compose: {in_our_words(str(error), folder)}\n")
        return _exit_code(error)
    sys.stdout.write(_document(folder, written) if as_json else _summary(folder, written))
    return 0


def in_our_words(text: str, folder: Folder) -> str:
    """Say with options and files what the planner says with Pulumi's commands."""
    text = re.sub(r"pulumi stack output [^`>]*backupIdentity", f"cat {folder.identity}", text)
    text = re.sub(r"`redis-ha scale` waits[^)]*", FORGOTTEN, text)
    text = re.sub(r"pulumi config set --secret (\w+)", r"write \1 into settings.yaml", text)
    down = f"`docker-compose -f {COMPOSE_FILE} down --volumes`"
    text = text.replace("make a second stack", "write a second folder")
    text = text.replace("`pulumi destroy` first", f"{down}, then delete {folder.written}")
    text = re.sub(r"pulumi config set (\w+)", r"--\1", text)
    return re.sub(r"pulumi config rm (\w+)", r"delete \1 in settings.yaml", text)


def _exit_code(error: InfraError) -> int:
    if isinstance(error, Refused):
        return 2 if isinstance(error, ConfigRefused) else 7
    return 1


def _summary(folder: Folder, written: Written) -> str:
    lines = [
        written.plan.summary(),
        f"wrote {folder.path / COMPOSE_FILE}: {written.services} services",
        "",
        *_NEXT[_next(written)](folder, written),
        "  redis-ha status                # in that folder, which holds .env.redis-ha",
    ]
    if written.identity:
        lines += ["", f"The key to all backups is {folder.identity}: keep a copy elsewhere."]
    return "\n".join([*lines, ""])


def _next(written: Written) -> str:
    if written.first:
        return "up"
    return "down, up" if written.new_authority else ROLL_FILE


def _start(folder: Folder, _: Written) -> list[str]:
    return [
        f"  cd {folder.path}",
        f"  docker-compose -f {COMPOSE_FILE} up -d     # or: docker compose",
    ]


def _anew(folder: Folder, written: Written) -> list[str]:
    """Say what brings a new authority: nodes with the old one would wait for the others in vain."""
    return [
        "The certificate authority is new, and those who run don't trust it. All together:",
        "",
        f"  cd {folder.path}",
        f"  docker-compose -f {COMPOSE_FILE} down",
        *_start(folder, written)[1:],
    ]


def _change(folder: Folder, written: Written) -> list[str]:
    """Say that nothing has happened yet, who leaves, and what brings it about."""
    lines = ["What runs stays as it is until roll.sh brings the change, one after another:", ""]
    if written.leave:
        names = ", ".join(member.name for member in written.leave)
        stops = [f"  {farewell(member)}" for member in written.leave]
        told = "Who leaves is stopped by roll.sh, sentinels after the others were replaced:"
        lines = [f"No more wanted: {names}. {told}", *stops, "", *lines]
    return [*lines, f"  cd {folder.path}", f"  sh {ROLL_FILE}     # `up -d` may stop all at once"]


_NEXT = {"up": _start, "down, up": _anew, ROLL_FILE: _change}


def _document(folder: Folder, written: Written) -> str:
    made = {
        "file": str(folder.path / COMPOSE_FILE),
        "services": written.services,
        "leave": [member.name for member in written.leave],
        "next": _next(written),
        "identity": str(folder.identity) if written.identity else None,
        "plan": written.plan.output(),
    }
    return json.dumps(made) + "\n"


def _shown(default: Any) -> str:
    if isinstance(default, bool | tuple):
        return json.dumps(default)
    return str(default)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
