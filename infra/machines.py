"""The EC2 instance types that a node may be, with what EC2 itself says of each.

Figures as `aws ec2 describe-instance-types` gives them: VCpuInfo.DefaultVCpus, MemoryInfo in
GiB, the first network card's BaselineBandwidthInGbps (what it holds for ever; 'up to' figures are
bursts), ProcessorInfo. A type that is not here is added with one line.
"""

from dataclasses import dataclass
from typing import Literal

Architecture = Literal["amd64", "arm64"]

# The guide's minimum node.
MINIMUM_VCPUS, MINIMUM_MEMORY_GB = 4, 8


@dataclass(frozen=True)
class Machine:
    """One instance type: memory in GiB, network baseline in Gbit/s, Debian's architecture."""

    name: str
    vcpus: int
    memory_gb: int
    network_gbps: float
    architecture: Architecture

    @property
    def below_minimum(self) -> bool:
        """Whether it is smaller than the guide's minimum tier."""
        return self.vcpus < MINIMUM_VCPUS or self.memory_gb < MINIMUM_MEMORY_GB


def _family(
    name: str, architecture: Architecture, *sizes: tuple[str, int, int, float]
) -> list[Machine]:
    return [
        Machine(f"{name}.{size}", vcpus, memory, gbps, architecture)
        for size, vcpus, memory, gbps in sizes
    ]


MACHINES: dict[str, Machine] = {
    machine.name: machine
    for machine in (
        *_family(
            "c6in",
            "amd64",
            ("large", 2, 4, 3.125),
            ("xlarge", 4, 8, 6.25),
            ("2xlarge", 8, 16, 12.5),
            ("4xlarge", 16, 32, 25.0),
        ),
        *_family(
            "c7gn",
            "arm64",
            ("large", 2, 4, 6.25),
            ("xlarge", 4, 8, 12.5),
            ("2xlarge", 8, 16, 25.0),
            ("4xlarge", 16, 32, 50.0),
        ),
        *_family(
            "m6in",
            "amd64",
            ("xlarge", 4, 16, 6.25),
            ("2xlarge", 8, 32, 12.5),
            ("4xlarge", 16, 64, 25.0),
        ),
        *_family(
            "r6in",
            "amd64",
            ("xlarge", 4, 32, 6.25),
            ("2xlarge", 8, 64, 12.5),
            ("4xlarge", 16, 128, 25.0),
        ),
        *_family("c6i", "amd64", ("xlarge", 4, 8, 1.562), ("2xlarge", 8, 16, 3.125)),
        *_family("c7g", "arm64", ("xlarge", 4, 8, 1.876), ("2xlarge", 8, 16, 3.75)),
    )
}
