"""Install the wheel of a folder where nothing else is, and try it: `python tests/install.py dist [PYTHON ...]`.

For each Python (default: this one) a virtual environment in a temporary folder, far from the repository; import,
the command line, a card, a pulse of kinetic Monte Carlo, an export. The source archive must hold what it takes to
build that wheel.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

TRY = """
import pathlib, sys
import halidrift as hd
assert "site-packages" in hd.__file__, hd.__file__
device = hd.Device.load("john2022-ogb")
assert device.value("hop_barrier_eV") == 0.27
pulse = hd.Waveform.pulses(1.0, width_s=20e-3, period_s=60e-3, count=1, compliance_A=1e-6, samples_per_period=60)
trace = hd.kmc.FilamentKMC(device).simulate(pulse, rng=7)
assert float(trace.conductance.max()) > 1e-6, "the pulse did not set"
cell = hd.compact.Volatile.of(
    reason="a try",
    conductance_off_S=1e-9,
    conductance_on_S=1e-6,
    growth_rate_Hz=0.5,
    growth_voltage_V=0.1,
    relaxation_time_s=0.01,
)
cell.export("cell.sp")
cell.export("cell.va")
assert len(hd.Database.load()) > 50
print(sys.version.split()[0], "halidrift", hd.__version__, f"{float(trace.conductance.max()):.2e} S")
"""


def attempt(wheel: Path, python: str) -> None:
    """Install and try with one Python."""
    with tempfile.TemporaryDirectory() as folder:
        venv = Path(folder) / "venv"
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"

        def run(*words: str | Path) -> str:
            done = subprocess.run(
                [str(word) for word in words], cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise SystemExit(f"{' '.join(map(str, words))}\n{done.stdout}\n{done.stderr}")
            return done.stdout

        run(python, "-m", "venv", venv)
        run(venv / "bin" / "python", "-m", "pip", "install", "--quiet", wheel)
        assert "reproduce" in run(venv / "bin" / "halidrift", "--help")
        assert "published" in run(venv / "bin" / "halidrift", "device", "show", "john2022-ogb")
        print(run(venv / "bin" / "python", "-c", TRY).strip(), flush=True)


def main() -> None:
    """Try each Python that is asked for."""
    dist = Path(sys.argv[1]).resolve()
    (wheel,), (source,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for needed in ("pyproject.toml", "LICENSE", "data/references.bib", "compact/templates", "py.typed"):
        if not any(name == needed or name.startswith(f"{needed}/") for name in names):
            raise SystemExit(f"{source.name} lacks {needed}")
    for python in sys.argv[2:] or [sys.executable]:
        attempt(wheel, python)


if __name__ == "__main__":
    main()
