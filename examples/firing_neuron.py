"""A leaky integrate-and-fire neuron whose threshold is a volatile memristor, in ngspice.

Run it with

    python examples/firing_neuron.py                   rates at ten currents and a picture, ten seconds
    python examples/firing_neuron.py --out neuron.svg  the picture elsewhere

The input current charges the membrane, 3 nF. Above it hangs the memristor in series with 20 megohm: while its filament
is open nothing flows; near 0.9 V it grows within milliseconds, and the voltage over the resistor rises. That voltage,
smoothed over 3 ms, closes a switch with hysteresis, which empties the membrane. With no voltage left the filament
relaxes (6 ms), the switch opens, and the next charging begins.

Why the switch: the volatile cell alone, in parallel with a capacitor at constant current, cannot fire for ever. Its
rate falls with the state wherever it is zero, and its current rises with the voltage, so both diagonal elements of the
linearised circuit are negative and their product outweighs the rest: the resting point attracts. A first overshoot,
then silence; a delay in the loop is needed, which any output stage has. docs/circuits.md tells more.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from halidrift.compact import Volatile, bench

CELL = Volatile.of(
    conductance_off_S=1e-9,
    conductance_on_S=4e-6,
    growth_rate_Hz=0.05,
    growth_voltage_V=0.1,
    relaxation_time_s=6e-3,
    reason="about the size of the cell of John et al. 2022; assumed",
)
_NETLIST = """leaky integrate-and-fire neuron
.include memristor.sp
Iin 0 m {current_A}
Cm m 0 3n ic=0
X1 m sense filament memristor
Rs sense 0 20meg
Rg sense gate 10meg
Cg gate 0 300p ic=0
S1 m 0 gate 0 empty
.model empty sw vt=0.35 vh=0.1 ron=10k roff=1e12
.options {options}
.control
set wr_singlescale
set numdgt=15
tran 1m {duration_s} 0 1m uic
wrdata result.txt v(m) v(filament) v(gate)
quit
.endc
.end
"""


def simulate(
    current_A: float, duration_s: float, folder: str | Path
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Time (s), membrane voltage (V) and state of the memristor under a constant input current."""
    place = Path(folder)
    CELL.export(place / "memristor.sp")
    text = _NETLIST.format(current_A=current_A, duration_s=duration_s, options=bench.OPTIONS)
    (place / "neuron.cir").write_text(text)
    time, membrane, state, _ = bench.ngspice(place / "neuron.cir").T
    return time, membrane, state


def spikes(time_s: NDArray[np.float64], membrane_V: NDArray[np.float64]) -> NDArray[np.float64]:
    """Instants at which the membrane is emptied: it falls through 0.5 V."""
    return time_s[1:][(membrane_V[:-1] >= 0.5) & (membrane_V[1:] < 0.5)]


def main() -> None:
    """Print the rate at each current; draw two traces and the rates."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--out", default="firing_neuron.png", help="picture (.png, .svg or .pdf)")
    given = options.parse_args()

    import matplotlib.pyplot as plt

    from halidrift.pipeline.figures import save

    currents = np.array([1.5, 2.0, 2.3, 2.5, 3.0, 4.0, 6.0, 10.0, 20.0, 40.0]) * 1e-8
    rates = []
    with tempfile.TemporaryDirectory() as folder:
        traces = {current: simulate(current, 0.25, folder) for current in (4e-8, 2e-7)}
        for current in currents:
            onsets = spikes(*simulate(current, 1.5, folder)[:2])
            rates.append(1.0 / np.diff(onsets)[1:].mean() if onsets.size > 2 else 0.0)
            print(f"{1e9 * current:5.0f} nA: {onsets.size:3d} spikes in 1.5 s, {rates[-1]:5.1f} Hz")

    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.2), layout="constrained")
    for axis, (current, (time, membrane, state)) in zip(axes, traces.items(), strict=False):
        axis.plot(1e3 * time, membrane, color="#1f4e79", label="membrane, V")
        axis.plot(1e3 * time, state, color="#c0504d", label="filament, 0 open to 1 closed")
        axis.set(xlabel="time, ms", title=f"{1e9 * current:.0f} nA", ylim=(-0.05, 1.75))
    axes[0].set_ylabel("membrane, V; filament")
    axes[0].legend(frameon=False, loc="upper right")
    axes[2].plot(1e9 * currents, rates, "o-", color="#1f4e79")
    axes[2].set(xlabel="input current, nA", ylabel="rate, Hz", title="constant current")
    print(save(figure, given.out))


if __name__ == "__main__":
    main()
