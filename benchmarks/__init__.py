"""What edgebench promises about itself, measured. ``python -m benchmarks`` renews docs/benchmarks.md.

Each module below is one benchmark and one command (``python -m benchmarks.agent_vs_loop``); ``--quick``
tries it out in seconds, with figures that mean nothing. ``baselines`` holds what is compared with:
plain scripts that know nothing of edgebench.
"""

# In the order in which they run: what wants the quietest machine comes first.
NAMES = (
    "agent_vs_loop",
    "agent_vs_loadgen",
    "busy_host",
    "trial_memory",
    "trial_import",
    "memory_marks",
    "null_overhead",
    "second_deployment",
    "startup",
    "harness_share",
    "store",
    "coverage",
    "real_aa",
)
