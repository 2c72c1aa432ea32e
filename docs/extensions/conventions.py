"""The table of docs/network.md: one accuracy for each reading of the Methods, by `halidrift reproduce john2022`.

    python docs/extensions/conventions.py results/john2022

writes it anew between the two marks there. Nothing in it is typed by hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from halidrift.physics.files import write_whole

PAGE = Path(__file__).resolve().parents[1] / "network.md"
BEGIN, END = "<!-- conventions: docs/extensions/conventions.py -->", "<!-- end of conventions -->"


def table(lines: dict[str, dict[str, Any]]) -> str:
    """Markdown of the table; the least recognised class in brackets where chance may have picked it."""
    from halidrift.pipeline.conventions import RULES

    rows = ["| readout | assumed | accuracy, % | paper, % | least recognised | why |", "|---|---|---|---|---|---|"]
    for line in lines.values():
        name = f"{line['worst']} {line['worst_share']:.1f}"
        if line["accuracy"] > 99.5:
            name = "-"
        elif not line["worst_stands_out"]:
            name = f"({name})"
        printed = "-" if line["published"] is None else f"{line['published']:g}"
        accuracy = f"{line['accuracy']:.1f} ± {line['error']:.1f}"
        rows.append(f"| {RULES[line['rule']]} | {line['words']} | {accuracy} | {printed} | {name} | {line['why']} |")
    return "\n".join(rows)


def rewritten(page: str, found: dict[str, Any]) -> str:
    """The page with the table of these results."""
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    made = table(found["conventions"]["lines"])
    return f"{head}{BEGIN}\n\n{made}\n\n{END}{tail}"


if __name__ == "__main__":
    results = json.loads((Path(sys.argv[1]) / "results.json").read_text(encoding="utf-8"))
    if results["job"] != "john2022" or results["settings"]["per_class"] < 4975:
        raise SystemExit(f"{sys.argv[1]} is a quick run or of another job: its numbers are none for this page")
    text = rewritten(PAGE.read_text(encoding="utf-8"), results)
    write_whole(PAGE, lambda part: Path(part).write_text(text, encoding="utf-8"))
