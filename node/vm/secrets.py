"""The files of this machine, from AWS Secrets Manager, with the role of the machine."""

import json

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from node.vm.errors import BootFailed
from node.vm.places import Places

_PATIENCE = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard"})


def fetch(places: Places, secret: str) -> dict[str, str]:
    """Read one secret, a JSON object of path and content; raises BootFailed."""
    client = boto3.client(
        "secretsmanager",
        region_name=places.region,
        endpoint_url=places.endpoint or None,
        config=_PATIENCE,
    )
    try:
        text = client.get_secret_value(SecretId=secret)["SecretString"]
        return {str(name): str(content) for name, content in json.loads(text).items()}
    except (BotoCoreError, ClientError, ValueError, KeyError, AttributeError) as error:
        raise BootFailed(
            operation="read the secret",
            subject=secret,
            cause=f"{type(error).__name__}: {error}",
            hint="see that the role may read it and that the endpoint is reachable",
        ) from error
