"""Make this machine a node, once: `python -m node.vm.boot`.

Every step can be repeated, and the unit repeats all of them until the last has succeeded: rights
take seconds to arrive at a new role, and the volume is attached after the machine has begun.
"""

import os
import shutil
import socket
import sys
from pathlib import Path

from node.errors import NodeError
from node.files import write_atomically
from node.vm.layout import (
    CONFIG,
    DATA,
    DATA_FOLDERS,
    UNITS,
    OwnedFile,
    drop_ins,
    mount_unit,
    owned_files,
    started_units,
    unit_of,
    user_of,
)
from node.vm.places import Places, load_places
from node.vm.secrets import fetch
from node.vm.system import run
from node.vm.volume import await_device, format_if_empty
from redis_ha.eventlog import EventLog

STATE = Path("/var/lib/redis-ha")
# Written when the volume was empty at the first boot of this machine; see node.vm.ready.
FRESH_VOLUME = STATE / "fresh-volume"
# The unit's condition: it doesn't run again once this is there.
BOOTED = STATE / "booted"
_FILES = Path(__file__).with_name("files")
_INSTALLED = {
    "sysusers.conf": Path("/etc/sysusers.d/redis-ha.conf"),
    "sysctl.conf": Path("/etc/sysctl.d/60-redis-ha.conf"),
    "tmpfiles.conf": Path("/etc/tmpfiles.d/redis-ha.conf"),
}


def main() -> int:
    """Boot; 0 when the node's units were started, 1 when a step must be tried again."""
    log = EventLog(socket.gethostname(), component="boot")
    os.umask(0o022)
    try:
        places = load_places(CONFIG / "boot.json")
        log = EventLog(places.node, component="boot")
        boot(places, log)
    except (NodeError, OSError) as error:
        log.warning("boot-failed", reason=str(error))
        return 1
    return 0


def boot(places: Places, log: EventLog) -> None:
    """Do all steps in their order; raises NodeError."""
    files = owned_files(fetch(places, places.node_secret), fetch(places, places.worker_secret))
    _install_host_files()
    log.info("host-prepared")
    _mount(places.device, log)
    _give_data_folders()
    for file in files:
        _write_owned(file)
    units = _install_units(places)
    write_atomically(BOOTED, "")
    # Not waited for: a data node holds its start back until it knows its role.
    run(["systemctl", "start", "--no-block", *units], "start the node")
    log.info("booted", files=len(files))


def _install_host_files() -> None:
    """Create the users and tune the host; where the kernel isn't ours, systemd leaves it alone."""
    for name, target in _INSTALLED.items():
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(_FILES / name, target)
    run(["systemd-sysusers", str(_INSTALLED["sysusers.conf"])], "create the users")
    run(["systemctl", "restart", "systemd-sysctl.service"], "set the kernel's settings")
    run(["systemd-tmpfiles", "--create", str(_INSTALLED["tmpfiles.conf"])], "turn huge pages off")
    run(["swapoff", "--all"], "turn swap off")
    run(["systemctl", "mask", "swap.target"], "keep swap off")


def _mount(device: Path, log: EventLog) -> None:
    await_device(device)
    if format_if_empty(device):
        write_atomically(FRESH_VOLUME, "")
        log.info("formatted", device=device)
    unit = UNITS / "data.mount"
    unit.write_text(mount_unit(device))
    run(["systemctl", "daemon-reload"], "read the units")
    run(["systemctl", "enable", "--now", unit.name], "mount the data volume")
    log.info("mounted", device=device, at=DATA)


def _give_data_folders() -> None:
    for role, folder in DATA_FOLDERS.items():
        folder.mkdir(mode=0o700, exist_ok=True)
        shutil.chown(folder, user_of(role), user_of(role))


def _write_owned(file: OwnedFile) -> None:
    """Write a file that its role's user alone may read, in folders that are its own."""
    for folder in (CONFIG / file.role, file.path.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
        shutil.chown(folder, user_of(file.role), user_of(file.role))
    write_atomically(file.path, file.content)
    shutil.chown(file.path, user_of(file.role), user_of(file.role))


def _install_units(places: Places) -> list[str]:
    """Install all units, enable those that run from the boot on, and return their names."""
    for file in _FILES.glob("redis-ha-*"):
        shutil.copyfile(file, UNITS / file.name)
    for role, text in drop_ins(places).items():
        settings = UNITS / f"{unit_of(role)}.d"
        settings.mkdir(exist_ok=True)
        (settings / "machine.conf").write_text(text)
    units = started_units()
    run(["systemctl", "daemon-reload"], "read the units")
    run(["systemctl", "enable", *units], "enable the units")
    return units


if __name__ == "__main__":
    sys.exit(main())
