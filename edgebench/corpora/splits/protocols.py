"""Dividing clips into train, validation and test: the same clips and seed give the same split.

No rule looks at an accuracy.

=========================  ==========  =====================================================================
function                   unit        what a part holds
=========================  ==========  =====================================================================
``make_split``             speaker     given numbers of speakers
``ratio_split``            speaker     shares of the speakers, such as 60/40
``k_folds``                speaker     each speaker tested in one of k folds
``leave_one_session_out``  speaker     each session tested once, the next one validating (IEMOCAP)
``random_folds``           clip        any clips: the same speakers in every part, which the split says
=========================  ==========  =====================================================================

Every function but ``make_split`` takes ``train_only``: clips of further corpora, all of which train.
Clips of unknown speakers are in no part of a split by speaker, except where their corpus only trains.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from edgebench.corpora.clip import UNKNOWN_SPEAKER, Clip
from edgebench.corpora.splits.split import Parts, Split, leaking_speakers
from edgebench.errors import CorpusError, UsageError


def make_split(
    name: str, clips: Iterable[Clip], counts: Mapping[str, tuple[int, int, int]], *, seed: int = 0
) -> Split:
    """Given numbers of speakers for train, validation and test.

    Within a corpus, the speakers of each sex are ordered by the SHA-256 of
    ``"{seed}/{corpus}/{speaker}"``; the orders are then merged so that every stretch holds the
    sexes in the corpus' own proportion (the sex furthest behind its share is next, ties by name).
    The first are tested on, the next validate, the rest train.
    """
    sexes: dict[str, dict[str, str]] = {corpus: {} for corpus in counts}
    for clip in clips:
        if clip.corpus in sexes:
            sexes[clip.corpus][clip.speaker] = clip.sex or "unknown"
    corpora: dict[str, Parts] = {}
    for corpus, (train, validation, test) in counts.items():
        order = speaker_order(corpus, sexes[corpus], seed=seed)
        if len(order) != train + validation + test:
            raise CorpusError(
                f"split '{name}': corpus '{corpus}' has {len(order)} speakers, the split asks for "
                f"{train} + {validation} + {test}. Use the whole corpus, or other counts."
            )
        corpora[corpus] = {
            "train": tuple(sorted(order[test + validation :])),
            "validation": tuple(sorted(order[test : test + validation])),
            "test": tuple(sorted(order[:test])),
        }
    return Split(name, corpora)


def ratio_split(
    name: str,
    clips: Sequence[Clip],
    *,
    test_share: float = 0.4,
    validation_share: float = 0.0,
    train_only: Sequence[Clip] = (),
    seed: int = 0,
) -> Split:
    """Shares of the speakers of each corpus; by default 60 % train and 40 % are tested on.

    Numbers of speakers are rounded to the nearest, and a share above 0 is at least one speaker. The order
    in which speakers are taken is ``make_split``'s. Raises ``UsageError`` for shares that leave nobody to
    train, ``CorpusError`` where a corpus has too few speakers.
    """
    if not 0.0 < test_share < 1.0 or validation_share < 0.0 or test_share + validation_share >= 1.0:
        raise UsageError(
            f"split '{name}': test_share is {test_share:g} and validation_share {validation_share:g}; "
            "expected 0 < test_share, 0 <= validation_share, and less than 1 together."
        )
    corpora = _train_only(name, clips, train_only)
    for corpus, order in _orders(name, clips, seed=seed).items():
        test = _share(test_share, len(order))
        validation = _share(validation_share, len(order))
        if test + validation >= len(order):
            raise _too_few(name, corpus, len(order), wanted=test + validation + 1)
        corpora[corpus] = _parts(order[test + validation :], order[test : test + validation], order[:test])
    return Split(name, corpora)


def k_folds(
    name: str,
    clips: Sequence[Clip],
    *,
    k: int = 5,
    validation: bool = True,
    train_only: Sequence[Clip] = (),
    seed: int = 0,
) -> list[Split]:
    """Each speaker tested in one of ``k`` folds; with ``validation`` the next fold's speakers validate.

    The speakers of a corpus, in ``make_split``'s order, are cut into k stretches whose lengths differ by
    at most one: each holds the sexes in the corpus' proportion. Raises ``UsageError`` for a k that leaves
    nobody to train, ``CorpusError`` where a corpus has fewer than k speakers.
    """
    _require_k(name, k, validation=validation)
    groups = {}
    for corpus, order in _orders(name, clips, seed=seed).items():
        if len(order) < k:
            raise _too_few(name, corpus, len(order), wanted=k)
        groups[corpus] = _stretches(order, k)
    always = _train_only(name, clips, train_only)
    return [
        Split(
            f"{name}.fold{fold + 1}of{k}",
            {**always, **{c: _fold(g, fold, validation=validation) for c, g in groups.items()}},
        )
        for fold in range(k)
    ]


def leave_one_session_out(
    name: str, clips: Sequence[Clip], *, train_only: Sequence[Clip] = ()
) -> list[Split]:
    """Each session of one corpus tested once, the next session (after the last, the first) validating.

    On IEMOCAP: five splits, three sessions train, one validates, one is tested, as in Pepino et al. 2021
    and the DistilHuBERT paper. There is no seed, as nothing is drawn. Raises ``CorpusError`` where
    clips of several corpora are given, fewer than three sessions are known, or a speaker stands in two
    sessions.
    """
    corpora = sorted({clip.corpus for clip in clips})
    if len(corpora) != 1:
        raise CorpusError(
            f"split '{name}': leaving a session out takes the clips of one corpus; found "
            f"{', '.join(corpora) or 'none'}. Give further corpora as train_only."
        )
    speakers: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        if clip.session is not None:
            speakers[clip.session].add(clip.speaker)
    if len(speakers) < 3 or any(clip.session is None for clip in clips):
        raise CorpusError(
            f"split '{name}': corpus '{corpora[0]}' has {len(speakers)} sessions, and "
            f"{sum(clip.session is None for clip in clips)} clips without one; at least three are needed, "
            "one to test, one to validate, the others to train. Divide it by speaker instead: "
            "--set protocol=k_folds."
        )
    counted = Counter(speaker for members in speakers.values() for speaker in members)
    twice = sorted(speaker for speaker, count in counted.items() if count > 1)
    if twice:
        raise CorpusError(
            f"split '{name}': speakers {', '.join(twice[:5])} of '{corpora[0]}' stand in two sessions, so a "
            "session that is left out holds no unknown speaker. Divide it by speaker instead: "
            "--set protocol=k_folds."
        )
    sessions = sorted(speakers)
    groups = [sorted(speakers[session]) for session in sessions]
    always = _train_only(name, clips, train_only)
    return [
        Split(f"{name}.{session}", {**always, corpora[0]: _fold(groups, fold, validation=True)})
        for fold, session in enumerate(sessions)
    ]


def random_folds(
    name: str,
    clips: Sequence[Clip],
    *,
    k: int = 5,
    validation: bool = True,
    train_only: Sequence[Clip] = (),
    seed: int = 0,
) -> list[Split]:
    """Clips divided into ``k`` folds without regard to the speaker, as some papers do.

    Speakers of a fold's test part are in its train part too, which ``leaks_speakers`` says. Within a corpus
    the clips are ordered by emotion, then by the SHA-256 of ``"{seed}/{corpus}/{id}"``, and go to the folds
    in turn, so that every fold holds the emotions in the corpus' proportion. Raises as ``k_folds`` does.
    """
    _require_k(name, k, validation=validation)
    groups: dict[str, list[list[str]]] = {}
    for corpus in sorted({clip.corpus for clip in clips}):
        own = [clip for clip in clips if clip.corpus == corpus]
        if len(own) < k:
            raise CorpusError(
                f"split '{name}': corpus '{corpus}' has {len(own)} clips, fewer than {k} folds."
            )
        order = sorted(own, key=lambda clip: (clip.emotion or "", _rank(seed, clip.corpus, clip.id)))
        groups[corpus] = [[clip.id for clip in order[fold::k]] for fold in range(k)]
    always = _train_only(name, clips, train_only, unit="clip")
    folds = []
    for fold in range(k):
        parts = {c: _fold(g, fold, validation=validation) for c, g in groups.items()}
        split = Split(f"{name}.random{fold + 1}of{k}", {**always, **parts}, unit="clip")
        folds.append(replace(split, leaks_speakers=bool(leaking_speakers(clips, split))))
    return folds


def speaker_order(corpus: str, sex_of: Mapping[str, str], *, seed: int) -> list[str]:
    """The speakers of a corpus in the order in which they are taken: the rule of ``make_split``."""

    def rank(speaker: str) -> str:
        return hashlib.sha256(f"{seed}/{corpus}/{speaker}".encode()).hexdigest()

    waiting = {
        sex: sorted((s for s in sex_of if sex_of[s] == sex), key=rank) for sex in sorted(set(sex_of.values()))
    }
    size = {sex: len(names) for sex, names in waiting.items()}
    order: list[str] = []
    while len(order) < len(sex_of):
        # Integers throughout: how far each sex is behind its share, times the number of speakers.
        behind = {s: size[s] * (len(order) + 1) - (size[s] - len(waiting[s])) * len(sex_of) for s in waiting}
        sex = max((s for s in waiting if waiting[s]), key=lambda s: (behind[s], [-ord(c) for c in s]))
        order.append(waiting[sex].pop(0))
    return order


def _rank(seed: int, corpus: str, member: str) -> str:
    return hashlib.sha256(f"{seed}/{corpus}/{member}".encode()).hexdigest()


def _orders(name: str, clips: Iterable[Clip], *, seed: int) -> dict[str, list[str]]:
    """The known speakers of each corpus in the order in which they are taken."""
    sexes: dict[str, dict[str, str]] = {}
    for clip in clips:
        if clip.speaker != UNKNOWN_SPEAKER:
            sexes.setdefault(clip.corpus, {})[clip.speaker] = clip.sex or "unknown"
    if not sexes:
        raise CorpusError(f"split '{name}': there is no clip of a known speaker to divide. Check the corpus.")
    return {corpus: speaker_order(corpus, sexes[corpus], seed=seed) for corpus in sorted(sexes)}


def _train_only(
    name: str, clips: Iterable[Clip], train_only: Iterable[Clip], *, unit: str = "speaker"
) -> dict[str, Parts]:
    divided = {clip.corpus for clip in clips}
    members: dict[str, set[str]] = {}
    for clip in train_only:
        members.setdefault(clip.corpus, set()).add(clip.speaker if unit == "speaker" else clip.id)
    both = sorted(divided & set(members))
    if both:
        raise CorpusError(
            f"split '{name}': corpus '{both[0]}' is to be divided and to train only. Give it once."
        )
    return {corpus: _parts(found, (), ()) for corpus, found in members.items()}


def _parts(train: Iterable[str], validation: Iterable[str], test: Iterable[str]) -> Parts:
    return {
        "train": tuple(sorted(train)),
        "validation": tuple(sorted(validation)),
        "test": tuple(sorted(test)),
    }


def _fold(groups: Sequence[Sequence[str]], fold: int, *, validation: bool) -> Parts:
    """One group is tested, with ``validation`` the next one validates, the others train."""
    after = (fold + 1) % len(groups) if validation else None
    train = [member for at, group in enumerate(groups) if at not in (fold, after) for member in group]
    return _parts(train, groups[after] if after is not None else (), groups[fold])


def _stretches(order: Sequence[str], k: int) -> list[Sequence[str]]:
    size, longer = divmod(len(order), k)
    ends = [size * (n + 1) + min(n + 1, longer) for n in range(k)]
    return [order[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def _share(share: float, speakers: int) -> int:
    return max(1, int(share * speakers + 0.5)) if share > 0.0 else 0


def _require_k(name: str, k: int, *, validation: bool) -> None:
    least = 3 if validation else 2
    if k < least:
        raise UsageError(
            f"split '{name}': {k} folds leave nothing to train; expected {least} or more"
            f"{' (one tests, one validates)' if validation else ''}."
        )


def _too_few(name: str, corpus: str, speakers: int, *, wanted: int) -> CorpusError:
    return CorpusError(
        f"split '{name}': corpus '{corpus}' has {speakers} known speakers, the split needs {wanted} or more. "
        "Use the whole corpus, or fewer folds or smaller shares."
    )
