"""Figures as people read them: three significant digits, a fitting unit, the interval beside it."""

from __future__ import annotations

import math

from edgebench.results.metrics.table import Figure

NOTHING = "–"

_SCALES = {
    "ns": (("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1.0)),
    "bytes": (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0)),
    "MACs": (("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0)),
}


def digits(value: float) -> str:
    """Three significant digits without an exponent, thousands separated.

    >>> digits(20181.1535), digits(0.0040362), digits(3.999)
    ('20,181', '0.00404', '4.00')
    """
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return str(value)
    if abs(value) < 1e-6:
        return f"{value:.2e}"
    # Rounded first: 99.96 has the decimals of 100.
    rounded = float(f"{value:.2e}")
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{value:,.{decimals}f}"


def scale(unit: str, value: float) -> tuple[str, float]:
    """(word, divisor) of the unit that fits ``value``: nanoseconds as ms, bytes as kB (1,000 B).

    >>> scale("ns", 20181153.5)
    ('ms', 1000000.0)
    """
    for word, divisor in _SCALES.get(unit, ()):
        # 0.9995 and up is shown as 1.00 of this unit.
        if abs(value) >= 0.9995 * divisor:
            return word, divisor
    return _SCALES[unit][-1] if unit in _SCALES else ("", 1.0)


def number(value: float, unit: str) -> str:
    """One number with its unit: "20.2 ms", "116 kB", "72,659", "0.942"."""
    if unit in _SCALES:
        word, divisor = scale(unit, value)
        return f"{digits(value / divisor)} {word}".rstrip()
    if unit == "parameters":
        return f"{value:,.0f}"
    return digits(value)


def share(value: float) -> str:
    """A figure between -1 and 1 (UA, CCC, a loss): three decimals.

    >>> share(0.94166)
    '0.942'
    """
    return f"{value:.3f}"


def figure_text(figure: Figure | None, *, interval: bool = True, bounded: bool = False) -> str:
    """A figure as text: "20.2 ms [20.0, 20.4]"; a dash where there is none.

    ``bounded``: a figure between -1 and 1, shown with three decimals.
    """
    if figure is None or figure.value is None:
        return NOTHING
    if figure.unit == "clips":
        return f"{figure.value:.0f} of {figure.n:,}"
    if bounded:
        text, show = share(figure.value), share
    else:
        text = number(figure.value, figure.unit)
        _, divisor = scale(figure.unit, figure.value)

        def show(value: float) -> str:
            return digits(value / divisor)

    if not interval or figure.lo is None or figure.hi is None:
        return text
    return f"{text} [{show(figure.lo)}, {show(figure.hi)}]"


def seconds(value: float | None) -> str:
    """An input length: "5 s"; a dash where clips differ."""
    return NOTHING if value is None else f"{value:g} s"
