"""What travels and what stays with a file that is put: names, modes, owners, attributes, links, holes."""

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from syncd.core.action import (
    Done,
    Failed,
    MakeDirectory,
    Put,
    SetMode,
)
from syncd.core.entry import Entry, Kind
from syncd.core.reason import Reason
from syncd.tree.local import metadata, names
from syncd.tree.local import syscalls as sc
from syncd.tree.port import Batch, Step
from tests.contract.localkit import OLD_NS, D, Kit, kinds, needs_root


@pytest.fixture
async def kit(tmp_path: Path) -> Kit:
    return await Kit(tmp_path).open()


@pytest.fixture(params=["nameless", "named"])
def staging(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to stage: O_TMPFILE, and names in the staging directory."""
    if request.param == "named":
        monkeypatch.setattr(names.Nameless, "is_possible", property(lambda self: False))
    return str(request.param)


async def test_hard_link_is_broken_and_its_other_name_unchanged(kit: Kit, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    os.link(outside, kit.at(b"f"))
    assert isinstance(await kit.do(await kit.put(b"f", b"theirs")), Done)
    assert outside.read_bytes() == b"mine"
    assert kit.read(b"f") == b"theirs"


async def test_replacement_keeps_extended_attributes(kit: Kit) -> None:
    kit.write(b"f", b"old")
    try:
        os.setxattr(kit.at(b"f"), "user.colour", b"blue")
    except OSError:
        pytest.skip("no user xattrs here")
    assert isinstance(await kit.do(await kit.put(b"f", b"new")), Done)
    assert os.getxattr(kit.at(b"f"), "user.colour") == b"blue"


async def test_replacement_keeps_the_acl(kit: Kit) -> None:
    if shutil.which("setfacl") is None:
        pytest.skip("setfacl is not installed")
    kit.write(b"f", b"old")
    if subprocess.run(["setfacl", "-m", "u:12345:r", kit.at(b"f")], check=False).returncode:
        pytest.skip("no ACLs here")
    assert isinstance(await kit.do(await kit.put(b"f", b"new")), Done)
    listed = subprocess.run(["getfacl", "-cn", kit.at(b"f")], capture_output=True, check=True).stdout
    assert b"user:12345:r--" in listed


@needs_root
async def test_owner_of_new_and_replaced_files(tmp_path: Path) -> None:
    kit = await Kit(tmp_path).open()
    os.mkdir(kit.at(b"d"))
    os.chown(kit.at(b"d"), 1234, 5678)
    kit.write(b"old", b"1")
    os.chown(kit.at(b"old"), 4321, 8765)
    await kit.run(await kit.put(b"d/new", b"1"), await kit.put(b"old", b"2"))
    os.symlink(b"nowhere", os.path.join(kit.a, b"link"))
    wanted = Entry(Kind.SYMLINK, target=b"nowhere", mtime_ns=OLD_NS)
    link = Put(D, b"d/link", wanted, None, b"link")
    assert isinstance(await kit.do(Step(link, None, kit.source.content(b"link", wanted, None))), Done)
    found = os.lstat(kit.at(b"d/link"))
    assert (found.st_uid, found.st_gid, found.st_mtime_ns) == (1234, 5678, OLD_NS)
    await kit.do(Step(MakeDirectory(D, b"d/e", Entry(Kind.DIRECTORY, 0o750))))
    owners = {
        path: (os.lstat(kit.at(path)).st_uid, os.lstat(kit.at(path)).st_gid)
        for path in (b"d/new", b"old", b"d/e")
    }
    assert owners == {b"d/new": (1234, 5678), b"old": (4321, 8765), b"d/e": (1234, 5678)}


@needs_root
@pytest.mark.parametrize(("rule", "wanted"), [("copy", (77, 88)), ("11:22", (11, 22))])
async def test_owner_rules(tmp_path: Path, rule: str, wanted: tuple[int, int]) -> None:
    kit = await Kit(tmp_path, owner=rule).open()
    step = await kit.put(b"f", b"1")
    assert isinstance(step.action, Put)
    os.chown(os.path.join(kit.a, step.action.origin), 77, 88)
    assert isinstance(await kit.do(step), Done)
    found = os.lstat(kit.at(b"f"))
    assert (found.st_uid, found.st_gid) == wanted


def test_owner_rule_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="owner must be"):
        Kit(tmp_path, owner="nobody")


async def test_special_mode_bits_are_never_set(kit: Kit) -> None:
    step = await kit.put(b"f", b"1")
    assert isinstance(step.action, Put)
    entry = msgspec.structs.replace(step.action.entry, mode=0o7755)
    action = msgspec.structs.replace(step.action, entry=entry)
    assert isinstance(await kit.do(msgspec.structs.replace(step, action=action)), Done)
    assert stat.S_IMODE(os.lstat(kit.at(b"f")).st_mode) == 0o755


async def test_large_file_with_holes_keeps_them(kit: Kit) -> None:
    size = 8 << 20
    with open(os.path.join(kit.a, b"sparse"), "wb") as file:
        file.truncate(size)
        file.seek(3 << 20)
        file.write(b"x" * 5000)
    child = await kit.child(b"sparse", kit.source)
    assert child is not None
    (digested,) = await kit.source.digest([b"sparse"])
    wanted = Entry(Kind.FILE, 0o644, size, child.hint.mtime_ns, digested.digest)
    step = Step(
        Put(D, b"sparse", wanted, None, b"sparse"), None, kit.source.content(b"sparse", wanted, child.hint)
    )
    copied: list[int] = []
    (done,) = await kit.target.apply(Batch("sparse", (step,), lambda: False, copied.append))
    assert isinstance(done, Done)
    assert sum(copied) <= size
    assert kit.read(b"sparse") == bytes(3 << 20) + b"x" * 5000 + bytes(size - (3 << 20) - 5000)
    assert os.lstat(kit.at(b"sparse")).st_blocks * 512 < size // 2


async def test_names_of_any_bytes_and_lengths(kit: Kit, staging: str) -> None:
    """NAM-07, NAM-08, NAM-13."""
    odd = [b"caf\xe9\xff", b" ", b"new\nline", b"-rf", b"*?[", b"a" * 255, b"..c", b"\xc3\xa9", b"e\xcc\x81"]
    assert kinds(await kit.run(*[await kit.put(name, name) for name in odd])) == ["Done"] * len(odd)
    assert sorted(odd) == await kit.names()
    deep = b"/".join([b"d" * 200] * 20)
    at = b""
    for part in deep.split(b"/"):
        at = at + b"/" + part if at else part
        assert isinstance(await kit.do(Step(MakeDirectory(D, at, Entry(Kind.DIRECTORY, 0o755)))), Done)
    assert isinstance(await kit.do(await kit.put(deep + b"/f", b"deep")), Done)
    child = await kit.child(deep + b"/f")
    assert child is not None
    assert child.hint.size == 4
    listings = await kit.listings()
    assert len(listings) == 21
    too_long = await kit.do(await kit.put(b"x" * 256, b"1"))
    assert isinstance(too_long, Failed)
    assert too_long.reason is Reason.PATH_TOO_LONG


async def test_directory_is_made_fillable_and_told_truly(kit: Kit) -> None:
    made = await kit.do(Step(MakeDirectory(D, b"d", Entry(Kind.DIRECTORY, 0o555))))
    assert isinstance(made, Done)
    assert made.entry == Entry(Kind.DIRECTORY, 0o755)
    closed = await kit.do(Step(SetMode(D, b"d", 0o555, made.entry), made.hint))
    assert isinstance(closed, Done)
    assert closed.entry == Entry(Kind.DIRECTORY, 0o555)


async def test_mode_of_a_file_that_nobody_may_read(kit: Kit) -> None:
    kit.write(b"f", b"1")
    os.chmod(kit.at(b"f"), 0)
    child = await kit.child(b"f")
    assert child is not None
    result = await kit.do(Step(SetMode(D, b"f", 0o600, Entry(Kind.FILE, 0, 1, OLD_NS)), child.hint))
    assert isinstance(result, Done)
    assert stat.S_IMODE(os.lstat(kit.at(b"f")).st_mode) == 0o600


async def test_read_only_directory_is_opened_for_the_moment_and_closed_again(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SPE-13, with the refusal injected: root is refused nothing."""
    os.mkdir(kit.at(b"d"))
    kit.write(b"d/f", b"old")
    kit.write(b"d/g", b"old")
    os.chmod(kit.at(b"d"), 0o555)
    steps = [await kit.put(b"d/f", b"new"), await kit.delete(b"d/g"), await kit.put(b"d/n", b"new")]

    def guard(name: str) -> None:
        real = getattr(sc, name)

        def call(*args: object, **named: object) -> object:
            if os.stat(kit.at(b"d")).st_mode & 0o200 == 0:
                raise PermissionError(errno.EACCES, "EACCES")
            return real(*args, **named)

        monkeypatch.setattr(sc, name, call)

    for name in ("rename", "rename_exchange", "rename_noreplace", "link_descriptor"):
        guard(name)
    # Publishing into the trash slot meets the injected refusal too, so only the last two can be done.
    results = await kit.run(*steps[1:])
    assert kinds(results) == ["Done", "Done"]
    assert stat.S_IMODE(os.lstat(kit.at(b"d")).st_mode) == 0o555
    assert kit.tree() == {b"d/f": b"old", b"d/n": b"new"}


# What may be refused.


def refusing(*_: object, **__: object) -> None:
    raise PermissionError(errno.EPERM, "not yours")


class Pair:
    """The open staged file, and the file that it is to replace."""

    def __init__(self, home: Path) -> None:
        self.old, self.new = home / "old", home / "new"
        for path in (self.old, self.new):
            path.touch()
        self.directory = os.open(home, os.O_RDONLY)
        self.target = os.open(self.new, os.O_RDWR)

    def inherit(self) -> os.stat_result:
        metadata.inherit(self.directory, b"old", self.target)
        return os.fstat(self.target)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(tmp_path)
    yield pair
    os.close(pair.target)
    os.close(pair.directory)


def test_a_file_system_without_modes_may_refuse_them(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sc, "fchmod", refusing)
    metadata.set_mode(pair.target, 0o644, 0o600)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(PermissionError):
        metadata.set_mode(pair.target, 0o644, 0o600)


@needs_root
def test_the_owner_of_an_unreadable_file_is_inherited(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(pair.old, 1234, 2345)
    monkeypatch.setattr(sc, "open", refusing)
    found = pair.inherit()
    assert (found.st_uid, found.st_gid) == (1234, 2345)


def test_what_is_gone_leaves_nothing_to_inherit(pair: Pair) -> None:
    before = os.fstat(pair.target)
    pair.old.unlink()
    assert (pair.inherit().st_uid, pair.inherit().st_gid) == (before.st_uid, before.st_gid)


@needs_root
def test_who_is_not_root_inherits_the_group_at_least(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(pair.old, 1234, 2345)
    fchown = sc.fchown

    def as_a_user(descriptor: int, uid: int, gid: int) -> None:
        if uid != -1:
            refusing()
        fchown(descriptor, uid, gid)

    monkeypatch.setattr(sc, "fchown", as_a_user)
    found = pair.inherit()
    assert (found.st_uid, found.st_gid) == (os.geteuid(), 2345)
    monkeypatch.setattr(sc, "fchown", refusing)
    assert pair.inherit().st_gid == 2345


def test_a_file_system_without_attributes_has_none(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(_: int) -> list[str]:
        raise OSError(errno.EOPNOTSUPP, "none")

    monkeypatch.setattr(os, "listxattr", unsupported)
    assert pair.inherit().st_size == 0
    monkeypatch.delattr(os, "listxattr")
    assert pair.inherit().st_size == 0
