"""The connection to the Docker daemon, and its errors in our words."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from toolchain.plugins.base.errors import OperationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DEFAULT_HOST: Final = "unix:///var/run/docker.sock"
_TIMEOUT: Final = 120  # seconds without a byte from the daemon


class Daemon:
    """One API client for each thread, connected when first used."""

    def __init__(self, host: str | None) -> None:
        self.host = host or os.environ.get("DOCKER_HOST") or _DEFAULT_HOST
        self._local = threading.local()

    @property
    def api(self) -> docker.APIClient:
        """The client of this thread; raises OperationFailed when no daemon answers."""
        client: docker.APIClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._connect()
        return client

    def _connect(self) -> docker.APIClient:
        try:
            return docker.APIClient(base_url=self.host, version="auto", timeout=_TIMEOUT)
        except DockerException as error:
            raise OperationFailed(
                operation="reach",
                subject=f"the Docker daemon at {self.host}",
                cause=str(error),
                hint="start it, or set the provider's `host` (or DOCKER_HOST)",
            ) from error

    @contextmanager
    def attempt(self, operation: str, subject: str, *, hint: str = "") -> Iterator[None]:
        """Turn the daemon's refusal, or its absence, into OperationFailed."""
        try:
            yield
        except APIError as error:
            cause = str(error.explanation or error)
            raise OperationFailed(
                operation=operation, subject=subject, cause=cause, hint=hint
            ) from error
        except (DockerException, requests.RequestException) as error:
            raise OperationFailed(
                operation=operation,
                subject=subject,
                cause=f"the daemon at {self.host} stopped answering: {error}",
            ) from error

    def find(self, inspect: Callable[[str], dict[str, Any]], name: str) -> dict[str, Any] | None:
        """Inspect something; None when it does not exist."""
        with self.attempt("inspect", name):
            try:
                return inspect(name)
            except NotFound:
                return None

    def create_container(self, body: dict[str, Any], name: str) -> str:
        """Create a container from the API's own request body and return its id."""
        create: Callable[..., dict[str, Any]] = self.api.create_container_from_config
        return str(create(body, name)["Id"])
