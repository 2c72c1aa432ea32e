"""The page of validation results: what `halidrift reproduce` found beside what the papers print, misses first.

One source: docs/results/*.json, each the `quantities` of a finished job, as it wrote them. After a run

    python docs/extensions/verdicts.py results/john2022

takes them over. Nothing on the page is typed by hand.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "results"
KEEP = ("job", "version", "settings", "statement", "quantities")
ROW = ("id", "quantity", "value", "unit", "uncertainty", "kind", "target", "verdict", "source", "locator", "note")
TITLES = {"john2022": "John et al. 2022", "kim2019": "Kim et al. 2019"}
HEADS = {
    "miss": "Misses",
    "not computed": "Not computed",
    "hit": "Hits",
    "no number to compare with": "Without a printed number",
}


def take(results: Path, revision: str) -> Path:
    """Take the quantities of a finished job over; a quick run is refused."""
    found = json.loads(results.read_text(encoding="utf-8"))
    settings = found["settings"]
    if settings.get("quick") or settings.get("per_class", 4975) < 4975:
        raise SystemExit(f"{results} is a quick run: its numbers are no validation")
    kept = {name: found[name] for name in KEEP} | {"revision": revision}
    kept["quantities"] = [{name: row[name] for name in ROW} for row in found["quantities"]]
    FOLDER.mkdir(exist_ok=True)
    file = FOLDER / f"{found['job']}.json"
    file.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


def read() -> dict[str, dict[str, Any]]:
    """The results that are there, by job."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.json"))}


def _figure(row: dict[str, Any]) -> str:
    value, unit = row["value"], "" if row["unit"] in ("", "1") else f" {row['unit']}"
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    spread = row["uncertainty"]
    width = f" ± {spread:.2g}" if isinstance(spread, float) and math.isfinite(spread) else ""
    return f"{value:.4g}{width}{unit}"


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|").replace("$", "\\$").replace("<", "&lt;").replace("~", "\\~")


def _table(rows: list[dict[str, Any]]) -> list[str]:
    lines = ["| id | quantity | the paper | halidrift | kind | remark |", "|---|---|---|---|---|---|"]
    for row in rows:
        unit = f" {row['unit']}" if row["unit"] not in ("", "1") else ""
        target = f"{row['target']}{unit} ({row['locator']})"
        cells = (row["id"], row["quantity"], target, _figure(row), row["kind"] or "-", row["note"])
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return lines


def page() -> str:
    """Markdown of the page."""
    lines = [
        "# Validation results",
        "",
        "What `halidrift reproduce` found beside what the papers print, misses first. *Published* and *assumed*",
        "numbers were put in, *calibrated* ones were fitted to the paper or rest on what was; only *predicted* ones",
        "say something about the physics.",
        "A miss is a number outside the printed range, with the tolerance stated before the run.",
        "",
    ]
    jobs = read()
    lines += ["| paper | kind | hits | misses |", "|---|---|---|---|"]
    for job, found in jobs.items():
        count = Counter((row["kind"], row["verdict"]) for row in found["quantities"])
        for kind in ("predicted", "calibrated", "assumed", "published"):
            hits, misses = count[kind, "hit"], count[kind, "miss"]
            if hits + misses:
                lines.append(f"| {TITLES.get(job, job)} | {kind} | {hits} | {misses} |")
    lines.append("")
    for job, found in jobs.items():
        lines += [f"## {TITLES.get(job, job)}", "", f"`halidrift reproduce {job}` at revision {found['revision']}.", ""]
        lines += [found["statement"], ""]
        for verdict, head in HEADS.items():
            rows = [row for row in found["quantities"] if row["verdict"] == verdict]
            if rows:
                lines += [f"### {TITLES.get(job, job)}: {head.lower()}, {len(rows)}", "", *_table(rows), ""]
    return "\n".join(lines) + "\n"


def _write(app: Any) -> None:
    file = Path(app.srcdir) / "generated" / "validation.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page(), encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Write the page before Sphinx reads."""
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=FOLDER.parent, capture_output=True, text=True, check=True
    ).stdout.strip()
    for folder in sys.argv[1:]:
        print(take(Path(folder) / "results.json", revision))
