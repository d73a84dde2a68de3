"""Whether a condition's figures can be believed: VALID, or the named reasons why not.

``VALID``        every rule that could be judged was kept
``INVALID``      measured, but a rule was broken: kept and shown; what the rule spoils stays off fronts and
                 out of comparisons (``Verdict.against``)
``UNSUPPORTED``  the runtime does not import there, or refuses the file
``INCOMPLETE``   launches are missing or failed

Every finding carries its evidence and the next action; what could not be judged on this machine
is said, with why. The rules are ``rules.RULES``, in order; their limits ``case.LIMITS``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgebench.results.metrics.table import METRICS, Figure, missing
from edgebench.results.records.messages import TrialMessage
from edgebench.results.records.record import Condition, RunHeader, TrialRecord
from edgebench.results.verdicts.case import Case, Finding, NotJudged
from edgebench.results.verdicts.rules import EVERYTHING, RULES, SPOILS

UNSUPPORTED_CODES = ("RUNTIME_INSTALL", "RUNTIME_IMPORT", "MODEL_LOAD")


@dataclass(frozen=True)
class Verdict:
    """The verdict of one condition. ``codes`` are those of the findings."""

    status: str
    findings: tuple[Finding, ...] = ()
    not_judged: tuple[NotJudged, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes, each once."""
        return tuple(dict.fromkeys(finding.code for finding in self.findings))

    @property
    def valid(self) -> bool:
        """Whether every figure of the condition can be believed."""
        return self.status == "VALID"

    def against(self, metric: str) -> tuple[str, ...]:
        """The codes that speak against one metric: those that spoil what it measures.

        >>> busy = Verdict("INVALID", (Finding("BUSY_HOST", "", ""),))
        >>> busy.against("latency_p50_ns"), busy.against("ua"), busy.against("size_bytes")
        (('BUSY_HOST',), (), ())
        """
        aspect = METRICS[metric].aspect
        return tuple(code for code in self.codes if aspect in SPOILS.get(code, EVERYTHING))

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        return {
            "status": self.status,
            "codes": list(self.codes),
            "evidence": [vars(finding) for finding in self.findings],
            "not_judged": [vars(rule) for rule in self.not_judged],
        }


def judge(
    condition: Condition,
    launches: Sequence[TrialRecord],
    header: RunHeader,
    *,
    parity: Figure,
    tolerance: float | None,
    mismatch: str | None = None,
) -> Verdict:
    """The verdict of one condition from all its launches, failed ones included."""
    failed = _failures(launches)
    trials = tuple(line.trial for line in launches if line.trial.status == "ok")
    # Records before launches were planned one by one say only how many a condition needs.
    planned = sum(trial.condition == condition and trial.measures for trial in header.trials)
    wanted = planned or header.requirements.launches
    if not launches and (error := _import_error(header, condition.runtime)):
        failed.append(error)
    elif len(launches) < wanted:
        failed.append(
            Finding(
                "MISSING_LAUNCHES",
                f"{len(launches)} of {wanted} launches were made",
                "Collect the rest with `edgebench run --resume`, or measure again.",
            )
        )
    broken: list[Finding] = []
    not_judged: list[NotJudged] = []
    if trials:
        case = Case(condition, header, trials, parity, tolerance, mismatch)
        for code, rule, _ in RULES:
            found = rule(case)
            if isinstance(found, NotJudged):
                not_judged.append(found)
            elif found is not None:
                assert found.code == code
                broken.append(found)
    status = "INVALID" if broken else "VALID"
    if failed:
        unsupported = any(finding.code in UNSUPPORTED_CODES for finding in failed)
        status = "UNSUPPORTED" if unsupported else "INCOMPLETE"
    return Verdict(status, (*failed, *broken), tuple(not_judged))


STATE_CODES = frozenset(
    {"THROTTLED", "UNDERVOLT", "FREQ_DRIFT", "GOV_CHANGED", "MODE_CHANGED", "HOT_START", "QUOTA"}
)


def state_findings(
    condition: Condition, trial: TrialMessage, header: RunHeader, *, number: int
) -> list[Finding]:
    """What one launch by itself shows of the board's state. ``number``: the launch's, from 1."""
    nothing = missing("parity_max_abs", "not asked")
    case = Case(condition, header, (trial,), nothing, None, first=number)
    told = [rule(case) for code, rule, _ in RULES if code in STATE_CODES]
    return [finding for finding in told if isinstance(finding, Finding)]


# --- what has no result -----------------------------------------------------------------------------

_NEXT = {
    "RUNTIME_INSTALL": "Install what the reason names on the board, or measure there without this runtime.",
    "RUNTIME_IMPORT": "Use another version of the runtime on this processor; `edgebench doctor` probes it.",
    "MODEL_LOAD": "Export the model for this runtime: a lower opset and IR, or operators that it has.",
    "RUN_FAILED": "Run the model once by hand with the input named; the message is the runtime's own.",
    "PREPARATION": "Check the preparation steps in the manifest and the corpus.",
    "FILE_CHANGED": "Check the board's storage, then measure again: what is missing or wrong is sent anew.",
    "KILLED": "Signal 9 mostly means that memory ran out: try a smaller model or a board with more memory.",
    "TIMEOUT": "Give the suite a longer timeout, or a shorter input.",
    "CANCELLED_BY_HOST": "The run was cancelled: start it again.",
    "INTERNAL": "This is a fault of edgebench: please report it with the message.",
}


def _failures(launches: Sequence[TrialRecord]) -> list[Finding]:
    """One finding for each way in which launches failed."""
    found: dict[str, list[TrialRecord]] = {}
    for line in launches:
        if line.trial.status != "ok":
            code = line.trial.error.code if line.trial.error else "INTERNAL"
            found.setdefault(code, []).append(line)
    findings = []
    for code, lines in found.items():
        error = lines[0].trial.error
        signal = f" (signal {error.signal})" if error and error.signal else ""
        message = error.message if error else "no error was given"
        evidence = f"{len(lines)} of {len(launches)} launches failed{signal}: {message}"
        findings.append(Finding(code, evidence, _NEXT.get(code, "Read the message and measure again.")))
    return findings


def _import_error(header: RunHeader, name: str) -> Finding | None:
    """What the probe said of a runtime that does not import on the board."""
    runtime = header.device.fingerprint.runtime(name)
    if runtime is None or not runtime.error:
        return None
    code = str(runtime.error.get("code") or "RUNTIME_IMPORT")
    what = "could not be installed" if code == "RUNTIME_INSTALL" else "did not import when it was probed"
    evidence = f"{name} {what}: {runtime.error.get('message')}"
    return Finding(code, evidence, _NEXT.get(code, _NEXT["RUNTIME_IMPORT"]))
