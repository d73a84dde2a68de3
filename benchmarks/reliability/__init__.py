"""The reliability campaign: each fault at many random moments of real runs over SSH, judged afterwards.

``python -m benchmarks.reliability`` writes docs/reliability.md. A fault is a row of `faults.FAULTS`;
`rounds` plants it and brings the run to its end, `oracle` judges the store, `page` writes.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
if str(ROOT / "tests") not in sys.path:
    sys.path.insert(0, str(ROOT / "tests"))  # the boards' file trees and the small models live there
