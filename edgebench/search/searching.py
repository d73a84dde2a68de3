"""One search: a parent, a device, clips, a study, and the folder that holds the files."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.agent.waveform import prepare
from edgebench.errors import ModelError, UsageError
from edgebench.models import load_artifact
from edgebench.models.making.quantized import quantize_artifact
from edgebench.models.manifest import manifest_path
from edgebench.models.quantization import refuse_clips, scheme_named
from edgebench.models.quantization.parents import refuse_chance, refuse_parent
from edgebench.models.quantization.scheme import Waveform
from edgebench.models.quantization.sensitivity import float_nodes, sensitivities
from edgebench.results import Store
from edgebench.search import study as studies
from edgebench.search.losses import Judge
from edgebench.search.measure import Stopwatch
from edgebench.search.point import Point, front
from edgebench.search.space import Settings, Space, require_optuna
from edgebench.search.trial_folder import trial_folder
from edgebench.training.artifacts.quantize import Chosen, choose_clips
from edgebench.training.clips.gather import ids_sha256

if TYPE_CHECKING:
    import optuna

    from edgebench.corpora import Where
    from edgebench.devices import Device
    from edgebench.models import Artifact

# Signal to noise that the outputs keep with what is not in a list rounded to 8 bits.
LIMITS_DB = (15.0, 25.0, 35.0)
SENSITIVITY_CLIPS = 12
MAX_LOSS = 0.1
FILES = "files"
RUNS = "runs"


@dataclass(frozen=True)
class Clips:
    """Chosen clips and their samples, read once: unprepared waveforms (samples,)."""

    chosen: Chosen
    calibration: list[Waveform]
    validation: list[Waveform]

    @classmethod
    def of(cls, chosen: Chosen) -> Clips:
        """Read the samples. Raises CorpusError for a clip that cannot be read."""
        return cls(chosen, chosen.calibration_waveforms(), chosen.validation_waveforms())


@dataclass(frozen=True)
class Searching:
    """A search that can be gone on with.

    ``clips(at_least)``: those for a scheme that asks for so many. ``output`` holds files, runs, and the study
    where none is named. A file that loses more than ``max_loss`` of UA or CCC is not timed.
    """

    parent: Artifact
    space: Space
    clips: Callable[[int], Clips]
    judge: Judge
    stopwatch: Stopwatch
    study: optuna.Study
    output: Path
    max_loss: float = MAX_LOSS

    @classmethod
    def open(
        cls,
        model: str,
        *,
        device: Device,
        host: str | None,
        calibration: Mapping[str, Where | None],
        schemes: Sequence[str],
        storage: str | None,
        study: str | None,
        output: Path,
        cache: Path,
        offline: bool,
        max_loss: float = MAX_LOSS,
    ) -> Searching:
        """Read the model and the clips, and open the study.

        Raises UsageError, ModelError and CorpusError for what cannot be searched, before anything is written.
        """
        require_optuna()
        parent = load_artifact(model)
        refuse_parent(parent)
        if parent.manifest is None or parent.manifest.parent is not None:
            raise ModelError(
                f"model {parent.path}: a search starts from an fp32 file with its manifest, so that what is "
                "lost can be measured. Give such a file, as `edgebench train` leaves one."
            )
        plain = Space.of(schemes)
        if not calibration:
            raise UsageError(
                "a search sets ranges on speech and compares answers on it. Give the corpora that the model "
                "was trained on, --calibration NAME=PATH, or --calibration synthetic, which is generated."
            )
        clips = functools.cache(
            lambda at_least: Clips.of(choose_clips(parent, calibration, at_least=at_least))
        )
        usual = clips(0).chosen
        refuse_clips("a search", clips(0).calibration)
        judge = Judge(parent, usual.judged)
        refuse_chance(parent.path, [prepare(clips(0).validation[0], *_preparation(parent))])
        output.mkdir(parents=True, exist_ok=True)
        subject = {
            "model": parent.sha256,
            "device": device.name,
            "calibration": usual.calibration.sha256 if usual.calibration else None,
            "validation": ids_sha256(usual.judged),
            "schemes": sorted(plain.schemes),
        }
        opened, space = studies.open_study(
            storage or studies.default_storage(output),
            study or f"{parent.key} on {device.name}",
            space=lambda: plain.with_float_nodes(_sensitive(parent, clips(0).calibration)),
            subject=json.dumps(subject, sort_keys=True),
        )
        stopwatch = Stopwatch(device, host, Store(output / RUNS), cache, offline)
        return cls(parent, space, clips, judge, stopwatch, opened, output, max_loss)

    @property
    def done(self) -> int:
        """Trials that have ended, whoever made them."""
        return studies.finished(self.study)

    def front(self) -> list[Point]:
        """The points that no other beats."""
        return front(studies.points(self.study))

    def refused(self) -> dict[str, str]:
        """Settings that gave no file -> why."""
        return studies.refused(self.study)

    def search(self, *, budget: int, told: Callable[[], None]) -> None:
        """Try settings until ``budget`` have ended in the study."""
        studies.search(self.study, self.space, self.make, budget=budget, told=told)

    def make(self, settings: Settings) -> Point:
        """Build one file, see what it loses, and time it.

        Raises ModelError and MeasurementError where the settings give no file that the device runs, and other
        errors for what has nothing to do with them.
        """
        scheme = scheme_named(settings.scheme)
        clips = self.clips(scheme.clips)
        with trial_folder(self.output) as folder:
            made = quantize_artifact(
                self.parent,
                settings.scheme,
                overrides=settings.overrides,
                clips=clips.calibration if scheme.calibrated else [],
                calibration=clips.chosen.calibration if scheme.calibrated else None,
                validation=clips.validation,
                folder=folder,
            )
            losses = self.judge(made)
            if max(losses.ua, losses.ccc) > self.max_loss:
                raise ModelError(
                    f"it loses {losses.ua:.3f} of UA and {losses.ccc:.3f} of CCC on validation speakers, "
                    f"more than {self.max_loss:g}, so it was not timed."
                )
            timing = self.stopwatch.time(self.parent.path, made.path)
            kept = self._keep(made)
        assert made.manifest is not None and made.manifest.parity is not None
        return Point(
            settings=settings.text(),
            file=str(kept.relative_to(self.output)),
            sha256=made.sha256,
            size_bytes=made.size_bytes,
            ratio=timing.ratio,
            ratio_lo=timing.lo,
            ratio_hi=timing.hi,
            verdict=timing.verdict,
            ua_loss=losses.ua,
            ccc_loss=losses.ccc,
            changed=losses.changed,
            parity_max_abs=made.manifest.parity.max_abs,
            run_id=timing.run_id,
        )

    def keep_front(self) -> list[Point]:
        """The front, where its files lie in this folder; files of points off the front are removed.

        A file that belongs to no point yet is that of another process, which is at it.
        """
        kept = [point for point in self.front() if (self.output / point.file).is_file()]
        names = {Path(point.file).stem for point in kept}
        beaten = {Path(point.file).stem for point in studies.points(self.study)} - names
        for path in (self.output / FILES).glob("*"):
            if path.stem in beaten:
                path.unlink(missing_ok=True)
        return kept

    def _keep(self, made: Artifact) -> Path:
        """Move the file and its manifest into the folder, named by its hash."""
        folder = self.output / FILES
        folder.mkdir(exist_ok=True)
        kept = folder / f"{made.key}.{made.sha256[:12]}{made.path.suffix}"
        shutil.move(manifest_path(made.path), manifest_path(kept))
        shutil.move(made.path, kept)
        return kept


def _sensitive(parent: Artifact, clips: Sequence[Waveform]) -> list[list[str]]:
    """What would stay float, one list for each of ``LIMITS_DB``: found one operator at a time."""
    waveforms = [prepare(clip, *_preparation(parent)) for clip in clips]
    step = max(1, len(waveforms) // SENSITIVITY_CLIPS)
    rows = sensitivities(parent.path, waveforms[::step][:SENSITIVITY_CLIPS])
    return [list(names) for names in dict.fromkeys(tuple(float_nodes(rows, limit)) for limit in LIMITS_DB)]


def _preparation(parent: Artifact) -> tuple[list[dict[str, Any]], int]:
    steps = parent.manifest.preparation if parent.manifest else []
    return [dict(step) for step in steps], parent.sample_rate_hz
