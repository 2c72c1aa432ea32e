"""Whose uncertainty decides the accuracy of the network, and which device would serve it better.

Sobol indices of the chain from the card of John's device to the accuracy, and the accuracy over relaxation time and
spacing of the nodes: the two pictures of docs/explain.md. Needs the extra `explain`; each job takes long, and goes on
where it was interrupted if `--results` names its folder.

    python examples/accuracy_and_design.py --out pictures
    python examples/accuracy_and_design.py --out pictures --budget quick
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from halidrift.pipeline.cli import app

FIGURES = {
    "explain.png": "Sobol indices of the accuracy with their intervals, input by input",
    "design.png": "Accuracy against relaxation time and spacing of the nodes, with the paper's device",
}
NEEDS = "SALib"


def main() -> None:
    """Run both commands and take their pictures."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--out", type=Path, default=Path("."))
    reader.add_argument("--results", type=Path, help="folder of both jobs")
    reader.add_argument("--budget", default="normal", help="quick, normal or large")
    asked = reader.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for job in ("explain", "design"):
            made = (asked.results or Path(folder)) / job
            app(args=[job, "--out", str(made), "--budget", asked.budget], standalone_mode=False)
            print(shutil.copy(made / f"{job}.png", asked.out))


if __name__ == "__main__":
    main()
