"""From device to device: spreads on a card, one device drawn, an ensemble in which every replica is another."""

import doctest
import importlib
import json
import math
import re

import numpy as np
import pytest
import xarray as xr
from scipy.stats import kstest, norm, truncnorm

from halidrift import Device, Waveform
from halidrift.kmc import FilamentKMC, ensemble
from halidrift.kmc.sampled import Sampled
from halidrift.physics.device import CARDS
from halidrift.physics.errors import DataError, InputError, ValidityError
from halidrift.physics.randomness import generator, recall

CARD = Device.load("john2022-ogb")
NARROW = CARD.with_parameters(column_width_m=3e-9)
REST = Waveform.hold(0.1, 1e-3, samples=3)
PULSE = Waveform.pulses(1.0, 5e-3, 10e-3, 1, compliance_A=1e-6)
SPREAD = 'spread = { value = 10, unit = "meV", kind = "assumed", reason = "guess", range = [0, 20] }'


def edited(tmp_path, name, entry):
    """The card of John with a further entry in one of its numbers."""
    text = (CARDS / "john2022-ogb.toml").read_text(encoding="utf-8")
    changed = re.sub(rf"^({name} = {{.*) }}$", rf"\1, {entry} }}", text, count=1, flags=re.MULTILINE)
    assert changed != text
    file = tmp_path / "card.toml"
    file.write_text(changed, encoding="utf-8")
    return file


# -- on a card -----------------------------------------------------------------------------------------------


def test_a_spread_is_a_number_of_its_own(tmp_path):
    device = Device.load(edited(tmp_path, "bond_energy_eV", SPREAD))
    assert device["bond_energy_eV"].kind == "calibrated"
    spread = device["bond_energy_eV"].spread
    assert (spread.value, spread.unit, spread.kind, spread.reason) == (0.01, "eV", "assumed", "guess")
    assert spread.range == (0.0, 0.02)
    assert device.spreads == {"bond_energy_eV": spread}
    # what one device does is decided by the same numbers as before
    assert device.to_dict() == CARD.to_dict()


def test_a_spread_is_in_the_unit_of_its_number(tmp_path):
    entry = 'spread = { value = 0.8, kind = "published", source = "Kim2019", locator = "nowhere, for a test" }'
    device = Device.load(edited(tmp_path, "column_width_m", entry))
    assert device["column_width_m"].spread.value == pytest.approx(0.8e-9, rel=1e-15)
    assert "Kim2019" in device.sources


def test_layers_and_rows_of_the_database_may_have_one(tmp_path):
    text = (CARDS / "john2022-ogb.toml").read_text(encoding="utf-8")
    thick = 'spread = { value = 1, kind = "assumed", reason = "rough", range = [0, 2] }'
    text = text.replace('value = 20, unit = "nm",', f'value = 20, unit = "nm", {thick},')  # polyTPD and the film
    text = re.sub(r"^(hop_barrier_eV = \{.*) \}$", rf"\1, {SPREAD} }}", text, flags=re.MULTILINE)
    file = tmp_path / "card.toml"
    file.write_text(text, encoding="utf-8")
    device = Device.load(file)
    assert list(device.spreads) == ["film_thickness_m", "hop_barrier_eV", "transport_layer_2_thickness_m"]
    one = device.sampled(rng=3)
    assert one.film.thickness_m != 20e-9 != one.layers[2].thickness_m != one.film.thickness_m
    assert one.layers[1] == device.layers[1]
    assert one["hop_barrier_eV"].barrier == ""  # no row of the database any more
    assert one.sources == device.sources


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("spread = 0.01", ["must say where it comes from", "published"]),
        ('spread = { value = 0.01, unit = "eV" }', ["spread.kind", "missing kind"]),
        ('spread = { value = 0.01, kind = "calibrated" }', ["spread.fitted_to", "Add fitted_to"]),
        (SPREAD.replace("value = 10", "value = -1"), ["spread.value", "out of physical bounds"]),
        (SPREAD.replace("10", "0"), ["a spread must be positive", "Leave the spread out"]),
        (SPREAD.replace('"meV"', '"nm"'), ["spread.unit", "nm", "eV, meV"]),
        (SPREAD.replace("range = [0, 20]", "range = [11, 20]"), ["range must hold the value"]),
        (SPREAD.replace("reason", "spread = 1, reason"), ["unknown key"]),
        ('spread = { value = 1, kind = "published", source = "Nobody", locator = "-" }', ["unknown reference"]),
    ],
)
def test_a_broken_spread_names_file_key_found_and_allowed(tmp_path, entry, words):
    file = edited(tmp_path, "bond_energy_eV", entry)
    with pytest.raises(DataError) as error:
        Device.load(file)
    for word in [str(file), "bond_energy_eV", *words]:
        assert word in str(error.value)


# -- one device ----------------------------------------------------------------------------------------------


def test_numbers_are_normal_within_their_limits():
    # 2,000 devices against the stated distribution: KS p > 0.001 each
    device = CARD.with_spread(dissolution_barrier_eV=0.01, matrix_penalty_eV=0.3, film_thickness_m=1e-9)
    rng = np.random.default_rng(5)
    drawn = [device.sampled(rng) for _ in range(2000)]
    barriers = np.array([d.value("dissolution_barrier_eV") for d in drawn])
    assert kstest(barriers, norm(0.95, 0.01).cdf).pvalue > 1e-3
    # a number cut by its physical bounds, -0.5 to 1 eV
    cut = np.array([d.value("matrix_penalty_eV") for d in drawn])
    assert device.limits("matrix_penalty_eV") == (-0.5, 1.0)
    assert kstest(cut, truncnorm(-0.6 / 0.3, 0.9 / 0.3, 0.1, 0.3).cdf).pvalue > 1e-3
    assert -0.5 <= cut.min() < -0.4
    thick = np.array([d.film.thickness_m for d in drawn])
    assert kstest(thick, norm(20e-9, 1e-9).cdf).pvalue > 1e-3
    low, high = device.limits("film_thickness_m")
    assert (low, high) == pytest.approx((16e-9, 24e-9), rel=1e-12)
    assert low <= thick.min() < thick.max() <= high
    # independent of each other: |r| below 4 standard errors
    assert abs(np.corrcoef(barriers, thick)[0, 1]) < 4 / math.sqrt(2000)


def test_a_drawn_number_says_from_what_it_was_drawn():
    device = CARD.with_spread(film_thickness_m=1e-9, dissolution_barrier_eV=0.01, reason="a test")
    one = device.sampled(rng=1)
    barrier = one["dissolution_barrier_eV"]
    for number, mean in ((one.film.thickness, "2e-08 m (published: John2022"), (barrier, "0.95 eV (calibrated")):
        assert number.kind == "assumed"
        assert number.range[0] <= number.value <= number.range[1]
        assert "drawn from a normal distribution with mean " + mean in number.note
        assert "(assumed: a test)" in number.note
    assert one["bond_energy_eV"] is device["bond_energy_eV"]
    assert one.spreads == {}


def test_the_same_stream_draws_the_same_device():
    device = CARD.with_spread(film_thickness_m=1e-9)
    assert device.sampled(rng=4).to_dict() == device.sampled(rng=4).to_dict() != device.sampled(rng=5).to_dict()


def test_a_device_without_spread_is_refused_with_the_next_step():
    with pytest.raises(InputError, match=r"no spread to draw from.*with_spread"):
        CARD.sampled(rng=1)
    with pytest.raises(InputError, match="no spread"):
        CARD.with_spread(leakage_S=1e-9).sampled(rng=1).sampled(rng=1)
    assert CARD.with_spread(leakage_S=1e-9).with_spread(leakage_S=0).spreads == {}


@pytest.mark.parametrize(
    ("spread", "words"),
    [
        ({"leakage_S": -1e-9}, ["leakage_S", "-1e-09 S", "0 to 0.001 S"]),
        ({"leakage_S": math.nan}, ["leakage_S", "nan"]),
        ({"thickness_m": 1e-9}, ["thickness_m", "film_thickness_m"]),
    ],
)
def test_bad_spreads(spread, words):
    with pytest.raises(InputError) as error:
        CARD.with_spread(**spread)
    for word in words:
        assert word in str(error.value)


def test_a_spread_outlives_a_changed_mean():
    device = CARD.with_spread(dissolution_barrier_eV=0.01).with_parameters(dissolution_barrier_eV=0.95)
    assert device.limits("dissolution_barrier_eV") == pytest.approx((0.91, 0.99))


def test_another_thickness_and_area():
    thick = CARD.with_thickness(30e-9)
    assert thick.film.thickness_m == 30e-9
    assert thick.film.thickness.kind == "assumed"
    assert "2e-08 m" in thick.film.thickness.reason
    assert CARD.film.thickness_m == 20e-9
    assert CARD.with_thickness(20e-9) == CARD
    assert CARD.with_area(1e-12).area_m2 == 1e-12
    for wrong in (0.0, -1e-9, math.inf):
        with pytest.raises(InputError, match="thickness_m is out of physical bounds"):
            CARD.with_thickness(wrong)
        with pytest.raises(InputError, match="area_m2 is out of physical bounds"):
            CARD.with_area(wrong)


# -- an ensemble ---------------------------------------------------------------------------------------------

CELL = FilamentKMC(NARROW.with_spread(dissolution_barrier_eV=0.02, film_thickness_m=1e-9, leakage_S=2e-9))


def run(store=None, replicas=6, simulation=CELL, waveform=PULSE, processes=1, **options):
    options = {"rng": 7, "processes": processes, "store": store, "sampled": True, **options}
    return ensemble.run(simulation, waveform, replicas, **options)


@pytest.fixture(scope="module")
def whole():
    return run()


def test_every_replica_is_the_device_that_it_says(whole):
    assert whole.drawn_dissolution_barrier_eV.dims == ("replica",)
    assert len(np.unique(whole.drawn_dissolution_barrier_eV)) == 6
    assert whole.drawn_film_thickness_m.attrs["units"] == "m"
    assert "drawn from a normal distribution" in whole.drawn_film_thickness_m.attrs["note"]
    # what was drawn is what was simulated: without a filament the device is its leakage behind its resistor
    series = NARROW.value("series_resistance_ohm")
    expected = 1.0 / (1.0 / whole.drawn_leakage_S + series)
    np.testing.assert_allclose(whole.conductance[:, 0], expected, rtol=1e-12)
    sites = np.rint(whole.drawn_film_thickness_m / NARROW.value("lattice_constant_m"))
    assert len(np.unique(sites)) > 1
    np.testing.assert_array_equal((whole.occupation[:, 0, 0] >= 0).sum("z"), sites)
    parameters = json.loads(whole.attrs["parameters"])
    assert parameters["device"] == CELL.device.to_dict()
    assert parameters["spread"] == pytest.approx(
        {"dissolution_barrier_eV": 0.02, "film_thickness_m": 1e-9, "leakage_S": 2e-9}
    )


def test_a_replica_replays(whole):
    stream = recall(whole.attrs["seed"]).spawn(3)[2]
    one = Sampled(CELL).simulate(PULSE, rng=stream)
    for name in one.data_vars:
        mine = whole[name] if name == "voltage" else whole[name].isel(replica=2)
        np.testing.assert_array_equal(mine, one[name])
    again = Sampled(CELL).simulate(PULSE, rng=recall(one.attrs["seed"]))
    xr.testing.assert_identical(again, one)
    # and on its device alone, with the stream that the device was drawn beside
    stream = recall(whole.attrs["seed"]).spawn(3)[2]
    device = Sampled(CELL).drawn(stream)
    assert device.value("leakage_S") == float(one.drawn_leakage_S)
    alone = FilamentKMC(device).simulate(PULSE, rng=stream)
    np.testing.assert_array_equal(alone.current, one.current)
    here = one.occupation.values[one.occupation.values >= 0].reshape(alone.occupation.shape)
    np.testing.assert_array_equal(here, alone.occupation)


def test_events_are_drawn_as_without_a_spread():
    # the stream of the dynamics is left alone: with a spread of 1e-15 the same atoms move at the same instants
    plain = ensemble.run(FilamentKMC(NARROW), PULSE, 2, rng=7, processes=1)
    close = run(replicas=2, simulation=FilamentKMC(NARROW.with_spread(leakage_S=1e-15)))
    np.testing.assert_array_equal(close.metal_atoms, plain.metal_atoms)


def test_neither_workers_nor_interruption_change_a_bit(tmp_path, whole):
    store = tmp_path / "runs.zarr"

    def stop(done, _):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(store, progress=stop)
    xr.testing.assert_identical(run(store, processes=2), whole)
    xr.testing.assert_identical(ensemble.read(store), whole)


@pytest.mark.slow
def test_a_cluster_draws_the_same_devices(tmp_path, whole):
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        again = run(tmp_path / "runs.zarr", processes=None, dask=cluster.scheduler_address)
    xr.testing.assert_identical(again, whole)


def test_a_store_knows_the_spread(tmp_path):
    store = tmp_path / "runs.zarr"
    leaky = FilamentKMC(NARROW.with_spread(leakage_S=2e-9))
    run(store, 1, simulation=leaky, waveform=REST)
    with pytest.raises(InputError, match=r"spread\.leakage_S is 2e-09, asked 1e-09"):
        run(store, 1, simulation=FilamentKMC(NARROW.with_spread(leakage_S=1e-9)), waveform=REST)
    with pytest.raises(InputError, match=r"spread is \{'leakage_S': 2e-09\}, asked None"):
        ensemble.run(leaky, REST, 1, rng=7, processes=1, store=store)
    # a spread that nobody draws from decides no number
    other = tmp_path / "plain.zarr"
    first = ensemble.run(FilamentKMC(NARROW), REST, 1, rng=7, processes=1, store=other)
    xr.testing.assert_identical(ensemble.run(leaky, REST, 1, rng=7, processes=1, store=other), first)


def test_snapshots_of_devices_of_many_sizes(tmp_path):
    cell = FilamentKMC(NARROW.with_spread(film_thickness_m=1e-9, column_width_m=4e-10), snapshots=2)
    many = run(tmp_path / "runs.zarr", 5, simulation=cell)
    assert many.snapshot_occupation.dims == ("replica", "snapshot", "x", "y", "z")
    inside = many.occupation >= 0
    assert len(np.unique(inside.sum(("x", "y", "z")))) > 2
    assert ((many.snapshot_occupation >= 0) == inside).all()
    assert np.isnan(many.snapshot_potential.where(~inside)).all()
    assert many.occupation.dtype == np.int8
    assert "outside the device" in many.occupation.attrs["long_name"]
    # the axis of every device is that of the stack, and its bottom is the bottom
    centre = float(many.x[many.sizes["x"] // 2])
    assert centre == 0.0
    assert (inside.sel(x=0.0, y=0.0).isel(z=0)).all()
    assert (inside.any(("y", "z")) == inside.any(("y", "z"))[:, ::-1].values).all()


def test_more_replicas_leave_the_first_as_they_are(whole):
    few = run(replicas=2)
    for name in few.data_vars:
        if name != "voltage":
            np.testing.assert_array_equal(few[name], whole[name][:2])


def test_what_cannot_be_sampled():
    with pytest.raises(InputError, match=r"no spread.*with_spread\(.*leave sampled out"):
        run(simulation=FilamentKMC(NARROW))
    with pytest.raises(InputError, match="Only a simulation of a device"):
        run(simulation=object())
    with pytest.raises(InputError, match=r"distance of sites.*lattice_constant_m=0"):
        run(simulation=FilamentKMC(NARROW.with_spread(lattice_constant_m=1e-11)))
    with pytest.raises(InputError, match="column does not fit"):  # before the first replica, not at the unlucky one
        run(simulation=FilamentKMC(NARROW.with_spread(film_thickness_m=5e-9)))


def test_a_device_that_is_refused_is_named():
    cell = Sampled(FilamentKMC(NARROW.with_spread(anode_share=0.2)))  # 0.6 at the cathode
    seed = next(i for i in range(99) if cell.drawn(i).value("anode_share") > 0.4)
    with pytest.raises(InputError, match=r"whole voltage, in the device drawn with anode_share = 0\.\d+\. got"):
        cell.simulate(REST, rng=seed)
    hot = FilamentKMC(NARROW.with_spread(charge_transfer_barrier_eV=0.01).with_electrode("Al"))
    with pytest.raises(ValidityError, match="drawn with charge_transfer_barrier_eV"):
        Sampled(hot).simulate(REST, rng=generator(1))


@pytest.mark.parametrize("module", ["physics.device", "kmc.sampled"])
def test_doctests(module):
    result = doctest.testmod(importlib.import_module(f"halidrift.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
