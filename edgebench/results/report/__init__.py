"""Reports of a run: terminal, Markdown, page. All say the same (``tables``), each in its way."""

from edgebench.results.report.files import write_figure, write_reports
from edgebench.results.report.markdown import comparison_markdown, run_markdown
from edgebench.results.report.page import run_page
from edgebench.results.report.terminal import print_comparison, print_evaluation, print_run, print_sections

__all__ = [
    "comparison_markdown",
    "print_comparison",
    "print_evaluation",
    "print_run",
    "print_sections",
    "run_markdown",
    "run_page",
    "write_figure",
    "write_reports",
]
