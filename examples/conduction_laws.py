"""One measurement on the axes of nine conduction laws.

Synthetic Schottky emission (0.65 eV, relative permittivity 5) at five temperatures, with 5 % noise and a floor of 1
pA, is analysed without being told the law. A straight line on the axes of a law is no proof of it: several panels
look straight, the ranking below them tells how well each law describes all temperatures at once. The picture of
docs/conduction.md:

    python examples/conduction_laws.py                 conduction.png, here
    python examples/conduction_laws.py --out pictures  in this folder
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from halidrift.physics import conduction
from halidrift.pipeline.figures import conduction as figures
from halidrift.pipeline.figures import save

FIGURES = {"conduction.png": "Synthetic Schottky emission on the axes of nine conduction laws, best law first"}
FAST = True


def main() -> None:
    """Measure, rank, draw."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--out", type=Path, default=Path("."))
    asked = reader.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    given = conduction.EXAMPLES["schottky"]
    data = conduction.example(given, relative_noise=0.05, floor_A=1e-12, rng=1)
    found = conduction.fit(data, **asdict(given.film))
    print(found.best.title, "first;", "true law among the best:", given.law in found.indistinguishable)
    print(save(figures.linearised(found), asked.out / "conduction.png"))


if __name__ == "__main__":
    main()
