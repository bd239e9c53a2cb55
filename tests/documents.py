"""The commands that the documents show, and by what each is proven.

A block of shell stands in a document plain, and then tests/docker/test_documents.py runs it line
by line; or below `<!-- not run: REASON -->` or `<!-- run by tests/FILE.py::TEST -->`. A line of a
plain block that another test runs is in ELSEWHERE.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "laravel" / "README.md",
    *sorted(ROOT.glob("CONTRIBUTING.md")),
)
SHELL = ("sh", "bash", "shell", "console")
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>.+?) -->\n+)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_COMMENT = re.compile(r"(?:^|\s+)#(?:\s.*)?$")

_DASHBOARD = "tests/processes/redis_ha/test_dashboard.py"
_FAULTS = "tests/docker/test_failover_test.py"
_UPKEEP = "tests/processes/redis_ha/test_upkeep_commands.py"
# What a line begins with, and the test that runs it with the same options.
ELSEWHERE = {
    "redis-ha checklist": _UPKEEP,
    "redis-ha maintenance": _UPKEEP,
    "redis-ha dashboard": _DASHBOARD,
    "redis-ha exporter": "tests/processes/redis_ha/test_exporter.py",
    "redis-ha failover-test": _FAULTS,
}


@dataclass(frozen=True)
class Block:
    """One fenced block; `mark` is the comment above it, "" for none."""

    document: Path
    number: int
    language: str
    mark: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.document.relative_to(ROOT)}#{self.number}"

    @property
    def commands(self) -> list[str]:
        """Its lines without comments; a line that ends with a backslash goes on."""
        joined = self.text.replace("\\\n", " ")
        lines = (_COMMENT.sub("", line).strip() for line in joined.splitlines())
        return [line for line in lines if line]


def blocks(documents: Sequence[Path] = DOCUMENTS) -> Iterator[Block]:
    """Find every block of every document."""
    for document in documents:
        for number, found in enumerate(_BLOCK.finditer(document.read_text()), 1):
            mark, language, text = found["mark"] or "", found["language"], found["text"]
            yield Block(document, number, language, mark, text)


def shell_blocks() -> list[Block]:
    """Find the blocks that show commands."""
    return [block for block in blocks() if block.language in SHELL]


def proof(command: str) -> str:
    """Name the file of the test that runs this line elsewhere; "" when it is run here."""
    return next((test for begin, test in ELSEWHERE.items() if command.startswith(begin)), "")
