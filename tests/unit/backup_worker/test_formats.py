"""Golden files: what was once written is read for ever, and what is written now stays the same."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backup_worker import manifest
from backup_worker.contents import document as contents
from backup_worker.contents.document import DataNode, Document, SentinelNode
from backup_worker.errors import SnapshotCorrupt
from backup_worker.log import segment
from backup_worker.log.segment import Mark, Segment, Timeline
from backup_worker.manifest import Content, Contents, Engine, Kind, Manifest, ReplicationPoint
from backup_worker.proving import proof
from backup_worker.proving.proof import By, Held, Loader, Proof

GOLDEN = Path(__file__).parents[1] / "golden"
ID = "20261124T083000Z-00000001"
AT = datetime(2026, 11, 24, 8, 30, 0, 125000, tzinfo=UTC)
REPLID = "a1" * 20

FIRST = Manifest(
    id=ID,
    taken_at=AT,
    engine=Engine("redis", "7.0.15", 10),
    replication=ReplicationPoint(REPLID, 553, 3),
    source="10.0.0.2:6380",
    object_key=f"snapshots/{ID}/dump.rdb.zst.age",
    stored=Content(400, "0" * 64),
    rdb=Content(1000, "1" * 64),
    recipients=("age1operator",),
    seconds=1.5,
)
SECOND = Manifest(
    **{
        **{name: getattr(FIRST, name) for name in FIRST.__dataclass_fields__},
        "recipients": ("age1operator", "age1onetime"),
        "kind": Kind.GAP,
        "term": 12,
        "contents": Contents(
            f"snapshots/{ID}/contents.json.zst.age", Content(90, "2" * 64), Content(300, "3" * 64)
        ),
    }
)
PROOF = Proof(
    snapshot=ID,
    cause="",
    held=Held("d" * 40, {0: 120, 15: 7}, {"library": "4" * 64}),
    seconds=2.25,
    loader=Loader("valkey", "8.1.1"),
    rdb_sha256="1" * 64,
    at=AT,
    by=By.VERIFY,
    term=12,
)
FAILED = Proof(
    snapshot=ID,
    cause="Short read",
    held=None,
    seconds=0.25,
    loader=Loader("redis", "7.0.15"),
    rdb_sha256="1" * 64,
    at=AT,
    by=By.DRILL,
)
SEGMENT = Segment(
    timeline=Timeline(REPLID, "b2" * 20, 600),
    start=554,
    end=1553,
    db=3,
    marks=(Mark(700, 1795509000000), Mark(1553, 1795509009500)),
    stored=Content(200, "5" * 64),
    plain=Content(1000, "6" * 64),
    recipients=("age1operator",),
    source="10.0.0.2:6380",
    term=12,
)
DOCUMENT = Document(
    at=AT,
    master_name="mymaster",
    data_nodes=(
        DataNode(
            "10.0.0.1:6380",
            "master",
            "7.0.15",
            {"databases": "16", "masterauth": contents.REDACTED, "save": ""},
            ("user default off -@all", f"user app on #{'7' * 64} ~* &* +@all"),
        ),
        DataNode("10.0.0.2:6380", problem="Connection refused"),
    ),
    sentinels=(
        SentinelNode(
            "10.0.0.1:26380",
            {"name": "mymaster", "ip": "10.0.0.1", "port": "6380", "quorum": "2"},
            ({"ip": "10.0.0.2", "port": "6380"},),
            ({"ip": "10.0.0.2", "port": "26380"},),
            ("user default off -@all",),
        ),
    ),
)
FORMATS: list[tuple[str, Any, Any]] = [
    ("manifest-v2.json", manifest, SECOND),
    ("proof-v1.json", proof, PROOF),
    ("proof-v1-failed.json", proof, FAILED),
    ("segment-v1.json", segment, SEGMENT),
    ("contents-v1.json", contents, DOCUMENT),
]


def key_of(thing: Any) -> str:
    """Name an object as its reader wants it."""
    return thing.name.manifest_key if isinstance(thing, Segment) else "some/key"


@pytest.mark.parametrize(("name", "module", "thing"), FORMATS)
def test_what_is_written_is_the_golden_file(name: str, module: Any, thing: Any) -> None:
    golden = (GOLDEN / name).read_bytes()
    assert module.encode(thing) == golden.strip()
    assert module.decode(golden, key=key_of(thing)) == thing


def test_a_manifest_of_the_first_format_is_read_still() -> None:
    golden = (GOLDEN / "manifest-v1.json").read_bytes()
    assert manifest.decode(golden, key="x") == FIRST


@pytest.mark.parametrize(("name", "module", "thing"), FORMATS)
def test_a_format_of_the_future_is_refused(name: str, module: Any, thing: Any) -> None:
    golden = (GOLDEN / name).read_bytes()
    future = golden.replace(b'"format":1,', b'"format":9,').replace(b'"format":2,', b'"format":9,')
    assert future != golden
    with pytest.raises(SnapshotCorrupt, match=r"some/key|log/"):
        module.decode(future, key=key_of(thing))


@pytest.mark.parametrize(("name", "module", "thing"), FORMATS)
@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"null", b'{"format":1}', b"\xff", b"[" * 9999]
)
def test_what_is_no_such_document_is_refused(
    name: str, module: Any, thing: Any, content: bytes
) -> None:
    with pytest.raises(SnapshotCorrupt):
        module.decode(content, key=key_of(thing))


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (b'"cause":"broken"', b'"cause":""'),
        (b'"proven":false', b'"proven":true'),
        (b'"15":-7', b'"15":7'),
        (b'"digest":"x', b'"digest":"d'),
        (b'"rdb_sha256":"x', b'"rdb_sha256":"1'),
        (b'"term":true', b'"term":12'),
        (b'"by":"somebody"', b'"by":"verify"'),
        (b'"seconds":"2"', b'"seconds":2.25'),
        (b'"at":"2026-11-24T08:30:00"', b'"at":"2026-11-24T08:30:00.125000Z"'),
        (b'"snapshot":"../x', b'"snapshot":"2026'),
    ],
)
def test_a_proof_that_makes_no_sense_is_refused(wrong: bytes, right: bytes) -> None:
    changed = proof.encode(PROOF).replace(right, wrong)
    assert wrong in changed
    with pytest.raises(SnapshotCorrupt, match="no proof of format"):
        proof.decode(changed, key="x")
