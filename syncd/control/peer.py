"""Who is at the other end of a Unix socket, as the kernel says. No anyio, no name service."""

import array
import os
import socket
import struct
import sys

import msgspec

_SO_PEERGROUPS = 59  # Linux ≥ 4.13; not in the socket module
_SOL_LOCAL = 0  # macOS
_LOCAL_PEERCRED = 1
_XUCRED = struct.Struct("=IIh2x16I")
_MAX_GROUPS = 65536


class Peer(msgspec.Struct, frozen=True):
    """Credentials at the time of connect. `pid` is 0 where the system does not tell."""

    uid: int
    gids: frozenset[int]
    pid: int = 0

    def is_owner(self) -> bool:
        """The daemon's own user, or root."""
        return self.uid in (0, os.geteuid())

    def may_connect(self, group: int | None) -> bool:
        """Own user, root, and the members of `group` where one is configured."""
        return self.is_owner() or (group is not None and group in self.gids)


def peer_of(sock: socket.socket) -> Peer:
    """Ask the kernel. Raises OSError where it cannot tell (the caller refuses then)."""
    if sys.platform == "darwin":
        return parse_xucred(sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size))
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("=iII"))
    pid, uid, gid = struct.unpack("=iII", raw)
    return Peer(uid, frozenset({gid, *_peer_groups(sock)}), pid)


def parse_xucred(raw: bytes) -> Peer:
    """macOS `struct xucred`: version, uid, number of groups, groups (the first is the effective one)."""
    _version, uid, count, *groups = _XUCRED.unpack(raw.ljust(_XUCRED.size, b"\0"))
    return Peer(uid, frozenset(groups[: max(0, count)]))


def _peer_groups(sock: socket.socket) -> frozenset[int]:
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * _MAX_GROUPS)
    except OSError:
        return frozenset()
    groups = array.array("I")
    groups.frombytes(raw[: len(raw) // 4 * 4])
    return frozenset(groups)
