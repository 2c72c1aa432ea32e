"""The hop of a bromide vacancy in CsPbBr3 by CHGNet, in cells of several sizes.

Paths of each seed and the barrier against the number of atoms, for the ideal cubic cell and for the relaxed
orthorhombic one, beside what the literature has. The universal potential gives 0.12 to 0.16 eV, not the published
0.35: docs/neb.md. Needs the extra `atomistic` and an hour.

    python examples/neb_paths.py --out pictures
"""

from __future__ import annotations

import argparse
from pathlib import Path

from halidrift import Database
from halidrift.physics import neb as atoms
from halidrift.pipeline.figures import neb, save

FIGURES = {
    "neb-cubic.png": "Paths of a bromide vacancy in cubic CsPbBr3, barrier against number of atoms",
    "neb-orthorhombic.png": "Paths of a bromide vacancy in orthorhombic CsPbBr3, barrier against number of atoms",
}
NEEDS = "chgnet"
CELLS = {"cubic": [(2, 2, 2), (3, 3, 3)], "orthorhombic": [(2, 1, 2), (2, 2, 2)]}


def main() -> None:
    """Compute both series (what is in the store is not computed again) and draw."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--out", type=Path, default=Path("."))
    reader.add_argument("--store", default="neb.db", help="finished runs are kept here")
    asked = reader.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    known = list(Database.load().select(material="CsPbBr3", species="V_Br", quantity="migration_barrier"))
    for phase, cells in CELLS.items():
        series = atoms.finite_size(
            "CsPbBr3", "V_Br", "chgnet", repeats=cells, seeds=[0, 1, 2], phase=phase, store=asked.store
        )
        print(save(neb.paths(series, known), asked.out / f"neb-{phase}.png"))


if __name__ == "__main__":
    main()
