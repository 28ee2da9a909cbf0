"""The configuration: every key, defaults, where values come from, roots, pairs of their own."""

from pathlib import Path

import pytest

from syncd.core.mode import Mode
from syncd.core.rules import Initial, Policy
from syncd.daemon.config import (
    ConfigInvalid,
    Hooks,
    MaxDelete,
    TrashConfig,
    adhoc_pair,
    load_config,
    warnings,
)
from tests.daemon.configs import PAIR, Load

FULL = """
[daemon]
state_dir = "{root}/state"
log_level = "debug"
log_format = "json"
metrics = "127.0.0.1:9740"

[defaults]
rescan = "1h"
trash = { keep = "7d" }
ignore = ["*.bak"]

[pair.documents]
source = "{root}/documents"
destination = "file://{root}/nas%20box/documents"
mode = "SourceBackup"
conflict = "keep_both"
initial = "source-wins"
ignore = ["*.tmp", "/cache/", "!keep.tmp"]
settle = "0s"
poll = "30s"
max_delete = { files = 5, percent = "12.5%", bytes_percent = 40, absolute = 100 }
owner = "1000:1000"
cross_mounts = true
initial_compare = "content"
hooks = { on_held = ["/bin/true", "x y"] }
paused = true
pull_destination_changes = true

[pair.documents.trash]
max_size = "1GiB"

[pair.photos]
source = "~/photos"
destination = "{root}/photos"
"""


def test_every_key_arrives(load: Load, tmp_path: Path) -> None:
    config = load(FULL)
    assert config.daemon.state_dir == tmp_path / "state"
    assert (config.daemon.log_level, config.daemon.log_format) == ("debug", "json")
    assert config.daemon.metrics == "127.0.0.1:9740"
    pair = config.pair("documents")
    assert pair is not None
    assert pair.destination == f"{tmp_path}/nas box/documents"
    assert (pair.mode, pair.conflict, pair.initial) == (
        Mode.SOURCE_BACKUP,
        Policy.KEEP_BOTH,
        Initial.SOURCE_WINS,
    )
    assert pair.ignore == ("*.tmp", "/cache/", "!keep.tmp")
    assert (pair.settle_s, pair.rescan_s, pair.poll_s) == (0, 3600, 30)
    assert pair.max_delete == MaxDelete(5, 12.5, 100, 40)
    assert (pair.owner, pair.cross_mounts, pair.initial_compare) == ("1000:1000", True, "content")
    assert pair.trash == TrashConfig(7 * 86400, 1024**3)
    assert pair.hooks == Hooks(on_held=("/bin/true", "x y"))
    assert pair.paused
    assert pair.pull_destination_changes


def test_defaults_and_home(load: Load, tmp_path: Path) -> None:
    config = load(FULL)
    pair = config.pair("photos")
    assert pair is not None
    assert pair.source == f"{tmp_path}/home/photos"
    assert (pair.mode, pair.conflict, pair.initial) == (Mode.TWO_WAY, Policy.NEWEST_WINS, None)
    assert (pair.settle_s, pair.rescan_s, pair.poll_s) == (0.3, 3600, 300)
    assert pair.ignore == ("*.bak",)
    assert pair.max_delete == MaxDelete(20, 25, None)
    assert pair.trash == TrashConfig(7 * 86400, 10 * 1024**3)
    assert pair.key == pair.name == "photos"


def test_each_value_tells_where_it_came_from(load: Load, tmp_path: Path) -> None:
    pair = load(FULL).pair("documents")
    assert pair is not None
    file = f"{tmp_path}/etc/syncd.toml"
    assert pair.origins["source"] == f"{file}:14"
    assert pair.origins["rescan"] == f"{file}:9"
    assert pair.origins["trash.keep"] == f"{file}:10"
    assert pair.origins["trash.max_size"] == f"{file}:31"
    assert pair.origins["max_delete.percent"] == f"{file}:22"
    assert pair.origins["hooks.post_batch"] == "default"


def test_missing_unreadable_and_foreign_files(tmp_path: Path, env: dict[str, str]) -> None:
    for path, words in ((tmp_path / "none.toml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigInvalid, match=words) as caught:
            load_config(path, is_system=False, env=env)
        assert len(caught.value.problems) == 1
    (tmp_path / "latin.toml").write_bytes(b"# ok\n# \xe9\n")
    with pytest.raises(ConfigInvalid, match=r"latin\.toml:2: is not UTF-8"):
        load_config(tmp_path / "latin.toml", is_system=False, env=env)
    (tmp_path / "huge.toml").write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    with pytest.raises(ConfigInvalid, match="larger than 4 MiB"):
        load_config(tmp_path / "huge.toml", is_system=False, env=env)
    (tmp_path / "deep.toml").write_text("a = " + "[" * 20000 + "]" * 20000)
    with pytest.raises(ConfigInvalid):
        load_config(tmp_path / "deep.toml", is_system=False, env=env)


def test_without_a_file_there_are_no_pairs(env: dict[str, str], tmp_path: Path) -> None:
    config = load_config(None, is_system=False, env=env)
    assert config.pairs == ()
    assert config.path == tmp_path / "home/.config/syncd/syncd.toml"


def test_pairs_d_is_read_after_the_main_file(load: Load, tmp_path: Path) -> None:
    folder = tmp_path / "etc/pairs.d"
    folder.mkdir(parents=True)
    (folder / "b.toml").write_text(f'[pair.b]\nsource = "{tmp_path}/c"\ndestination = "{tmp_path}/d"\n')
    (folder / ".hidden.toml").write_text("nonsense")
    (folder / "notes.txt").write_text("nonsense")
    config = load('[defaults]\nsettle = "1s"\n' + PAIR)
    assert [(pair.name, pair.settle_s) for pair in config.pairs] == [("b", 1), ("documents", 1)]
    (folder / "c.toml").write_text(PAIR.replace("{root}", "/elsewhere"))
    (folder / "d.toml").write_text("[daemon]\n")
    with pytest.raises(ConfigInvalid) as caught:
        load(PAIR)
    told = [problem.render() for problem in caught.value.problems]
    assert len(told) == 2
    assert f"a pair 'documents' is already at {tmp_path}/etc/syncd.toml:1" in told[0]
    assert "only the main file may hold this table" in told[1]


def test_roots_are_compared_by_what_they_are(load: Load, tmp_path: Path) -> None:
    (tmp_path / "a" / "inner").mkdir(parents=True)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(ConfigInvalid, match="is the same directory as"):
        load(PAIR)
    (tmp_path / "b").unlink()
    (tmp_path / "b").symlink_to(tmp_path / "a" / "inner")
    with pytest.raises(ConfigInvalid, match="lies inside"):
        load(PAIR)


@pytest.mark.parametrize(
    ("first", "second", "is_fine"),
    [
        ("source-backup", "source-to-destination", True),
        ("two-way", "source-backup", True),
        ("two-way", "two-way", False),
        ("destination-to-source", "two-way", False),
    ],
)
def test_a_shared_root_needs_one_reader(load: Load, first: str, second: str, is_fine: bool) -> None:
    text = "".join(
        f'[pair.{name}]\nsource = "{{root}}/a"\ndestination = "{{root}}/{name}"\nmode = "{mode}"\n'
        for name, mode in (("one", first), ("two", second))
    )
    if is_fine:
        assert len(load(text).pairs) == 2
    else:
        with pytest.raises(ConfigInvalid, match="both pairs write"):
            load(text)


def test_five_hundred_pairs(load: Load) -> None:
    text = "".join(
        f'[pair.p{i}]\nsource = "{{root}}/s/{i}"\ndestination = "{{root}}/d/{i}"\n' for i in range(500)
    )
    assert len(load(text).pairs) == 500


def test_flag_beats_file_beats_environment(load: Load, env: dict[str, str], tmp_path: Path) -> None:
    env["SYNCD_SOCKET"] = "/env.sock"
    daemon = load("# none").daemon
    assert (daemon.socket, daemon.origins["socket"]) == (Path("/env.sock"), "environment")
    assert daemon.state_dir == tmp_path / "home/.local/state/syncd"
    daemon = load('[daemon]\nsocket = "/file.sock"\n').daemon
    assert daemon.socket == Path("/file.sock")
    daemon = load('[daemon]\nsocket = "/file.sock"\n', socket=Path("/flag"), state_dir=Path("/s")).daemon
    assert (daemon.socket, daemon.state_dir) == (Path("/flag"), Path("/s"))
    assert daemon.origins["state_dir"] == "command line"


def test_same_settings_on_other_lines_are_the_same(load: Load) -> None:
    one, two, other = (
        load(text).pair("documents") for text in (PAIR, "\n\n" + PAIR, PAIR + "paused = true\n")
    )
    assert one is not None
    assert two is not None
    assert other is not None
    assert one != two
    assert one.is_same(two)
    assert not one.is_same(other)


def test_warnings_name_missing_roots_and_loose_files(load: Load, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    config = load(PAIR)
    found = warnings(config)
    assert [(problem.line, problem.key) for problem in found] == [(3, "pair.documents.destination")]
    assert "root-missing" in found[0].message
    (tmp_path / "b").mkdir()
    mirror = load(PAIR + 'mode = "std"\ninitial = "source-wins"\n')
    assert [(problem.line, problem.key) for problem in warnings(mirror)] == [(5, "pair.documents.initial")]
    config.path.chmod(0o666)
    assert ["every user may change" in problem.message for problem in warnings(config)] == [True]


def test_an_adhoc_pair_is_keyed_by_its_canonical_roots(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("a")
    state = tmp_path / "state"
    pair = adhoc_pair("a", "b", env=env, state_dir=state, ignore=["*.o"], mode=Mode.SOURCE_BACKUP)
    again = adhoc_pair("link", f"file://{tmp_path}/b", env=env, state_dir=state)
    assert (pair.source, pair.destination) == (f"{tmp_path}/a", f"{tmp_path}/b")
    assert pair.key == again.key
    assert pair.key.startswith("@")
    assert (pair.mode, pair.ignore, pair.origins["mode"]) == (Mode.SOURCE_BACKUP, ("*.o",), "command line")
    assert adhoc_pair("b", "a", env=env, state_dir=state).key != pair.key


@pytest.mark.parametrize(
    ("source", "destination", "words"),
    [
        ("a", "a/b", "lies inside"),
        ("/", "b", "cannot be synchronised"),
        ("a", "s3://bucket", "not served by this version"),
        (".", "/elsewhere", "state directory"),
    ],
)
def test_an_adhoc_pair_is_checked_as_well(
    tmp_path: Path,
    env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    destination: str,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigInvalid, match=words):
        adhoc_pair(source, destination, env=env, state_dir=tmp_path / "state")
