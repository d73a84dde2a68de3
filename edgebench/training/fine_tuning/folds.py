"""The folds of a fine-tuning: which clips train, validate and test, by the recipe's protocol.

A corpus that only trains is compared with the tested ones, sound by sound: the same recording under another
name would be trained on and then tested.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgebench.corpora import (
    PARTS,
    UNKNOWN_SPEAKER,
    Clip,
    Split,
    Where,
    k_folds,
    leave_one_session_out,
    load_waveform,
    random_folds,
    ratio_split,
    read_corpus,
    split_clips,
)
from edgebench.errors import CorpusError, UsageError
from edgebench.training.clips.gather import Gathered
from edgebench.training.fine_tuning.recipe import FineTuningRecipe

_NAMED = 5  # clips that a note names before it counts the rest


def read_parts(
    corpora: Mapping[str, Where], train_only: Mapping[str, Where]
) -> tuple[list[Clip], list[Clip], list[str]]:
    """The four-class clips that are divided, those that only train, and what was left out and why.

    Raises :class:`UsageError` where nothing is to be divided or a corpus is given for both,
    :class:`CorpusError` where a corpus has no clip of the four emotions, a divided clip cannot be read, or
    all clips of a train-only corpus are sounds of the divided ones.
    """
    if not corpora:
        raise UsageError(
            "this recipe divides a corpus into folds, and none is given. Give the one to be tested with "
            "--corpus, such as --corpus iemocap=PATH, and corpora that only train with --train-only."
        )
    both = sorted(set(corpora) & set(train_only))
    if both:
        raise UsageError(
            f"corpus {both[0]!r} is given with --corpus and with --train-only: its speakers would be learnt "
            "and then tested on. Give it once."
        )
    clips = [clip for name, path in corpora.items() for clip in _labelled(name, path)]
    unknown = [clip for clip in clips if clip.speaker == UNKNOWN_SPEAKER]
    notes = [_note(f"of unknown speakers {_left_out(unknown)}", unknown)] if unknown else []
    clips = [clip for clip in clips if clip.speaker != UNKNOWN_SPEAKER]
    if not train_only:
        return clips, [], notes
    extra: list[Clip] = []
    for name, path in train_only.items():
        kept, told = without_sounds(_labelled(name, path), clips, role="train-only corpus")
        if not kept:
            raise CorpusError(
                f"train-only corpus {name!r} at {path} has no clip left to train on. {' '.join(told)} "
                "Give another corpus with --train-only, or none."
            )
        extra += kept
        notes += told
    return clips, extra, notes


def folds_of(recipe: FineTuningRecipe, clips: Sequence[Clip], train_only: Sequence[Clip]) -> list[Gathered]:
    """The folds in the order they are run; ``train_only`` joins the train part of each.

    Raises what the protocol raises, and :class:`CorpusError` for a fold with an empty part.
    """
    divide, name = recipe.divide, "+".join(sorted({clip.corpus for clip in clips}))
    splits: list[Split]
    match recipe.protocol:
        case "leave_one_session_out":
            splits = leave_one_session_out(name, clips, train_only=train_only)
        case "k_folds":
            splits = k_folds(name, clips, k=divide.folds, train_only=train_only, seed=divide.seed)
        case "random_folds":
            splits = random_folds(name, clips, k=divide.folds, train_only=train_only, seed=divide.seed)
        case "ratio_split":
            split = ratio_split(
                f"{name}.ratio",
                clips,
                test_share=divide.test_share,
                validation_share=divide.validation_share,
                train_only=train_only,
                seed=divide.seed,
            )
            splits = [split]
    return [gather_fold(split, clips, train_only) for split in splits]


def production_fold(recipe: FineTuningRecipe, clips: Sequence[Clip], train_only: Sequence[Clip]) -> Gathered:
    """Clips divided without regard to speakers: all but ``production.holdout_share`` train.

    Half of the rest validates and half tests, so that figures are of seen speakers, as the split says.
    """
    name = "+".join(sorted({clip.corpus for clip in clips})) + ".production"
    k = max(3, round(2.0 / recipe.production.holdout_share))
    split = random_folds(name, clips, k=k, train_only=train_only, seed=recipe.divide.seed)[0]
    return gather_fold(replace(split, name=name), clips, train_only)


def gather_fold(split: Split, clips: Sequence[Clip], train_only: Sequence[Clip]) -> Gathered:
    """The clips of a split by part. Raises :class:`CorpusError` for a part without clips."""
    everything = [*clips, *train_only]
    parts = {part: split_clips(everything, split, part) for part in PARTS}
    empty = [part for part, chosen in parts.items() if not chosen]
    if empty:
        raise CorpusError(
            f"fold {split.name!r} has no clip of the four emotions in its {empty[0]} part. Give the whole "
            "corpus, or another protocol with --set protocol=k_folds."
        )
    return Gathered(split, **parts)


def cross_corpus_clips(recipe: FineTuningRecipe, path: Where) -> list[Clip]:
    """The clips of the corpus that tests the production model alone, labelled as in the paper."""
    options = recipe.cross_corpus
    clips = [
        replace(clip, emotion="neutral") if clip.label in options.as_neutral else clip
        for clip in read_corpus(options.corpus, path)
    ]
    return [clip for clip in clips if clip.emotion is not None]


def _labelled(name: str, path: Where) -> list[Clip]:
    clips = [clip for clip in read_corpus(name, path) if clip.emotion is not None]
    if not clips:
        raise CorpusError(
            f"corpus {name!r} at {path} has no clip of the four emotions. `edgebench corpora check` says "
            "what it has."
        )
    return clips


def without_sounds(
    clips: Sequence[Clip], others: Sequence[Clip], *, role: str
) -> tuple[list[Clip], list[str]]:
    """The clips that can be read and whose sound is none of the others', and notes on those left out.

    ``role`` is what a note calls the clips' corpus.
    """
    known = {_sound(clip): clip for clip in others}
    kept: list[Clip] = []
    copies: list[Clip] = []
    unreadable: list[Clip] = []
    twin = None
    for clip in clips:
        try:
            digest = _sound(clip)
        except CorpusError:
            unreadable.append(clip)
            continue
        if digest in known:
            twin = twin or f"{clip.id} is {known[digest].name}"
            copies.append(clip)
        else:
            kept.append(clip)
    told = []
    for left, why in (
        (copies, f"the same sound is there under another name ({twin})"),
        (unreadable, "not readable (`edgebench corpora check` says why)"),
    ):
        if left:
            told.append(_note(f"of {role} {left[0].corpus!r} {_left_out(left)}: {why}", left))
    return kept, told


def _sound(clip: Clip) -> str:
    """The hash of a clip's samples, whatever its name and its file's format."""
    return hashlib.sha256(load_waveform(clip).tobytes()).hexdigest()


def _left_out(clips: Sequence[Clip]) -> str:
    return "1 clip is left out" if len(clips) == 1 else f"{len(clips)} clips are left out"


def _note(what: str, clips: Sequence[Clip]) -> str:
    names = ", ".join(clip.id for clip in clips[:_NAMED])
    more = f" and {len(clips) - _NAMED} more" if len(clips) > _NAMED else ""
    return f"{what}: {names}{more}."
