"""The crossbar: exact arrays, badcrossbar, Kirchhoff's laws, power, passivity, reciprocity, the review's sizes."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halidrift.pipeline.crossbar import (
    SCHEMES,
    Crossbar,
    Diode,
    InSeries,
    Law,
    Measured,
    Ohmic,
    Rectifying,
    Sinh,
    conventions,
    lumped_margin,
    maximum_size,
    network_margin,
    network_maximum_size,
    read_margin,
    rectification_factors,
    sneak_resistance_ohm,
)
from halidrift.pipeline.crossbar.margin import margin_root, pull_up_ohm

EXACT = 1e-10


# -- exact arrays --------------------------------------------------------------------------------------------------


def test_two_by_two_floating_is_one_cell_beside_three_in_series():
    G = np.array([[1e-3, 2e-4], [5e-5, 3e-3]])
    reading = Crossbar(G).read((0, 0), 0.7, tolerance=1e-14)
    sneak = 0.7 / (1 / G[0, 1] + 1 / G[1, 1] + 1 / G[1, 0])
    assert reading.cell_current_A == pytest.approx(0.7 * G[0, 0], rel=EXACT)
    assert reading.sneak_current_A == pytest.approx(sneak, rel=EXACT)


def test_two_by_two_with_every_resistance_of_the_wires():
    """All four terminals driven: eight nodes solved by numpy from a hand-written conductance matrix."""
    G, rw, rb, rd, rs = np.array([[1e-3, 2e-4], [5e-5, 3e-3]]), 7.0, 3.0, np.array([11.0, 5.0]), np.array([2.0, 13.0])
    A, y = np.zeros((8, 8)), np.zeros(8)
    w, b = (lambda i, j: 2 * i + j), (lambda i, j: 4 + 2 * i + j)

    def join(m, n, g):
        A[m, m] += g
        A[n, n] += g
        A[m, n] -= g
        A[n, m] -= g

    word_V, bit_V = np.array([0.4, -0.1]), np.array([0.05, 0.2])
    for i in range(2):
        join(w(i, 0), w(i, 1), 1 / rw)
        join(b(0, i), b(1, i), 1 / rb)
        for j in range(2):
            join(w(i, j), b(i, j), G[i, j])
        for node, g, V in ((w(i, 0), 1 / (rw + rd[i]), word_V[i]), (b(1, i), 1 / (rb + rs[i]), bit_V[i])):
            A[node, node] += g
            y[node] += g * V
    x = np.linalg.solve(A, y)
    found = Crossbar(G, rw, rb, rd, rs).solve(word_V, bit_V, tolerance=1e-14)
    np.testing.assert_allclose(found["word_voltage"].values.ravel(), x[:4], rtol=EXACT)
    np.testing.assert_allclose(found["bit_voltage"].values.ravel(), x[4:], rtol=EXACT)
    np.testing.assert_allclose(found["bit_current"], (x[6:] - bit_V) / (rb + rs), rtol=EXACT)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("N", [1, 2, 17, 400])
def test_one_line_is_a_ladder(N, across):
    r"""One word of equal cells: V_j = V cosh((N + 1/2 - j) mu) / cosh((N + 1/2) mu), 2 cosh mu = 2 + g r."""
    g, r, V = 1e-4, 2.5, 0.3
    mu = 2.0 * math.asinh(0.5 * math.sqrt(g * r))
    node = V * np.cosh((N + 0.5 - np.arange(1, N + 1)) * mu) / math.cosh((N + 0.5) * mu)
    if not across:
        found = Crossbar(np.full((1, N), g), word_segment_ohm=r).solve(V, tolerance=1e-11)
        np.testing.assert_allclose(found["bit_current"], g * node, rtol=EXACT)
    else:  # the same ladder as a bit line that its sense amplifier drives
        found = Crossbar(np.full((N, 1), g), bit_segment_ohm=r).solve(np.zeros(N), V, tolerance=1e-11)
        np.testing.assert_allclose(-found["word_current"].values[::-1], g * node, rtol=EXACT)


def test_ideal_lines_multiply_exactly():
    rng = np.random.default_rng(0)
    G, V = rng.uniform(1e-6, 1e-3, (7, 5)), rng.uniform(-1, 1, (9, 7))
    np.testing.assert_allclose(Crossbar(G).multiply(V), V @ G, rtol=1e-13)
    lines = Crossbar(G, 2.0, 3.0)
    one_by_one = np.array([lines.multiply(row, tolerance=1e-14) for row in V])
    np.testing.assert_allclose(lines.multiply(V, tolerance=1e-14), one_by_one, rtol=0, atol=1e-12 * abs(V @ G).max())


def test_a_diode_behind_a_resistor_is_what_its_law_says():
    cell = Diode([[1e-3]], 1e-12, 1.3, 300.0, 1e-9)
    found = Crossbar(cell, driver_ohm=500.0, sense_ohm=200.0).solve(0.9, tolerance=1e-13)
    current = float(found["bit_current"][0])
    V = 0.9 - 700.0 * current
    through = current - 1e-9 * V
    thermal = 1.3 * 8.617333262e-5 * 300.0
    assert through / 1e-3 + thermal * math.log1p(through / 1e-12) == pytest.approx(V, rel=1e-9)


# -- badcrossbar ---------------------------------------------------------------------------------------------------

REFERENCE = json.loads((Path(__file__).parent / "data" / "badcrossbar.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: case["name"])
def test_agrees_with_badcrossbar(case):
    """Every current and voltage to 1e-6 of the largest."""
    rng = np.random.default_rng(case["seed"])
    R = 10.0 ** rng.uniform(*case["decades"], (case["words"], case["bits"]))
    V = rng.uniform(-1.0, 1.0, case["words"])
    assert R[0, 0] == pytest.approx(case["first_resistance_ohm"], rel=1e-12)
    found = Crossbar(1.0 / R, case["word_segment_ohm"], case["bit_segment_ohm"]).solve(V)
    names = {
        "output_A": "bit_current",
        "word_voltage_V": "word_voltage",
        "bit_voltage_V": "bit_voltage",
        "device_A": "cell_current",
    }
    for theirs, ours in names.items():
        if theirs in case:
            expected = np.array(case[theirs])
            np.testing.assert_allclose(found[ours], expected, rtol=0, atol=1e-6 * np.abs(expected).max(), err_msg=ours)


# -- laws of circuits ----------------------------------------------------------------------------------------------


def kirchhoff(array, found):
    """Largest sum of the currents at a node, from the voltages alone; lines with resistance."""
    w, b = found["word_voltage"].values, found["bit_voltage"].values
    current = array.cells.current_A(w - b)
    rw, rb = array.word_segment_ohm, array.bit_segment_ohm
    source = np.nan_to_num((found["word_source"].values - w[:, 0]) / (array.driver_ohm + rw))
    sink = np.nan_to_num((b[-1] - found["bit_source"].values) / (array.sense_ohm + rb))
    along = np.concatenate([source[:, None], -np.diff(w, axis=1) / rw, np.zeros((w.shape[0], 1))], axis=1)
    down = np.concatenate([np.zeros((1, w.shape[1])), -np.diff(b, axis=0) / rb, sink[None]])
    return max(np.abs(np.diff(along, axis=1) + current).max(), np.abs(np.diff(down, axis=0) - current).max())


LAWS = {
    "ohmic": Ohmic,
    "sinh": lambda G: Sinh(G, 0.1),
    "rectifying": lambda G: Rectifying(G, 514.0),
    "diode": lambda G: Diode(G, 1e-9, 1.5, 300.0, 1e-12),
    "1S1R": lambda G: InSeries(Sinh(np.full(G.shape, 1e-7), 0.06), Ohmic(G)),
    "cubic": lambda G: Law(lambda V: G * (V + V**3), *G.shape),
    "measured": lambda G: Measured([-2, -1, 0, 0.5, 1, 2], [-1e-3, -1e-4, 0, 0.3, 1, 3], G),
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("law", LAWS)
def test_currents_balance_at_every_node_and_power_is_dissipated(law, scheme):
    """Kirchhoff to 1e-10 of the terminal currents; power of the sources = heat of cells and lines to 1e-8."""
    G = 10.0 ** np.random.default_rng(1).uniform(-7, -4, (11, 14))
    array = Crossbar(LAWS[law](G), 3.0, 1.5, 50.0, 20.0)
    reading = array.read((2, 9), 0.8, scheme, tolerance=1e-11)
    terminals = np.abs(reading.fields["word_current"]).sum() + np.abs(reading.fields["bit_current"]).sum()
    assert kirchhoff(array, reading.fields) < 1e-10 * float(terminals)
    heat = reading.fields.attrs["cell_power_W"] + reading.fields.attrs["line_power_W"]
    assert reading.power_W == pytest.approx(heat, rel=1e-8)
    assert reading.energy_J(1e-6) == pytest.approx(1e-6 * reading.power_W)


@pytest.mark.parametrize("law", LAWS)
def test_slopes_are_derivatives(law):
    cells = LAWS[law](np.array([[1e-4, 1e-6], [3e-5, 1e-5]]))
    for V in (-0.9, -0.31, 0.22, 0.77):
        volts = np.full((2, 2), V)
        h = 1e-6
        numerical = (cells.evaluate(volts + h)[0] - cells.evaluate(volts - h)[0]) / (2 * h)
        np.testing.assert_allclose(cells.evaluate(volts)[1], numerical, rtol=2e-5, atol=1e-13)


@pytest.mark.parametrize("law", ["sinh", "diode", "rectifying"])
def test_a_coarse_solution_errs_by_less_than_it_says(law):
    """Sum of the errors of all terminal currents, against a fine solution, is below error_A: 30 arrays."""
    rng = np.random.default_rng(5)
    for _ in range(10):
        array = Crossbar(LAWS[law](10.0 ** rng.uniform(-6, -3, (6, 8))), 20.0, 20.0)
        V = rng.uniform(-1, 1, 6), np.where(rng.random(8) < 0.3, np.nan, rng.uniform(-1, 1, 8))
        coarse, fine = array.solve(*V, tolerance=0.05), array.solve(*V, tolerance=1e-12)
        error = sum(float(np.abs(coarse[name] - fine[name]).sum()) for name in ("word_current", "bit_current"))
        assert error <= 1.000001 * (coarse.attrs["error_A"] + fine.attrs["error_A"])
    assert error > 0  # the last one was not exact by accident


resistances = st.sampled_from([0.0, 0.1, 5.0, 300.0])


@st.composite
def arrays(draw):
    M, N, seed = draw(st.integers(1, 6)), draw(st.integers(1, 6)), draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    G = 10.0 ** rng.uniform(-9, -2, (M, N))
    law = draw(st.sampled_from(["ohmic", "sinh", "rectifying", "diode"]))
    array = Crossbar(LAWS[law](G), draw(resistances), draw(resistances), draw(resistances), draw(resistances))
    V = rng.uniform(-1, 1, M + N)
    V[1:][rng.random(M + N - 1) < draw(st.sampled_from([0.0, 0.4]))] = np.nan
    return array, V[:M], V[M:], law, rng


@settings(max_examples=60, deadline=None)
@given(arrays())
def test_an_array_is_passive(drawn):
    """It takes power, and no node is above the highest source or below the lowest."""
    array, word, bit, _, _ = drawn
    found = array.solve(word, bit)
    sources = np.concatenate([word, bit])
    low, high = np.nanmin(sources) - 1e-9, np.nanmax(sources) + 1e-9
    for name in ("word_voltage", "bit_voltage"):
        assert low <= float(found[name].min())
        assert float(found[name].max()) <= high
    assert found.attrs["power_W"] >= -2.0 * found.attrs["error_A"] - 1e-20
    total = float(found["word_current"].sum() - found["bit_current"].sum())
    terminals = float(np.abs(found["word_current"]).sum() + np.abs(found["bit_current"]).sum())
    assert abs(total) <= 1.01 * found.attrs["error_A"] + 1e-14 * terminals  # what goes in comes out


@settings(max_examples=40, deadline=None)
@given(arrays())
def test_an_ohmic_array_is_reciprocal_and_linear(drawn):
    """A volt at terminal a drives as much current out of b as a volt at b drives out of a; solutions add up."""
    array, _, _, law, rng = drawn
    if law != "ohmic":
        array = Crossbar(array.cells.conductance_S, array.word_segment_ohm, array.bit_segment_ohm, array.driver_ohm)
    M, N = array.shape
    i, j = int(rng.integers(M)), int(rng.integers(N))
    one = array.solve(np.eye(M)[i], np.zeros(N), tolerance=1e-11)
    two = array.solve(np.zeros(M), np.eye(N)[j], tolerance=1e-11)
    slack = one.attrs["error_A"] + two.attrs["error_A"] + 1e-14
    assert abs(float(one["bit_current"][j]) + float(two["word_current"][i])) <= slack
    full = array.solve(np.eye(M)[i] * 0.3, np.eye(N)[j] * -0.7, tolerance=1e-11)
    for name in ("word_current", "bit_current"):
        np.testing.assert_allclose(full[name], 0.3 * one[name] - 0.7 * two[name], rtol=0, atol=4 * slack + 1e-12)


def test_512_by_512_takes_seconds():
    """Both below 10 s of wall clock on a loaded machine (0.5 and 1.2 s alone), worst scheme and strong drop."""
    G = np.where(np.random.default_rng(0).random((512, 512)) < 0.5, 1e-4, 1e-7)
    for cells in (Ohmic(G), Sinh(G, 0.1)):
        array = Crossbar(cells, 2.5, 2.5)
        begin = time.perf_counter()
        reading = array.read((0, 511), 1.0, "floating")
        assert time.perf_counter() - begin < 10.0
        assert kirchhoff(array, reading.fields) < 1e-10 * abs(reading.current_A)


# -- the review's read margin --------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_off", [10.0, 1e3, 1e6])
@pytest.mark.parametrize("N", [2, 3, 5, 24])
def test_equations_1_and_2_are_the_floating_network(N, on_off):
    for pull in (100.0, 1e3, 3e4):
        formula = float(read_margin(1e3, 1e3 * on_off, N, pull_up_ohm=pull))
        for network in (network_margin, lumped_margin):
            found = network(1e3, 1e3 * on_off, N, pull_up_ohm=pull, tolerance=1e-12)
            assert found == pytest.approx(formula, rel=1e-8)


@pytest.mark.parametrize("pull_up", ["low", "high", "geometric", "best", 250.0])
def test_the_root_is_where_the_margin_is(pull_up):
    for factors in ((1.0, 1.0, 1.0), (1.0, 514.0, 1.0), (514.0, 514.0, 514.0)):
        root = float(margin_root(1e3, 2e4, pull_up=pull_up, factors=factors, margin=0.05))
        pull = pull_up_ohm(1e3, 2e4, root, pull_up, factors=factors) if isinstance(pull_up, str) else pull_up
        assert float(read_margin(1e3, 2e4, root, pull_up_ohm=pull, factors=factors)) == pytest.approx(0.05, rel=1e-9)


@pytest.mark.parametrize("N", [2, 5, 33])
def test_rectifying_cells_stop_the_middle_term_only(N):
    """The network of cells that rectify by 514 is eq. (1) with the factor on its middle term, not on all three."""
    formula = float(read_margin(1e3, 1e6, N, pull_up_ohm=1e3, factors=rectification_factors(514.0, "middle")))
    found = network_margin(1e3, 1e6, N, pull_up_ohm=1e3, law=lambda G: Rectifying(G, 514.0), tolerance=1e-12)
    assert found == pytest.approx(formula, rel=1e-7)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("law", ["ohmic", "sinh", "rectifying"])
def test_the_lumped_array_is_the_array(law, scheme):
    options = {"pull_up_ohm": 700.0, "scheme": scheme, "law": LAWS[law], "voltage_V": 0.5, "tolerance": 1e-11}
    whole = network_margin(1e3, 1e5, 13, **options)
    assert lumped_margin(1e3, 1e5, 13, **options) == pytest.approx(whole, rel=1e-6)


def test_kangs_two_by_two_reads_508_ohm():
    """Y-ARR-1D1R: three cells of 169.3 ohm in series hide a cell of 207 Mohm."""
    G = np.full((2, 2), 1 / 169.3)
    G[0, 0] = 1 / 207e6
    assert 0.5 / Crossbar(G).read((0, 0), 0.5).current_A == pytest.approx(508.0, rel=2e-3)
    assert float(sneak_resistance_ohm(169.3, 2)) == pytest.approx(508.0, rel=2e-3)


def test_the_review_s_array_of_5():
    """Y-ARR-5: eq. (2) with R_pull-up = R_LRS gives 4; 5 needs the best pull-up resistor, or rounding up."""
    assert float(read_margin(1e3, 1e6, 5, pull_up_ohm=1e3)) == pytest.approx(0.0952, abs=1e-4)
    assert float(margin_root(1e3, 1e6)) == pytest.approx(4.84, abs=0.01)
    assert maximum_size(1e3, 1e6) == 4
    assert maximum_size(1e3, 1e6, pull_up="best") == 5
    assert maximum_size(1e3, 1e6, count="nearest") == 5
    for pull in ("high", "geometric"):
        assert maximum_size(1e3, 1e6, pull_up=pull, count="ceil") < 5
    assert network_maximum_size(1e3, 1e6, pull_up_ohm=1e3) == 4


def test_the_review_s_array_of_1747():
    """Y-ARR-1747: 514 on all terms, R_pull-up = R_LRS; 1748 at an on/off of 1000, 1747 if N counts unselected lines."""
    every = rectification_factors(514.0, "all")
    assert maximum_size(1e3, 1e6, factors=every) == 1748
    assert maximum_size(1e3, 1e6, factors=every, count="unselected") == 1747
    assert maximum_size(1e3, 7e5, factors=every) == 1747  # an on/off of 700, against "greater than 1000"
    assert maximum_size(1e3, 1e6, factors=every, pull_up="best") == 2080
    assert maximum_size(1e3, 1e6, factors=rectification_factors(514.0, "middle")) == 32
    assert network_maximum_size(1e3, 1e6, pull_up_ohm=1e3, law=lambda G: Rectifying(G, 514.0)) == 32


def test_at_half_bias_the_pull_up_resistor_decides():
    """The paper's V/2: 4 with R_pull-up = R_LRS, 514 or so at twice that, 1747 at 9.94 times; docs/crossbar.md."""
    sizes = {}
    for times in (1.0, 2.0, 9.94, 100.0):
        options = {"scheme": "half", "law": lambda G: Rectifying(G, 514.0)}
        sizes[times] = network_maximum_size(1e3, 1e6, pull_up_ohm=1e3 * times, **options)
    assert sizes == {1.0: 4, 2.0: 521, 9.94: 1747, 100.0: 2026}
    # by hand, the other state clamped to V/2: 0.4 V = 0.1 V (N - 1) / 514 + 0.6 V R_LRS / R_pull-up
    for times, N in sizes.items():
        if times > 2.0:
            assert 1.0 + 5140.0 * (0.4 - 0.6 / times) == pytest.approx(N, abs=2.0)


def test_conventions_that_give_the_printed_sizes():
    """The ranges of on/off that do; no convention without rounding gives both from on/off ratios above 1000."""
    five = {(c.pull_up, c.count): c for c in conventions(5, on_off=(10.0, 1e4))}
    assert {key for key, c in five.items() if c.on_off_high > 9e3} == {
        ("low", "nearest"),
        ("low", "ceil"),
        ("best", "floor"),
        ("best", "nearest"),
    }
    many = {
        (c.pull_up, c.terms, c.count): c
        for c in conventions(1747, 514.0, on_off=(300.0, 3e3), pull_ups=("low", "best"))
    }
    assert {key[:2] for key in many} == {("low", "all"), ("low", "outer")}
    assert many["low", "all", "floor"].on_off_low == pytest.approx(593.8, rel=1e-3)
    assert many["low", "all", "floor"].on_off_high == pytest.approx(813.2, rel=1e-3)
    # rounding up ends, and rounding down begins, where the root is 1747 itself
    assert many["low", "all", "ceil"].on_off_high == pytest.approx(many["low", "all", "floor"].on_off_low, rel=1e-3)
    assert many["low", "all", "unselected"].on_off_high == pytest.approx(1289.8, rel=1e-3)
    assert many["low", "all", "unselected"].on_off_low < 1000 < many["low", "all", "unselected"].on_off_high


def test_selectivity_that_a_1s1r_array_of_1_2_million_needs():
    """Y-ARR-1S1R (derived in targets.yaml): 3.53e5 on all terms with R_pull-up = R_LRS."""
    assert margin_root(1e3, 1e6, factors=rectification_factors(353e3, "all")) == pytest.approx(1.2e6, rel=0.005)


def test_margin_falls_with_size_and_with_line_resistance():
    """Y-ARR-RM and Y-ARR-IR, trends."""
    margins = [
        network_margin(1e4, 1e6, N, pull_up_ohm=1e4, word_segment_ohm=2.5, bit_segment_ohm=2.5) for N in (2, 4, 8, 16)
    ]
    assert margins == sorted(margins, reverse=True)
    far, near = (
        network_margin(1e4, 1e6, 16, pull_up_ohm=1e4, scheme="grounded", word_segment_ohm=r, bit_segment_ohm=r)
        for r in (50.0, 1.0)
    )
    assert far < near
