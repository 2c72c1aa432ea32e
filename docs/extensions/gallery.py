"""The gallery: a picture, the script in examples/ that makes it, and what the script says that it shows.

A script is read, not run: its docstring is the text, its `FIGURES` (file name to alternative text) are the
pictures, which `make gallery` writes to docs/figures. A script without `FIGURES` prints a table.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PICTURES = ROOT / "docs" / "figures"


@dataclass(frozen=True)
class Example:
    """What a script says about itself.

    Attributes
    ----------
    file : Path
    title, text : str
        First line and rest of its docstring.
    figures : dict of str to str
        File name to alternative text.
    fast : bool
        Whether it ends within seconds: `FAST = True`.
    needs : str
        Package of an extra without which it cannot run: `NEEDS = "chgnet"`.
    """

    file: Path
    title: str
    text: str
    figures: dict[str, str]
    fast: bool
    needs: str


def read(file: Path) -> Example:
    """Read a script without running it."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    told = ast.get_docstring(tree)
    if not told:
        raise ValueError(f"{file} has no docstring that says what it shows")
    named: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("FIGURES", "FAST", "NEEDS"):
                named[name] = ast.literal_eval(node.value)
    title, _, text = told.partition("\n")
    return Example(
        file=file,
        title=title.strip(),
        text=text.strip(),
        figures=dict(named.get("FIGURES", {})),
        fast=bool(named.get("FAST", False)),
        needs=named.get("NEEDS", ""),
    )


def examples() -> list[Example]:
    """All of them, those with pictures first."""
    found = [read(file) for file in sorted(EXAMPLES.glob("*.py"))]
    return sorted(found, key=lambda example: not example.figures)


def _paragraphs(text: str) -> list[str]:
    """Markdown of a docstring: what is indented is something to type."""
    lines: list[str] = []
    typed = False
    for line in text.splitlines():
        indented = line.startswith("    ")
        if indented != typed and line.strip():
            lines.append("```text" if indented else "```")
            if not indented:
                lines.append("")
            typed = indented
        lines.append(line.removeprefix("    ") if typed else line)
    if typed:
        lines.append("```")
    return lines


def page() -> str:
    """Markdown of the gallery."""
    lines = [
        "# Gallery",
        "",
        "Each picture is made by a script in `examples/`; `make gallery` makes all of them again.",
        "",
    ]
    for example in examples():
        lines += [f"## {example.title.rstrip('.')}", ""]
        for name, alt in example.figures.items():
            lines += [f"![{alt}](../figures/{name})", ""]
        lines += [*_paragraphs(example.text), "", f"Script: `examples/{example.file.name}`.", ""]
    return "\n".join(lines) + "\n"


def _write(app: Any) -> None:
    file = Path(app.srcdir) / "generated" / "gallery.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page(), encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Write the page before Sphinx reads."""
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def main() -> None:
    """Run every script that draws: `python docs/extensions/gallery.py [NAME ...]`, pictures to docs/figures."""
    import importlib.util
    import subprocess
    import sys

    asked = sys.argv[1:]
    for example in examples():
        if example.figures and (not asked or example.file.stem in asked):
            print(f"examples/{example.file.name}", flush=True)
            if example.needs and importlib.util.find_spec(example.needs) is None:
                print(f"  left out: {example.needs} is not installed")
                continue
            subprocess.run([sys.executable, str(example.file), "--out", str(PICTURES)], check=True)
            lacking = [name for name in example.figures if not (PICTURES / name).is_file()]
            if lacking:
                raise SystemExit(f"{example.file.name} did not make {', '.join(lacking)}")


if __name__ == "__main__":
    main()
