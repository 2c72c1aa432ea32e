"""Voltages, currents and read margin of an array of 64 x 64 rectifying cells on resistive lines.

Cells of 10 kohm and 10 Mohm, 2.5 ohm a segment of line, the V/3 scheme, pull-up of 10 kohm. Where the lines cost
voltage, where current sneaks, and how the margin falls with the size, with and without line resistance. The picture
of docs/crossbar.md:

    python examples/crossbar_fields.py                 crossbar.png, here
    python examples/crossbar_fields.py --out pictures  in this folder
"""

from __future__ import annotations

import argparse
from pathlib import Path

from halidrift.pipeline.cli import app

FIGURES = {"crossbar.png": "Voltages, currents and read margin of an array of 64 x 64 rectifying cells"}
FAST = True
OPTIONS = "--size 64 --line 2.5ohm --low 10kohm --high 10Mohm --scheme third --law rectifying"


def main() -> None:
    """Draw, with the command that the page prints."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--out", type=Path, default=Path("."))
    asked = reader.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    app(args=["crossbar", *OPTIONS.split(), "--plot", str(asked.out / "crossbar.png")], standalone_mode=False)


if __name__ == "__main__":
    main()
