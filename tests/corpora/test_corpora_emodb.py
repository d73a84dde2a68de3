"""EmoDB 2.0 as raw files: folders and names of its README and update script (github.com/audeering/emodb)."""

from __future__ import annotations

import pytest

from edgebench.corpora import parse_source, read_corpus, recognise_corpus
from edgebench.errors import CorpusError

NAMES = ("03a01Faxx", "03a01Wa", "08b02Tcxx", "09a02Nb", "16b10Ad")
# Percentages with a decimal comma, in Latin 1: the actor's remark holds an umlaut.
JUDGEMENTS = (
    "sample\trecognized\tnatural\tnote\n"
    "03a01Fa.wav\t55,00\t80,00\tmüde\n"
    "03a01Wa.wav\t100,00\t60,00\t\n"
    "08b02Tc.wav\t95,00\t59,99\t\n"
    "09a02Nb.wav\t80,00\t100,00\t\n"
)


@pytest.fixture
def raw(tmp_path, write_wav):
    for name in NAMES:
        write_wav(tmp_path / "audio" / f"{name}.wav")
        write_wav(tmp_path / "laryngo" / f"{name}.wav")
    return tmp_path


def test_the_speech_is_read_and_the_larynx_signal_is_not(raw):
    assert recognise_corpus(raw).name == "emodb"
    clips = {clip.id: clip for clip in read_corpus("emodb", raw)}
    assert sorted(clips) == sorted(NAMES)
    assert {clip.path.parent.name for clip in clips.values()} == {"audio"}
    assert {clip.release for clip in clips.values()} == {"2.0"}
    first = clips["03a01Faxx"]
    assert (first.speaker, first.emotion, first.sex, first.partition) == ("03", "happiness", "male", None)
    assert read_corpus("emodb", raw / "audio") == list(clips.values())


def test_what_listeners_recognised_divides_it_as_the_first_release_did(raw):
    """At least 80 % recognised and 60 % natural (Burkhardt et al. 2005, section 4)."""
    (raw / "listener_judgements.txt").write_bytes(JUDGEMENTS.encode("latin-1"))
    parts = {clip.id: clip.partition for clip in read_corpus("emodb", raw)}
    assert parts == {
        "03a01Faxx": "ambiguous",
        "03a01Wa": "selected",
        "08b02Tcxx": "ambiguous",
        "09a02Nb": "selected",
        "16b10Ad": None,
    }
    selected = read_corpus("emodb", parse_source(f"{raw}#partition=selected"))
    assert [clip.id for clip in selected] == ["03a01Wa", "09a02Nb"]


def test_a_judgement_that_is_no_number(raw):
    (raw / "listener_judgements.txt").write_text("sample\trecognized\tnatural\n03a01Wa.wav\thigh\t1\n")
    with pytest.raises(CorpusError, match="line 2: recognized is 'high'"):
        read_corpus("emodb", raw)


def test_the_larynx_signal_alone_is_no_speech(raw, tmp_path, write_wav):
    with pytest.raises(CorpusError, match="which is no speech"):
        read_corpus("emodb", raw / "laryngo")
    for name in NAMES:  # as the authors send it: speech left, larynx right
        write_wav(tmp_path / "sent" / "wav_laryng" / f"{name}.wav", channels=2)
    for path in (tmp_path / "sent", tmp_path / "sent" / "wav_laryng"):
        with pytest.raises(CorpusError, match="remix 1"):
            read_corpus("emodb", path)


@pytest.mark.parametrize("name", ["03a01Faxy.wav", "03a01X.wav", "3a01Fa.wav"])
def test_other_names_are_still_refused(raw, write_wav, name):
    write_wav(raw / "audio" / name)
    with pytest.raises(CorpusError, match=name):
        read_corpus("emodb", raw)
