"""Among how many atoms the current is shared, against networks solved by hand and against the simulation."""

import json

import numpy as np
import pytest
import xarray as xr

from halidrift import Device, Waveform
from halidrift.kmc import FilamentKMC, ensemble
from halidrift.kmc.constriction import bearing_atoms, shares
from halidrift.physics.errors import InputError
from halidrift.physics.formulas import tunnel_conductance, tunnel_decay
from halidrift.physics.noise import ReadNoise

CARD = Device.load("john2022-ogb")
NARROW = CARD.with_parameters(column_width_m=3e-9)
NUMBERS = {name: p.value for name, p in CARD.parameters.items()}
CONTACT, METAL = NUMBERS["contact_conductance_S"], NUMBERS["metal_link_S"]
HEIGHT = 9


def box(*columns):
    """Metal columns (x, y, lowest, beyond the highest) in a film of 9 layers."""
    sites = np.zeros((7, 7, HEIGHT), np.int8)
    for x, y, low, high in columns:
        sites[x, y, low:high] = 2
    return sites


def test_a_chain_of_atoms_by_hand():
    G, share = shares(box((3, 3, 0, HEIGHT)), NUMBERS)
    # all have two bonds: contacts between them; at the electrodes half way to the metallic link
    end = np.sqrt(CONTACT * METAL)
    resistance = (HEIGHT - 1) / CONTACT + 2 / end
    assert pytest.approx(1 / resistance, rel=1e-6) == G
    middle, outer = 1 / CONTACT / resistance, (0.5 / CONTACT + 1 / end) / resistance
    expected = np.full(HEIGHT, middle)
    expected[[0, -1]] = outer
    np.testing.assert_allclose(share[3, 3], expected, rtol=1e-6)
    assert share.sum() == pytest.approx(1.0, rel=1e-12)
    assert (share[box((3, 3, 0, HEIGHT)) == 0] == 0).all()


def test_two_chains_share_the_current():
    one, single = shares(box((3, 1, 0, HEIGHT)), NUMBERS)
    two, double = shares(box((3, 1, 0, HEIGHT), (3, 5, 0, HEIGHT)), NUMBERS)
    assert two == pytest.approx(2 * one, rel=1e-9)
    assert 1 / (double**2).sum() == pytest.approx(2 / (single**2).sum(), rel=1e-9)


@pytest.mark.parametrize("empty", [1, 2])
def test_a_gap_takes_the_power(empty):
    chain = box((3, 3, 0, HEIGHT - empty))
    G, share = shares(chain, NUMBERS)
    decay = tunnel_decay(NUMBERS["tunnel_barrier_eV"], 1.0)
    width = NUMBERS["tunnel_gap_m"] + (empty - 1) * NUMBERS["lattice_constant_m"]
    gap = tunnel_conductance(CONTACT, decay, width)
    # the atom at the tip has one bond and stands before the gap; bonds of one and two bonds are both contacts
    resistance = (HEIGHT - empty - 1) / CONTACT + 1 / np.sqrt(CONTACT * METAL) + 1 / gap
    assert pytest.approx(1 / resistance, rel=1e-4) == G
    # half of the last contact and all of the gap: 94 % and more
    tip = (0.5 / CONTACT + 1 / gap) / resistance
    assert share[3, 3, HEIGHT - empty - 1] == pytest.approx(tip, rel=1e-4)
    assert 1 / (share**2).sum() == pytest.approx(1 / tip**2, rel=0.01)


def test_a_gap_inside_and_beyond_reach():
    inner, share = shares(box((3, 3, 0, 4), (3, 3, 5, HEIGHT)), NUMBERS)
    decay = tunnel_decay(NUMBERS["tunnel_barrier_eV"], 1.0)
    gap = tunnel_conductance(CONTACT, decay, NUMBERS["tunnel_gap_m"])
    resistance = 6 / CONTACT + 2 / np.sqrt(CONTACT * METAL) + 1 / gap
    assert pytest.approx(1 / resistance, rel=1e-4) == inner
    np.testing.assert_allclose(share[3, 3, [3, 5]], (0.5 / CONTACT + 0.5 / gap) / resistance, rtol=1e-4)
    # a stub nine sites and more below the electrode conducts nothing
    tall = np.zeros((3, 3, 20), np.int8)
    tall[1, 1, :5] = 2
    G, share = shares(tall, NUMBERS)
    assert G < 1e-20
    assert shares(np.zeros((3, 3, 5), np.int8), NUMBERS)[0] == 0.0


def test_sites_outside_of_a_thinner_device_are_no_film():
    chain = box((3, 3, 0, HEIGHT))
    wide = np.full((9, 9, HEIGHT + 3), -1, np.int8)
    wide[1:-1, 1:-1, :HEIGHT] = chain
    G, share = shares(wide, NUMBERS)
    assert pytest.approx(shares(chain, NUMBERS)[0], rel=1e-12) == G
    assert share[4, 4, :HEIGHT].sum() == pytest.approx(1.0)


# -- a filament that grew ------------------------------------------------------------------------------------------

PULSE = Waveform.hold(1.0, 20e-3, compliance_A=1e-6, samples=26)


@pytest.fixture(scope="module")
def grown():
    return ensemble.run(FilamentKMC(NARROW), PULSE, 6, rng=1, processes=1)


def test_the_network_is_that_of_the_simulation(grown):
    """Stated before the run: 1e-3 of the conductance (the film that the simulation adds, and its solver)."""
    series, leak = NARROW.value("series_resistance_ohm"), NARROW.value("leakage_S")
    conducting = 0
    for i in range(6):
        own = {name: p.value for name, p in NARROW.parameters.items()}
        G, _ = shares(grown.occupation.values[i], own)
        filament = 1 / (1 / float(grown.conductance[i, -1]) - series) - leak
        if filament > leak:
            conducting += 1
            assert pytest.approx(filament, rel=1e-3) == G
    assert conducting >= 4


def test_atoms_of_every_instant(grown):
    n = bearing_atoms(grown)
    assert n.dims == ("replica", "time")
    assert n.attrs["units"] == "1"
    assert float(n.min()) >= 1.0
    assert (n[:, 0] == 1).all()  # no filament yet
    for i in range(6):
        _, share = shares(grown.occupation.values[i], {k: p.value for k, p in NARROW.parameters.items()})
        if grown.conductance[i, -1] > 1e-6:
            assert float(n[i, -1]) == pytest.approx(max(1 / (share**2).sum(), 1.0), rel=1e-9)
    noisy = ReadNoise.of(NARROW).added_to(grown, atoms=n, rng=1)
    assert noisy.conductance.shape == grown.conductance.shape


def test_snapshots_tell_the_shape_in_between():
    cell = FilamentKMC(NARROW)
    whole = cell.simulate(PULSE, rng=1, snapshots=[12e-3])
    last = cell.simulate(PULSE, rng=1)
    at = int(np.abs(whole.time.values - 12e-3).argmin())
    picture = whole.snapshot_occupation.isel(snapshot=0).values
    _, share = shares(picture, {k: p.value for k, p in NARROW.parameters.items()})
    if float(whole.conductance[at]) > 1e-7:
        assert float(bearing_atoms(whole)[at]) == pytest.approx(max(1 / (share**2).sum(), 1.0), rel=1e-9)
    assert float(bearing_atoms(whole)[-1]) == float(bearing_atoms(last)[-1])


def test_drawn_devices_have_their_own_network():
    cell = FilamentKMC(NARROW.with_spread(contact_conductance_S=2e-5, film_thickness_m=6e-10, leakage_S=1e-9))
    many = ensemble.run(cell, PULSE, 4, rng=1, processes=1, sampled=True)
    n = bearing_atoms(many)
    for i in range(4):
        own = {k: p.value for k, p in NARROW.parameters.items()}
        own.update({k: float(many[f"drawn_{k}"][i]) for k in ("contact_conductance_S", "leakage_S")})
        G, share = shares(many.occupation.values[i], own)
        filament = 1 / (1 / float(many.conductance[i, -1]) - own["series_resistance_ohm"]) - own["leakage_S"]
        if filament > own["leakage_S"]:
            assert pytest.approx(filament, rel=1e-3) == G
            assert float(n[i, -1]) == pytest.approx(max(1 / (share**2).sum(), 1.0), rel=1e-9)


def test_a_trace_without_atoms_is_refused(grown):
    with pytest.raises(InputError, match=r"Only a trace of FilamentKMC.*Leave atoms out"):
        bearing_atoms(grown.drop_vars("occupation"))
    bare = xr.Dataset(grown.data_vars, grown.coords, {**grown.attrs, "parameters": json.dumps({})})
    with pytest.raises(InputError, match="Leave atoms out"):
        bearing_atoms(bare)
