"""What a finished search leaves in its folder."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("optuna", reason="a search needs optuna: pip install edgebench[search]")

from test_search_study import SPACE, opened, point

from edgebench.search.searching import FILES, Searching
from edgebench.search.study import search


def make(settings):
    """Two bits make the smaller file, and all else is equal."""
    size = 100 if settings.overrides["bits"] == 2 else 200
    return replace(point(settings.text(), size=size), file=f"{FILES}/{size}.onnx")


def test_files_off_the_front_go_and_those_of_no_point_yet_stay(tmp_path):
    (tmp_path / FILES).mkdir()
    for name in ("100", "200", "unfinished"):
        for suffix in (".onnx", ".json"):
            (tmp_path / FILES / f"{name}{suffix}").touch()
    study = opened(tmp_path)
    for bits in ("2", "8"):
        study.enqueue_trial(
            {"scheme": "int8_static", "int8_static.bits": bits, "int8_static.per_channel": "true"}
        )
    search(study, SPACE, make, budget=3, told=lambda: None)
    finished = Searching(None, SPACE, None, None, None, study, tmp_path)
    assert [one.file for one in finished.keep_front()] == [f"{FILES}/100.onnx"]
    left = sorted(path.name for path in (tmp_path / FILES).iterdir())
    assert left == ["100.json", "100.onnx", "unfinished.json", "unfinished.onnx"]
