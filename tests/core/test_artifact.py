import contextlib
import ctypes
import errno
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from ctrsel.core import artifact
from ctrsel.core.artifact import (
    MANIFEST,
    atomic_folder,
    atomic_text,
    digest_arrays,
    digest_file,
    digest_json,
    read_array,
    read_manifest,
    to_json,
)
from ctrsel.core.errors import ConfigError, DataError

HEAD = {"format": "toy", "version": 1}


def write(path: Path, text: str) -> None:
    with atomic_folder(path, manifest=HEAD) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a.txt").write_text(text)


def content(path: Path) -> str:
    return (path / "sub" / "a.txt").read_text()


def test_folder_appears_whole_and_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "thing"
    write(path, "one")
    assert content(path) == "one"
    assert read_manifest(path, format="toy", version=1) == HEAD
    write(path, "two")
    assert content(path) == "two"
    assert [p.name for p in path.parent.iterdir()] == ["thing"]


def test_nothing_is_visible_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "thing"
    with atomic_folder(path, manifest=HEAD) as folder:
        assert folder.parent == tmp_path
        assert not path.exists()
        assert not (folder / MANIFEST).exists()
    assert path.exists()


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt(), SystemExit(1)])
def test_an_exception_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "thing"
    write(path, "one")

    def fail() -> None:
        with atomic_folder(path, manifest=HEAD) as folder:
            (folder / "b.txt").write_text("half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert content(path) == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["thing"]


def test_a_manifest_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "thing"
    write(path, "one")
    with pytest.raises(ValueError, match="JSON"), atomic_folder(path, manifest={**HEAD, "x": float("nan")}):
        pass
    assert content(path) == "one"
    assert len(list(tmp_path.iterdir())) == 1


class Killed(BaseException):
    """Stands for a kill: nothing after it runs in the real case."""


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("step", range(6))
def test_a_kill_at_any_rename_leaves_the_old_or_the_new(tmp_path: Path, monkeypatch, step: int, exchange: bool) -> None:
    """Without the system's exchange the old folder may stand beside, but never is anything half written."""
    path = tmp_path / "thing"
    write(path, "one")
    calls = 0

    def counted(original):
        def wrapper(*args):
            nonlocal calls
            calls += 1
            if calls == step + 1:
                raise Killed
            return original(*args)

        return wrapper

    if not exchange:
        monkeypatch.setattr(ctypes, "CDLL", lambda *a, **k: object())
    monkeypatch.setattr(artifact, "_sync", counted(artifact._sync))
    monkeypatch.setattr(Path, "rename", counted(Path.rename))
    with contextlib.suppress(Killed):
        write(path, "two")
    monkeypatch.undo()
    assert content(path) in ("one", "two")
    read_manifest(path, format="toy", version=1)


def test_exchange_is_one_step_here(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "thing"
    write(path, "one")
    monkeypatch.setattr(Path, "rename", lambda *a: pytest.fail("two steps"))
    write(path, "two")
    assert content(path) == "two"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence(tmp_path: Path, code: int) -> None:
    path = tmp_path / "thing"
    write(path, "one")
    sentence = "no space is left on the disk for this folder; nothing was written"
    with pytest.raises(DataError, match=sentence), atomic_folder(path, manifest=HEAD):
        raise OSError(code, "full")
    assert content(path) == "one"
    with pytest.raises(DataError, match="no space"), atomic_folder(path, manifest=HEAD):
        raise OSError("No space left on device (os error 28)")
    with pytest.raises(DataError, match="no space"), atomic_folder(path, manifest=HEAD):
        raise OSError("400 requested and 80 written")  # numpy
    with pytest.raises(PermissionError), atomic_folder(path, manifest=HEAD):
        raise PermissionError(errno.EACCES, "no")


def test_a_disk_that_fills_up_while_syncing(tmp_path: Path, monkeypatch) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(artifact, "_sync", full)
    with pytest.raises(DataError, match=r"thing: no space"):
        write(tmp_path / "thing", "one")
    with pytest.raises(DataError, match=r"a\.txt: no space"):
        atomic_text(tmp_path / "a.txt", "x")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "thing"
    path.write_text("file")
    write(path, "one")
    assert content(path) == "one"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_of_other_things_is_not_replaced(tmp_path: Path) -> None:
    """Whoever mistypes a place must not lose what stands there."""
    mine = tmp_path / "mine"
    mine.mkdir()
    write(mine, "one")  # an empty folder may be filled
    assert content(mine) == "one"
    other = {**HEAD, "format": "other"}
    with pytest.raises(ConfigError, match=r"mine: this folder is a saved toy, which would be lost"):
        atomic_folder(mine, manifest=other).__enter__()
    late: dict[str, object] = {}
    with pytest.raises(ConfigError, match="is a saved toy"), atomic_folder(mine, manifest=late):
        late |= other
    for text in (None, "no JSON", '{"name": "app"}', "[]"):
        (mine / MANIFEST).unlink(missing_ok=True)
        if text is not None:
            (mine / MANIFEST).write_text(text)
        with pytest.raises(ConfigError, match=r"mine: this folder holds other files, such as '(sub|manifest.json)'"):
            write(mine, "two")
    assert content(mine) == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    write(tmp_path / "disk" / "thing", "one")
    link = tmp_path / "thing"
    link.symlink_to(tmp_path / "disk" / "thing")
    write(link, "two")
    assert link.is_symlink()
    assert content(tmp_path / "disk" / "thing") == "two"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["disk", "thing"]


def test_atomic_text(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    atomic_text(path, "éins")
    atomic_text(path, "zwei")
    assert path.read_text(encoding="utf-8") == "zwei"
    assert len(list(path.parent.iterdir())) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no manifest.json in it"),
        ("{", "expected JSON"),
        ("[1]", r"expected a saved toy, got \[1\]"),
        ('{"format": "other", "version": 1}', "expected a saved toy, got 'other'"),
        ('{"format": "toy", "version": 2}', "expected toy version 1, got 2"),
        ('{"format": "toy"}', "expected toy version 1, got None"),
    ],
)
def test_manifests_that_are_refused(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(DataError, match=message):
        read_manifest(tmp_path, format="toy", version=1)


def test_a_manifest_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="expected JSON"):
        read_manifest(tmp_path, format="toy", version=1)


def test_read_array(tmp_path: Path) -> None:
    file = tmp_path / "a.npy"
    np.save(file, np.arange(100))
    assert read_array(file).tolist() == list(range(100))
    assert isinstance(read_array(file, mapped=True), np.memmap)
    file.write_bytes(file.read_bytes()[:200])
    for mapped in (True, False):
        with pytest.raises(DataError, match="expected a whole"):
            read_array(file, mapped=mapped)
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"a\.npy"):
        read_array(file)
    with pytest.raises(DataError, match="missing"):
        read_array(tmp_path / "b.npy")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_json_is_canonical(value: object) -> None:
    assert json.loads(to_json(value)) == value
    assert len(digest_json(value)) == 16
    if isinstance(value, dict):
        assert digest_json(dict(reversed(value.items()))) == digest_json(value)


def test_json_takes_numpy_and_paths_and_refuses_the_rest() -> None:
    assert to_json([np.int8(1), np.array([1.5]), Path("a/b"), np.bool_(True), (1,)]) == '[1, [1.5], "a/b", true, [1]]'
    with pytest.raises(TypeError, match="plain values, not set"):
        to_json({1, 2})
    for bad in (float("nan"), float("inf"), np.float64("nan")):
        with pytest.raises(ValueError, match="JSON"):
            to_json(bad)


ARRAYS = st.dictionaries(
    st.text(max_size=3),
    npst.arrays(
        dtype=npst.integer_dtypes() | npst.floating_dtypes(sizes=(32, 64)),
        shape=npst.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=4),
    ),
    max_size=3,
)


@given(ARRAYS)
def test_digest_of_arrays_is_of_content(arrays: dict[str, np.ndarray]) -> None:
    first = digest_arrays(arrays)
    assert first == digest_arrays({k: np.asfortranarray(v).copy() for k, v in reversed(arrays.items())})
    assert first != digest_arrays({**arrays, "another": np.zeros(1)})
    for name, a in arrays.items():
        assert first != digest_arrays({**arrays, name: a[None]})
        if a.dtype != np.float64:
            assert first != digest_arrays({**arrays, name: a.astype(np.float64)})


def test_digest_of_a_file(tmp_path: Path) -> None:
    import hashlib

    data = bytes(range(256)) * 40_000
    (tmp_path / "a").write_bytes(data)
    assert digest_file(tmp_path / "a") == hashlib.sha256(data).hexdigest()[:16]
