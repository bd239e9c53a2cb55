"""Lines of servers and of our programs become one stream of entries, by `redis-ha logs`."""

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ha.cli.main import execute
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access
from redis_ha.logs.entry import PLAIN, Entry
from redis_ha.logs.files import FileSource, find_files, rotated
from redis_ha.logs.line import Line, parse
from redis_ha.logs.merging import follow, merge
from redis_ha.logs.opening import open_entries
from redis_ha.logs.places import containers
from redis_ha.logs.reading import read_entries
from redis_ha.logs.source import Window
from redis_ha.site import Member, Site

NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
SERVER = "17:M 24 Nov 2026 12:00:00.250 * Ready to accept connections tls"
OURS = json.dumps(
    {
        "time": "2026-11-24T12:00:01.000Z",
        "level": "warning",
        "event": "death-seen",
        "node": "?",
        "component": "witness",
        "reason": "closed",
    }
)


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server's line without a collector's stamp is in this machine's zone."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def entry(seconds: float, node: str = "redis-1", text: str = "x") -> Entry:
    return Entry(NOON + timedelta(seconds=seconds), "info", PLAIN, node, "redis", message=text)


def test_a_servers_line_has_its_time_level_and_role() -> None:
    read = parse(Line(SERVER), node="redis-1")
    assert read is not None
    assert (read.time, read.level, read.component) == (
        NOON + timedelta(milliseconds=250),
        "info",
        "redis",
    )
    assert (read.message, read.fields) == (
        "Ready to accept connections tls",
        {"pid": 17, "role": "master"},
    )


def test_a_sentinels_event_has_its_name() -> None:
    text = "9:X 24 Nov 2026 12:00:00.000 # +sdown master mymaster 10.0.0.1 6379"
    read = parse(Line(text), node="sentinel-1")
    assert read is not None
    assert (read.event, read.component, read.level) == ("+sdown", "sentinel", "warning")
    assert read.message == "master mymaster 10.0.0.1 6379"


@pytest.mark.parametrize(("hours", "minutes"), [(0, 0), (5, 45), (-3, -30), (14, 0), (-12, 0)])
def test_a_servers_zone_follows_from_when_its_line_came(hours: int, minutes: int) -> None:
    zone = timedelta(hours=hours, minutes=minutes)
    there = (NOON + zone).strftime("%d %b %Y %H:%M:%S.000")
    line = Line(f"1:S {there} * text", received=NOON + timedelta(seconds=1.5))
    read = parse(line, node="redis-1")
    assert read is not None
    assert read.time == NOON


@pytest.mark.parametrize(
    "text",
    [
        *("{", "{}", "[]", '{"time": 1}', '{"time": "x", "event": "e", "level": "info"}'),
        *("", "no line of a server", "1:M 99 Nov 2026 12:00:00.000 * x"),
        "1:M 24 Foo 2026 12:00:00.000 * x",
    ],
)
def test_what_is_no_line_of_ours_or_a_servers_is_said_to_be_none(text: str) -> None:
    assert parse(Line(text), node="redis-1") is None


@given(st.text(), st.none() | st.datetimes(timezones=st.just(UTC)))
def test_no_line_breaks_the_reader(text: str, received: datetime | None) -> None:
    list(read_entries([Line(text, received), None, Line("{" + text)], lambda _unit: "redis-1"))


def test_a_traceback_is_one_entry_and_is_not_before_what_came_before_it() -> None:
    lines = [SERVER, "Traceback (most recent call last):", '  File "x.py"', "ValueError: y", OURS]
    read = read_entries(map(Line, lines), lambda _unit: "redis-1")
    first, trace, last = filter(None, read)
    assert (trace.level, trace.time) == ("error", first.time)
    assert trace.message.splitlines() == lines[1:4]
    assert (last.event, last.node) == ("death-seen", "redis-1")


def test_silence_ends_an_entry_of_several_lines() -> None:
    read = read_entries([Line("a"), None, Line("b")], lambda _unit: "redis-1")
    assert [e and e.message for e in read] == ["a", None, "b"]


@given(st.lists(st.lists(st.integers(0, 100)), max_size=4))
def test_streams_are_merged_by_time(columns: list[list[int]]) -> None:
    streams = [(entry(s) for s in sorted(column)) for column in columns]
    merged = [e.time for e in merge(list(streams))]
    assert merged == sorted(NOON + timedelta(seconds=s) for column in columns for s in column)


@given(st.lists(st.floats(0, 100), max_size=30), st.data())
def test_a_line_that_comes_a_moment_late_stands_in_its_place(
    seconds: list[float], data: st.DataObject
) -> None:
    late = sorted(seconds, key=lambda s: s + data.draw(st.floats(0, 2)))
    stream = (entry(s) for s in late)
    assert [e.time for e in merge([stream])] == [entry(s).time for s in sorted(seconds)]


def test_a_clock_that_was_set_neither_stops_the_lines_nor_holds_them_all() -> None:
    def a_day_ahead_then_back() -> Iterator[Entry | None]:
        yield from map(entry, (0, 86_400))
        while True:
            yield entry(5)

    merged = merge([a_day_ahead_then_back()])
    assert [next(merged).time for _ in range(5000)][-1] == NOON + timedelta(seconds=5)


def test_a_silent_stream_holds_the_others_back_only_for_a_moment() -> None:
    stop = threading.Event()

    def silent() -> Iterator[Entry | None]:
        while not stop.wait(0.01):
            yield None

    def talking(seconds: Sequence[float]) -> Iterator[Entry | None]:
        yield from map(entry, seconds)

    heard = follow([silent(), talking([2.0, 3.0])], stop, patience=0.1)  # type: ignore[list-item]
    assert [next(heard).time.second for _ in range(2)] == [2, 3]
    heard.close()
    assert stop.is_set()


def test_an_error_of_one_stream_is_the_readers() -> None:
    def broken() -> Iterator[Entry | None]:
        yield entry(0)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(follow([broken()], threading.Event(), patience=0.0))  # type: ignore[list-item]


def test_rotated_files_come_first_packed_ones_too(tmp_path: Path) -> None:
    path = tmp_path / "redis.log"
    texts = [f"1:M 24 Nov 2026 12:00:0{n}.000 * {n}\n" for n in range(3)]
    with gzip.open(tmp_path / "redis.log.2.gz", "wt") as file:
        file.write(texts[0])
    (tmp_path / "redis.log.1").write_text(texts[1])
    path.write_text(texts[2])
    read = open_entries([FileSource("redis-1", path)], Window())
    assert [e.message for e in read] == ["0", "1", "2"]


def pack(path: Path, text: str) -> bytes:
    with gzip.open(path, "wt") as file:
        file.write(text)
    return path.read_bytes()


def test_a_file_that_is_being_packed_is_read_once_from_the_one_that_is_whole(
    tmp_path: Path,
) -> None:
    whole = tmp_path / "redis.log.1"
    whole.write_text(SERVER + "\n")
    packed = tmp_path / "redis.log.1.gz"
    packed.write_bytes(pack(packed, SERVER + "\n")[:20])
    (tmp_path / "redis.log").touch()
    assert rotated(tmp_path / "redis.log") == [whole]
    whole.unlink()
    assert rotated(tmp_path / "redis.log") == [packed]


def test_a_followed_file_is_followed_through_rotation(tmp_path: Path) -> None:
    path = tmp_path / "redis.log"
    path.write_text(SERVER + "\n")
    stop = threading.Event()
    read = open_entries([FileSource("redis-1", path, delay=0.1)], Window(), stop=stop)
    assert next(read).message.startswith("Ready")
    with path.open("a") as file:
        file.write(SERVER.replace("Ready", "Before") + "\n")
    path.rename(tmp_path / "redis.log.1")
    path.write_text(SERVER.replace("Ready", "After") + "\n")
    assert [next(read).message.split()[0] for _ in range(2)] == ["Before", "After"]
    read.close()


def test_a_folder_stands_for_its_log_files(tmp_path: Path) -> None:
    for name in ("a.log", "log", "other"):
        (tmp_path / name).touch()
    found = find_files([f"redis-1={tmp_path}"])
    assert [source.path.name for source in found] == ["a.log", "log"]


@dataclass(frozen=True)
class Done:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `redis-ha`."""

    def command(*args: str) -> Done:
        code = execute(args)
        return Done(code, *capsys.readouterr())

    return command


def test_the_worker_and_the_exporter_are_asked_too() -> None:
    settings = {"REDIS_BACKUP_CONTAINER": "a-worker", "REDIS_EXPORTER_CONTAINER": "an-exporter"}
    access = Access((), "mymaster", Credentials("operator", "x"), Path("ca"))
    redis_1 = Member("redis-1", Address("10.0.0.1", 1), "one")
    found = containers(Site(access, None, (redis_1,), (), settings=settings))
    assert [(source.node, source.container) for source in found] == [
        *(("redis-1", "one"), ("backup-worker", "a-worker"), ("ha-exporter", "an-exporter")),
    ]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """--file options of two nodes, one of which writes our lines."""
    (tmp_path / "redis-1.log").write_text(SERVER + "\n")
    (tmp_path / "sentinel-1.log").write_text(OURS + "\n")
    names = ("redis-1", "sentinel-1")
    return [word for n in names for word in ("--file", f"{n}={tmp_path / n}.log")]


def test_in_a_pipe_a_line_is_cells_between_tabs(run: Run, files: list[str]) -> None:
    done = run("logs", *files)
    assert (done.code, done.out.splitlines()) == (
        0,
        [
            "2026-11-24T12:00:00.250Z\tredis-1\tredis\tinfo\tReady to accept connections tls",
            "2026-11-24T12:00:01.000Z\tsentinel-1\twitness\twarning\tdeath-seen reason=closed",
        ],
    )


@pytest.mark.parametrize(
    ("options", "nodes"),
    [
        (["--node", "redis-1"], ["redis-1"]),
        (["--level", "warning"], ["sentinel-1"]),
        (["--grep", "death.*closed"], ["sentinel-1"]),
        (["--since", "2026-11-24T12:00:00.5Z"], ["sentinel-1"]),
        (["--until", "2026-11-24T12:00:00.5Z"], ["redis-1"]),
        (["--until", "2026-11-23T12:00:00Z"], []),
    ],
)
def test_options_choose_lines(
    run: Run, files: list[str], options: list[str], nodes: list[str]
) -> None:
    done = run("logs", *files, "--json", *options)
    assert [json.loads(line)["node"] for line in done.out.splitlines()] == nodes


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (["--grep", "("], "no regular expression"),
        (["--since", "soon"], "neither a date and time"),
        (["--since", "1h", "--until", "2h"], "before --since"),
        (["--follow", "--until", "1m"], "--follow has no end"),
        (["--file", "nothing"], "not NODE=PATH"),
        (["--file", "redis-1=/nowhere/at/all"], "no such file"),
        (["--node", "redis-9"], "no node of this cluster is called that"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    run: Run, files: list[str], options: list[str], cause: str
) -> None:
    done = run("logs", *files, *options)
    assert done.code in (2, 3)
    assert cause in done.err
    assert done.out == ""


def test_a_writer_of_lines_has_no_power_over_the_terminal(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(SERVER + " \x1b[2J\x07\n")
    done = run("logs", "--file", f"redis-1={path}")
    assert done.out.endswith("tls \\x1b[2J\\x07\n")


@pytest.mark.parametrize("damage", ["cut", "junk", "bits"])
@pytest.mark.parametrize("command", ["logs", "events"])
def test_a_damaged_packed_file_hides_no_other_line(
    run: Run, tmp_path: Path, damage: str, command: str
) -> None:
    packed = tmp_path / "sentinel-1.log.1.gz"
    whole = pack(packed, "9:X 24 Nov 2026 11:00:00.000 # Failed\n" * 3)
    damaged = {"cut": whole[:-12], "junk": b"no gzip at all", "bits": whole[:30] + b"\xff" * 40}
    packed.write_bytes(damaged[damage])
    (tmp_path / "sentinel-1.log").write_text(
        "9:X 24 Nov 2026 12:00:00.000 # +sdown master mymaster 10.0.0.1 6379\n"
    )
    done = run(command, "--file", f"sentinel-1={tmp_path}/sentinel-1.log")
    assert done.code == 0
    assert "+sdown" in done.out
    assert done.err.startswith(f"read {packed}: ")
    assert "lines of it are missing" in done.err
    assert len(done.err.splitlines()) == 1


def test_a_folder_named_like_a_log_is_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "old.log").mkdir()
    done = run("logs", "--file", f"redis-1={tmp_path}")
    assert (done.code, "no file named log" in done.err) == (2, True)
