import numpy as np
import pytest
import xarray as xr

from halidrift import Device, Waveform, trace
from halidrift.kmc import FilamentKMC, ensemble
from halidrift.kmc.lattice import BOTTOM, SIDE, TOP, column
from halidrift.physics.errors import ConvergenceError, InputError, ValidityError
from halidrift.physics.randomness import recall

DEVICE = Device.load("john2022-ogb")
PULSE = Waveform.pulses(1.0, 5e-3, 10e-3, 1, compliance_A=1e-6)


def test_column_neighbours_are_mutual_and_end_at_the_electrodes():
    lattice = column(0.6e-9, 3e-9, 4e-9)
    assert lattice.shape == (5, 5, 7)
    for s, row in enumerate(lattice.neighbours):
        for d, t in enumerate(row):
            if t >= 0:
                assert lattice.neighbours[t, d ^ 1] == s
                step = (lattice.positions_m[t] - lattice.positions_m[s]) / 0.6e-9
                np.testing.assert_allclose(step, np.eye(3)[d // 2] * (1 if d % 2 else -1), atol=1e-9)
    assert np.count_nonzero(lattice.neighbours == BOTTOM) == np.count_nonzero(lattice.neighbours == TOP) == 25
    assert np.count_nonzero(lattice.neighbours == SIDE) == 4 * 5 * 7


def test_a_column_that_does_not_fit_raises():
    with pytest.raises(InputError, match="column_width_m"):
        column(0.6e-9, 1e-9, 20e-9)


def test_same_seed_same_trace_other_seed_other_trace():
    cell = FilamentKMC(DEVICE)
    xr.testing.assert_identical(cell.simulate(PULSE, rng=3), cell.simulate(PULSE, rng=3))
    assert not cell.simulate(PULSE, rng=3).equals(cell.simulate(PULSE, rng=4))


def test_a_trace_replays_from_its_attributes():
    cell = FilamentKMC(DEVICE)
    rng = np.random.default_rng(9)
    rng.random(3)
    first = cell.simulate(PULSE, rng=rng)
    again = cell.simulate(trace.waveform_of(first), rng=recall(first.attrs["seed"]))
    xr.testing.assert_identical(first, again)


def test_compliance_and_ohm_hold_at_every_instant():
    run = FilamentKMC(DEVICE).simulate(Waveform.triangle([2.0], 4.0, 1e-6), rng=1)
    assert float(abs(run.current).max()) <= 1e-6 * (1 + 1e-12)
    np.testing.assert_allclose(run.current, run.device_voltage * run.conductance, rtol=1e-12, atol=1e-30)
    limited = run.voltage * run.conductance > 1e-6
    np.testing.assert_allclose(run.current.values[limited.values], 1e-6, rtol=1e-9)
    assert limited.any()


def test_it_sets_below_one_volt_and_relaxes():
    runs = ensemble.run(FilamentKMC(DEVICE), Waveform.triangle([2.0], 1.0, 1e-6), 4, rng=1, processes=1)
    on = runs.conductance > 1e-6
    assert on.any("time").all()
    set_V = runs.voltage.values[on.argmax("time").values]
    assert np.all((set_V > 0.3) & (set_V < 1.0))
    rest = ensemble.run(
        FilamentKMC(DEVICE), Waveform.pulses(1.0, 20e-3, 0.3, 1, compliance_A=1e-6), 4, rng=1, processes=1
    )
    assert (rest.conductance.max("time") > 1e-6).all()
    assert np.median(rest.conductance.isel(time=-1)) < 1e-7


def test_nothing_switches_with_the_electrode_negative_or_of_gold():
    cell, gold = FilamentKMC(DEVICE), FilamentKMC(DEVICE.with_electrode("Au"))
    leak = DEVICE.value("leakage_S")
    for run in (
        cell.simulate(Waveform.triangle([-2.0], 1.0, 1e-6), rng=1),
        gold.simulate(Waveform.triangle([2.0], 1.0, 1e-6), rng=1),
    ):
        assert float(run.metal_atoms.max()) == 0
        np.testing.assert_allclose(run.conductance, leak, rtol=1e-4)


def test_more_compliance_makes_a_thicker_filament():
    conductance = []
    for limit in (1e-6, 1e-5, 5e-5):
        write = Waveform.pulses(1.5, 5e-3, 6e-3, 1, compliance_A=limit)
        runs = ensemble.run(FilamentKMC(DEVICE), write, 3, rng=2, processes=1)
        during = runs.sel(time=slice(4e-3, 5e-3))
        conductance.append(float(np.exp(np.log(during.conductance).mean())))
    assert conductance[0] * 3 < conductance[1] < conductance[2] / 1.3


def test_replicas_do_not_depend_on_who_runs_them():
    cell = FilamentKMC(DEVICE)
    one = ensemble.run(cell, PULSE, 3, rng=7, processes=1)
    two = ensemble.run(cell, PULSE, 3, rng=7, processes=2)
    xr.testing.assert_identical(one, two)
    assert one.sizes["replica"] == 3
    assert one.conductance.dims == ("replica", "time")
    assert one.voltage.dims == ("time",)


def test_other_seeds_give_equal_means():
    # set times of two seeds of 12 replicas each; equal distributions reject at 1e-3
    from scipy import stats

    cell = FilamentKMC(DEVICE)
    pulse = Waveform.pulses(1.0, 15e-3, 16e-3, 1, compliance_A=1e-6, samples_per_period=320)
    times = []
    for seed in (11, 12):
        runs = ensemble.run(cell, pulse, 12, rng=seed, processes=1)
        times.append(runs.time.values[(runs.conductance > 1e-6).argmax("time").values])
    assert not np.array_equal(*times)
    assert stats.ttest_ind(*times, equal_var=False).pvalue > 1e-3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FilamentKMC(DEVICE, transport="slow"), "transport"),
        (lambda: FilamentKMC(DEVICE, temperature_K=-1.0), "temperature_K"),
        (lambda: FilamentKMC(Device.load("kim2019-n3")).simulate(PULSE), "parameter"),
        (lambda: FilamentKMC(DEVICE.with_electrode("Pt")).simulate(PULSE), "Pt"),
        (lambda: FilamentKMC(DEVICE).simulate(PULSE, rng="7"), "rng"),
        (lambda: ensemble.run(FilamentKMC(DEVICE), PULSE, 0), "replicas"),
    ],
)
def test_bad_input(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_an_electrode_that_dissolves_by_itself_raises():
    with pytest.raises(ValidityError, match="Al"):
        FilamentKMC(DEVICE.with_electrode("Al")).simulate(PULSE)


def test_melting_is_seen_between_reported_instants():
    # the same run, reported twice or a thousand times, knows the same peak; past the melting point it raises
    hot = DEVICE.with_parameters(thermal_resistance_K_W=1e6)
    wave = Waveform.pulses(2.0, 2e-3, 4e-3, 1, compliance_A=1e-4, samples_per_period=2)
    run = FilamentKMC(hot).simulate(wave, rng=1)
    assert run.attrs["peak_temperature_K"] >= float(run.temperature.max())
    with pytest.raises(ValidityError, match="melts"):
        FilamentKMC(DEVICE.with_parameters(thermal_resistance_K_W=1e8)).simulate(wave, rng=1)
    with pytest.raises(ValidityError, match="molten"):
        FilamentKMC(DEVICE, temperature_K=1e4)


def test_too_many_events_raise_with_the_time():
    with pytest.raises(ConvergenceError, match="atoms"):
        FilamentKMC(DEVICE, most_events=1).simulate(PULSE, rng=1)


def test_the_column_is_the_network_that_a_neighbour_search_finds():
    from ase import Atoms
    from ase.neighborlist import neighbor_list

    built = column(0.587e-9, 3e-9, 5e-9)
    positions = built.positions_m / built.spacing_m
    first, second, vector = neighbor_list("ijD", Atoms(numbers=[47] * built.size, positions=positions), 1.1)
    axis = np.argmax(np.abs(vector), axis=1)
    direction = 2 * axis + (vector[np.arange(len(vector)), axis] > 0)
    assert (built.neighbours[first, direction] == second).all()
    assert (built.neighbours >= 0).sum() == len(first)
