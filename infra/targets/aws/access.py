"""Whether there is anything to show to AWS, before the first resource asks."""

import botocore.session

from infra.errors import CredentialsMissing


def require_credentials() -> None:
    """Look where the provider looks: environment, shared files, login, the machine's role.

    Errors: CredentialsMissing, in one sentence. Whether AWS accepts them is AWS's to say.
    """
    if botocore.session.get_session().get_credentials() is None:
        raise CredentialsMissing(
            "AWS credentials are missing: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, for an account where this stack may be made, and run it again"
        )
