"""The folder that `redis-ha compose` writes: read back, and written whole file by file."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.changes import Previous
from infra.compose.rolling import Member, may_run
from infra.compose.secrets import Secrets, read_secrets, write_secrets
from infra.errors import FolderUnusable
from infra.places import Identity, Place
from infra.stack_file import as_texts
from infra.targets.docker.context import context_files, context_hash

COMPOSE_FILE = "docker-compose.redis-ha.yml"
ROLL_FILE = "roll.sh"
ENV_FILE = ".env.redis-ha"
NODES, IMAGE, LOCK = "nodes", "image", ".lock"
PRIVATE, SHARED, OPEN = 0o600, 0o440, 0o644
IGNORED = "\n".join(["settings.yaml", "secrets.json", "identity.txt", ENV_FILE, NODES, LOCK, ""])
DAMAGED = (ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError)
ACCESS = "see who may read and write there, or name another folder"
PUT_BACK = "put secrets.json back from a copy"
SETTINGS_HEAD = """\
# The settings of this cluster, as options of `redis-ha compose` left them; secret ones (such as
# backupS3SecretAccessKey) are written here by hand. Run the command again after a change.
"""


@dataclass(frozen=True)
class Folder:
    """Where it is; `group` is the host's group whose members, the containers, read their files.

    Only the folder's owner gets to them on the host: `nodes` is closed to all others.
    """

    path: Path
    group: int

    @property
    def ca(self) -> Path:
        return self.path / "ca.crt"

    @property
    def identity(self) -> Path:
        return self.path / "identity.txt"

    @property
    def written(self) -> Path:
        return self.path / "written.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out; a folder that is new stays only if something is written into it.

        Errors: FolderUnusable.
        """
        new = not self.path.exists()
        with self._about("lock", self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(descriptor)
            yield
        finally:
            if new:
                self._forget()
            os.close(descriptor)

    def _take(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            hint = "wait until it has ended"
            raise FolderUnusable(f"lock {self.path}: another run is writing; {hint}") from error

    def _forget(self) -> None:
        if [each.name for each in self.path.iterdir()] == [LOCK]:
            with suppress(OSError):
                (self.path / LOCK).unlink()
                self.path.rmdir()

    def read_settings(self) -> dict[str, str]:
        """Give the settings of the last run. Errors: FolderUnusable."""
        with self._about("read", self.path / "settings.yaml") as path:
            found = yaml.safe_load(path.read_text()) if path.exists() else None
            return as_texts(dict(found or {}))

    def read_secrets(self) -> Secrets | None:
        """Give the secrets of the last run, None before the first. Errors: FolderUnusable."""
        with self._about("read", self.path / "secrets.json", hint=PUT_BACK) as path:
            return read_secrets(path.read_text()) if path.exists() else None

    def read_written(self) -> Previous:
        """Give what the last run made; empty before the first. Errors: FolderUnusable."""
        with self._about("read", self.written) as path:
            if not path.exists():
                return Previous()
            return _previous(json.loads(path.read_text()))

    def read_running(self) -> tuple[Member, ...]:
        """Give who of the earlier runs may run; empty before the first. Errors: FolderUnusable."""
        with self._about("read", self.path / "running.json") as path:
            known = json.loads(path.read_text()) if path.exists() else []
            nodes = self.path / NODES
            folders = {each.name for each in nodes.iterdir()} if nodes.exists() else set()
            return may_run([Member(**each) for each in known], folders)

    def read_identity(self) -> str:
        """Give what is in the file of the key to the backups, "" where there is none.

        Errors: FolderUnusable.
        """
        with self._about("read", self.identity) as path:
            return path.read_text() if path.exists() else ""

    def write_kept(self, settings: Mapping[str, str], secrets: Secrets, *, made: Previous) -> None:
        """Write what the next run needs, before anything that is made of it."""
        ignore = self.path / ".gitignore"
        if not ignore.exists():
            self._write(ignore, IGNORED, OPEN)
        text = yaml.safe_dump({name: _value(text) for name, text in settings.items()})
        self._write(
            self.path / "settings.yaml", SETTINGS_HEAD + (text if settings else ""), PRIVATE
        )
        self._write(self.path / "secrets.json", write_secrets(secrets), PRIVATE)
        self._write(self.written, json.dumps(asdict(made), indent=1) + "\n", OPEN)
        self._write(self.ca, secrets.authority.certificate, OPEN)

    def write_identity(self, identity: str | None) -> None:
        """Write the key to the backups, or take it away where others hold it."""
        if identity is None:
            self.identity.unlink(missing_ok=True)
        else:
            self._write(self.identity, f"{identity}\n", PRIVATE)

    def write_running(self, members: Sequence[Member]) -> None:
        """Write who may run from now on."""
        text = json.dumps([asdict(member) for member in members], indent=1) + "\n"
        self._write(self.path / "running.json", text, OPEN)

    def write_nodes(
        self, files: Mapping[str, Mapping[str, str]], digests: Mapping[str, str]
    ) -> None:
        """Write each node's files into a folder of its own for each state of them.

        What runs keeps the files that it began with; roll.sh removes them after it was replaced.
        """
        nodes = self.path / NODES
        nodes.mkdir(mode=0o700, exist_ok=True)
        nodes.chmod(0o700)
        for node, texts in files.items():
            self._enter(nodes / node)
            self._enter(nodes / node / digests[node])
            for name, text in texts.items():
                path = nodes / node / digests[node] / name
                self._enter(path.parent)
                self._write(path, text, SHARED)

    def write_image(self, root: Path, arguments: Mapping[str, str]) -> None:
        """Copy what the image is built from out of the checkout, unless it is here."""
        image, making = self.path / IMAGE, self.path / f"{IMAGE}.new"
        if image.exists() and context_hash(image, arguments) == context_hash(root, arguments):
            return
        shutil.rmtree(making, ignore_errors=True)
        for source in context_files(root):
            target = making / source.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        shutil.rmtree(image, ignore_errors=True)
        making.rename(image)

    def write_environment(self, text: str) -> None:
        """Write the settings for commands on this host."""
        self._write(self.path / ENV_FILE, text, PRIVATE)

    def write_roll(self, steps: str) -> None:
        """Write the script that goes through a change step by step."""
        text = Path(__file__).with_name(ROLL_FILE).read_text()
        self._write(self.path / ROLL_FILE, text + steps, OPEN)

    def write_document(self, text: str) -> None:
        """Write docker-compose's file, the last of all."""
        self._write(self.path / COMPOSE_FILE, text, OPEN)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Say what is in the way of writing. Errors: FolderUnusable."""
        with self._about("write", self.path):
            yield

    @contextmanager
    def _about(self, operation: str, path: Path, *, hint: str = ACCESS) -> Iterator[Path]:
        try:
            yield path
        except (OSError, *DAMAGED) as error:
            cause = error.strerror if isinstance(error, OSError) else _damage(error)
            hint = ACCESS if isinstance(error, OSError) else hint
            raise FolderUnusable(f"{operation} {path}: {cause}; {hint}") from error

    def _enter(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        os.chown(folder, -1, self.group)
        folder.chmod(0o750)

    def _write(self, path: Path, text: str, mode: int) -> None:
        if path.exists() and path.read_text() == text and path.stat().st_mode & 0o777 == mode:
            return
        making = path.with_name(f".{path.name}.new")
        making.unlink(missing_ok=True)
        descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            os.fchown(descriptor, -1, self.group)
            os.fchmod(descriptor, mode)
            file.flush()
            os.fsync(descriptor)
        making.replace(path)


def _previous(found: Mapping[str, Any]) -> Previous:
    """Read what was written, by an older version as well. Errors: KeyError, TypeError."""
    identity = found.get("identity", {})
    places = tuple(Place(**place) for place in identity.get("places", ()))
    return Previous(
        engine=found["engine"],
        sentinels=found["sentinels"],
        recipients=tuple(found["recipients"]),
        generated=found["generated"],
        identity=Identity(**{**identity, "places": places}),
    )


def _damage(error: Exception) -> str:
    return f"it is damaged ({type(error).__name__})"


def _value(text: str) -> Any:
    """Write a setting as a reader would: 5000 and true without quotes, lists as lists."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if json.dumps(value) == text else text
