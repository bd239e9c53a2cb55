"""Makes addresses unreachable from a network namespace, one way: what comes from there arrives.

Run by `python3 -c` in the namespace as `add|del ADDRESS...`, with nothing but the standard
library: the image has no `ip` command. Adding twice and deleting what is not there do nothing.
"""

import errno
import os
import socket
import struct
import sys

# linux/netlink.h, linux/rtnetlink.h
NEW_ROUTE, DELETE_ROUTE = 24, 25
REQUEST, ACKNOWLEDGE, CREATE, EXCLUSIVE = 1, 4, 0x400, 0x200
MAIN_TABLE, STATIC, UNIVERSE, BLACKHOLE, DESTINATION = 254, 4, 0, 6, 1
ALREADY_SO = (0, errno.EEXIST, errno.ESRCH)


def request(action: str, address: str) -> bytes:
    """Build the netlink message that adds or deletes a blackhole route to one address."""
    route = struct.pack(
        "=8BI", socket.AF_INET, 32, 0, 0, MAIN_TABLE, STATIC, UNIVERSE, BLACKHOLE, 0
    )
    route += struct.pack("=HH", 8, DESTINATION) + socket.inet_aton(address)
    kind, flags = DELETE_ROUTE, REQUEST | ACKNOWLEDGE
    if action == "add":
        kind, flags = NEW_ROUTE, flags | CREATE | EXCLUSIVE
    return struct.pack("=IHHII", 16 + len(route), kind, flags, 1, 0) + route


def answer(message: bytes) -> int:
    """Return the error number in the kernel's answer; 0 is success."""
    (code,) = struct.unpack_from("=i", message, 16)
    return -int(code)


def main(action: str, addresses: list[str]) -> None:
    """Change the routes of this namespace; ends with an error when the kernel refuses one."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        for address in addresses:
            kernel.send(request(action, address))
            code = answer(kernel.recv(4096))
            if code not in ALREADY_SO:
                sys.exit(f"{action} a route to {address}: {os.strerror(code)}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
