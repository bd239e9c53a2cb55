"""Says in a few words what a failed connection means, from the text that libraries give. Pure."""

import re

import redis

_EXPIRED = re.compile(r"certificate has expired(?: on [-\d]+ [:\d]+ UTC)?")
# The first that occurs in the text counts.
_MEANINGS = (
    ("IP address mismatch", "its certificate is for another address"),
    ("Hostname mismatch", "its certificate is for another address"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not signed by the CA in REDIS_TLS_CA"),
    ("WRONGPASS", "the user or the password is wrong"),
    ("Invalid Username or Password", "the user or the password is wrong"),
    ("invalid username-password", "the user or the password is wrong"),
    ("NOPERM", "the user may not ask it"),
    ("has no permissions", "the user may not ask it"),
    ("Connection refused", "nobody listens there"),
    ("No route to host", "there is no route to it"),
    ("Network is unreachable", "there is no route to it"),
    ("imed out", "it does not answer in time"),
    ("imeout", "it does not answer in time"),
    ("WRONG_VERSION_NUMBER", "it does not speak TLS"),
    ("record layer failure", "it does not speak TLS"),
    ("EOF occurred", "it closes the connection"),
    ("Connection closed", "it closes the connection"),
    ("Connection reset", "it closes the connection"),
    ("Protocol Error", "it does not speak Redis"),
    ("No such master", "it monitors no master of that name"),
)


def explained(error: Exception) -> str:
    """Return the meaning of a failure, or the first line of what it says."""
    return meaning(problem_of(error))


def problem_of(error: Exception) -> str:
    """Return the first line of what a failure says.

    Of an answer that can't be read it says what reading it fell over, which tells nobody anything.
    """
    if isinstance(error, redis.RedisError | OSError):
        return one_line(error)
    return "it does not answer as a node would"


def one_line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return (str(error) or type(error).__name__).splitlines()[0]


def meaning(text: str) -> str:
    """Return what a failure's text means, or the text itself."""
    if expired := _EXPIRED.search(text):
        return f"its {expired.group()}"
    return next((said for sign, said in _MEANINGS if sign in text), text)
