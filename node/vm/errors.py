"""What a machine's boot raises on purpose.

NodeError
└── BootFailed   a step that can be tried again; the unit does, every few seconds
"""

from node.errors import NodeError


class BootFailed(NodeError):
    """A step of the boot didn't succeed this time."""
