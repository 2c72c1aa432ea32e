"""`Parameter`: one number of a card with its kind and source; which parameters there are, their units and bounds."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AREA", "PARAMETERS", "THICKNESS", "UNITS", "Parameter", "bounds", "canonical_unit", "unit_text"]

# unit -> (dimension, factor to the canonical unit of that dimension)
UNITS: dict[str, tuple[str, float]] = {
    "1": ("1", 1.0),
    "m": ("m", 1.0),
    "um": ("m", 1e-6),
    "nm": ("m", 1e-9),
    "angstrom": ("m", 1e-10),
    "m2": ("m2", 1.0),
    "um2": ("m2", 1e-12),
    "eV": ("eV", 1.0),
    "meV": ("eV", 1e-3),
    "V": ("V", 1.0),
    "mV": ("V", 1e-3),
    "A": ("A", 1.0),
    "S": ("S", 1.0),
    "mS": ("S", 1e-3),
    "uS": ("S", 1e-6),
    "nS": ("S", 1e-9),
    "ohm": ("ohm", 1.0),
    "kohm": ("ohm", 1e3),
    "S/m": ("S_m", 1.0),
    "Hz": ("Hz", 1.0),
    "THz": ("Hz", 1e12),
    "s": ("s", 1.0),
    "ms": ("s", 1e-3),
    "K": ("K", 1.0),
    "K/W": ("K_W", 1.0),
    "1/K": ("1_K", 1.0),
    "W/(m K)": ("W_mK", 1.0),
    "J/(m3 K)": ("J_m3K", 1.0),
    "W/(m2 K)": ("W_m2K", 1.0),
    "1/m3": ("1_m3", 1.0),
    "1/cm3": ("1_m3", 1e6),
    "m2/s": ("m2_s", 1.0),
}

# name -> (lowest, highest, meaning); the suffix after the last underscore group is the canonical unit
PARAMETERS: dict[str, tuple[float, float, str]] = {
    # ions and electrochemistry, shared by kmc and fem
    "hop_barrier_eV": (0.01, 5.0, "migration barrier of the mobile ion"),
    "attempt_frequency_Hz": (1e9, 1e14, "attempt frequency of every activated step"),
    "lattice_constant_m": (2e-10, 2e-9, "distance of neighbouring interstitial sites, the hop length"),
    "charge_transfer_barrier_eV": (
        0.0,
        3.0,
        "barrier of electrode oxidation at zero overpotential, above the ion",
    ),
    "dissolution_barrier_eV": (
        0.05,
        3.0,
        "from an Ag atom at a kink of the filament to an ion in the matrix",
    ),
    "reduction_barrier_eV": (0.05, 3.0, "from an ion in the matrix to an Ag atom at a kink of the filament"),
    "bond_energy_eV": (0.0, 1.0, "energy of one Ag-Ag bond on the lattice"),
    "matrix_penalty_eV": (-0.5, 1.0, "energy of an Ag atom in the matrix above one in the electrode"),
    "anode_share": (
        0.0,
        1.0,
        "share of the device voltage that falls across the active electrode's interface",
    ),
    "cathode_share": (0.0, 1.0, "share of the device voltage that falls across the reducing interface"),
    "reverse_anode_share": (0.0, 1.0, "share across the active electrode's interface while it is negative"),
    "reverse_cathode_share": (0.0, 1.0, "share across the filament's interface while the active electrode is negative"),
    # geometry of the simulated column
    "column_width_m": (2e-9, 1e-7, "edge of the simulated column of film"),
    "channel_radius_m": (0.0, 1e-7, "radius of the easy path between nanocrystals"),
    "channel_energy_eV": (0.0, 1.0, "extra energy of an ion outside the easy path"),
    "nucleus_radius_m": (0.0, 1e-7, "radius of the spot of the counter electrode on which Ag nucleates"),
    "mean_field_anode_share": (0.0, 1.0, "anode_share as the continuum needs it"),
    "mean_field_cathode_share": (0.0, 1.0, "cathode_share as the continuum needs it"),
    "mean_field_channel_radius_m": (0.0, 1e-7, "radius of the easy path as the continuum needs it"),
    "mean_field_channel_energy_eV": (0.0, 1.0, "extra energy of an ion outside it"),
    # halide vacancies
    "vacancy_hop_barrier_eV": (0.01, 5.0, "hop of a halide vacancy"),
    "vacancy_pair_energy_eV": (-0.5, 1.0, "energy of two vacancies on neighbouring sites; negative binds"),
    "halide_transfer_barrier_eV": (0.0, 3.0, "intrinsic barrier of a halide between film and active electrode"),
    "vacancy_formation_energy_eV": (-1.0, 5.0, "vacancy of a halide-poor film, its halide in the lead halide"),
    # electrical and thermal
    "tunnel_barrier_eV": (0.05, 10.0, "height of the barrier in the gap"),
    "tunnel_gap_m": (0.0, 2e-9, "width of the gap that one missing atom leaves"),
    "contact_conductance_S": (1e-9, 1.0, "conductance of an atomic contact of the filament"),
    "metal_link_S": (1e-6, 1.0, "conductance between fully coordinated Ag sites"),
    "leakage_S": (1e-15, 1e-3, "conductance of the device without a filament"),
    "series_resistance_ohm": (0.0, 1e7, "resistance in series with the film: transport layers, ITO, leads"),
    "thermal_resistance_K_W": (0.0, 1e9, "temperature rise of the filament for each watt"),
    # ion film (interfacial synapses)
    "ion_density_1_m3": (1e18, 1e28, "mean density of mobile halide vacancies"),
    "site_density_1_m3": (1e24, 1e29, "largest density of mobile halide vacancies"),
    "relative_permittivity": (1.0, 1e3, "static relative permittivity of the film"),
    "mobility_prefactor": (1e-12, 1.0, "ratio of the real to the bare Arrhenius prefactor of diffusion"),
    "injection_barrier_eV": (0.0, 3.0, "electronic injection barrier at the contact"),
    "electronic_conductivity_S_m": (1e-15, 1e6, "conductivity of the film with its ions at rest"),
    "ideality_factor": (0.5, 100.0, "kT/q multiples of ion-induced potential that change the current e-fold"),
    "conduction_barrier_eV": (
        0.0,
        2.0,
        "Arrhenius energy of the electronic conductivity, which the card gives at 300 K",
    ),
    # ions that stop and go on (ion film)
    "trap_slowest_rate_Hz": (1e-8, 1e8, "slowest release rate of the ions held at spacers and grain boundaries"),
    "trap_fastest_rate_Hz": (1e-8, 1e8, "fastest release rate"),
    "trap_capture_ratio": (0.0, 1e6, "held over mobile ions at rest"),
    "trap_exponent": (-10.0, 10.0, "power of the release rate that the capture rate goes with"),
    "trap_density_1_m3": (1e18, 1e29, "places that hold ions; without it there is always room"),
    "transport_permittivity": (1.0, 1e3, "static relative permittivity of the transport layer"),
    "transport_hole_density_1_m3": (1e20, 1e29, "holes of the transport layer; given, it takes part in the field"),
    # filament continuum
    "metal_conductivity_S_m": (1.0, 1e8, "conductivity of the filament metal"),
    "metal_density_1_m3": (1e24, 1e30, "density of Ag at which the filament is metallic"),
    "temperature_coefficient_1_K": (0.0, 0.1, "relative rise of the metal's resistivity with temperature"),
    "thermal_conductivity_W_mK": (1e-3, 1e4, "of the film"),
    "heat_capacity_J_m3K": (1e4, 1e8, "of the film"),
    "contact_heat_transfer_W_m2K": (0.0, 1e12, "from the film into its contacts"),
}

THICKNESS = (1e-10, 1e-3)  # m
AREA = (1e-18, 1e-2)  # m^2


@dataclass(frozen=True)
class Parameter:
    """One number of a device with its kind: published, calibrated or assumed; never a mixture.

    Attributes
    ----------
    name : str
        Ends in the canonical unit.
    value : float
        In the canonical unit.
    unit : str
        Canonical unit as text.
    kind : {"published", "calibrated", "assumed"}
    source, locator : str
        Bib key and place, for a published number.
    fitted_to : str
        The device-level observable that a calibrated number was fitted to.
    reason : str
        Why an assumed number was chosen.
    range : tuple of float or None
        Plausible range in the canonical unit, for an assumed number.
    barrier : str
        Id of the database row that the number is.
    note : str
    spread : Parameter or None
        One standard deviation from device to device, in the same unit, with a kind of its own.
    """

    name: str
    value: float
    unit: str
    kind: str
    source: str = ""
    locator: str = ""
    fitted_to: str = ""
    reason: str = ""
    range: tuple[float, float] | None = None
    barrier: str = ""
    note: str = ""
    spread: Parameter | None = None

    @property
    def origin(self) -> str:
        """One line that says where the number comes from."""
        if self.kind == "published":
            return f"{self.source}, {self.locator}"
        return f"fitted to {self.fitted_to}" if self.kind == "calibrated" else self.reason

    def __str__(self) -> str:
        return f"{self.name} = {self.value:g} {self.unit} ({self.kind}: {self.origin})"


def canonical_unit(name: str) -> str:
    """Canonical unit in the name of a parameter: the longest known dimension that ends it.

    Parameters
    ----------
    name : str
        Such as ``"hop_barrier_eV"``.
    """
    dimensions = sorted({d for d, _ in UNITS.values()} - {"1"}, key=len, reverse=True)
    return next((d for d in dimensions if name.endswith("_" + d)), "1")


def unit_text(dimension: str) -> str:
    """How a canonical unit is written on a card.

    Parameters
    ----------
    dimension : str
        As :func:`canonical_unit` gives it.
    """
    return next(u for u, (d, f) in UNITS.items() if d == dimension and f == 1.0)


def bounds(name: str) -> tuple[float, float]:
    """Physical bounds of a number, by the name that `Device.numbers` gives it.

    Parameters
    ----------
    name : str

    Returns
    -------
    tuple of two float
        Lowest and highest, in the canonical unit.
    """
    if name in PARAMETERS:
        return PARAMETERS[name][:2]
    return AREA if name == "area_m2" else THICKNESS
