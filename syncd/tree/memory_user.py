"""Somebody who works in a `Disk` while it is synchronised: whole operations, durable when they return.

The simulation's users and the tests act through this. Nothing of the engine may be imported here.
"""

import errno
import os

from syncd.core.entry import Kind
from syncd.tree.memory_disk import Disk, Node


class Handle:
    """A file that a program holds open: it may write after the name was taken from under it."""

    def __init__(self, disk: Disk, path: bytes) -> None:
        self._disk = disk
        self.node = disk.find(path)
        self.node.opened += 1

    def write(self, data: bytes) -> None:
        self._disk.set_data(self.node, data)
        self._disk.sync_node(self.node)

    def close(self) -> None:
        self.node.opened -= 1
        self._disk.release(self.node)


class User:
    """Somebody who works in the tree: every operation is whole, and durable when it returns."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk

    def read(self, path: bytes) -> bytes:
        return self.disk.find(path).data

    def write(self, path: bytes, data: bytes, *, mtime_ns: int | None = None, mode: int = 0o644) -> None:
        """Create a file, or overwrite it in place."""
        node = self.disk.at(path)
        if node is not None and node.kind is not Kind.FILE:
            raise OSError(errno.EISDIR, "not a file")
        is_new = node is None
        if node is None:
            node = self._new(path, Kind.FILE, mode)
        self.disk.set_data(node, data)
        if mtime_ns is not None:
            self.disk.set_mtime(node, mtime_ns)
        self.disk.sync_node(node)
        if is_new:
            self.disk.sync_last()

    def append(self, path: bytes, data: bytes) -> None:
        self.write(path, self.read(path) + data)

    def mkdir(self, path: bytes, mode: int = 0o755) -> None:
        self._new(path, Kind.DIRECTORY, mode)
        self.disk.sync_last()

    def symlink(self, path: bytes, target: bytes) -> None:
        node = self._new(path, Kind.SYMLINK, 0o777, target)
        self.disk.sync_node(node)
        self.disk.sync_last()

    def mkfifo(self, path: bytes) -> None:
        self._new(path, Kind.SPECIAL, 0o644)
        self.disk.sync_last()

    def chmod(self, path: bytes, mode: int) -> None:
        node = self.disk.find(path)
        self.disk.set_mode(node, mode)
        self.disk.sync_node(node)

    def rename(self, path: bytes, to: bytes) -> None:
        """rename(2): a file at `to` is replaced."""
        directory, name = self.disk.parent_of(path)
        target, to_name = self.disk.parent_of(to)
        self.disk.rename(directory, name, target, to_name, replace=True)
        self.disk.sync_last()

    def delete(self, path: bytes) -> None:
        """Remove a file, a link or a whole directory."""
        node = self.disk.find(path)
        for name in sorted(node.children):
            self.delete(path + b"/" + name)
        directory, name = self.disk.parent_of(path)
        self.disk.unlink(directory, name)
        self.disk.sync_last()

    def open(self, path: bytes) -> Handle:
        return Handle(self.disk, path)

    def _new(self, path: bytes, kind: Kind, mode: int, target: bytes = b"") -> Node:
        directory, name = self.disk.parent_of(path)
        if name in directory.children:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        node = self.disk.new_node(kind, mode)
        node.target = target
        try:
            self.disk.link_new(directory, name, node)
        except OSError:
            self.disk.release(node)
            raise
        return node
