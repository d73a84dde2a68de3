"""docs/results.md: teacher, student on hard labels, student on soft labels, over seeds, held-out speakers.

``python -m benchmarks.students RUNS --corpus NAME=PATH...`` scores the artifacts that finished runs of
``edgebench train`` left, by the agent on this host, as ``edgebench evaluate`` does. RUNS holds them by arm
and seed: ``RUNS/teacher/1``, ``RUNS/hard/1``, ``RUNS/soft/1`` and so on; a seed's hard and soft run make a
pair. ``--without NAME=RUNS`` adds such a folder of runs that have not seen the corpus NAME; where it holds
``RUNS/adapted/1`` and so on too, runs on soft labels that were trained on speakers of NAME without its
labels, all are set side by side on the other speakers. Nothing is trained here, and nothing is chosen: every
run that is there is in the table.
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks import report
from benchmarks.results_page import ADAPTED, HARD, SOFT, Arm, Block, page, renewed
from edgebench.cli.display import Display
from edgebench.cli.options import cache_dir, corpus_sources
from edgebench.corpora import EMOTIONS, Clip, Where, packaged_split, read_corpus, split_clips
from edgebench.harness.host.evaluate import predict_corpora, scorable
from edgebench.harness.speech import prepare_corpus
from edgebench.models import Artifact, load_artifact
from edgebench.models.outputs import EMOTION_LOGITS
from edgebench.results.metrics.repeats import Trained
from edgebench.results.records.record import CorpusFacts
from edgebench.training.artifacts import baseline

PAGE = Path(__file__).parents[1] / "docs" / "results.md"
ARMS = {"teacher": "teacher", HARD: "hard", SOFT: "soft", ADAPTED: "adapted"}  # and their folders
PAIRED = (HARD, SOFT, ADAPTED)
BASELINE = {EMOTION_LOGITS: {"kind": "categorical", "labels": list(EMOTIONS)}}


@dataclass(frozen=True)
class Run:
    """What a run of ``edgebench train`` left: its artifacts, and the command as its card gives it.

    ``validated`` is the UA of the validation speakers at the last step, the mean over corpora.
    """

    fp32: Artifact
    small: Artifact
    command: str
    validated: float

    @staticmethod
    def read(folder: Path) -> Run:
        """Raises SystemExit for a folder that no finished run has left."""
        files, cards = sorted(folder.glob("*.onnx")), sorted(folder.glob("*.md"))
        artifacts = [load_artifact(str(path)) for path in files]
        whole = [a for a in artifacts if a.manifest and a.manifest.scheme["name"] == "fp32"]
        small = [a for a in artifacts if a.manifest and a.manifest.parent == whole[0].sha256] if whole else []
        if len(whole) != 1 or len(small) != 1 or len(cards) != 1:
            raise SystemExit(f"{folder} is not the folder of one finished run of `edgebench train`.")
        commands = [
            line for line in cards[0].read_text("utf-8").splitlines() if line.startswith("edgebench train")
        ]
        curves = (folder / "curves.jsonl").read_text("utf-8").splitlines()
        return Run(whole[0], small[0], commands[0], json.loads(curves[-1])["score"])


def read_arms(folder: Path) -> dict[str, list[Run]]:
    """The runs of every arm, by seed. Raises SystemExit where an arm or the partner of a run is missing."""
    runs = {
        arm: sorted((run for run in (folder / name).glob("*") if run.name.isdigit()), key=_seed)
        for arm, name in ARMS.items()
    }
    if not runs[ADAPTED]:
        del runs[ADAPTED]
    for arm, found in runs.items():
        if not found:
            raise SystemExit(f"{folder / ARMS[arm]} holds no runs; the first is expected as 1 in it.")
    students = {arm: ", ".join(run.name for run in found) for arm, found in runs.items() if arm in PAIRED}
    if len(set(students.values())) > 1:
        told = "; ".join(f"{ARMS[arm]} has {seeds}" for arm, seeds in students.items())
        raise SystemExit(f"{folder}: students are compared seed by seed, but {told}.")
    return {arm: [Run.read(run) for run in found] for arm, found in runs.items()}


def _seed(folder: Path) -> int:
    return int(folder.name)


def score(
    arms: Mapping[str, Sequence[Run]],
    corpora: Mapping[str, Where],
    learnt_from: Mapping[str, Where] | None = None,
    *,
    note: str = "",
    unlabelled: bool = False,
) -> list[Block]:
    """Every run on every corpus, all on the same clips: those of speakers that no run has seen.

    The baseline learns from the training speakers of the corpus itself, or, where ``learnt_from`` is given,
    from those of all of these corpora together. With ``unlabelled`` it stands there once more, aligned over
    the training speakers of the corpus. ``note`` says what the nets know of the corpus.
    """
    artifacts = scorable([a for runs in arms.values() for run in runs for a in (run.fp32, run.small)])
    with Display() as display:
        held_out = [
            prepare_corpus(
                name, folder, artifacts, include_seen=False, cache=cache_dir() / "packs", events=display
            )
            for name, folder in corpora.items()
        ]
        packed = [corpus.packed for corpus in held_out]
        predictions = predict_corpora(artifacts, packed, cache=cache_dir(), events=display)
    blocks = []
    for corpus in held_out:
        facts = corpus.facts
        scored = [
            Arm(name, which, [_trained(getattr(run, which), facts, predictions) for run in runs])
            for name, runs in arms.items()
            for which in ("fp32", "small")
        ]
        ids = {clip.id for clip in facts.clips}
        test = [clip for clip in read_corpus(facts.name, corpora[facts.name]) if clip.id in ids]
        sources = learnt_from or {facts.name: corpora[facts.name]}
        labelled = [clip for clip in _training_clips(sources) if clip.emotion is not None]
        rivals = {baseline.KEY: baseline.predict_baseline(labelled, test)}
        if unlabelled:
            unseen = _training_clips({facts.name: corpora[facts.name]})
            rivals[baseline.ALIGNED_KEY] = baseline.predict_baseline(labelled, test, unlabelled=unseen)
        trivial = [Arm(name, "", [Trained(answered, BASELINE)]) for name, answered in rivals.items()]
        blocks.append(Block(facts, [*trivial, *scored], note=note))
    return blocks


def _trained(
    artifact: Artifact, corpus: CorpusFacts, predictions: Mapping[tuple[str, str], object]
) -> Trained:
    assert artifact.manifest is not None
    tasks = {name: task.model_dump() for name, task in artifact.manifest.tasks.items()}
    return Trained(predictions[artifact.sha256, corpus.name], tasks)  # type: ignore[arg-type]


def _training_clips(corpora: Mapping[str, Where]) -> list[Clip]:
    split = packaged_split("wav2small")
    clips = [clip for name, folder in corpora.items() for clip in read_corpus(name, folder)]
    return list(split_clips([clip for clip in clips if clip.corpus in split.corpora], split, "train"))


def _commands(arms: Mapping[str, Sequence[Run]]) -> dict[str, list[str]]:
    return {arm: [run.command for run in runs] for arm, runs in arms.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.students", description=__doc__)
    parser.add_argument("runs", type=Path, metavar="RUNS", help="holds teacher/SEED, hard/SEED, soft/SEED")
    parser.add_argument(
        "--corpus", action="append", required=True, metavar="NAME=PATH", help="seen in training"
    )
    parser.add_argument(
        "--unseen",
        "--unmet",
        action="append",
        default=[],
        metavar="NAME=PATH",
        dest="unseen",
        help="a corpus that no run has seen",
    )
    parser.add_argument(
        "--without", action="append", default=[], metavar="NAME=RUNS", help="runs that have not seen a corpus"
    )
    parser.add_argument("--output", type=Path, default=PAGE)
    arguments = parser.parse_args()
    began, load = datetime.datetime.now(datetime.UTC), report.load_average()
    corpora, unseen = (corpus_sources(given, "--corpus") for given in (arguments.corpus, arguments.unseen))
    arms = read_arms(arguments.runs)
    without = {
        name: read_arms(source.path)
        for name, source in corpus_sources(arguments.without, "--without").items()
    }
    within = score(arms, corpora)
    across = score(arms, unseen, corpora, note="not seen") if unseen else []
    for name, left in without.items():
        others = {other: path for other, path in corpora.items() if other != name}
        never = {arm: runs for arm, runs in left.items() if arm != ADAPTED}
        across += score(never, {name: corpora[name]}, others, note="not seen")
        if never != left:
            across += score(left, {name: corpora[name]}, others, note="labels not seen", unlabelled=True)
    text = page(
        within,
        across,
        _commands(arms),
        report.machine(began, load),
        without={name: _commands(left) for name, left in without.items()},
        validated={arm: [run.validated for run in runs] for arm, runs in arms.items()},
    )
    picture = arguments.output.with_suffix(".svg")
    whole = arguments.output.read_text(encoding="utf-8")
    arguments.output.write_text(renewed(whole, text), encoding="utf-8")
    from benchmarks.results_plot import plot  # matplotlib, for the picture alone

    picture.write_text(plot([*within, *across]), encoding="utf-8")
    Console().print(f"wrote {arguments.output} and {picture}", highlight=False)


if __name__ == "__main__":
    main()
