"""A volume that was made larger: the file system on it follows, and keeps what it holds."""

import subprocess
from pathlib import Path

import pytest

from node.vm.errors import BootFailed
from node.vm.growth import Sizes, grow, measure, parse_superblock

MIB = 1 << 20


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Give a volume of 256 MiB with a file system as `node.vm.volume` makes it."""
    image = tmp_path / "volume"
    resize(image, 256)
    subprocess.run(["mkfs.ext4", "-q", "-m", "1", str(image)], check=True)
    return image


def resize(image: Path, mib: int) -> None:
    with image.open("ab") as file:
        file.truncate(mib * MIB)


@pytest.mark.parametrize(
    ("volume", "filesystem", "grown"),
    [
        (500 << 30, 500 << 30, False),
        # The rest that is too small for one more group of blocks stays unused for ever.
        ((500 << 30) + 127 * MIB, 500 << 30, False),
        (501 << 30, 500 << 30, True),
        # A volume that shrank behind its back is nothing to make larger.
        (400 << 30, 500 << 30, False),
    ],
)
def test_when_there_is_something_to_do(volume: int, filesystem: int, grown: bool) -> None:
    assert Sizes(volume, filesystem).grown is grown


def test_the_file_system_fills_a_larger_volume_once(volume: Path) -> None:
    assert grow(volume) is None
    resize(volume, 1024)
    assert measure(volume) == Sizes(1024 * MIB, 256 * MIB)
    assert grow(volume) == Sizes(1024 * MIB, 256 * MIB)
    assert measure(volume) == Sizes(1024 * MIB, 1024 * MIB)
    assert grow(volume) is None
    subprocess.run(["e2fsck", "-f", "-n", str(volume)], check=True, capture_output=True)


def test_sizes_beyond_32_bits_of_blocks_are_read() -> None:
    block = bytearray(1024)
    block[0x38:0x3A] = (0xEF53).to_bytes(2, "little")
    block[0x18] = 2
    block[0x60] = 0x80
    block[0x04:0x08] = (7).to_bytes(4, "little")
    block[0x150] = 1
    assert parse_superblock(bytes(block)) == (2**32 + 7) * 4096


def test_what_is_no_file_system_is_left_alone(tmp_path: Path) -> None:
    image = tmp_path / "volume"
    resize(image, 256)
    with pytest.raises(BootFailed, match="no ext4"):
        grow(image)
    with pytest.raises(BootFailed, match="nowhere"):
        measure(tmp_path / "nowhere")
