"""The header of a database: read as the YAML specification says, every scalar a text, and nothing acts."""

from __future__ import annotations

import pytest
from official_layouts import AUDFORMAT_HEADER, build_audformat
from test_corpora_tables import WRITTEN_BY_AUDFORMAT

from edgebench.corpora import read_corpus
from edgebench.corpora.readers import yaml_text
from edgebench.errors import CorpusError


def test_scalars_are_what_the_specification_makes_of_them():
    # Escapes, folding and block scalars worked by hand from YAML 1.1, sections 5.7, 9.2 and 9.3.
    text = (
        'author: "Universit\\xE4t \\u00dc\\x62ung"\n'
        "folded: >\n  one\n  line\n\n  two\n"
        "literal: |\n  one\n   line\n"
        "quoted: 'it''s # no comment'\n"
        "plain: a value that runs\n  over lines # a comment\n"
        "time: 12:30:00\nnumber: 0o17\nflag: yes\n"
        "list: [a, 'b ] c', {d: e}]\n"
    )
    assert yaml_text.load(text) == {
        "author": "Universität Übung",
        "folded": "one line\ntwo\n",
        "literal": "one\n line\n",
        "quoted": "it's # no comment",
        "plain": "a value that runs over lines",
        "time": "12:30:00",
        "number": "0o17",
        "flag": "yes",
        "list": ["a", "b ] c", {"d": "e"}],
    }


def test_empty_values_are_empty_texts_and_words_in_quotation_marks_are_words():
    text = "a:\nb: null\nc: ~\nd: 'null'\ne: \"~\"\nf: ''\ng: [null, x]\n"
    assert yaml_text.load(text) == {
        "a": "", "b": "", "c": "", "d": "null", "e": "~", "f": "", "g": ["", "x"],
    }  # fmt: skip


def test_headers_of_databases_have_what_stands_in_them():
    header = yaml_text.load(WRITTEN_BY_AUDFORMAT)
    assert header["description"] == (
        "A long description: with a colon, 'quotes' and \"double\" ones, that runs on and on over the width "
        "of a line, so that the writer has to break it somewhere, # and a hash."
    )
    assert header["schemes"]["emotion"]["labels"][-1] == "fear: of dogs"
    assert header["schemes"]["dominance"] == {"dtype": "float", "minimum": "-1.0", "maximum": "1.0"}
    assert header["tables"]["emotion.test"]["split_id"] == "test"
    assert yaml_text.load(AUDFORMAT_HEADER)["schemes"]["speaker"]["labels"]["8"]["gender"] == "female"


@pytest.mark.parametrize(
    "text",
    [
        "a: [x, y",
        "a\n",
        "- a\n",
        "",
        "a: [x}",
        "a: [x] y",
        "  a: b\nc: d\n",
        "a: b: c\n",
        "a: *nobody\n",
        "? [a]\n: b\n",
        "a: &x [*x]\n",
        "a: \x07\n",
    ],
)
def test_yaml_that_does_not_fit_is_an_error_that_names_its_line(text):
    with pytest.raises(ValueError, match=r"line \d|position \d"):
        yaml_text.load(text)


def test_a_tag_builds_nothing(tmp_path):
    target = tmp_path / "made"
    text = f"a: !!python/object/apply:os.mkdir ['{target}']\nb: !!python/name:os.system ''\n"
    assert yaml_text.load(text) == {"a": [str(target)], "b": ""}
    assert not target.exists()


def test_aliases_of_aliases_take_no_room_and_deep_nesting_is_an_error(tmp_path, write_wav):
    """The billion laughs: nine lines that would be 10**9 values. Written out anywhere, this never ends."""
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    assert len(yaml_text.load(laughs)["a8"]) == 10
    build_audformat(tmp_path, write_wav)
    header = laughs + AUDFORMAT_HEADER.replace("license: CC0-1.0", "license: *a8")
    header = header.replace("languages: [deu]", "languages: [*a8]")
    header = (
        header[: header.index("    labels:\n      3:")]
        + "    labels: *a8\n"
        + header[header.index("splits:") :]
    )
    (tmp_path / "db.yaml").write_text(header)
    assert {clip.licence for clip in read_corpus("ours", tmp_path)} == {"unstated"}
    with pytest.raises(ValueError, match="nested too deeply"):
        yaml_text.load("a: " + "[" * 5000 + "]" * 5000)


def test_a_header_larger_than_any_is_refused_unread(tmp_path, write_wav):
    build_audformat(tmp_path, write_wav)
    (tmp_path / "db.yaml").write_text("a: b\n" + "#" * 4_000_000)
    with pytest.raises(CorpusError, match="more than a header has"):
        read_corpus("ours", tmp_path)
