"""Crystals: stoichiometry, bonds, symmetry of what is built, and refusals. Lengths in angstrom."""

import importlib
import tomllib

import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from halidrift.physics import crystals, defects
from halidrift.physics.citations import bibliography
from halidrift.physics.errors import DataError, InputError, ValidityError

CELLS = {
    # formula units, space group
    ("CsPbBr3", "cubic"): (1, 221),
    ("CsPbBr3", "tetragonal"): (2, 127),
    ("CsPbBr3", "orthorhombic"): (4, 62),
    ("CsPbI3", "cubic"): (1, 221),
    ("CsPbI3", "tetragonal"): (2, 127),
    ("CsPbI3", "orthorhombic"): (4, 62),
    ("CsPbCl3", "cubic"): (1, 221),
    ("MAPbI3", "cubic"): (1, 221),
    ("MAPbI3", "tetragonal"): (4, 140),
    ("MAPbBr3", "cubic"): (1, 221),
    ("FAPbI3", "cubic"): (1, 221),
}
CATION = {"Cs": {"Cs": 1}, "MA": {"C": 1, "N": 1, "H": 6}, "FA": {"C": 1, "N": 2, "H": 5}}


def counts(atoms):
    symbols = atoms.get_chemical_symbols()
    return {s: symbols.count(s) for s in set(symbols)}


def bonds(atoms, metal, halide, reach):
    first, second, length = neighbor_list("ijd", atoms, reach)
    symbols = np.array(atoms.get_chemical_symbols())
    chosen = (symbols[first] == metal) & (symbols[second] == halide)
    return first[chosen], length[chosen]


def halide_of(material):
    return next(x for x in ("Cl", "Br", "I") if material.endswith(f"{x}3"))


def test_every_crystal_on_file_is_tested():
    assert {(m, p) for m, p, _ in crystals.available()} == set(CELLS)


@pytest.mark.parametrize(("material", "phase"), CELLS)
def test_cells_have_their_formula_and_octahedra(material, phase):
    units, group = CELLS[material, phase]
    axis = (1, 1, 0) if (material, phase) == ("MAPbI3", "tetragonal") else None
    cell = crystals.perovskite(material, phase, cation_axis=axis)
    x = halide_of(material)
    expected = {"Pb": units, x: 3 * units}
    for element, number in CATION[material[:2]].items():
        expected[element] = units * number
    assert counts(cell) == expected
    assert cell.info["space_group"] == group
    metal, length = bonds(cell, "Pb", x, 3.6)
    assert np.all(np.bincount(metal)[np.bincount(metal) > 0] == 6)
    # lead-halide bonds in perovskites: Cl 2.8, Br 2.9 to 3.0, I 3.1 to 3.2
    low, high = {"Cl": (2.75, 2.90), "Br": (2.90, 3.05), "I": (3.10, 3.25)}[x]
    assert low < length.min() <= length.max() < high
    assert cell.info["sources"]


def test_cubic_positions_are_those_of_the_aristotype():
    cell = crystals.perovskite("CsPbBr3")
    a = cell.cell.lengths()[0]
    assert a == 5.874
    assert bonds(cell, "Pb", "Br", 3.0)[1] == pytest.approx(a / 2)
    assert bonds(cell, "Cs", "Br", 4.5)[1] == pytest.approx(a / np.sqrt(2))
    assert len(bonds(cell, "Cs", "Br", 4.5)[1]) == 12


@pytest.mark.parametrize("material", ["CsPbBr3", "CsPbI3"])
def test_tilts_lower_the_symmetry_as_they_should(material):
    x = halide_of(material)
    for phase, angles in (("tetragonal", {"straight": 2, "bent": 4}), ("orthorhombic", {"straight": 0, "bent": 12})):
        cell = crystals.perovskite(material, phase)
        first, second, arm = neighbor_list("ijD", cell, 3.4)
        symbols = np.array(cell.get_chemical_symbols())
        seen = {"straight": 0, "bent": 0}
        for atom in np.flatnonzero(symbols == x):
            one, other = arm[(first == atom) & (symbols[second] == "Pb")]
            cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
            angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
            seen["straight" if angle > 179.99 else "bent"] += 1
            assert angle > 140
        assert seen == angles, phase


def test_regular_octahedra_are_regular_and_the_published_tilt_is_kept():
    cell = crystals.perovskite("CsPbBr3", "tetragonal")
    length = bonds(cell, "Pb", "Br", 3.4)[1]
    assert np.ptp(length) < 1e-6
    iodide = crystals.perovskite("MAPbI3", "tetragonal", cations=False)
    first, arm = neighbor_list("iD", iodide, 3.4)
    symbols = np.array(iodide.get_chemical_symbols())
    flat = arm[(symbols[first] == "Pb") & (np.abs(arm[:, 2]) < 0.1)]
    # bonds lie along the diagonals of the tetragonal cell, turned by the tilt
    turned = np.degrees(np.abs((np.arctan2(flat[:, 1], flat[:, 0]) - np.pi / 4 + np.pi / 4) % (np.pi / 2) - np.pi / 4))
    assert turned == pytest.approx(10.45, abs=1e-3)


def test_repeat_and_own_lattice():
    cell = crystals.perovskite("CsPbI3", repeat=(2, 1, 3), lattice_angstrom=6.2)
    assert counts(cell) == {"Cs": 6, "Pb": 6, "I": 18}
    assert cell.cell.lengths().tolist() == pytest.approx([12.4, 6.2, 18.6])
    ortho = crystals.perovskite("CsPbBr3", "orthorhombic", lattice_angstrom=(8.4, 11.8, 8.1))
    assert ortho.cell.lengths().tolist() == [8.4, 11.8, 8.1]


# -- organic cations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [None, (1, 0, 0), (1, 1, 1), (-0.3, 0.2, 0.9)])
def test_methylammonium_is_a_molecule(axis):
    cell = crystals.perovskite("MAPbI3", cation_axis=axis)
    symbols = np.array(cell.get_chemical_symbols())
    carbon, nitrogen = np.flatnonzero(symbols == "C")[0], np.flatnonzero(symbols == "N")[0]
    direction = cell.get_distance(carbon, nitrogen, mic=True, vector=True)
    wanted = np.array((0, 1, 1) if axis is None else axis, float)
    assert direction == pytest.approx(crystals.C_N * wanted / np.linalg.norm(wanted))
    for centre, other, length in ((carbon, nitrogen, crystals.C_H), (nitrogen, carbon, crystals.N_H)):
        near = [h for h in np.flatnonzero(symbols == "H") if cell.get_distance(centre, h, mic=True) < 1.3]
        assert len(near) == 3
        for h in near:
            assert cell.get_distance(centre, h, mic=True) == pytest.approx(length)
            assert cell.get_angle(other, centre, h, mic=True) == pytest.approx(109.471, abs=1e-2)
    # staggered: hydrogens of both ends are as far from each other as they can be
    hydrogen = np.flatnonzero(symbols == "H")
    dihedral = cell.get_dihedral(hydrogen[0], carbon, nitrogen, hydrogen[3], mic=True)
    assert min(abs(dihedral % 120 - 60), 120) < 1e-6
    iodine = cell.get_distances(hydrogen[0], np.flatnonzero(symbols == "I"), mic=True)
    assert iodine.min() > 2.2


def test_formamidinium_is_flat_and_points_where_it_should():
    cell = crystals.perovskite("FAPbI3")
    symbols = np.array(cell.get_chemical_symbols())
    molecule = cell[np.isin(symbols, ["C", "N", "H"])]
    assert np.ptp(molecule.positions[:, 2]) < 1e-9
    assert molecule.get_angle(1, 0, 2) == pytest.approx(125.74, abs=0.05)
    turned = crystals.perovskite("FAPbI3", cation_axis=(0, 0, 1))
    bond = turned.get_distance(
        int(np.flatnonzero(np.array(turned.get_chemical_symbols()) == "C")[0]),
        int(np.flatnonzero(np.array(turned.get_chemical_symbols()) == "H")[0]),
        vector=True,
    )
    assert bond / np.linalg.norm(bond) == pytest.approx([0, 0, 1])


def test_the_framework_alone():
    assert counts(crystals.perovskite("MAPbI3", cations=False)) == {"Pb": 1, "I": 3}
    with pytest.raises(InputError, match="does not say where its cations point"):
        crystals.perovskite("MAPbI3", "tetragonal")


# -- layered crystals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("spacer", ["Cs", "Rb"])
def test_ruddlesden_popper_formula_layers_and_distances(n, spacer):
    a, gap = 5.874, {"Cs": 1.78, "Rb": 1.63}[spacer] + 1.96
    crystal = crystals.ruddlesden_popper("CsPbBr3", spacer, n)
    expected = {"Pb": 2 * n, "Br": 2 * (3 * n + 1)}
    for element, number in ((spacer, 2), ("Cs", n - 1)):
        expected[element] = expected.get(element, 0) + 2 * number
    assert counts(crystal) == {k: v for k, v in expected.items() if v}
    assert crystal.cell.lengths() == pytest.approx([a, a, 2 * (n * a + gap)])
    metal, length = bonds(crystal, "Pb", "Br", 3.2)
    assert np.all(np.bincount(metal)[np.bincount(metal) > 0] == 6)
    assert length == pytest.approx(a / 2)
    # planes of lead, from the bottom: n spaced by a, then the gap of the layer
    heights = np.unique(np.round(crystal.positions[crystal.numbers == 82][:, 2], 6))
    steps = np.diff(heights)
    assert len(heights) == 2 * n
    assert steps == pytest.approx([*[a] * (n - 1), a + gap, *[a] * (n - 1)])
    # the second layer sits over the hollows of the first
    lead = crystal.positions[crystal.numbers == 82]
    shift = lead[lead[:, 2] > heights[n - 1] + 0.1][0] - lead[0]
    assert shift[:2] % a == pytest.approx([a / 2, a / 2])
    # an atomic spacer touches the halide of the next layer
    outer = bonds(crystal, spacer, "Br", gap + 1e-6)[1]
    assert outer.max() == pytest.approx(gap)


@pytest.mark.parametrize(("material", "spacer"), [("MAPbBr3", "PEA"), ("MAPbI3", "BA"), ("MAPbI3", "PEA")])
@pytest.mark.parametrize("n", [1, 2])
def test_organic_spacers_are_whole_molecules_that_fit(material, spacer, n):
    crystal = crystals.ruddlesden_popper(material, spacer, n)
    carbon, x = {"PEA": 8, "BA": 4}[spacer], halide_of(material)
    assert counts(crystal) == {
        "Pb": 2 * n,
        x: 2 * (3 * n + 1),
        "C": 2 * (2 * carbon + n - 1),
        "N": 2 * (2 + n - 1),
        "H": 2 * (24 + 6 * (n - 1)),
    }
    assert crystal.info["contact"] >= crystals.CLOSEST_CONTACT
    symbols = np.array(crystal.get_chemical_symbols())
    first, second, length = neighbor_list("ijd", crystal, 1.7)
    heavy = (symbols[first] != "H") & (symbols[second] != "H")
    # every hydrogen has one bond, every carbon and nitrogen its valence: 4 of sp3, 3 of the ring
    bonded = np.bincount(first[heavy | (length < 1.2)], minlength=len(crystal))
    assert np.all(bonded[symbols == "H"] == 1)
    assert np.all(bonded[symbols == "N"] == 4)
    aromatic = 6 if spacer == "PEA" else 0
    assert np.bincount(bonded[symbols == "C"])[3:].tolist() == [
        2 * 2 * aromatic,
        2 * (2 * (carbon - aromatic) + n - 1),
    ]
    assert np.all(length[heavy] > 1.35)


def test_one_layer_in_vacuum():
    layer = crystals.ruddlesden_popper("CsPbI3", "Cs", 2, (2, 2, 1), vacuum_angstrom=15.0)
    assert counts(layer) == {"Cs": 12, "Pb": 8, "I": 28}
    assert layer.pbc.tolist() == [True, True, False]
    assert layer.cell.lengths()[2] - np.ptp(layer.positions[:, 2]) == pytest.approx(15.0)
    assert layer.positions[:, 2].min() == pytest.approx(7.5)


def test_layer_spacing_is_kept():
    crystal = crystals.ruddlesden_popper("MAPbI3", "PEA", 1)
    assert crystal.info["layer_spacing_angstrom"] == pytest.approx(16.355)  # of the crystal it was measured on
    wide = crystals.ruddlesden_popper("MAPbI3", "PEA", 1, layer_spacing_angstrom=18.0)
    assert wide.cell.lengths()[2] == pytest.approx(36.0)


# -- defects and hops ----------------------------------------------------------------------------------------


def test_vacancy_hop_moves_one_atom_along_the_hop():
    cell = crystals.perovskite("CsPbBr3", "orthorhombic", (1, 1, 1))
    for hop in defects.hops(cell, "V_Br"):
        initial, final = defects.vacancy_hop(cell, "V_Br", hop.index)
        assert initial.get_chemical_symbols() == final.get_chemical_symbols()
        assert counts(initial)["Br"] == counts(cell)["Br"] - 1
        moved = np.flatnonzero(np.linalg.norm(final.positions - initial.positions, axis=1) > 0)
        assert moved.tolist() == [initial.info["hop"]["atom"]]
        path = final.positions[moved[0]] - initial.positions[moved[0]]
        assert np.linalg.norm(path) == pytest.approx(hop.length_angstrom)
        assert path == pytest.approx(-np.array(hop.vector_angstrom))
        # the atom ends on the site of the removed one, up to whole cells
        gone = cell.positions[hop.start]
        rest = np.linalg.solve(cell.cell.T, final.positions[moved[0]] - gone)
        assert rest - np.round(rest) == pytest.approx(0, abs=1e-9)


def test_hops_of_several_sublattices():
    cubic = crystals.perovskite("CsPbBr3")
    (edge,) = defects.hops(cubic, "V_Br")
    assert (edge.multiplicity, edge.kinds) == (8, (0, 0))
    assert edge.length_angstrom == pytest.approx(5.874 / np.sqrt(2))
    (cage,) = defects.hops(cubic, "Cs")
    assert (cage.multiplicity, cage.length_angstrom) == (6, pytest.approx(5.874))
    assert [h.multiplicity for h in defects.hops(crystals.perovskite("MAPbI3"), "V_I")] == [8]
    from ase.build import bulk

    (metal,) = defects.hops(bulk("Cu", cubic=True), "V_Cu")
    assert metal.multiplicity == 12


def test_interstitials():
    cell = crystals.perovskite("CsPbI3", repeat=(2, 2, 2))
    silver = defects.with_interstitial(cell, "Ag", "window")
    near = np.sort(silver.get_distances(len(cell), range(len(cell)), mic=True))
    # four iodides of the square and the A sites on both sides, all half a lattice constant away
    assert near[:6] == pytest.approx(6.2894 / 2)
    assert near[6] > 1.1 * near[5]
    assert silver.get_chemical_symbols()[-1] == "Ag"
    tilted = defects.with_interstitial(crystals.perovskite("CsPbBr3", "orthorhombic", (2, 1, 2)), "Ag", "window", 3)
    assert tilted.get_distances(80, range(80), mic=True).min() > 2.2
    placed = defects.with_interstitial(cell, "I", (1.5, 1.5, 1.5))
    assert placed.positions[-1].tolist() == [1.5, 1.5, 1.5]


# -- provenance ----------------------------------------------------------------------------------------------


def test_every_structure_names_a_resolvable_source():
    data = tomllib.loads(crystals.DATA.read_text(encoding="utf-8"))
    known = bibliography()
    for row in data["crystal"]:
        keys = [row["lattice_source"], *([row["positions_source"]] if "positions_source" in row else [])]
        assert all(key in known for key in keys), row["material"]
        assert row["lattice_read"]
        # what was not looked up says so
        assert row["lattice_checked"] == (row["lattice_read"] != "memory")
        assert row["space_group"] == 221 or "positions_read" in row
    for row in [*data["spacer"], data["halide_radius"]]:
        assert row["source"] in known
        assert row["checked"] == (row["read"] != "memory")


def test_a_broken_file_is_named(tmp_path, monkeypatch):
    for text in ("schema = 2\n", "schema = \n"):
        file = tmp_path / "crystals.toml"
        file.write_text(text, encoding="utf-8")
        monkeypatch.setattr(crystals, "DATA", file)
        crystals._data.cache_clear()
        with pytest.raises(DataError, match=r"crystals\.toml"):
            crystals.available()
    monkeypatch.undo()
    crystals._data.cache_clear()


# -- refusals ------------------------------------------------------------------------------------------------


CUBIC = crystals.perovskite("CsPbBr3")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: crystals.perovskite("CsSnI3"), "No structure of this phase"),
        (lambda: crystals.perovskite("CsPbCl3", "orthorhombic"), "CsPbCl3 cubic"),
        (lambda: crystals.perovskite("CsPbBr3", repeat=(1, 0, 1)), "whole numbers"),
        (lambda: crystals.perovskite("CsPbBr3", lattice_angstrom=-1.0), "lattice_angstrom"),
        (lambda: crystals.perovskite("CsPbBr3", lattice_angstrom=(5.0, 5.0, 6.0)), "not cubic"),
        (lambda: crystals.perovskite("CsPbBr3", "tetragonal", lattice_angstrom=8.0), "more than one"),
        (lambda: crystals.perovskite("CsPbBr3", "tetragonal", lattice_angstrom=(8.0, 8.1, 6.0)), "not tetragonal"),
        (lambda: crystals.perovskite("CsPbBr3", cation_axis=(1, 0, 0)), "organic"),
        (lambda: crystals.perovskite("MAPbI3", cation_axis=(0, 0, 0)), "direction"),
        (lambda: crystals.ruddlesden_popper("CsPbBr3", "Cs", 0), "n must be"),
        (lambda: crystals.ruddlesden_popper("CsPbBr3", "Na", 1), "Unknown spacer"),
        (lambda: crystals.ruddlesden_popper("CsPbBr3", "Cs", 2, layer_spacing_angstrom=11.0), "overlap"),
        (lambda: crystals.ruddlesden_popper("CsPbBr3", "Cs", 2, vacuum_angstrom=0.0), "vacuum_angstrom"),
        (lambda: defects.with_vacancy(CUBIC, 5), "No such atom"),
        (lambda: defects.with_vacancy(CUBIC, -1), "No such atom"),
        (lambda: defects.with_interstitial(CUBIC, "Qq", "window"), "Unknown element"),
        (lambda: defects.with_interstitial(CUBIC, "Ag", "hole"), "window"),
        (lambda: defects.with_interstitial(CUBIC, "Ag", "window", 99), "No such window"),
        (lambda: defects.with_interstitial(CUBIC, "Ag", (0.1, 0, 0)), "lies on an atom"),
        (lambda: defects.hops(CUBIC, "V_I"), "V_Br"),
        (lambda: defects.hops(crystals.perovskite("MAPbI3"), "V_H"), "organic"),
        (lambda: defects.vacancy_hop(CUBIC, "V_Br", 1), "No such hop"),
        (lambda: defects.vacancy_hop(CUBIC, "V_Cs"), "own image"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_what_cannot_be_built_is_refused():
    with pytest.raises(ValidityError, match="No tilt"):
        crystals.perovskite("CsPbBr3", "tetragonal", lattice_angstrom=(8.4, 8.4, 5.5))
    with pytest.raises(ValidityError, match="does not fit"):
        crystals.ruddlesden_popper("MAPbI3", "PEA", 1, layer_spacing_angstrom=10.0)


@pytest.mark.parametrize("module", ["crystals", "defects"])
def test_doctests(module):
    import doctest

    result = doctest.testmod(importlib.import_module(f"halidrift.physics.{module}"))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    "build",
    [
        lambda: crystals.perovskite("CsPbBr3", lattice_angstrom=0.587),  # nm
        lambda: crystals.ruddlesden_popper("CsPbBr3", "Cs", 1, layer_spacing_angstrom=6.0),
    ],
)
def test_overlapping_atoms_are_refused(build):
    with pytest.raises(InputError, match="overlap"):
        build()
