"""Barriers as tables for other programs: CSV, JSON, LaTeX."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable

from .barriers import Barrier
from .errors import InputError

__all__ = ["COLUMNS", "FORMATS", "table"]

COLUMNS = ("material", "species", "quantity", "low_eV", "high_eV", "method", "condition", "source", "locator", "note")
"""Columns of every table; a side that a bound leaves open is empty."""


def table(barriers: Iterable[Barrier], format: str) -> str:
    """Write barriers as a table.

    Parameters
    ----------
    barriers : iterable of Barrier
        A `Database` is one.
    format : {'csv', 'json', 'latex'}
        CSV with a header line (RFC 4180); JSON as a list of objects; LaTeX as a ``longtable`` for the packages
        longtable and booktabs, whose sources are ``\\cite`` of the keys that `Database.bibtex` prints.

    Returns
    -------
    str
        Energies in eV with the digits as printed (in JSON as numbers); columns as in `COLUMNS`. `condition` joins
        all conditions of the row, its charge, and what must not get lost: "approximate", "compiled from several
        papers", "repeats ID", a printed unit other than eV. `source` names the paper, and after "via" where the
        number was read.

    Raises
    ------
    InputError
        If the format is unknown.
    """
    if format not in FORMATS:
        raise InputError("unknown format of a table", got=format, allowed=", ".join(FORMATS))
    return FORMATS[format](list(barriers))


def _cells(row: Barrier) -> dict[str, str | float | None]:
    return {
        "material": row.material,
        "species": row.species,
        "quantity": row.quantity,
        "low_eV": row.sides[0],
        "high_eV": row.sides[1],
        "method": row.method,
        "condition": _condition(row) or None,
        "source": _source(row),
        "locator": row.locator,
        "note": f"{row.note} [{row.id}]" if row.note else f"[{row.id}]",
    }


def _source(row: Barrier) -> str:
    text = f"{row.source} via {row.via}" if row.via else row.source
    return f"{text} (also {', '.join(row.refs)})" if row.refs else text


def _condition(row: Barrier) -> str:
    """Everything that a number must not travel without."""
    parts = (
        row.conditions,
        "" if row.charge is None else f"charge {row.charge:+d}" if row.charge else "charge 0",
        "approximate" if row.approximate else "",
        "compiled from several papers" if row.compiled else "",
        "computed, not published" if row.computed else "",
        f"repeats {row.repeats}" if row.repeats else "",
        f"printed as {row.printed}" if row.unit != "eV" else "",
    )
    return "; ".join(part for part in parts if part)


def _csv(rows: list[Barrier]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(_cells(row))
    return text.getvalue()


def _json(rows: list[Barrier]) -> str:
    numbers = [_cells(row) | {"low_eV": row.low_eV, "high_eV": row.high_eV} for row in rows]
    return json.dumps(numbers, indent=2, ensure_ascii=False) + "\n"


# the letters that LaTeX reads as commands, and the signs in our data that an 8-bit font lacks
_LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "[": "{[}",  # after a line end a bare bracket would be its optional argument
    "]": "{]}",
    "–": "--",
    "−": "$-$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "≈": r"$\approx$",
    "∼": r"$\sim$",
    "→": r"$\to$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "°": r"$^\circ$",
    "µ": r"$\mu$",
    "μ": r"$\mu$",
    "σ": r"$\sigma$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "δ": r"$\delta$",
    **{sign: f"$_{index}$" for index, sign in enumerate("₀₁₂₃₄₅₆₇₈₉")},
}


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)


def _formula(text: str) -> str:
    """Set the digits of a chemical formula low; text that is no formula stays as it is."""
    if " " in text:
        return _escaped(text)
    return re.sub(r"(?<=[A-Za-z)}])(\d+(?:\.\d+)?)", r"$_{\1}$", _escaped(text))


def _defect(species: str, charge: int | None) -> str:
    """Kröger-Vink symbol without effective charge, the charge number of the row as a superscript."""
    name, _, site = species.partition("_")
    low = f"_\\mathrm{{{site}}}" if site else ""
    high = "" if charge is None else f"^{{{charge:+d}}}" if charge else "^{0}"
    return f"$\\mathrm{{{name}}}{low}{high}$"


def _latex(rows: list[Barrier]) -> str:
    head = "material & species & quantity & low (eV) & high (eV) & method & condition & source & locator & note \\\\"
    widths = "lllll p{0.16\\linewidth} p{0.14\\linewidth} l p{0.12\\linewidth} p{0.2\\linewidth}"
    lines = [
        "% packages: booktabs, longtable, pdflscape; put it inside \\begin{landscape}\\footnotesize",
        f"\\begin{{longtable}}{{{widths}}}",
        "\\toprule",
        head,
        "\\midrule",
        "\\endhead",
    ]
    for row in rows:
        source = f"\\cite{{{row.source}}}" + (f" via \\cite{{{row.via}}}" if row.via else "")
        source += f" (also \\cite{{{','.join(row.refs)}}})" if row.refs else ""
        cells = (
            _formula(row.material),
            _defect(row.species, row.charge),
            _escaped(row.quantity.replace("_", " ")),
            *(side.replace("-", "$-$") for side in row.sides),
            _escaped(row.method),
            _escaped(_condition(row)),
            source,
            _escaped(row.locator),
            _escaped(str(_cells(row)["note"])),
        )
        lines.append(" & ".join(cells) + " \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{longtable}"]) + "\n"


FORMATS = {"csv": _csv, "json": _json, "latex": _latex}
"""What `table` writes, by name."""
