"""Copying the bytes of one file with BLAKE3 on the way: small in one read, large in blocks, holes kept.

Both descriptors are open already. Errors of the source are SourceError, those of the target OSError.
"""

import errno
import os
from collections.abc import Callable, Iterator

from blake3 import blake3

from syncd.core.error import StaleError
from syncd.core.reason import Reason
from syncd.tree.local import syscalls as sc
from syncd.tree.local.errors import SourceError

SMALL = 128 * 1024
_BLOCK = 1 << 20
_ZEROS = bytes(_BLOCK)
_NO_CLONE = frozenset({errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM})


class Stopped(Exception):
    """The batch was told to stop in the middle of a large file."""


def copy_small(source: int, target: int, size: int) -> bytes:
    """Copy a file of `size` bytes in one read and one write. Returns its digest."""
    try:
        data = sc.read(source, size + 1)
        while 0 < len(data) < size:
            more = sc.read(source, size + 1 - len(data))
            if not more:
                break
            data += more
    except OSError as error:
        raise SourceError(error) from error
    if len(data) != size:
        raise StaleError(Reason.CHANGING, "the size changed while it was read")
    if size and sc.write(target, data) != size:
        _write_rest(target, data)
    return blake3(data).digest()


def copy_large(
    source: int,
    target: int,
    size: int,
    stop: Callable[[], bool],
    progress: Callable[[int], None],
    *,
    clone: bool,
) -> bytes:
    """Copy block by block. Raises Stopped, StaleError when the source turns out shorter or longer."""
    is_cloned = clone and _try_clone(source, target)
    hasher = blake3()
    block = bytearray(_BLOCK)
    view = memoryview(block)
    total = 0
    for start, end in _data_ranges(source, size):
        _hash_hole(hasher, start - total)
        progress(start - total)
        total = start
        if not is_cloned and start:
            sc.lseek(target, start, os.SEEK_SET)
        while total < end:
            if stop():
                raise Stopped
            count = _read_block(source, block, end - total)
            if not count:
                raise StaleError(Reason.CHANGING, "it became shorter while it was read")
            hasher.update(view[:count])
            if not is_cloned:
                _write_all(target, view[:count])
            total += count
            progress(count)
    _hash_hole(hasher, size - total)
    _finish(source, target, size, is_cloned=is_cloned, has_end_hole=total < size)
    return hasher.digest()


def _finish(source: int, target: int, size: int, *, is_cloned: bool, has_end_hole: bool) -> None:
    try:
        if sc.fstat(source).st_size != size:
            raise StaleError(Reason.CHANGING, "the size changed while it was read")
    except OSError as error:
        raise SourceError(error) from error
    if has_end_hole and not is_cloned:
        sc.ftruncate(target, size)


def _try_clone(source: int, target: int) -> bool:
    try:
        sc.clone(source, target)
    except OSError as error:
        if error.errno in _NO_CLONE:
            return False
        raise
    return True


def _data_ranges(source: int, size: int) -> Iterator[tuple[int, int]]:
    """Where data is; one range for a file without holes."""
    try:
        is_sparse = sc.fstat(source).st_blocks * 512 < size
    except OSError as error:
        raise SourceError(error) from error
    if not is_sparse:
        yield 0, size
        return
    at = 0
    while at < size:
        try:
            start = sc.lseek(source, at, os.SEEK_DATA)
            end = min(sc.lseek(source, start, os.SEEK_HOLE), size)
            sc.lseek(source, start, os.SEEK_SET)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            if error.errno == errno.EINVAL and not at:
                sc.lseek(source, 0, os.SEEK_SET)
                yield 0, size
                return
            raise SourceError(error) from error
        if start >= size:
            return
        yield start, end
        at = end


def _read_block(source: int, block: bytearray, left: int) -> int:
    try:
        return sc.readv(source, [block if left >= _BLOCK else memoryview(block)[:left]])
    except OSError as error:
        raise SourceError(error) from error


def _hash_hole(hasher: blake3, length: int) -> None:
    while length > 0:
        hasher.update(_ZEROS[:length])
        length -= _BLOCK


def _write_all(target: int, data: memoryview) -> None:
    while data:
        data = data[sc.write(target, data) :]


def _write_rest(target: int, data: bytes) -> None:
    """A short write: begin anew from the start."""
    sc.lseek(target, 0, os.SEEK_SET)
    _write_all(target, memoryview(data))
