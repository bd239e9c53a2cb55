"""Every command in the documents is run by a test, or says why not; links lead somewhere."""

import re
from pathlib import Path

import pytest

from tests.documents import DOCUMENTS, ELSEWHERE, ROOT, Block, shell_blocks

_RUN_BY = re.compile(r"run by (tests/[\w/]+\.py)(?:::(\w+))?")
_NOT_RUN = re.compile(r"not run: \S.{10,}")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@pytest.mark.parametrize("block", shell_blocks(), ids=lambda block: block.name)
def test_a_mark_has_a_reason_or_a_test(block: Block) -> None:
    if not block.mark or _NOT_RUN.fullmatch(block.mark):
        return
    match = _RUN_BY.fullmatch(block.mark)
    assert match, block.mark
    source = (ROOT / match[1]).read_text()
    assert not match[2] or re.search(rf"^def {match[2]}\(", source, re.MULTILINE)


def test_what_is_run_elsewhere_is_shown_somewhere() -> None:
    shown = [line for block in shell_blocks() for line in block.commands]
    for begin, test in ELSEWHERE.items():
        assert any(line.startswith(begin) for line in shown), begin
        # The test names the subcommand it runs.
        assert begin.split()[1] in (ROOT / test).read_text()


def test_most_are_run() -> None:
    plain = [block for block in shell_blocks() if not block.mark]
    assert len(plain) >= 8


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(document: Path) -> None:
    for target in _LINK.findall(document.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (document.parent / path).resolve() if path else document
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there.read_text()), target


def anchors(text: str) -> set[str]:
    """Give the anchors of a document's headings as GitHub makes them."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(text))
    return {heading.strip().replace(" ", "-") for heading in plain}
