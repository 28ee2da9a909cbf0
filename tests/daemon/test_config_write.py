"""Writing pairs: what lands is what is loaded, wrong changes write nothing, hand-written files stay."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.daemon.config import Config, ConfigInvalid, Hooks, MaxDelete, TrashConfig, load_config
from syncd.daemon.config_write import edit_pair, keep_last_good, remove_pair, render_pair, store_pair
from tests.durable import each_kill


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home")}


@pytest.fixture
def config(tmp_path: Path, env: dict[str, str]) -> Config:
    (tmp_path / "syncd.toml").write_text(
        f'[pair.hand]\nsource = "{tmp_path}/h1"\ndestination = "{tmp_path}/h2"\n'
    )
    return load_config(tmp_path / "syncd.toml", is_system=False, env=env)


def roots(tmp_path: Path, name: str = "x") -> dict[str, object]:
    return {"source": f"{tmp_path}/{name}1", "destination": f'{tmp_path}/{name} "2"\\\x7f'}


def test_a_stored_pair_is_loaded_again(config: Config, tmp_path: Path, env: dict[str, str]) -> None:
    settings = {
        **roots(tmp_path),
        "trash.keep": "3d",
        "ignore": ["*.tmp", "ü"],
        "paused": True,
        "settle": "0s",
    }
    stored = store_pair(config, "new", settings, is_system=False, env=env)
    path = tmp_path / "pairs.d/new.toml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == ["new.toml"]
    loaded = load_config(tmp_path / "syncd.toml", is_system=False, env=env)
    assert loaded.pairs == stored.pairs
    pair = loaded.pair("new")
    assert pair is not None
    assert pair.destination == str(roots(tmp_path)["destination"])
    assert pair.trash == TrashConfig(3 * 86400)
    assert (pair.ignore, pair.paused, pair.settle_s) == (("*.tmp", "ü"), True, 0)


def test_a_stored_pair_can_be_replaced_and_removed(
    config: Config, tmp_path: Path, env: dict[str, str]
) -> None:
    one = store_pair(config, "new", roots(tmp_path), is_system=False, env=env)
    two = store_pair(one, "new", {**roots(tmp_path), "mode": "tw", "paused": True}, is_system=False, env=env)
    pair = two.pair("new")
    assert pair is not None
    assert pair.paused
    three = remove_pair(two, "new", is_system=False, env=env)
    assert [pair.name for pair in three.pairs] == ["hand"]
    assert os.listdir(tmp_path / "pairs.d") == []


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("bad", {"sorce": "/a"}, "did you mean 'source'"),
        ("bad", {"source": "/h1", "destination": "/h1/x"}, "lies inside"),
        ("bad", {"source": "{root}/h1", "destination": "/q"}, "both pairs write"),
        ("../bad", {}, "cannot name a pair"),
        ("hand", {}, "written by hand"),
        ("bad", {"hooks.on_held": ["/bin/sh"]}, "from files only"),
        ("bad", {"trash": 3, "trash.keep": "3d"}, "given twice"),
    ],
)
def test_a_wrong_pair_writes_nothing(
    config: Config,
    tmp_path: Path,
    env: dict[str, str],
    name: str,
    settings: Mapping[str, object],
    words: str,
) -> None:
    filled = {
        key: value.replace("{root}", str(tmp_path)) if isinstance(value, str) else value
        for key, value in settings.items()
    }
    with pytest.raises(ConfigInvalid, match=words):
        store_pair(config, name, filled, is_system=False, env=env)
    assert not (tmp_path / "pairs.d").exists()
    assert not (tmp_path.parent / "bad.toml").exists()


def test_hooks_are_taken_where_they_are_allowed(config: Config, tmp_path: Path, env: dict[str, str]) -> None:
    settings = {**roots(tmp_path), "hooks": {"on_held": ["/bin/true"]}}
    stored = store_pair(config, "new", settings, is_system=False, env=env, may_set_hooks=True)
    pair = stored.pair("new")
    assert pair is not None
    assert pair.hooks == Hooks(on_held=("/bin/true",))


def test_an_edit_changes_only_what_it_names(config: Config, tmp_path: Path, env: dict[str, str]) -> None:
    settings = {
        **roots(tmp_path),
        "hooks": {"on_held": ["/bin/true"]},
        "trash": {"keep": "3d", "max_size": "1GiB"},
        "settle": "1s",
        "max_delete.files": 3,
    }
    one = store_pair(config, "new", settings, is_system=False, env=env, may_set_hooks=True)
    changes = {"trash": {"keep": "5d"}, "paused": True, "max_delete.percent": 50}
    two = edit_pair(one, "new", changes, ["settle", "trash.max_size", "ignore"], is_system=False, env=env)
    pair = two.pair("new")
    assert pair is not None
    assert pair.trash == TrashConfig(5 * 86400)
    assert pair.hooks == Hooks(on_held=("/bin/true",))
    assert (pair.paused, pair.settle_s, pair.max_delete) == (True, 0.3, MaxDelete(3, 50))
    assert load_config(tmp_path / "syncd.toml", is_system=False, env=env).pairs == two.pairs


@pytest.mark.parametrize(
    ("name", "settings", "unset", "words"),
    [
        ("ghost", {"paused": True}, [], "no such pair"),
        ("new", {"hooks.on_held": ["/bin/sh"]}, [], "from files only"),
        ("new", {"mode": "sideways"}, [], "unknown mode"),
        ("new", {}, ["source"], "has no source"),
    ],
)
def test_a_wrong_edit_changes_nothing(
    config: Config,
    tmp_path: Path,
    env: dict[str, str],
    name: str,
    settings: Mapping[str, object],
    unset: list[str],
    words: str,
) -> None:
    one = store_pair(config, "new", roots(tmp_path), is_system=False, env=env)
    before = (tmp_path / "pairs.d/new.toml").read_bytes()
    with pytest.raises(ConfigInvalid, match=words):
        edit_pair(one, name, settings, unset, is_system=False, env=env)
    assert (tmp_path / "pairs.d/new.toml").read_bytes() == before


@pytest.mark.parametrize(("name", "words"), [("hand", "written by hand"), ("ghost", "no such pair")])
def test_only_own_pairs_are_removed(
    config: Config, env: dict[str, str], tmp_path: Path, name: str, words: str
) -> None:
    with pytest.raises(ConfigInvalid, match=words):
        remove_pair(config, name, is_system=False, env=env)
    assert (tmp_path / "syncd.toml").exists()


def test_a_failed_write_leaves_the_old_file(
    config: Config, env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = store_pair(config, "new", roots(tmp_path), is_system=False, env=env)
    before = (tmp_path / "pairs.d/new.toml").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store_pair(one, "new", {**roots(tmp_path), "paused": True}, is_system=False, env=env)
    assert (tmp_path / "pairs.d/new.toml").read_bytes() == before
    assert os.listdir(tmp_path / "pairs.d") == ["new.toml"]


def test_cra_09_a_killed_write_leaves_the_old_pair_or_the_new_one(
    config: Config, env: dict[str, str], tmp_path: Path
) -> None:
    one = store_pair(config, "new", roots(tmp_path), is_system=False, env=env)
    changed = {**roots(tmp_path), "paused": True}
    found = []
    for _ in each_kill(lambda: store_pair(one, "new", changed, is_system=False, env=env)):
        pair = load_config(tmp_path / "syncd.toml", is_system=False, env=env).pair("new")
        assert pair is not None
        found.append(pair.paused)
    assert sorted(found) == found
    assert set(found) == {False, True}


def test_cra_09_the_last_good_files_are_whole(config: Config) -> None:
    kept = config.daemon.state_dir / "last-good-config" / "syncd.toml"
    for _ in each_kill(lambda: keep_last_good(config)):
        assert not kept.exists() or kept.read_bytes() == config.path.read_bytes()
    assert kept.exists()


def test_the_last_good_files_are_kept(config: Config, env: dict[str, str], tmp_path: Path) -> None:
    stored = store_pair(config, "new", roots(tmp_path), is_system=False, env=env)
    keep_last_good(stored)
    folder = stored.daemon.state_dir / "last-good-config"
    assert (folder / "syncd.toml").read_bytes() == (tmp_path / "syncd.toml").read_bytes()
    assert (folder / "pairs.d/new.toml").read_bytes() == (tmp_path / "pairs.d/new.toml").read_bytes()
    keep_last_good(config)
    assert os.listdir(folder / "pairs.d") == []
    (tmp_path / "syncd.toml").write_bytes(b"")
    with pytest.raises(ConfigInvalid, match=rf"is empty.*{folder}/syncd.toml"):
        load_config(tmp_path / "syncd.toml", is_system=False, env=env)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(
    st.dictionaries(
        texts,
        st.one_of(
            texts,
            st.booleans(),
            st.integers(-(2**63), 2**63 - 1),
            st.lists(texts),
            st.dictionaries(texts, texts),
        ),
        max_size=5,
    )
)
def test_what_is_written_is_toml(table: dict[str, object]) -> None:
    import tomllib

    assert tomllib.loads(render_pair("a.b", table)) == {"pair": {"a.b": table}}


def test_only_plain_values_are_written() -> None:
    with pytest.raises(TypeError, match="object"):
        render_pair("a", {"k": object()})
