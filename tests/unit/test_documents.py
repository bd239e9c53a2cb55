"""Every command in the documents is run by a test, or says why not; links lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from infra.config import ClusterConfig
from infra.settings import parse
from infra.targets.aws.watch import INSTANCE_ALARMS, NODE_ALARMS, cluster_alarms
from tests.documents import (
    DOCUMENTS,
    ELSEWHERE,
    LONG,
    ROOT,
    SHELL,
    SHOWN_ONLY,
    Block,
    blocks,
    blocks_of,
    is_long,
    proof,
    shell_blocks,
)
from tests.unit.infra.aws_stack import fill
from tests.unit.infra.recorded_graph import record_program

_RUN_BY = re.compile(r"run by (tests/[\w/]+\.py)(?:::(\w+))?")
_NOT_RUN = re.compile(r"not run: \S.{10,}")
_OPTION = re.compile(r"(?<=\s)--[a-z][\w-]*")
_OUR_IMPORT = re.compile(r"^from (tests(?:\.\w+)+) import", re.MULTILINE)
_FENCE = re.compile(r"^[\s>*-]*(?:```|~~~)", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_READ_VARIABLE = re.compile(r'environ(?:\.get\(|\[)\s*"(REDIS_HA_[A-Z_]+)"')
_VARIABLE_ROW = re.compile(r"^\| `(REDIS_HA_[A-Z_]+)", re.MULTILINE)
OPERATIONS = ROOT / "docs" / "OPERATIONS.md"


def names(paths: tuple[Path, ...]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("block", [b for b in blocks() if b.mark], ids=lambda block: block.name)
def test_a_mark_has_a_reason_or_a_test(block: Block) -> None:
    if _NOT_RUN.fullmatch(block.mark):
        return
    match = _RUN_BY.fullmatch(block.mark)
    assert match, block.mark
    source = (ROOT / match[1]).read_text()
    assert not match[2] or re.search(rf"^def {match[2]}\(", source, re.MULTILINE)
    if "tests.documents" in source:  # it takes the words from here
        return
    told = "".join(with_its_own(source))
    options = [word for line in block.commands for word in _OPTION.findall(line)]
    assert [word for word in options if word not in told] == []


def with_its_own(source: str) -> Iterator[str]:
    """Give a test's text, and those of the tests' modules that it imports."""
    yield source
    for module in _OUR_IMPORT.findall(source):
        file = ROOT.joinpath(*module.split(".")).with_suffix(".py")
        if file.is_file():
            yield file.read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=names(DOCUMENTS))
def test_every_block_is_seen(document: Path) -> None:
    fences = _FENCE.findall(document.read_text())
    assert len(fences) == 2 * len(list(blocks([document])))


@pytest.mark.parametrize("block", list(blocks()), ids=lambda block: block.name)
def test_code_is_run_or_marked(block: Block) -> None:
    assert block.mark or block.language in {*SHOWN_ONLY, *SHELL, "python"}, "who runs it?"


def test_a_block_in_a_list_is_seen_as_it_reads() -> None:
    text = "1. Do\n\n   <!-- not run: for show -->\n   ```sh\n   a\n     b\n   ```\n2. Then\n"
    (found,) = blocks_of(ROOT / "x.md", text)
    assert (found.mark, found.text) == ("not run: for show", "a\n  b\n")


def test_a_block_that_is_indented_further_is_text() -> None:
    assert list(blocks_of(ROOT / "x.md", "    ```sh\n    a\n    ```\n")) == []


def test_a_mark_is_of_the_block_below_it() -> None:
    text = "<!-- not run: it is first -->\nwords\n\n```sh\na\n```\n"
    (found,) = blocks_of(ROOT / "x.md", text)
    assert found.mark == ""


def plain_lines() -> list[str]:
    return [line for block in shell_blocks() if not block.mark for line in block.commands]


def test_what_is_run_elsewhere_is_shown_somewhere() -> None:
    for begin in (*ELSEWHERE, *LONG):
        assert any(line.startswith(begin) for line in plain_lines()), begin


def test_what_is_run_elsewhere_is_run_there_by_the_same_words() -> None:
    programs = {tuple(begin.split()[:2]) for begin in ELSEWHERE}
    lines = [line for line in plain_lines() if tuple(line.split()[:2]) in programs]
    assert [line for line in lines if not proof(line) and not is_long(line)] == []


def test_a_test_without_a_lines_options_is_no_proof() -> None:
    assert proof("redis-ha failover-test --fault crash --compare --report report.html")
    assert not proof("redis-ha failover-test --fault crash --yes-production-and-more")
    assert not proof("redis-ha failover-test --fault all")
    assert not proof("redis-ha maintenance --since-ever")


def test_most_are_run() -> None:
    plain = [block for block in shell_blocks() if not block.mark]
    assert len(plain) >= 8


def test_the_component_that_the_aws_document_shows_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = blocks_like("python", "docs/AWS.md")
    exported: dict[str, Any] = {}
    monkeypatch.setattr(pulumi, "export", exported.__setitem__)
    folder = fill(tmp_path)

    def program() -> dict[str, Any]:
        vpc = aws.ec2.Vpc("theirs", cidr_block="10.1.0.0/16")
        subnets = [
            aws.ec2.Subnet(f"their-{i}", vpc_id=vpc.id, cidr_block=f"10.1.{i}.0/24").id
            for i in range(3)
        ]
        group = aws.ec2.SecurityGroup("their-app", vpc_id=vpc.id)
        known = {"pulumi": pulumi, "folder": folder, "vpc": vpc, "subnet_ids": subnets}
        exec(example.text, known | {"app_group": group})
        return exported

    graph = record_program(program)
    assert len(graph.of_type("Instance")) == 3
    assert set(graph.of_type("Vpc")) == {"theirs"}
    assert "redis" in graph.secret_outputs


def test_the_laravel_settings_are_those_of_the_application_that_the_tests_run() -> None:
    (example,) = (b for b in blocks_like("php", "laravel/README.md") if "'sentinel'" in b.text)
    application = (ROOT / "laravel/tests/app/config/database.php").read_text()
    settings = re.compile(r"'(\w+)' => env\('(\w+)'")
    assert set(settings.findall(example.text)) <= set(settings.findall(application))


def blocks_like(language: str, document: str) -> list[Block]:
    return [block for block in blocks([ROOT / document]) if block.language == language]


@pytest.mark.parametrize("document", DOCUMENTS, ids=names(DOCUMENTS))
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


def test_the_readme_leads_to_every_document() -> None:
    linked = set(_LINK.findall((ROOT / "README.md").read_text()))
    others = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
    assert [name for name in names(tuple(others)) if name not in linked] == []


def test_a_variable_that_a_test_reads_is_in_the_table() -> None:
    folders = ("tests", "benchmarks", "toolchain")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    read = {name for file in files for name in _READ_VARIABLE.findall(file.read_text())}
    table = _VARIABLE_ROW.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert sorted(table) == sorted(read)


def test_an_alarm_on_aws_has_a_line_in_the_runbook() -> None:
    backup = cluster_alarms(parse(ClusterConfig, {"target": "aws"}))
    alarms = [alarm.name for alarm in (*INSTANCE_ALARMS, *NODE_ALARMS, *backup)]
    rows = re.findall(r"^\| `([a-z-]+)` \|.+\|.+\|.+\|$", OPERATIONS.read_text(), re.MULTILINE)
    assert sorted(set(rows) & set(alarms)) == sorted(alarms)
