"""The synapses of Kim et al. 2019: plasticity, forgetting, update curves and digits of films from 2D to 3D.

The whole job of `halidrift reproduce kim2019` is played, or read from a finished one, and drawn with the functions
that draw its report. What was fitted to the paper and what was not stands beside each picture in docs/kim2019.md.
Takes minutes.

    python examples/kim2019_figures.py --out pictures                              plays the job
    python examples/kim2019_figures.py --out pictures --results results/kim2019    reads a finished one
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from halidrift.pipeline import kim2019
from halidrift.pipeline.figures import save
from halidrift.pipeline.kim2019.report import draw

FIGURES = {
    "kim2019-plasticity.png": "The five plasticity indices of each film against what is varied",
    "kim2019-forgetting.png": "Weight of each film after 30 spikes against time, with the published power laws",
    "kim2019-conditions.png": "Exponent of forgetting of each film under other conditions of reading",
    "kim2019-update.png": "Conductance after each potentiating and depressing spike, read soon and read late",
    "kim2019-digits.png": "Accuracy of handwritten digits against epochs and by film, and confusion matrices",
}


def main() -> None:
    """Play or read, and draw."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--out", type=Path, default=Path("."))
    reader.add_argument("--results", type=Path, help="folder of the job; finished stages are not played again")
    asked = reader.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        drawn = draw(kim2019.kim2019(asked.results or Path(folder) / "kim2019"))
        for name in FIGURES:
            print(save(drawn[name.removeprefix("kim2019-").removesuffix(".png")], asked.out / name))


if __name__ == "__main__":
    main()
