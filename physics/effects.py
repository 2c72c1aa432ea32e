"""`EFFECTS`: what each parameter of a device card does to the result, in one line.

One place for it: a new card, ``halidrift check`` and docs/cards.md take their words from here. Bounds and meanings
stand in :data:`halidrift.physics.parameters.PARAMETERS`, under the same names.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["EFFECTS", "UNREAD"]

EFFECTS: Mapping[str, str] = {
    # ions and electrochemistry
    "hop_barrier_eV": "higher: ions hop more slowly, e-fold for each kT (26 meV at 300 K); SET and synaptic times grow",
    "attempt_frequency_Hz": "higher: every activated step is faster in proportion, all times shrink together",
    "lattice_constant_m": (
        "larger: longer hops, on which a field acts more and which diffuse faster; fewer sites across the film"
    ),
    "charge_transfer_barrier_eV": (
        "higher: the electrode gives its ions later; the set voltage rises once this step is the slowest"
    ),
    "dissolution_barrier_eV": (
        "higher: an ion in the film costs more, so the set voltage rises and a pulse builds less; raised together "
        "with reduction_barrier_eV the filament is kept longer"
    ),
    "reduction_barrier_eV": (
        "higher: an ion in the film costs less, so the set voltage falls and a pulse builds more, which is kept "
        "longer; each atom plates later"
    ),
    "bond_energy_eV": (
        "higher: atoms with many neighbours stay, so that a thick filament is kept and a chain of single atoms is "
        "not; a chain forms at higher voltage"
    ),
    "matrix_penalty_eV": "higher: metal inside the film is less stable: higher set voltage, faster forgetting",
    "anode_share": "larger: more of the voltage drives ions out of the active electrode, the set voltage falls",
    "cathode_share": (
        "larger: more of the voltage drives ions onto the filament, less is left for hops in the film; the set "
        "voltage hardly moves"
    ),
    "reverse_anode_share": "larger: more of a RESET voltage plates metal back onto the active electrode",
    "reverse_cathode_share": "larger: more of a RESET voltage dissolves the filament, at smaller voltage",
    # simulated column
    "column_width_m": (
        "wider: more film beside the filament and a slower run; too narrow, and the walls touch the filament"
    ),
    "channel_radius_m": "wider: room for a thicker filament, which conducts better where the compliance allows it",
    "channel_energy_eV": "higher: ions keep more strictly to the easy path",
    "nucleus_radius_m": "larger: the filament may start on a wider spot and has a broader foot",
    "mean_field_anode_share": "as anode_share, in the continuum",
    "mean_field_cathode_share": "as cathode_share, in the continuum",
    "mean_field_channel_radius_m": "as channel_radius_m, in the continuum; narrow, the first contact seals the path",
    "mean_field_channel_energy_eV": "as channel_energy_eV, in the continuum",
    # halide vacancies
    "vacancy_hop_barrier_eV": "higher: vacancies hop e-fold more slowly for each kT; SET and RESET take longer",
    "vacancy_pair_energy_eV": (
        "negative: vacancies cluster and the path is kept; positive: they spread and it is forgotten"
    ),
    "halide_transfer_barrier_eV": (
        "higher: the electrode takes up and gives back halide later, SET needs more time or voltage"
    ),
    "vacancy_formation_energy_eV": "higher: fewer vacancies are made at a voltage, those made return sooner",
    # electrical and thermal
    "tunnel_barrier_eV": "higher: a gap conducts less, so that the step at the last atom is larger",
    "tunnel_gap_m": "wider: a gap conducts less, so that the step at the last atom is larger",
    "contact_conductance_S": (
        "larger: a closed chain of single atoms conducts better; at small compliance the limit decides more"
    ),
    "metal_link_S": "larger: a thick filament conducts better: ON state at large compliance",
    "leakage_S": "larger: the OFF state conducts better in proportion, the on/off ratio falls",
    "series_resistance_ohm": (
        "larger: no ON state conducts better than 1/R, and it takes voltage from the film at high current"
    ),
    "thermal_resistance_K_W": "larger: current heats more, which speeds every step; RESET and melting at smaller power",
    # ion film
    "ion_density_1_m3": (
        "higher: shorter screening length and, with the inverse square root, shorter relaxation; in VacancyKMC "
        "more vacancies at the start"
    ),
    "site_density_1_m3": (
        "lower: ions crowd at the contacts and the response saturates earlier; far above ion_density_1_m3 it "
        "hardly acts"
    ),
    "relative_permittivity": "higher: screening length and relaxation time grow with the square root",
    "mobility_prefactor": (
        "larger: ions diffuse faster in proportion: less of the weight adds up from spike to spike, all is "
        "forgotten sooner"
    ),
    "injection_barrier_eV": "none yet",
    "electronic_conductivity_S_m": "larger: every current in proportion, the weights not at all",
    "ideality_factor": "larger: the same shift of ions changes the current less, weaker potentiation",
    "conduction_barrier_eV": "higher: the current rises more steeply with temperature; nothing at 300 K",
    "trap_slowest_rate_Hz": (
        "lower: held ions reach longer times, up to its inverse; at the same trap_capture_ratio less is written "
        "within seconds"
    ),
    "trap_fastest_rate_Hz": "higher: held ions already follow shorter times, down to the inverse of this rate",
    "trap_capture_ratio": "larger: more ions are held, more of the weight is forgotten slowly; 0: none is held",
    "trap_exponent": "sets how forgetting is spread over slow and fast times: the power m of (t/s)^-m",
    "trap_density_1_m3": "lower: the places fill, further spikes write less of the slow part",
    "transport_permittivity": "higher: the transport layer takes less of the voltage",
    "transport_hole_density_1_m3": "higher: the transport layer is depleted less and takes less of the voltage",
    # filament continuum
    "metal_conductivity_S_m": "larger: the filament conducts better and is heated less by the same current",
    "metal_density_1_m3": "none yet",
    "temperature_coefficient_1_K": "larger: a hot filament resists more",
    "thermal_conductivity_W_mK": "larger: the filament stays cooler, thermal RESET needs more power",
    "heat_capacity_J_m3K": "none yet",
    "contact_heat_transfer_W_m2K": "none yet",
}

UNREAD = frozenset(name for name, effect in EFFECTS.items() if effect == "none yet")
"""Parameters that a card may hold and no model reads yet."""
