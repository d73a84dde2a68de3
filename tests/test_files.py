"""Files are written whole or not at all."""

import hashlib
import os
import stat

import pytest

from edgebench.files import replacing, sha256_of, write_bytes, write_text


def test_what_was_there_stays_where_writing_fails(tmp_path):
    path = tmp_path / "report.json"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="half way"), replacing(path) as part:
        part.write_text("half")
        assert path.read_text() == "old"
        raise RuntimeError("half way")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]


def test_the_new_content_appears_only_at_the_end(tmp_path):
    path = tmp_path / "model.onnx"
    with replacing(path) as part:
        part.write_bytes(b"1234")
        assert not path.exists()
    assert path.read_bytes() == b"1234"


def test_two_writers_of_one_file_do_not_write_into_one_another(tmp_path):
    path = tmp_path / "split.json"
    with replacing(path) as first, replacing(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the outer block ended last


def test_permissions_are_those_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "page.html", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "page.html").stat().st_mode) == 0o640


def test_text_is_utf_8_and_the_hash_is_that_of_the_bytes(tmp_path):
    path = tmp_path / "words"
    write_text(path, "Universität")
    assert sha256_of(path) == hashlib.sha256("Universität".encode()).hexdigest()
    write_bytes(path, b"\0\1")
    assert sha256_of(path) == hashlib.sha256(b"\0\1").hexdigest()


def test_a_folder_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(OSError):
        write_text(tmp_path / "nowhere" / "page.html", "x")
