"""Are the band and its climbing image solved right? Barriers known in closed form or by symmetry."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.optimize import FIRE

from halidrift.physics import defects, neb
from halidrift.physics.errors import ConvergenceError, ValidityError

STIFF = 4.0  # eV/angstrom^2, of the directions in which nothing happens


class Landscape(Calculator):
    """One atom on a potential: `energy(x, y)` and its gradient, harmonic in z."""

    implemented_properties = ("energy", "forces")

    def __init__(self, energy, gradient):
        super().__init__()
        self.landscape, self.gradient = energy, gradient

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        x, y, z = atoms.positions[0]
        slope = self.gradient(x, y)
        self.results = {
            "energy": self.landscape(x, y) + 0.5 * STIFF * z**2,
            "forces": -np.array([[slope[0], slope[1], STIFF * z]]),
        }


def theory(energy, gradient):
    return neb.Theory("landscape", "1", lambda: Landscape(energy, gradient))


def atom(x, y=0.0):
    return Atoms("Ag", positions=[(x, y, 0.0)], cell=[40.0, 40.0, 40.0], pbc=True)


TIGHT = neb.Settings(
    images=5, force_tolerance_eV_angstrom=0.005, relax_tolerance_eV_angstrom=0.001, start="linear", rattle_angstrom=0.0
)


@pytest.mark.parametrize("barrier_eV", [0.05, 0.35, 1.2])
@pytest.mark.parametrize("images", [3, 4])
def test_cosine_barrier_in_closed_form(barrier_eV, images):
    # tolerance 1e-4 eV, stated before the run; with 4 images none starts on the saddle and one has to climb there
    a = 4.15
    made = theory(
        lambda x, y: 0.5 * barrier_eV * (1 - np.cos(2 * np.pi * x / a)) + 0.5 * STIFF * y**2,
        lambda x, y: (np.pi * barrier_eV / a * np.sin(2 * np.pi * x / a), STIFF * y),
    )
    settings = neb.Settings(
        images=images, force_tolerance_eV_angstrom=0.002, relax_tolerance_eV_angstrom=0.001, start="linear"
    )
    band = neb.minimum_energy_path(atom(0.1), atom(a - 0.15), made, settings)
    assert band.forward_eV == pytest.approx(barrier_eV, abs=1e-4)
    assert band.backward_eV == pytest.approx(barrier_eV, abs=1e-4)
    curvature = 0.5 * barrier_eV * (2 * np.pi / a) ** 2
    assert band.images[band.saddle].positions[0] == pytest.approx([a / 2, 0, 0], abs=1.05 * 0.002 / curvature)
    assert band.saddle_force_eV_angstrom < 0.002
    assert band.wells == ()
    assert band.rounds == 1
    # the cubic through energies and slopes is the cosine, not only at the images
    s, e = band.curve()
    exact = 0.5 * barrier_eV * (1 - np.cos(2 * np.pi * s / a))
    assert np.abs(e - exact).max() < 0.05 * barrier_eV


@pytest.mark.parametrize("images", [4, 5, 6])
def test_asymmetric_barrier_on_a_curved_path(images):
    # V = q(x) + k/2 (y - c x^2)^2: the valley y = c x^2 is the path, so the barriers are those of the quartic q
    q = np.polynomial.Polynomial([0.0, 0.05, -0.5, 0.0, 0.2])
    dq, c, k = q.deriv(), 0.3, 3.0
    made = theory(
        lambda x, y: q(x) + 0.5 * k * (y - c * x**2) ** 2,
        lambda x, y: (dq(x) - 2 * k * c * x * (y - c * x**2), k * (y - c * x**2)),
    )
    left, top, right = sorted(dq.roots().real)
    settings = neb.Settings(
        images=images, force_tolerance_eV_angstrom=0.002, relax_tolerance_eV_angstrom=0.001, start="linear"
    )
    band = neb.minimum_energy_path(atom(left, c * left**2), atom(right, c * right**2), made, settings)
    # tolerance 1e-4 eV, stated before the run
    assert band.forward_eV == pytest.approx(q(top) - q(left), abs=1e-4)
    assert band.backward_eV == pytest.approx(q(top) - q(right), abs=1e-4)
    assert band.difference_eV == pytest.approx(q(right) - q(left), abs=1e-4)
    assert 0 < band.saddle < images + 1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shift", [0.0, 1e-13])
def test_unstable_symmetric_ends_are_found_and_left(seed, shift):
    """The trap of ideal perovskite cells: on the symmetry line y = 0 forces vanish, and the minimum lies beside it.

    From either side of y = 0 the slope leads to y = 1, so that rounding cannot send the ends to different valleys.
    """
    depth, height, a = 2.0, 0.3, 4.0
    made = theory(
        lambda x, y: 0.5 * height * (1 - np.cos(2 * np.pi * x / a)) + depth * (3 * y**4 - 4 * y**3),
        lambda x, y: (np.pi * height / a * np.sin(2 * np.pi * x / a), 12 * depth * (y**3 - y**2)),
    )
    # the rattle is wide, so that no image of the first guess is left where the forces vanish
    settings = {"start": "linear", "rattle_angstrom": 0.2}
    first, last = atom(shift), atom(a + shift, shift)
    with pytest.raises(ConvergenceError, match="below the ends") as caught:
        neb.minimum_energy_path(first, last, made, neb.Settings(**settings, rounds=1), seed=seed)
    assert "relax" in str(caught.value)
    # given its rounds, the band is strung again from the states below, and the barrier is the exact one (5e-3 eV)
    band = neb.minimum_energy_path(first, last, made, neb.Settings(**settings), seed=seed)
    assert band.rounds > 1
    assert band.forward_eV == pytest.approx(height, abs=5e-3)
    for end in (band.images[0], band.images[-1]):
        assert end.positions[0, 1] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_images_in_different_valleys_are_not_told_to_take_more_steps(seed):
    """Valleys on both sides of the ends: the band may never converge, but what is wrong are its ends."""
    depth, height, a = 0.4, 0.3, 4.0
    made = theory(
        lambda x, y: 0.5 * height * (1 - np.cos(2 * np.pi * x / a)) + depth * (y**2 - 1) ** 2,
        lambda x, y: (np.pi * height / a * np.sin(2 * np.pi * x / a), 4 * depth * y * (y**2 - 1)),
    )
    settings = neb.Settings(start="linear", rounds=1, steps=200)
    with pytest.raises(ConvergenceError, match="below the ends"):
        neb.minimum_energy_path(atom(0.0), atom(a), made, settings, seed=seed)


def test_end_in_a_shallow_state_of_its_site():
    """Both ends rest in a dip at y = 0 that is gone half way: images slide to y = 1, and the ends must follow.

    Along y = 1 the potential is a cosine, so the barrier from there is exact.
    """
    height, depth, wall, k, a = 0.3, 0.1, 0.8, 1.0, 4.0
    dip = depth * np.polynomial.Polynomial([1, 0, -3, 2]) + wall * np.polynomial.Polynomial([0, 0, 1, -2, 1])
    slope = dip.deriv()

    def energy(x, y):
        c = 0.5 * (1 + np.cos(2 * np.pi * x / a))
        return height * (1 - c) + c * dip(y) + (1 - c) * 0.5 * k * (y - 1) ** 2

    def gradient(x, y):
        c, dc = 0.5 * (1 + np.cos(2 * np.pi * x / a)), -np.pi / a * np.sin(2 * np.pi * x / a)
        return dc * (dip(y) - height - 0.5 * k * (y - 1) ** 2), c * slope(y) + (1 - c) * k * (y - 1)

    # the ends are minima, so no relaxation would have helped
    assert slope(0.0) == 0
    assert slope.deriv()(0.0) > 0.5
    band = neb.minimum_energy_path(atom(0.0), atom(a), theory(energy, gradient), neb.Settings(images=7, start="linear"))
    assert band.rounds > 1
    for end in (band.images[0], band.images[-1]):
        assert end.positions[0, 1] == pytest.approx(1.0, abs=0.02)
    assert band.forward_eV == pytest.approx(height, abs=2e-3)
    assert band.backward_eV == pytest.approx(height, abs=2e-3)


@pytest.mark.parametrize("middle_eV", [0.1, -0.1])
def test_intermediate_minimum_is_told(middle_eV):
    """Two hops in one band: the state between them is reported, and the barrier is the highest hill from the end."""
    a, hill = 6.0, 0.4
    made = theory(
        lambda x, y: (
            0.5 * hill * (1 - np.cos(4 * np.pi * x / a))
            + 0.5 * middle_eV * (1 - np.cos(2 * np.pi * x / a))
            + 0.5 * STIFF * y**2
        ),
        lambda x, y: (
            2 * np.pi * hill / a * np.sin(4 * np.pi * x / a) + np.pi * middle_eV / a * np.sin(2 * np.pi * x / a),
            STIFF * y,
        ),
    )
    x = np.linspace(0, a, 6001)
    exact = max(0.5 * hill * (1 - np.cos(4 * np.pi * x / a)) + 0.5 * middle_eV * (1 - np.cos(2 * np.pi * x / a)))
    band = neb.minimum_energy_path(atom(0.0), atom(a), made, neb.Settings(images=7, start="linear"))
    assert band.wells == (4,)
    assert band.energies_eV[4] == pytest.approx(middle_eV, abs=5e-3)
    assert band.forward_eV == pytest.approx(exact, abs=2e-3)


def test_flat_path_has_no_barrier():
    made = theory(lambda x, y: 0.5 * STIFF * y**2, lambda x, y: (0.0, STIFF * y))
    with pytest.raises(ValidityError, match="no barrier on this path"):
        neb.minimum_energy_path(atom(0.0), atom(3.0), made, TIGHT)


def test_one_end_relaxes_into_the_other():
    made = theory(lambda x, y: 0.5 * x**2 + 0.5 * STIFF * y**2, lambda x, y: (x, STIFF * y))
    with pytest.raises(ConvergenceError, match="relaxed into the other"):
        neb.minimum_energy_path(atom(0.0), atom(3.0), made, TIGHT)


def test_forces_that_do_not_converge_carry_the_residual():
    made = theory(
        lambda x, y: 0.2 * (1 - np.cos(2 * np.pi * x / 4)) + 0.5 * STIFF * y**2,
        lambda x, y: (0.1 * np.pi * np.sin(2 * np.pi * x / 4), STIFF * y),
    )
    settings = neb.Settings(
        images=4, steps=3, start="linear", force_tolerance_eV_angstrom=1e-6, relax_tolerance_eV_angstrom=0.01
    )
    with pytest.raises(ConvergenceError, match="did not converge in 3 steps") as caught:
        neb.minimum_energy_path(atom(0.0), atom(4.0), made, settings)
    assert "eV/angstrom" in str(caught.value.got)


@pytest.mark.parametrize(("metal", "seed"), [("Cu", 0), ("Cu", 1), ("Ag", 0)])
def test_fcc_vacancy_against_the_saddle_by_symmetry(metal, seed):
    """In fcc the saddle of the nearest-neighbour hop is half way: relaxing there by symmetry is exact.

    The band is given 4 images, of which none starts half way, and must agree within 5 meV (stated before the run).
    """
    crystal = bulk(metal, cubic=True)
    initial, final = defects.vacancy_hop(crystal.repeat(2), f"V_{metal}")
    middle = initial.copy()
    middle.positions = 0.5 * (initial.positions + final.positions)
    energies = []
    for atoms in (initial, middle):
        atoms.calc = EMT()
        assert FIRE(atoms, logfile=None).run(fmax=0.001, steps=500)
        energies.append(atoms.get_potential_energy())
    exact = energies[1] - energies[0]
    assert 0.1 < exact < 2.0
    found = neb.migration_barrier(crystal, f"V_{metal}", "emt", seed=seed, settings=neb.Settings(images=4))
    assert found.forward_eV == pytest.approx(exact, abs=0.005)
    assert found.backward_eV == pytest.approx(exact, abs=0.005)
    assert found.band.saddle in (2, 3)
    assert found.hop_length_angstrom == pytest.approx(crystal.cell[0, 0] / np.sqrt(2), abs=1e-6)


@pytest.mark.slow
def test_chgnet_barrier_is_one_hop_between_alike_sites():
    """Not compared with a number: the hop is symmetric on average, and a band of 2x2x2 must know it."""
    pytest.importorskip("chgnet", reason="needs halidrift[atomistic]")
    found = neb.migration_barrier("CsPbBr3", "V_Br", "chgnet", repeat=(2, 2, 2), seed=0)
    assert type(found.forward_eV) is float
    assert found.band.energies_eV.dtype == np.float64
    assert 0.0 < found.forward_eV < 1.0
    assert abs(found.band.difference_eV) < 0.02
    assert found.band.saddle_force_eV_angstrom < 0.06
    assert found.band.wells == ()
