"""Reports as files: ``<run_id>.html``, ``.md`` and ``.json``, whole or not at all; figures likewise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebench.errors import StoreError
from edgebench.files import write_text
from edgebench.results.report.markdown import run_markdown
from edgebench.results.report.page import run_page
from edgebench.results.summary import RunSummary


def write_reports(summary: RunSummary, folder: Path, *, relative_to: str | None = None) -> dict[str, Path]:
    """Write the page, the Markdown and the JSON of a run; returns {"html", "md", "json"} -> path.

    ``relative_to``: the artifact that fronts are drawn and ratios are made against (see ``run_page``).
    Raises StoreError where the folder cannot be written.
    """
    texts = {
        "html": run_page(summary, relative_to=relative_to),
        "md": run_markdown(summary, relative_to=relative_to),
        "json": json.dumps(summary.to_json(), indent=1, allow_nan=False) + "\n",
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return {kind: _written(folder / f"{summary.run_id}.{kind}", text) for kind, text in texts.items()}
    except OSError as error:
        raise StoreError(
            f"the report of run {summary.run_id} cannot be written to {folder}: {error.strerror or error}. "
            "Free space or fix the permissions there, or name another file with --output."
        ) from error


def write_figure(page: str, values: Mapping[str, Any], folder: Path, name: str) -> dict[str, Path]:
    """Write a figure's page and what it shows as JSON; returns {"html", "json"} -> path.

    Raises StoreError where the folder cannot be written.
    """
    texts = {"html": page, "json": json.dumps(values, indent=1, allow_nan=False) + "\n"}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return {kind: _written(folder / f"{name}.{kind}", text) for kind, text in texts.items()}
    except OSError as error:
        raise StoreError(
            f"the figure {name} cannot be written to {folder}: {error.strerror or error}. "
            "Free space or fix the permissions there, or name another folder with --store."
        ) from error


def _written(path: Path, text: str) -> Path:
    write_text(path, text)
    return path
