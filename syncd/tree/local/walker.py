"""A long walk goes on in a process of its own: two trees use two cores, and the event loop keeps its pace.

A walk begins in a thread; once it has listed much, what is left of it is handed to a child process, which
gets the root's descriptor and sends pages back through a pipe. `python -m syncd.tree.local.walker` is that
child. What it may prune must be sendable (pickled); else the thread walks on.
"""

import contextlib
import fcntl
import pickle
from collections.abc import Sequence

import msgspec

from syncd.core.error import TransientError
from syncd.core.reason import Reason
from syncd.tree.local.helper import Helper, read_frame, streams, write_frame
from syncd.tree.local.scan import Rest, Walk
from syncd.tree.port import Listing

HAND_OVER = 5_000
"""Entries after which a process pays: it costs about as much to start as to list so many."""

_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031
_decoder = msgspec.msgpack.Decoder(list[Listing])
_encoder = msgspec.msgpack.Encoder()


class Scan:
    """A walk, in this thread and then in a process. `next_page` blocks; `close` always."""

    def __init__(self, walk: Walk, root: int, *, may_hand_over: bool = True) -> None:
        self._walk = walk
        self._root = root
        self._may_hand_over = may_hand_over
        self._child: _Child | None = None

    def next_page(self) -> Sequence[Listing]:
        if self._child is not None:
            return self._child.next_page()
        page = self._walk.next_page()
        if self._may_hand_over and self._walk.listed >= HAND_OVER:
            self._may_hand_over = False
            self._hand_over()
        return page

    def close(self) -> None:
        self._walk.close()
        if self._child is not None:
            self._child.close()

    def _hand_over(self) -> None:
        rest = self._walk.rest()
        try:
            request = pickle.dumps((self._root, rest))
        except (pickle.PicklingError, AttributeError, TypeError):
            return
        try:
            self._child = _Child(self._root, request)
        except OSError:
            return
        self._walk.close()


class _Child:
    def __init__(self, root: int, request: bytes) -> None:
        self._helper = Helper("syncd.tree.local.walker", pass_fds=(root,))
        self._helper.send(request)

    def next_page(self) -> Sequence[Listing]:
        try:
            page = self._helper.receive()
        except EOFError:
            raise TransientError(Reason.RETRY, "the process that walks the tree ended") from None
        return _decoder.decode(page)

    def close(self) -> None:
        self._helper.kill()


def serve() -> None:
    """The child: walk what is left, page by page; an empty page is the end."""
    requests, answers = streams()
    root, rest = pickle.loads(read_frame(requests))  # noqa: S301
    if not isinstance(rest, Rest):
        raise TypeError
    walk = Walk.of_rest(root, rest)
    _enlarge(answers.fileno())
    is_over = False
    while not is_over:
        page = walk.next_page()
        is_over = not page
        write_frame(answers, _encoder.encode(page))


def _enlarge(pipe: int) -> None:
    """Let the walk run ahead of the reader by a few pages."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, _PIPE_BYTES)


if __name__ == "__main__":
    serve()
