"""IEMOCAP, CREMA-D and RAVDESS of a few dozen clips, in the layout and names of their releases.

The sounds are half a second of the synthetic corpus' speech, each clip another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from corpora.official_layouts import IEMOCAP_HEAD

from edgebench.corpora import EMOTIONS, SAMPLE_RATE_HZ, Clip, load_waveform, synthetic_clips

SAMPLES = SAMPLE_RATE_HZ // 2
_IEMOCAP = {"anger": "ang", "happiness": "exc", "neutral": "neu", "sadness": "sad"}
_CREMA = {"anger": "ANG", "happiness": "HAP", "neutral": "NEU", "sadness": "SAD"}
_SENTENCES = ("DFA", "IEO", "ITH")
_RAVDESS = {"neutral": "01", "calm": "02", "happiness": "03", "sadness": "04", "anger": "05", "fear": "06"}


def voice_clips(voice: int) -> dict[str, list[Clip]]:
    """The three clips of each emotion of one synthetic voice (1 to 29)."""
    found: dict[str, list[Clip]] = {emotion: [] for emotion in EMOTIONS}
    for clip in synthetic_clips():
        if clip.speaker == f"v{voice:02d}":
            found[str(clip.emotion)].append(clip)
    return found


def write_sound(path: Path, clip: Clip, *, start: int = 4000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.round(load_waveform(clip)[start : start + SAMPLES] * 32768).astype(np.int16)
    soundfile.write(path, samples, SAMPLE_RATE_HZ, subtype="PCM_16")


def write_iemocap(root: Path, *, takes: int = 1, ratings: str = "[2.5000, 3.0000, 3.5000]") -> Path:
    """Five sessions of a woman and a man; each says every emotion ``takes`` times (1 to 3)."""
    for session in range(1, 6):
        dialogue = f"Ses0{session}F_impro01"
        folder = root / f"Session{session}"
        lines = [IEMOCAP_HEAD]
        for sex, voice in (("F", 2 * session), ("M", 2 * session + 1)):
            number = 0
            for emotion, clips in voice_clips(voice).items():
                for clip in clips[:takes]:
                    turn = f"{dialogue}_{sex}{number:03d}"
                    write_sound(folder / "sentences" / "wav" / dialogue / f"{turn}.wav", clip)
                    lines.append(
                        f"[{number}.1000 - {number}.6000]\t{turn}\t{_IEMOCAP[emotion]}\t{ratings}\n\n"
                    )
                    number += 1
        labels = folder / "dialog" / "EmoEvaluation"
        labels.mkdir(parents=True)
        (labels / f"{dialogue}.txt").write_text("".join(lines))
    return root


def crema_names(actors: int) -> Iterator[tuple[str, str, int]]:
    """(name, emotion, voice) of so many actors' clips, one an emotion."""
    for actor in range(actors):
        for number, emotion in enumerate(EMOTIONS):
            sentence = _SENTENCES[number % len(_SENTENCES)]
            yield f"{1001 + actor}_{sentence}_{_CREMA[emotion]}_XX", emotion, 20 + actor


def write_crema_d(root: Path, *, actors: int = 2) -> Path:
    for name, emotion, voice in crema_names(actors):
        write_sound(root / "AudioWAV" / f"{name}.wav", voice_clips(voice)[emotion][0])
    return root


def write_ravdess(root: Path, *, actors: int = 2) -> Path:
    """Six emotions an actor, calm and fear among them."""
    for actor in range(1, actors + 1):
        clips = voice_clips(26 + actor)
        for emotion, code in _RAVDESS.items():
            clip = clips[emotion][1] if emotion in clips else clips["neutral"][2]
            start = 6000 if emotion == "fear" else 4000
            write_sound(
                root / f"Actor_{actor:02d}" / f"03-01-{code}-01-01-01-{actor:02d}.wav", clip, start=start
            )
    return root
