"""The connection to an account in a region, and AWS's refusals in our words."""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from toolchain.plugins.base.errors import Cancelled, OperationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from toolchain.plugins.base.lifetime import Lifetime

_PATIENCE: Final = 600.0  # seconds; the official provider's default for instances and volumes
_RETRIES: Final = Config(retries={"mode": "standard", "max_attempts": 8})


class Account:
    """One client for each service, made when first used; clients may be shared by threads.

    Credentials and endpoints come from where the official provider looks as well: its settings,
    then the environment (AWS_ENDPOINT_URL too), then the shared files.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()  # boto3's sessions are not safe for threads

    def client(self, service: str) -> Any:
        """Give the client of a service, such as `ec2`."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._connect(service)
            return self._clients[service]

    def _connect(self, service: str) -> Any:
        try:
            return boto3.session.Session(
                aws_access_key_id=self._config.get("accessKey"),
                aws_secret_access_key=self._config.get("secretKey"),
                aws_session_token=self._config.get("token"),
                profile_name=self._config.get("profile"),
                region_name=self._config.get("region"),
            ).client(service, config=_RETRIES)
        except BotoCoreError as error:
            raise OperationFailed(
                operation="reach",
                subject=f"AWS's {service}",
                cause=str(error),
                hint="set the provider's `region` and `profile` (or AWS_REGION and AWS_PROFILE)",
            ) from error


@contextmanager
def attempt(operation: str, subject: str) -> Iterator[None]:
    """Turn AWS's refusal, or its absence, into OperationFailed."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise OperationFailed(operation=operation, subject=subject, cause=str(error)) from error


def is_gone(error: ClientError) -> bool:
    """Say whether AWS answered that there is no such thing; each service has its own words."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    return re.search("NotFound|NoSuch|DoesNotExist|^404$", code) is not None


def wait_until(
    reached: Callable[[], bool], *, what: str, lifetime: Lifetime, patience: float = _PATIENCE
) -> None:
    """Ask until it is so; errors: Cancelled when the run ends, OperationFailed after `patience`."""
    end, pause = time.monotonic() + patience, 0.2
    while not reached():
        if time.monotonic() > end:
            raise OperationFailed(
                operation="wait until", subject=what, cause=f"it took more than {patience:.0f} s"
            )
        if lifetime.pause(pause):
            raise Cancelled(operation="wait until", subject=what, cause="the run was cancelled")
        pause = min(2 * pause, 5.0)
