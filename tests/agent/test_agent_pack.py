"""The pack: what is read is what was written, damage is noticed, the bytes are fixed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgebench.agent import pack
from edgebench.corpora import packfile

CLIPS = [("anna/01", np.array([0, 1, -1, 32767, -32768], np.int16)), ("björn/02", np.array([], np.int16))]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.lists(st.integers(0, 50), max_size=6),
    dtype=st.sampled_from(["int16", "float32"]),
    seed=st.integers(0),
)
def test_round_trip(tmp_path: Path, lengths: list[int], dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    integers = [rng.integers(-32768, 32768, length).astype(np.int16) for length in lengths]
    floats = [clip.astype(np.float32) / 32768 for clip in integers]
    if dtype == "float32":
        floats = [clip + np.float32(1e-6) for clip in floats]
    packfile.write(tmp_path / "p", [(f"clip{i}", clip) for i, clip in enumerate(floats)], dtype=dtype)
    read = pack.Pack(tmp_path / "p")
    assert read.ids == [f"clip{i}" for i in range(len(floats))] and read.lengths == lengths == [
        len(f) for f in floats
    ]
    assert len(read) == len(lengths) and read.sample_rate_hz == 16000
    for index in reversed(range(len(floats))):
        assert read.read(index).dtype == np.float32
        assert (read.read(index) == floats[index]).all()


def test_the_layout_byte_by_byte(tmp_path: Path) -> None:
    packfile.write(tmp_path / "p", CLIPS, sample_rate_hz=8000)
    data = (tmp_path / "p").read_bytes()
    length = int.from_bytes(data[8:16], "little")
    start = (16 + length + 7) // 8 * 8
    assert data[:8] == b"EBPACK1\n"
    assert json.loads(data[16 : 16 + length]) == {
        "sample_rate_hz": 8000,
        "dtype": "int16",
        "clips": [
            {"id": "anna/01", "offset": 0, "samples": 5},
            {"id": "björn/02", "offset": 5, "samples": 0},
        ],
    }
    assert set(data[16 + length : start]) <= {0}
    assert data[start:] == bytes.fromhex("00000100ffffff7f0080")
    assert pack.Pack(tmp_path / "p").read(0).tolist() == [0, 2**-15, -(2**-15), 1 - 2**-15, -1]
    packfile.write(tmp_path / "again", iter(CLIPS), sample_rate_hz=8000)
    assert (tmp_path / "again").read_bytes() == data


def test_floats_are_rounded_and_clipped(tmp_path: Path) -> None:
    packfile.write(tmp_path / "p", [("a", np.array([0.4 / 32768, 0.6 / 32768, 1.5, -1.5]))])
    assert (pack.Pack(tmp_path / "p").read(0) * 32768).tolist() == [0, 1, 32767, -32768]


@pytest.mark.parametrize(
    "clips",
    [
        [("a", np.zeros(3)), ("a", np.zeros(3))],
        [("a", np.array([0.0, np.nan]))],
        [("a", np.zeros((2, 3)))],
    ],
)
def test_what_is_no_clip_leaves_nothing_behind(tmp_path: Path, clips: list[tuple[str, np.ndarray]]) -> None:
    with pytest.raises(pack.PackError, match="clip 'a'"):
        packfile.write(tmp_path / "p", clips)
    assert list(tmp_path.iterdir()) == []


def test_every_cut_and_every_damaged_header_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "p"
    packfile.write(path, CLIPS)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(pack.PackError):
            pack.Pack(path)
    for good, bad in [
        (b"EBPACK1", b"EBPACK2"),
        (b'"int16"', b'"int64"'),
        (b'"offset":0', b'"offset":9'),
        (b"{", b"["),
    ]:
        assert good in whole
        path.write_bytes(whole.replace(good, bad, 1))
        with pytest.raises(pack.PackError):
            pack.Pack(path)
