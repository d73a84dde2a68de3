"""Records, store, statistics, verdicts, summaries, fronts and comparisons. Knows no board.

The way through: ``Store.run`` gives a run's lines, ``summarise`` makes rows of them, and the
reports (``edgebench.results.report``), ``compare`` and ``front`` read the rows.
"""

from edgebench.results.metrics.table import METRICS, PUBLIC_NAMES, Figure, Metric
from edgebench.results.records.codec import record_from
from edgebench.results.records.messages import Fingerprint, Output, Predictions, TrialMessage
from edgebench.results.records.record import (
    SCHEMA_VERSION,
    ArtifactFacts,
    ClipTruth,
    Condition,
    ConditioningFacts,
    CorpusFacts,
    DeploymentFacts,
    DeviceFacts,
    EnergyRecord,
    HostUse,
    LaunchRecord,
    PlannedTrial,
    Record,
    ReferenceRecord,
    Requirements,
    RunEnd,
    RunHeader,
    TraceRecord,
    TrialRecord,
)
from edgebench.results.records.store import RunInfo, Store, StoreWarning, new_run_id
from edgebench.results.summary import Row, RunSummary, summarise
from edgebench.results.verdicts.verdict import Verdict

__all__ = [
    "METRICS",
    "PUBLIC_NAMES",
    "SCHEMA_VERSION",
    "ArtifactFacts",
    "ClipTruth",
    "Condition",
    "ConditioningFacts",
    "CorpusFacts",
    "DeploymentFacts",
    "DeviceFacts",
    "EnergyRecord",
    "Figure",
    "Fingerprint",
    "HostUse",
    "LaunchRecord",
    "Metric",
    "Output",
    "PlannedTrial",
    "Predictions",
    "Record",
    "ReferenceRecord",
    "Requirements",
    "Row",
    "RunEnd",
    "RunHeader",
    "RunInfo",
    "RunSummary",
    "Store",
    "StoreWarning",
    "TraceRecord",
    "TrialMessage",
    "TrialRecord",
    "Verdict",
    "new_run_id",
    "record_from",
    "summarise",
]
