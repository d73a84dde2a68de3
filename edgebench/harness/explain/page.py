"""An explanation as one small HTML page that asks the network for nothing."""

from __future__ import annotations

from pathlib import Path

from edgebench.errors import StoreError
from edgebench.files import write_text
from edgebench.harness.explain.explanation import Explanation
from edgebench.harness.explain.text import (
    ACCURACY_HEADING,
    TIME_HEADING,
    causes_text,
    facts,
    headline,
    lossy_text,
    operator_section,
)
from edgebench.results.report.document import escape, plain_document, section_html


def explanation_page(explanation: Explanation) -> str:
    """The page as text: the sentence, the facts, all causes and every operator."""
    title = f"edgebench explain: {explanation.child.key} on {explanation.device}"
    warning = "EMULATED: its speed says nothing about a real board."
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(headline(explanation))}</p>",
        f'<p class="warning">{warning}</p>' if explanation.emulated else "",
        "<dl>",
        *(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts(explanation)),
        "</dl>",
        *_listed(TIME_HEADING, causes_text(explanation, most=None)),
        *_listed(ACCURACY_HEADING, lossy_text(explanation, most=None)),
        section_html(operator_section(explanation, shown=None)),
        *(f'<p class="note">{escape(note)}</p>' for note in explanation.notes),
    ]
    return plain_document(title, "\n".join(part for part in body if part))


def write_page(explanation: Explanation, folder: Path) -> Path:
    """Write the page into the folder of reports, under the measured run. Raises StoreError."""
    path = folder / f"{explanation.runs[0]}-explain.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, explanation_page(explanation))
    except OSError as error:
        raise StoreError(
            f"the page of the explanation cannot be written to {folder}: {error.strerror or error}. Free "
            "space or fix the permissions there, or name another folder with --store."
        ) from error
    return path


def _listed(heading: str, found: list[tuple[str, str]]) -> list[str]:
    if not found:
        return []
    items = "".join(
        f"<li><b>{escape(title)}</b><br>{escape(text).replace(chr(10), '<br>')}</li>" for title, text in found
    )
    return [f"<h2>{escape(heading)}</h2>", f'<ol class="findings">{items}</ol>']
