"""The filament of John et al. 2022 at 1 mA, atomistic and continuum side by side: one figure.

SET at 1 mA and RESET on the negative branch, the temperature on the way, and the conductance that each compliance
current from 10 uA to 1 mA leaves. Nothing is fitted here: both models read the card john2022-ogb. Takes minutes.

    python examples/john_1mA_kmc_fem.py                 john-1mA-kmc-fem.png, here
    python examples/john_1mA_kmc_fem.py --out pictures  in this folder; --traces FOLDER keeps what was simulated
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

from halidrift import Device, Waveform, trace
from halidrift.fem import FilamentFEM
from halidrift.kmc import FilamentKMC
from halidrift.pipeline.figures import continuum, save

FIGURES = {"john-1mA-kmc-fem.png": "Loop, temperature and conductance against compliance of KMC and continuum at 1 mA"}
LIMITS_A = (1e-5, 1e-4, 1e-3)
LOOP = Waveform.triangle([1.5, -2.0], 1.0, [1e-3, np.inf], samples_per_V=40)
SET = Waveform.triangle([1.5], 1.0, samples_per_V=10)


def run(folder: Path) -> tuple[dict[str, xr.Dataset], dict[str, list[xr.Dataset]]]:
    """Loops and SET sweeps of both models; those already in the folder are read."""
    device = Device.load("john2022-ogb")
    models = {"KMC": FilamentKMC(device), "FEM": FilamentFEM(device)}
    loops, ladders = {}, {}
    for name, model in models.items():

        def played(tag: str, wave: Waveform, name=name, model=model) -> xr.Dataset:
            file = folder / f"john-1mA-{name}-{tag}.nc"
            if not file.exists():
                trace.write(model.simulate(wave, rng=1), file)
            return trace.read(file)

        loops[name] = played("loop", LOOP)
        ladders[name] = [played(f"set-{limit:g}A", SET.with_compliance(limit)) for limit in LIMITS_A]
    return loops, ladders


def main() -> None:
    """Run and draw."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--out", type=Path, default=Path("."))
    reader.add_argument("--traces", type=Path, help="keep the traces here, and read those that are there")
    asked = reader.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        kept = asked.traces or Path(folder)
        kept.mkdir(parents=True, exist_ok=True)
        print(save(continuum.beside(*run(kept)), asked.out / "john-1mA-kmc-fem.png"))


if __name__ == "__main__":
    main()
