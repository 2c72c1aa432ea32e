"""Small cases of every compiled module, for running them compiled and as plain Python: `make nojit`.

`NUMBA_DISABLE_JIT=1 python tests/kernels.py OUT.npz` plays all cases in plain Python, where an index out of bounds is
an error, an overflow too, and writes their numbers; without that variable the same runs compiled. It prints which
compiled functions ran. tests/verification/test_kernels.py compares the two.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Numbers = dict[str, Any]
CASES: dict[str, Callable[[], Numbers]] = {}
CALLS: dict[str, int] = {}


def case(make: Callable[[], Numbers]) -> Callable[[], Numbers]:
    """Enter a case under its name."""
    CASES[make.__name__] = make
    return make


def watch() -> None:
    """Count the calls of every function that numba would compile; before halidrift is imported."""
    import numba
    import numba.extending

    def counting(*functions: Callable[..., Any], **_: Any) -> Any:
        if not functions:
            return counting
        (function,) = functions
        # a law that two modules compile counts in each
        name = f"{sys._getframe(1).f_globals['__name__']}.{function.__name__}".removeprefix("halidrift.")
        CALLS[name] = 0

        @functools.wraps(function)
        def counted(*words: Any) -> Any:
            CALLS[name] += 1
            return function(*words)

        return counted

    numba.njit = counting
    numba.extending.register_jitable = counting


def arrays(record: Any) -> Numbers:
    """Arrays of a named tuple."""
    return {name: np.array(value) for name, value in record._asdict().items() if isinstance(value, np.ndarray)}


def variables(data: Any) -> Numbers:
    """Numbers of a Dataset."""
    return {name: value.values for name, value in data.data_vars.items() if value.dtype.kind in "biuf"}


# -- kmc -----------------------------------------------------------------------------------------------------


def _filament(explicit: bool) -> Numbers:
    """A filament in a column of 3 x 3 x 5 sites: set, held, switched back and relaxed."""
    from halidrift import Device
    from halidrift.kmc import FilamentKMC, _engine
    from halidrift.kmc.lattice import column
    from halidrift.kmc.simulation import _start

    card = Device.load("john2022-ogb").with_parameters(channel_radius_m=0.7e-9)
    physics = FilamentKMC(card).kernel_parameters._replace(explicit=explicit)
    if explicit:  # ions stay in the film for a while
        physics = physics._replace(ion_eV=0.1, transfer_eV=0.3)
    state = _start(column(card.value("lattice_constant_m"), 1.8e-9, 3e-9), card)
    rng = np.random.default_rng(3)
    status, t = [], 0.0
    for V, slope, limit, span, most in (
        (0.8, 40.0, 1e-6, 5e-3, 40),
        (1.0, 0.0, 1e-4, 5e-3, 25),
        (-0.6, -5.0, np.inf, 5e-3, 25),
        (0.0, 0.0, np.inf, 1e-2, 25),
    ):
        most *= 10 if explicit else 1
        t = state.clock[_engine.TIME] + span
        status.append(_engine.advance(t, V, slope, limit, state, physics, most, rng))
    found = arrays(state._replace(net=None)) | {f"net.{k}": v for k, v in arrays(state.net).items()}
    # scratch space: what it holds depends on who wrote last
    for scratch in ("class_rate", "choice", "net.residual", "net.change", "net.product", "net.step", "net.mean"):
        found.pop(scratch)
    return found | {"status": np.array(status), "next": rng.random()}


@case
def filament_fast() -> Numbers:
    """Ions that take their steps without a clock."""
    return _filament(False)


@case
def filament_explicit() -> Numbers:
    """Every hop of every ion on the clock."""
    return _filament(True)


@case
def lattice_gas() -> Numbers:
    """Species with bonds, charges, electrodes and labels; rows computed as needed, and all rates at the end."""
    from halidrift.kmc.lattice_gas import LatticeGas
    from halidrift.kmc.processes import Exchange, Hop, Reaction
    from halidrift.physics import networks

    rng = np.random.default_rng(0)
    n = 27
    gas = LatticeGas(
        networks.simple_cubic(0.5e-9),
        [
            Hop("ion", 0.25),
            Hop("other", 0.3, attempt_frequency_Hz=3e12),
            Exchange(("ion", "other"), ("other", "ion"), 0.35),
            Exchange(("ion", "atom"), ("atom", "atom"), 0.3, electrode="metal"),
            Exchange(("ion", "empty"), ("empty", "atom"), 0.4, electrode="metal"),
            Reaction("empty", "ion", 0.3, where=np.arange(n) % 3 == 2, electrode="top"),
            Reaction("ion", "atom", 0.4, electrode="metal", name="reduction"),
        ],
        repeat=(3, 3, 3),
        site_energies={"ion": rng.normal(0, 0.05, n), "other": 0.02},
        pair_energies={("ion", "ion"): 0.04, ("ion", "other"): -0.03, ("atom", "atom"): -0.06, ("atom", "empty"): 0.02},
        charges={"ion": 1, "other": -1},
        temperature_K=300.0,
        potential_V=rng.normal(0, 0.05, n),
        electrodes={"top": 0.1, "metal": rng.normal(0, 0.02, n)},
    )
    run = gas.run({"ion": 6, "other": 4, "atom": 3}, events=120, track=("ion", "other"), rng=1)
    ramp = gas.run({"ion": 4}, time_s=1e-9, towards=gas.with_conditions(temperature_K=330.0), step_eV=0.05, rng=2)
    every = gas.possible(run.occupation.values[-1])
    return (
        variables(run)
        | {f"ramp.{k}": v for k, v in variables(ramp).items()}
        | {f"possible.{k}": v for k, v in variables(every).items()}
    )


@case
def lattice_gas_without_bonds() -> Numbers:
    """Rates of a row once and for all; a lattice with a basis, doubled hops, leaves that come and go."""
    from halidrift.kmc.lattice_gas import LatticeGas
    from halidrift.kmc.processes import Hop, Reaction
    from halidrift.physics import networks

    gas = LatticeGas(
        networks.halide(0.587e-9), [Hop("V", 0.3)], repeat=(2, 2, 2), charges={"V": 1}, field_V_m=(2e7, 0.0, 1e7)
    )
    plain = gas.run({"V": 5}, events=150, track="V", rng=4)
    cubic = networks.simple_cubic(0.5e-9)
    grows = LatticeGas(
        cubic,
        [Hop("ion", 0.3), Reaction("empty", "ion", 0.3, where=np.arange(8) < 4), Reaction("ion", "atom", 0.35)],
        repeat=(2, 2, 2),
    ).run({}, events=25, rng=5)
    return variables(plain) | {f"grows.{k}": v for k, v in variables(grows).items()} | {"last": _last_possible(gas)}


def _last_possible(gas: Any) -> list[tuple[int, int]]:
    """What a draw at the very end of a weight falls back on, which rounding alone brings about, at every site."""
    from halidrift.kmc import _lattice_gas as kernel

    codes = gas._codes({"V": 5}, np.random.default_rng(6))
    live, sites, rules, land, state = gas._begin(codes, np.empty(0, np.int64), (), gas, 1)
    kernel.refresh_all(live, sites, rules, land, state)
    return [kernel.last_possible(np.uint64(i), sites, rules, state.occupation) for i in range(gas.sites)]


@case
def walk() -> Numbers:
    """One defect by hops and by time, and the atoms that it moves."""
    from halidrift.kmc.walk import walk
    from halidrift.physics import networks

    network = networks.halide(0.587e-9)
    np.seterr(over="ignore")  # the hash of a site wraps around on purpose
    rates = np.random.default_rng(0).uniform(0.5, 2.0, len(network.target)) * 1e6
    found = variables(walk(network, rates, walkers=6, hops=60, rng=1))
    found |= {f"time.{k}": v for k, v in variables(walk(network, 1e6, walkers=6, time_s=5e-6, rng=2)).items()}
    return found | {
        f"tracer.{k}": v for k, v in variables(walk(network, 1e6, walkers=6, hops=60, tracers=True, rng=3)).items()
    }


# -- fem -----------------------------------------------------------------------------------------------------


@case
def stack() -> Numbers:
    """Electrons and holes that recombine, traps, a steric limit, carriers in equilibrium with a contact."""
    from halidrift.fem import Contact, Layer, Species, Stack, Traps
    from halidrift.physics.waveform import Waveform

    film = Layer(50e-9, 24.0, generation_1_m3_s=1e27, recombination_m3_s=1e-16, intrinsic_1_m3=1e20, cells=10)
    polymer = Layer(20e-9, 4.0, fixed_1_m3=-1e23, held_1_m3=1e23, held_by="left", cells=10)
    traps = Traps((1.0, 10.0), (2.0, 5.0), density_1_m3=1e24)
    n = Species("n", -1, 1e22, 1e-9, right=Contact.ohmic(1e22), energy_eV=(0.05, 0.0))
    p = Species("p", 1, 1e22, (1e-10, 1e-9), left=Contact(1e22, 1.0), site_density_1_m3=1e25, traps=traps)
    pile = Stack((polymer, film), (n, p), pair=("n", "p"), wall_m=1e-9, area_m2=1e-8, tolerance=1e-2)
    return variables(pile.simulate(Waveform.triangle([0.3], 3.0, samples_per_V=10.0)))


@case
def ion_film() -> Numbers:
    """One species behind a current limit that sets in and ends, and a rest state."""
    from halidrift import Device, Waveform
    from halidrift.fem import IonFilm

    film = IonFilm(Device.load("kim2019-n3"), cells=30, wall_m=2e-9, tolerance=1e-2, profiles=True)
    free = film.simulate(Waveform.pulses(-1.0, 20e-3, 60e-3, 1, samples_per_period=6))
    limit = 0.5 * float(abs(free.current).max())
    held = film.simulate(Waveform.pulses(-1.0, 20e-3, 60e-3, 1, compliance_A=limit, samples_per_period=6))
    found = variables(free) | {f"held.{k}": v for k, v in variables(held).items()}
    # the rounding of a sum that does not change
    return {name: value for name, value in found.items() if not name.endswith("ion_excess")}


@case
def volumes() -> Numbers:
    """Sums over the faces of a ring of cells."""
    from halidrift.fem import _volumes

    rng = np.random.default_rng(0)
    left, right = np.arange(9), (np.arange(9) + 1) % 9
    flow, x, links = rng.normal(size=9), rng.random(9), rng.random(9)
    ends = np.array([0]), np.array([0.5]), 0.0, np.array([8]), np.array([0.25]), 1.0
    return {
        "divergence": _volumes.divergence(flow, left, right, 9),
        "onto": _volumes.onto(left, flow, 9),
        "field": _volumes.field_residual(links, left, right, 0.1 * np.ones(9), *ends, np.zeros(9), x),
        "ions": _volumes.ion_residual(links, 0.5 * links, left, right, 0.25, np.ones(9), np.ones(9), x),
    }


# -- compact -------------------------------------------------------------------------------------------------


@case
def volatile() -> Numbers:
    """Growth under a limit, relaxation, spread from cycle to cycle, a rectifying OFF branch."""
    from halidrift import Waveform
    from halidrift.compact import Volatile

    values = {
        "conductance_off_S": 1e-9,
        "conductance_on_S": 4e-6,
        "growth_rate_Hz": 0.05,
        "growth_voltage_V": 0.1,
        "relaxation_time_s": 6e-3,
        "growth_acceleration": 5.0,
        "relaxation_acceleration": 30.0,
        "relaxation_voltage_V": 0.3,
        "off_nonlinearity_V": 0.2,
    }
    cell = Volatile.of(**values, growth_spread_cycle=0.2, relaxation_spread_cycle=0.2)
    loop = Waveform.triangle([1.2, -0.5], 20.0, [1e-6, np.inf], samples_per_V=10.0)
    pulses = Waveform.pulses(1.0, 10e-3, 20e-3, 3, compliance_A=1e-6, samples_per_period=6)
    x, V = np.linspace(0, 1, 7), np.linspace(-0.5, 1.0, 7)
    return (
        variables(cell.simulate(loop, rng=1))
        | {f"pulses.{k}": v for k, v in variables(cell.simulate(pulses, rng=2)).items()}
        | {
            "rate": cell.right_hand_side(x, V),
            "respond": cell.respond([loop, pulses], [1e-3, 5e-3, 0.05], rng=3, devices=[0, 1]),
        }
    )


def _dynamic(name: str) -> Numbers:
    from halidrift import Waveform, compact

    values = {
        "VTEAM": {
            "conductance_off_S": 1e-6,
            "conductance_on_S": 1e-4,
            "set_voltage_V": 0.5,
            "reset_voltage_V": -0.4,
            "set_rate_Hz": 20.0,
            "reset_rate_Hz": 20.0,
        },
        "Yakopcic": {
            "current_positive_A": 1e-4,
            "current_negative_A": 2e-4,
            "nonlinearity_1_V": 2.0,
            "set_voltage_V": 0.16,
            "reset_voltage_V": -0.15,
            "set_rate_Hz": 5.0,
            "reset_rate_Hz": 5.0,
        },
        "Stanford": {"field_threshold_V_m": 1.2e9, "current_A": 1e-5, "velocity_m_s": 3e-3},
        "Synapse": {
            "conductance_rest_S": 1e-5,
            "drive_rate_1_Vs": 20.0,
            "interface_stiffness_V": 0.5,
            "mobile_curvature_V": 1.0,
            "held_ratio": 5.0,
        },
    }[name]
    cell = getattr(compact, name).of(**values, rate_spread_cycle=0.3)
    loop = Waveform.triangle([1.4, -1.5], 10.0, [4e-6, 1e-2], samples_per_V=8.0)
    trace = cell.simulate(loop, rng=4)
    states, held = trace["state"].values, trace["device_voltage"].values
    respond = cell.respond([loop, loop], [0.01, 0.2], rng=5, devices=[0, 1])
    again, slope = cell.device_current(states, held), cell.right_hand_side(states, held)
    return variables(trace) | {"respond": respond, "again": again, "slope": slope}


@case
def vteam() -> Numbers:
    """Threshold model, loop with a limit."""
    return _dynamic("VTEAM")


@case
def yakopcic() -> Numbers:
    """Threshold model with a sinh current."""
    return _dynamic("Yakopcic")


@case
def stanford() -> Numbers:
    """Gap model with Joule heat."""
    return _dynamic("Stanford")


@case
def synapse() -> Numbers:
    """Ions held in populations: several states."""
    return _dynamic("Synapse")


# -- pipeline ------------------------------------------------------------------------------------------------


@case
def crossbar() -> Numbers:
    """An array with line resistance, linear and not, and one whose lines have none."""
    from halidrift.pipeline.crossbar import Crossbar, Ohmic, Sinh

    G = np.random.default_rng(0).uniform(1e-6, 1e-4, (4, 3))
    found = {}
    for name, ohm in (
        ("wired", (2.0, 3.0, 50.0, 20.0)),
        ("ideal", (0.0, 0.0, 0.0, 0.0)),
        ("half", (0.0, 3.0, 9.0, 0.0)),
    ):
        for cells in (Ohmic(G), Sinh.at(G, 0.1, 2.5)):
            solved = Crossbar(cells, *ohm).solve([0.2, 0.1, np.nan, -0.1])
            found |= {f"{name}.{type(cells).__name__}.{k}": v for k, v in variables(solved).items()}
    return found


@case
def readouts() -> Numbers:
    """The delta rule and pulses on memristors, a few patterns each."""
    from halidrift.pipeline.digits import SynapticPerceptron, UpdateCurve
    from halidrift.pipeline.readout import DeltaRuleReadout, IccReadout

    class Pair:
        sources = ("Kim2019",)
        conductance_bounds_S = (1e-4, 3.5e-3)

        def write_spread_S(self, G):
            return 0.03 * G

    rng = np.random.default_rng(0)
    labels = np.arange(24) % 3
    X = 1e-6 * (1 + np.eye(3)[labels] @ rng.random((3, 6)) + 0.1 * rng.random((24, 6)))
    found = {}
    for schedule in ("constant", "adam"):
        found[schedule] = DeltaRuleReadout(schedule=schedule, epochs=2, rng=0).fit(X, labels).weights_
    for update in ("symmetric", "grow_only", "grow_refresh"):
        found[update] = IccReadout(Pair(), update=update, epochs=2, rng=0).fit(X, labels).conductances_S_
    curve = UpdateCurve(np.linspace(1e-6, 2e-6, 9), np.linspace(2e-6, 1e-6, 9))
    for pair in ("both", "reference", "grow"):
        for rounding in ("stochastic", "nearest", "single"):
            model = SynapticPerceptron(curve, pair=pair, rounding=rounding, spread=0.01, epochs=2, rng=0)
            found[f"{pair}.{rounding}"] = model.fit(X * 1e6, labels).conductances_S_
    return found


def main() -> None:
    """Play all cases into a file; tell which compiled functions ran."""
    plain = os.environ.get("NUMBA_DISABLE_JIT") == "1"
    if plain:
        watch()
        np.seterr(over="raise", invalid="raise")
    results, times = {}, {}
    for name in sys.argv[2:] or CASES:
        before = np.geterr()
        began = time.process_time()
        results |= {f"{name}/{key}": value for key, value in CASES[name]().items()}
        np.seterr(**before)
        times[name] = round(time.process_time() - began, 2)
    np.savez(sys.argv[1], **results)
    print(json.dumps({"calls": CALLS, "seconds": times}))


if __name__ == "__main__":
    main()
