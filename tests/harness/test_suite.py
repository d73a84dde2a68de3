"""Suites: strict, frozen, and clear about what is wrong."""

from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from edgebench.agent.runtimes.base import SESSION
from edgebench.agent.runtimes.onnxruntime import GRAPH_LEVELS
from edgebench.errors import ConfigError, UsageError
from edgebench.harness.suite import LEVELS, Session, Suite, load_suite, packaged_suites


def test_every_packaged_suite_loads_and_names_itself() -> None:
    assert packaged_suites()
    for name in packaged_suites():
        assert load_suite(name).name == name


def test_packaged_suite_measures_what_the_readme_promises() -> None:
    suite = load_suite()
    assert suite.input_s == (1.0, 5.0, 10.0)
    assert suite.scenarios == ("single_stream", "offline")
    assert (suite.launches, suite.duration_s) == (12, 6.0)
    assert load_suite(level="quick").duration_s == LEVELS["quick"] == 10.0


def test_an_offline_condition_never_gets_more_launches_than_the_others() -> None:
    suite = load_suite()
    assert (suite.launches_of("single_stream"), suite.launches_of("offline")) == (12, 6)
    assert load_suite(launches=2).launches_of("offline") == 2
    assert Suite(name="x", launches=4).launches_of("offline") == 4


def test_a_suite_is_frozen() -> None:
    with pytest.raises(ValidationError):
        load_suite().launches = 1  # type: ignore[misc]


def test_hash_follows_content_not_layout(tmp_path: Path) -> None:
    plain = tmp_path / "a.toml"
    plain.write_text('name = "x"\nlaunches = 2\n')
    commented = tmp_path / "b.toml"
    commented.write_text('# the same\nlaunches = 2\nname = "x"\n')
    other = tmp_path / "c.toml"
    other.write_text('name = "x"\nlaunches = 3\n')
    assert load_suite(str(plain)).sha256() == load_suite(str(commented)).sha256()
    assert load_suite(str(plain)).sha256() != load_suite(str(other)).sha256()


def test_level_on_the_command_line_wins_over_a_duration_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text('name = "x"\nmin_duration_s = 2.5\n')
    assert load_suite(str(file)).duration_s == 2.5
    assert load_suite(str(file), level="standard").duration_s == 60.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "x"\nlaunchez = 3\n', ["launchez", "did you mean 'launches'"]),
        ('name = "x"\n[warmup]\nmx_s = 3\n', ["warmup.mx_s", "max_s"]),
        ('name = "x"\nlaunches = 0\n', ["launches", "found 0"]),
        ('name = "x"\nlevel = "slow"\n', ["level", "quick"]),
        ("launches = 2\n", ["'name' is missing"]),
        ('name = "x"\n[repeats]\nbuget = 1\n', ["repeats.buget", "budget"]),
        ('name = "x"\n[repeats]\nothers = 0\n', ["repeats.others", "found 0"]),
        ("name = \n", ["not valid TOML"]),
    ],
)
def test_a_wrong_suite_is_one_paragraph_that_names_the_key(
    tmp_path: Path, text: str, said: list[str]
) -> None:
    file = tmp_path / "suite.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_suite(str(file))
    message = str(caught.value)
    assert all(part in message for part in [*said, str(file)]), message
    assert "\n" not in message


def test_unknown_suite_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'packaged'"):
        load_suite("packged")


def test_graph_levels_are_those_of_the_agent() -> None:
    allowed = Session.model_fields["graph_level"].annotation
    assert set(get_args(allowed)) == set(GRAPH_LEVELS)


def test_settings_of_a_runtime_have_one_default_on_both_sides() -> None:
    assert Session().model_dump() == SESSION


def test_one_setting_of_a_runtime_is_replaced_and_the_others_stay() -> None:
    suite = load_suite(session={"mem_pattern": False})
    assert suite.session == Session(mem_pattern=False)
    assert suite.sha256() != load_suite().sha256()
