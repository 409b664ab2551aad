"""Digests of files: what they are, when files are read again, and what is never read."""

import hashlib
import os
import time
from pathlib import Path
from typing import IO

import pytest

from pixelplay.run.digests import Digests


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose contents are read from now on."""
    names: list[str] = []
    digest = hashlib.file_digest

    def counted(file: IO[bytes], kind: str):
        names.append(Path(os.readlink(f"/proc/self/fd/{file.fileno()}")).name)
        return digest(file, kind)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    return names


def test_a_digest_is_the_sha256_of_the_contents_whatever_the_name(tmp_path: Path):
    files = [written(tmp_path / name, text) for name, text in (("a", "1"), ("b", "1"), ("c", "2"))]
    assert Digests(tmp_path / "digests").of([*files, files[0]]) == [sha256(text) for text in "1121"]


def test_only_what_has_changed_is_read_again(tmp_path: Path, opened: list[str]):
    a, b, c = (written(tmp_path / name, name) for name in "abc")
    Digests(tmp_path / "digests").of([a, b, c])
    assert sorted(opened) == ["a", "b", "c"]
    opened.clear()
    assert Digests(tmp_path / "digests").of([a, b, c]) == [sha256(name) for name in "abc"]
    assert opened == []
    stat = b.stat()
    b.write_text("B")
    os.utime(b, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # of the same size, and its time set back
    assert Digests(tmp_path / "digests").of([a, b, c]) == [sha256("a"), sha256("B"), sha256("c")]
    assert opened == ["b"]


def test_files_that_change_places_are_read_again(tmp_path: Path, opened: list[str]):
    for folder in "12":
        (tmp_path / folder).mkdir()
        os.utime(written(tmp_path / folder / "a", folder), (5, 5))
    paths = [tmp_path / "1/a", tmp_path / "2/a"]
    Digests(tmp_path / "digests").of(paths)
    opened.clear()
    for old, new in (("1", "3"), ("2", "1"), ("3", "2")):
        (tmp_path / old).rename(tmp_path / new)
    assert Digests(tmp_path / "digests").of(paths) == [sha256("2"), sha256("1")]
    assert opened == ["a", "a"]


def test_a_file_that_has_just_changed_is_read_when_the_clock_has_gone_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Within a tick of the system's clock, 10 ms at most, another change would leave its times as they are."""
    digest, times = hashlib.file_digest, []
    monkeypatch.setattr(hashlib, "file_digest", lambda *given: times.append(time.time_ns()) or digest(*given))
    path, store = tmp_path / "a", Digests(tmp_path / "digests")
    for text in "123":
        path.write_text(text)
        assert store.of([path]) == [sha256(text)]
        assert times[-1] - path.stat().st_ctime_ns >= 10_000_000
    assert len(times) == 3


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "text"])
def test_a_damaged_file_of_digests_is_made_again(tmp_path: Path, opened: list[str], damage: str):
    path, store = written(tmp_path / "a", "1"), tmp_path / "digests"
    Digests(store).of([path])
    whole = store.read_bytes()
    at = whole.index(sha256("1").encode())
    flipped = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    store.write_bytes({"cut": whole[: len(whole) // 2], "bit": flipped, "empty": b"", "text": b"no\xff\n{"}[damage])
    assert Digests(store).of([path]) == [sha256("1")]
    assert opened == ["a", "a"]
    assert store.read_bytes() == whole


def test_files_that_are_gone_are_forgotten(tmp_path: Path):
    files = [written(tmp_path / name, name) for name in "ab"]
    Digests(tmp_path / "digests").of(files)
    files[0].unlink()
    Digests(tmp_path / "digests").of([written(tmp_path / "c", "c")])
    text = (tmp_path / "digests").read_text()
    assert [str(tmp_path / name) in text for name in "abc"] == [False, True, True]


def test_nothing_is_read_that_is_no_regular_file(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "endless").symlink_to("/dev/zero")
    (tmp_path / "nowhere").symlink_to("none")
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "nothing").touch()
    (tmp_path / "linked").symlink_to(written(tmp_path / "a", "1"))
    names = ("fifo", "folder", "endless", "nowhere", "round", "nothing", "linked")
    start = time.monotonic()
    found = Digests(tmp_path / "digests").of([tmp_path / name for name in names])
    assert time.monotonic() - start < 60  # and not for ever
    assert found == [
        *("not a file: p", "not a file: d", "not a file: c", "cannot be read: No such file or directory"),
        *("cannot be read: Too many levels of symbolic links", "empty", sha256("1")),
    ]


def test_names_of_any_bytes_are_remembered(tmp_path: Path, opened: list[str]):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n\xc3\xa4"))
    path.write_text("1")
    for _ in range(2):
        assert Digests(tmp_path / "digests").of([path]) == [sha256("1")]
    assert len(opened) == 1


def test_where_nothing_can_be_written_digests_are_right_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = written(tmp_path / "a", "1")
    (tmp_path / "file").touch()
    assert Digests(tmp_path / "file/digests").of([path]) == [sha256("1")]
    assert "cannot be written" in caplog.text
