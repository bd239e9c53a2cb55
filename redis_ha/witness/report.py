"""What a witness says when it is asked how it is: a question and its answers, as messages.

The answer isn't signed: whoever asks doesn't know the witnesses' secret. An application with the
right to publish on any channel could answer as well; it would deceive a reader, never a witness.
"""

import json
import re
from dataclasses import dataclass

from redis_ha.witness.status import NOT_LET_IN, Status, parse

_NONCE = re.compile(r"[0-9a-f]{8,64}")
MOST_CHARACTERS = 8192
# A witness answers no more often than this (s) over one connection, however often it is asked.
ANSWER_SECONDS = 0.1


@dataclass(frozen=True)
class Report:
    """How witness `number`, which counts as its sentinel does, is and what it did."""

    number: int
    status: Status

    @property
    def name(self) -> str:
        return f"witness-{self.number}"

    @property
    def trouble(self) -> str:
        """Say why it would not see, or not tell of, a death; empty when nothing is in its way."""
        status = self.status
        if status.state == NOT_LET_IN:
            return f"is not let in: {status.reason}"
        if status.unreachable:
            return f"is not connected to {', '.join(status.unreachable)}"
        if not status.master:
            return f"doesn't watch: {status.state}"
        return ""


def is_question(message: object) -> bool:
    """Say whether a message asks for the status: a nonce and nothing else."""
    return isinstance(message, str) and _NONCE.fullmatch(message) is not None


def written(report: Report, nonce: str) -> str:
    """Write an answer to the question that was this nonce."""
    body = {"nonce": nonce, "number": report.number, **report.status.fields()}
    return json.dumps(body, separators=(",", ":"))


def read(message: object, nonce: str) -> Report | None:
    """Read an answer; None unless it is well-formed and answers this nonce."""
    if not isinstance(message, str) or len(message) > MOST_CHARACTERS:
        return None
    try:
        fields = json.loads(message)
        number = fields["number"]
        if fields["nonce"] != nonce or not isinstance(number, int) or not 0 < number < 100:
            return None
        return Report(number, parse(fields))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
