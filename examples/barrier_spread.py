"""Every published migration barrier of the iodide vacancy in MAPbI3.

One line a number, with its method and condition: ranges as bars, bounds as arrows. Values from 0.08 to 0.58 eV
under one name are why a selection from the database never averages. Also `halidrift db compare --material MAPbI3
--species V_I`.

    python examples/barrier_spread.py                 barriers-mapbi3-v_i.png, here
    python examples/barrier_spread.py --out pictures  in this folder
"""

from __future__ import annotations

import argparse
from pathlib import Path

from halidrift import Database
from halidrift.pipeline.figures import barriers, save

FIGURES = {"barriers-mapbi3-v_i.png": "Published migration barriers of V_I in MAPbI3, with source and condition"}
FAST = True


def main() -> None:
    """Select and draw."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--out", type=Path, default=Path("."))
    asked = reader.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    rows = Database.load().select(material="MAPbI3", species="V_I", quantity="migration_barrier")
    figure = barriers.spread(list(rows), "V_I in MAPbI3, migration barrier")
    print(save(figure, asked.out / "barriers-mapbi3-v_i.png"))


if __name__ == "__main__":
    main()
