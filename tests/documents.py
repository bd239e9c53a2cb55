"""The commands and examples that the documents show, and by what each is proven.

A block of shell or Python stands in a document plain, and then tests/docker/test_documents.py runs
it, shell line by line; or it stands below `<!-- not run: REASON -->` or
`<!-- run by tests/FILE.py::TEST -->`. A line of a plain block that another test runs is in
ELSEWHERE. Code of another language has a mark; what is only to be looked at (settings, what a
command prints) needs none.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "laravel" / "README.md",
    ROOT / "monitoring" / "grafana" / "provisioning" / "README.md",
    *sorted(ROOT.glob("CONTRIBUTING.md")),
)
SHELL = ("sh", "bash", "shell", "console")
# To be looked at; the rest is code.
SHOWN_ONLY = ("", "text", "json", "yaml", "ini")
# In a list a block is indented, by three spaces at most.
_BLOCK = re.compile(
    r"(?:^ {0,3}<!-- (?P<mark>[^\n]+?) -->\n+)?"
    r"^ {0,3}```(?P<language>\w*)\n(?P<text>.*?)^ {0,3}```$",
    re.MULTILINE | re.DOTALL,
)
_COMMENT = re.compile(r"(?:^|\s+)#(?:\s.*)?$")
# An option, or a value that is a word of the command's own: no file, no FILE, no number.
_WORD = re.compile(r"(?:--)?[a-z]+(?:-[a-z]+)*")

_UPKEEP = "tests/processes/redis_ha/test_upkeep_commands.py"
# What a line begins with, and the test that runs it, by the words that the line has.
ELSEWHERE = {
    "redis-ha checklist": _UPKEEP,
    "redis-ha maintenance": _UPKEEP,
    "redis-ha dashboard": "tests/processes/redis_ha/test_dashboard.py",
    "redis-ha failover-test --fault crash": "tests/docker/test_failover_test.py",
}
# A quarter of an hour: tests/docker/test_documents.py runs it with REDIS_HA_TEST_LONG=1 only.
LONG = ("redis-ha failover-test --fault all",)


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
        yield from blocks_of(document, document.read_text())


def blocks_of(document: Path, text: str) -> Iterator[Block]:
    """Find the blocks of a text."""
    for number, found in enumerate(_BLOCK.finditer(text), 1):
        mark, language = found["mark"] or "", found["language"]
        yield Block(document, number, language, mark, dedent(found["text"]))


def shell_blocks() -> list[Block]:
    """Find the blocks that show commands."""
    return [block for block in blocks() if block.language in SHELL]


def python_examples() -> list[Block]:
    """Find the blocks of Python that are run as they stand."""
    return [block for block in blocks() if block.language == "python" and not block.mark]


def is_long(command: str) -> bool:
    """Say whether a line is only run where there is time."""
    return command.startswith(LONG)


def proof(command: str) -> str:
    """Name the file of the test that runs this line elsewhere; "" when it is run here.

    A test that lacks one of its options, or another value of it, is no proof.
    """
    for begin, test in ELSEWHERE.items():
        if command.startswith(begin):
            source = (ROOT / test).read_text()
            return test if all(f'"{word}"' in source for word in own_words(command)) else ""
    return ""


def own_words(command: str) -> list[str]:
    """Give a line's subcommand, its options, and those of their values that are words."""
    return [word for word in shlex.split(command)[1:] if _WORD.fullmatch(word)]
