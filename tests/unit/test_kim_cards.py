"""The six cards of Kim et al. 2019."""

from __future__ import annotations

import itertools

import pytest

from halidrift.compact import plasticity
from halidrift.fem import IonFilm
from halidrift.physics import synapse
from halidrift.physics.device import Device

NAMES = tuple(f"kim2019-n{n}" for n in ("1", "2", "3", "4", "5", "inf"))
TABLE_2_EV = (0.160, 0.144, 0.138, 0.102, 0.095, 0.090)


@pytest.fixture(scope="module")
def cards() -> list[Device]:
    return [Device.load(name) for name in NAMES]


def test_the_barriers_are_those_of_table_2(cards):
    """K-EA-ORD."""
    assert [card.value("hop_barrier_eV") for card in cards] == list(TABLE_2_EV)
    assert all(card["hop_barrier_eV"].kind == "published" for card in cards)
    assert [card["hop_barrier_eV"].barrier for card in cards] == [f"{name}-v_br" for name in NAMES]


def test_the_stack_is_ito_bccp_film_al(cards):
    """K-STACK-01; the card lists it bottom to top, and the pulse goes to Al."""
    for card in cards:
        assert [layer.role for layer in card.layers] == [
            "counter_electrode",
            "transport_layer",
            "film",
            "active_electrode",
        ]
        assert card.active_electrode.material == "Al"
        assert card.layer("counter_electrode").material == "ITO"


def test_the_electrode_is_the_published_square(cards):
    """K-EN-AREA: 250 um x 250 um."""
    for card in cards:
        assert card.area_m2 == pytest.approx((250e-6) ** 2, rel=1e-12)
        assert card.area.kind == "published"


def test_a_number_that_the_main_text_lacks_is_not_called_published(cards):
    for card in cards:
        assert {layer.thickness.kind for layer in card.layers} == {"assumed"}
        published = {name for name, p in card.parameters.items() if p.kind == "published"}
        assert published == {"hop_barrier_eV", "conduction_barrier_eV"}


def test_the_films_differ_by_the_barrier_the_conductivity_and_the_ions_that_they_hold(cards):
    for first, second in itertools.pairwise(cards):
        different = {
            name for name in first.parameters if first.value(name) != pytest.approx(second.value(name), rel=1e-12)
        }
        assert different == {
            "hop_barrier_eV",
            "conduction_barrier_eV",
            "electronic_conductivity_S_m",
            "trap_capture_ratio",
            "trap_exponent",
        }


def test_two_numbers_a_film_were_fitted_to_two(cards):
    """b and m of Table 2: a calibration, and the cards say so."""
    for n, card in zip(("1", "2", "3", "4", "5", "inf"), cards, strict=True):
        fitted = {name for name, p in card.parameters.items() if "b and m of the film" in p.fitted_to}
        assert fitted == {"trap_capture_ratio", "trap_exponent"}
        assert all(f"K-T2-n{n}" in card[name].fitted_to for name in fitted)


def test_the_conductivity_rises_with_n_as_the_barrier_falls(cards):
    """K-COND-ORD; the cards state the relation ln R = ln R0 + E_A / kT with one R0."""
    values = [card.value("electronic_conductivity_S_m") for card in cards]
    assert values == sorted(values)
    films = [IonFilm(card) for card in cards]
    diffusivities = [film.diffusivity_m2_s for film in films]
    for value, D in zip(values, diffusivities, strict=True):
        assert value / values[0] == pytest.approx(D / diffusivities[0], rel=0.01)


def test_n1_gives_the_current_that_it_is_calibrated_to(cards):
    """K-EN-18: 0.9 pA read at -0.01 V after a -1 V, 20 ms pulse. A fit, not a prediction: within 1 %."""
    response = plasticity.responses(IonFilm(cards[0]).simulate(synapse.single(rest_s=10e-3)))[0]
    assert response * 0.01 == pytest.approx(0.9e-12, rel=0.01)
