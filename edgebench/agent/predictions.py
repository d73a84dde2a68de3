"""Predictions of a corpus in the journal: the same ones are not written twice."""

from __future__ import annotations

import hashlib
import json

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any


class Predictions:
    """Predictions over a corpus, written once where every launch of a condition makes the same."""

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}  # id of a trial -> hash of its predictions

    def shorten(self, one: dict[str, Any], record: dict[str, Any]) -> None:
        """Where they equal those of the trial ``predictions_of``, name that trial in their place."""
        found = record["predictions"]
        if found is None:
            return
        what = {key: found.pop(key) for key in ("clips", "names", "values")}
        digest = hashlib.sha256(json.dumps(what).encode()).hexdigest()
        self._digests[one["id"]] = digest
        first = one.get("predictions_of")
        found.update({"same_as": first} if first and self._digests.get(first) == digest else what)
