"""Each corpus as small as its reader accepts it, in the layout and names of its release, sound generated."""

from __future__ import annotations

import json
from pathlib import Path

NEMO_HEAD = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"


def build_emodb(root: Path, write_wav) -> None:
    for name in ("03a01Wa", "03a01Fa", "08b02Tc", "08a05Lb", "16a07Ea", "16b10Ad", "09a02Nb"):
        write_wav(root / "wav" / f"{name}.wav")
    (root / "erkennung.txt").write_text("Satz erkannt natuerlich\n")


def build_ravdess(root: Path, write_wav) -> None:
    for actor in (1, 2):
        for emotion in range(1, 9):
            name = f"03-01-{emotion:02d}-01-02-01-{actor:02d}"
            write_wav(root / f"Actor_{actor:02d}" / f"{name}.wav")


def build_nemo(root: Path, write_wav) -> None:
    rows = [("EB0", "anger", "female"), ("EB0", "fear", "female"), ("MP0", "sadness", "male")]
    rows += [("MP0", "surprise", "male"), ("MP0", "neutral", "male"), ("MP0", "happiness", "male")]
    lines = []
    for speaker, emotion, sex in rows:
        write_wav(root / "samples" / f"{speaker}_{emotion}_1.wav")
        lines.append(
            f'{speaker}_{emotion}_1.wav\t{emotion}\t"Chcę, powiedział.\tchcę\t{speaker}\t{sex}\t27\n'
        )
    (root / "data.tsv").write_text(NEMO_HEAD + "".join(lines), encoding="utf-8")


def build_urdu(root: Path, write_wav) -> None:
    for folder in ("Angry", "Happy", "Neutral", "Sad"):
        for speaker in ("SM1", "SF12"):
            write_wav(root / folder / f"{speaker}_F10_{folder[0]}010.wav")


def build_table(root: Path, write_wav) -> None:
    write_wav(root.parent / "rec" / "one.wav")
    write_wav(root.parent / "rec" / "two.flac")
    root.write_text(
        "File, speaker ,emotion\nrec/one.wav,a,Angry\nrec/two.flac,b,bored\n", encoding="utf-8-sig"
    )


IEMOCAP_HEAD = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"

IEMOCAP_TURNS = {
    "Ses01F_impro01": [
        ("Ses01F_impro01_F000", "neu", "[2.5000, 3.0000, 3.5000]"),
        ("Ses01F_impro01_M000", "xxx", "[1.0000, 5.0000, 2.0000]"),
    ],
    "Ses05M_script01_1b": [
        ("Ses05M_script01_1b_F003", "exc", "[4.5000, 4.0000, 3.0000]"),
        ("Ses05M_script01_1b_M004", "fru", "[2.0000, 4.0000, 4.0000]"),
    ],
}


def build_iemocap(root: Path, write_wav) -> None:
    for dialogue, turns in IEMOCAP_TURNS.items():
        session = root / f"Session{dialogue[4]}"
        lines = [IEMOCAP_HEAD]
        for number, (turn, label, ratings) in enumerate(turns):
            write_wav(session / "sentences" / "wav" / dialogue / f"{turn}.wav")
            lines.append(f"[{number}.2901 - {number}.9357]\t{turn}\t{label}\t{ratings}\n")
            lines.append("C-E2:\tNeutral;\t()\nC-E3:\tExcited; Surprise;\t()\nC-F1:\tAnger;\t()\n")
            lines.append("A-E3:\tval 3; act 2; dom  2;\t()\n\n")
        labels = session / "dialog" / "EmoEvaluation"
        (labels / "Categorical").mkdir(parents=True)
        (labels / "Categorical" / f"{dialogue}_e1_cat.txt").write_text("another file of the release\n")
        (labels / f"{dialogue}.txt").write_text("".join(lines))


MSP_HEAD = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"

MSP_ROWS = (
    "MSP-PODCAST_0001_0008.wav,N,2.2,4.0,2.6,30,Male,Test1\n"
    "MSP-PODCAST_0001_0009.wav,A,7,1,4,39,Female,Train\n"
    "MSP-PODCAST_0002_0001.wav,C,3.5,3.5,4.5,41,Male,Development\n"
    "MSP-PODCAST_0003_0001.wav,H,5,6,4,Unknown,Unknown,Train\n"
    "MSP-PODCAST_0004_0001.wav,,,,,Unknown,Unknown,Test3\n"
)


def build_msp_podcast(root: Path, write_wav) -> None:
    (root / "Labels").mkdir(parents=True)
    (root / "Labels" / "labels_consensus.csv").write_text(MSP_HEAD + MSP_ROWS)
    for row in MSP_ROWS.splitlines():
        write_wav(root / "Audios" / row.split(",")[0])


CREMA_VOTES_HEAD = '"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote"\n'
CREMA_VOTES = (
    '"100001",6,1,0,0,3,0,"1001_DFA_ANG_XX",10,0.6,"A"\n'
    '"100002",0,0,0,0,8,2,"1002_IEO_SAD_LO",10,0.8,"N"\n'
    '"100003",0,9,1,0,0,0,"1002_ITH_DIS_XX",10,0.9,"D"\n'
    '"200001",0,0,0,0,10,0,"1001_DFA_ANG_XX",10,1,"N"\n'
    '"300001",10,0,0,0,0,0,"1001_DFA_ANG_XX",10,1,"A"\n'
)


def build_crema_d(root: Path, write_wav) -> None:
    for name in ("1001_DFA_ANG_XX", "1002_IEO_SAD_LO", "1002_ITH_DIS_XX", "1002_WSI_NEU_XX"):
        write_wav(root / "AudioWAV" / f"{name}.wav")
    (root / "processedResults").mkdir()
    (root / "processedResults" / "tabulatedVotes.csv").write_text(CREMA_VOTES_HEAD + CREMA_VOTES)
    (root / "VideoDemographics.csv").write_text(
        '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","x","y"\n1002,21,"Female","x","y"\n'
    )


ESD_FIRST = {"Neutral": 1, "Angry": 351, "Happy": 701, "Sad": 1051, "Surprise": 1401}


def build_esd(root: Path, write_wav) -> None:
    for label, number in ESD_FIRST.items():
        write_wav(root / "0001" / label / "train" / f"0001_{number + 50:06d}.wav")
        write_wav(root / "0001" / label / "test" / f"0001_{number + 20:06d}.wav")
        write_wav(root / "0011" / label / f"0011_{number:06d}.wav")
    (root / "0001" / "0001.txt").write_text("0001_000001\t打远一看\tNeutral\n", encoding="utf-8")


def build_subesco(root: Path, write_wav) -> None:
    for name in (
        "F_01_OISHI_S_10_ANGRY_1",
        "F_02_MONIKA_S_1_NEUTRAL_5",
        "M_01_TITO_S_3_SURPRISE_2",
        "M_01_TITO_S_3_SAD_2",
        "F_01_OISHI_S_1_HAPPY_4",
    ):
        write_wav(root / f"{name}.wav")


THAI_LABELS = {
    "s001_con_actor001_impro1_1.flac": ("Angry", 0.8, [["Angry"]] * 4 + [["Frustrated"]]),
    "s001_con_actor002_script1_1_2a.flac": ("Angry", 0.5, [["Angry"], ["Angry", "Sad"], ["Sad"], ["Other"]]),
    "z011_mic_actor199_impro2_3.flac": ("Frustrated", 1.0, [["Frustrated"]] * 3),
    "z011_mic_actor200_impro2_4.flac": ("None", 0.5, [["Happy"], ["Sad"]]),
}


def build_thai_ser(root: Path, write_wav) -> None:
    labels = {}
    for name, (majority, agreement, annotated) in THAI_LABELS.items():
        recording = ("studio" if name[0] == "s" else "zoom") + name[1:4]
        top = "studio1-10" if name[0] == "s" else "zoom11-20"
        write_wav(root / top / recording / name.split("_")[1] / name)
        entry = {"annotated": annotated, "assigned_emo": "Neutral", "majority_emo": majority}
        labels[name] = [{**entry, "agreement": agreement}]
    write_wav(root / "studio1-10" / "studio001" / "clip" / "s001_clip_actor001_impro1_1.flac")
    (root / "emotion_label.json").write_text(json.dumps(labels))
    actors = [("001", "Female"), ("002", "Male"), ("199", "Female"), ("200", "Male")]
    rows = [{"Actor's ID": actor, "Age": 25, "Sex": sex} for actor, sex in actors]
    (root / "actor_demography.json").write_text(json.dumps({"data": rows}))


AUDFORMAT_HEADER = """\
name: mine
description: 'A database, described over
  two lines: with a colon.'
source: https://example.org
usage: unrestricted
languages: [deu]
license: CC0-1.0
media:
  microphone: {type: audio, format: wav, channels: 1, sampling_rate: 16000}
schemes:
  arousal: {dtype: float, minimum: 1, maximum: 5}
  valence: {dtype: float, minimum: 1, maximum: 5}
  dominance: {dtype: float, minimum: 1, maximum: 5}
  emotion:
    description: Emotions.
    dtype: str
    labels: [anger, boredom, happiness,
      neutral]
  speaker:
    dtype: int
    labels:
      3: {gender: male, age: 31}
      8: {gender: female, age: 34}
splits:
  train: {type: train}
tables:
  emotion:
    type: filewise
    split_id: train
    columns:
      emotion: {scheme_id: emotion, rater_id: gold}
      emotion.confidence: {scheme_id: confidence, rater_id: gold}
  files:
    type: filewise
    columns:
      speaker: {scheme_id: speaker}
  ratings:
    type: segmented
    columns:
      act: {scheme_id: arousal}
      val: {scheme_id: valence}
      dom: {scheme_id: dominance}
"""


def build_audformat(root: Path, write_wav) -> None:
    for name in ("03_angry", "08_bored"):
        write_wav(root / "wav" / f"{name}.wav")
    (root / "db.yaml").write_text(AUDFORMAT_HEADER)
    (root / "db.emotion.csv").write_text(
        "file,emotion,emotion.confidence\nwav/03_angry.wav,anger,0.9\nwav/08_bored.wav,boredom,0.8\n"
    )
    (root / "db.files.csv").write_text("file,speaker\nwav/03_angry.wav,3\nwav/08_bored.wav,8\n")
    (root / "db.ratings.csv").write_text(
        "file,start,end,act,val,dom\nwav/03_angry.wav,0 days 00:00:00,,5.0,1.0,3\n"
        "wav/08_bored.wav,0 days,NaT,1,2,4\n"
    )


def path_of(name: str, folder: Path) -> Path:
    """Where a corpus of this name is made: a file for a table, a folder for the others."""
    return folder / ("mine.csv" if name == "table" else "corpus")


BUILD = {
    "emodb": (build_emodb, 7, 2),
    "ravdess": (build_ravdess, 16, 2),
    "nemo": (build_nemo, 6, 2),
    "urdu": (build_urdu, 8, 2),
    "table": (build_table, 2, 2),
    "iemocap": (build_iemocap, 4, 4),
    "msp_podcast": (build_msp_podcast, 5, 4),
    "crema_d": (build_crema_d, 4, 2),
    "esd": (build_esd, 15, 2),
    "subesco": (build_subesco, 5, 3),
    "thai_ser": (build_thai_ser, 4, 4),
    "audformat": (build_audformat, 2, 2),
}
"""How each corpus is made, and how many clips and (at least) speakers its reader finds."""
