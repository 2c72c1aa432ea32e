"""What Kim et al. 2019 report, number by number, film by film.

Tolerances, fixed before any run: an "about" is met within a factor of two; m of Table 2 within 10 %, b within 25 %
(b = t0^m, so an error of 10 % in m moves b by as much); "almost linearly" is R2 >= 0.95 of the straight line and an
accuracy is met within 2 %, both as for John et al.; "gradually" is that no spike makes more than four times its even
share of the range; "linear in area" is an exponent within 0.1 % of 1; E_A is met within 5 meV.
"""

from __future__ import annotations

from typing import Any

from ..targets import Target, table
from ..targets import quantity as row

__all__ = ["AREAS_UM2", "FILMS", "NUMBERS", "ORDER", "TABLE_2", "TARGETS", "TRENDS", "quantity"]

FILMS = ("1", "2", "3", "4", "5", "inf")
"""The films by n; "inf" is MAPbBr3."""

TABLE_2 = {
    "1": (0.002795, 1.372, 0.160),
    "2": (0.01096, 1.205, 0.144),
    "3": (0.09594, 0.4092, 0.138),
    "4": (0.1142, 0.4953, 0.102),
    "5": (0.1145, 0.5039, 0.095),
    "inf": (0.03129, 0.9517, 0.090),
}
"""b, m and E_A (eV) of each film."""

AREAS_UM2 = (6.25e4, 2.5e5, 5.625e5)
"""Areas of Fig. 6a."""

NUMBERS = (1, 2, 5, 10, 20, 30, 40, 50)
"""Numbers of spikes that are read off one train; Fig. 3f."""

ORDER = "3 < 4 < 5 < inf < 2 < 1"
"""Films by m, smallest first."""

TRENDS = {
    "pair": ("K-PPF-02", "paired-pulse index A2/A1 against the interval, 20 to 180 ms", "falls", "p. 4, Fig. 3b"),
    "frequency": ("K-SFDP-01", "index A5/A1 against the frequency, 2.8 to 25 Hz", "rises", "p. 4, Fig. 3c"),
    "amplitudes": ("K-SVDP-01", "index An/A1 against the amplitude, -0.1 to -1.8 V", "rises", "p. 4, Fig. 3d"),
    "durations": ("K-SDDP-01", "index An/A1 against the duration, 20 to 200 ms", "rises", "p. 4, Fig. 3e"),
    "numbers": ("K-SNDP-01", "index An/A1 against the number of spikes, 1 to 50", "rises", "p. 4, Fig. 3f"),
}
"""Protocol -> id, name, trend and place of each plasticity index."""


def _by_film() -> list[Target]:
    rows = [
        Target(key, f"n = {n}: {name}", "", trend, where) for key, name, trend, where in TRENDS.values() for n in FILMS
    ]
    for n, (b, m, barrier) in TABLE_2.items():
        key = f"K-T2-n{n}"
        rows += [
            Target(key, f"n = {n}: m", "1", f"{m:g}", "Table 2", 0.9 * m, 1.1 * m),
            Target(key, f"n = {n}: b", "1", f"{b:g}", "Table 2", 0.75 * b, 1.25 * b),
            Target(
                key, f"n = {n}: E_A, ions at rest", "eV", f"{barrier:.3f}", "Table 2", barrier - 0.005, barrier + 0.005
            ),
            Target(
                key, f"n = {n}: E_A while read", "eV", f"{barrier:.3f}", "Table 2", barrier - 0.005, barrier + 0.005
            ),
            Target("K-RET-EQ", f"n = {n}: decay law, by AIC", "", "power law", "p. 4, Fig. 4"),
            Target("K-STP-01", f"n = {n}: weight left after 1 s against the number of spikes", "", "rises", "p. 4"),
            Target(
                "K-STACK-03",
                f"n = {n}: share of the weight left after 1000 s",
                "1",
                "no second state",
                "p. 2",
                high=0.05,
            ),
        ]
    return rows


def _digits() -> list[Target]:
    """The paper calls its accuracies training results: of which images is left open. Those held back are compared."""
    rows = [
        Target(
            "K-DIG-01",
            f"handwritten digits, {size}{end}",
            "%",
            f"{percent}",
            "p. 6",
            percent - 2.0,
            percent + 2.0,
            handle=f"accuracy_{size.replace(' ', '')}{end and '_late'}",
        )
        for size, percent in (("8 x 8", 91.26), ("28 x 28", 84.24))
        for end in ("", ", read late")
    ]
    own = [
        ("floating-point perceptron, 8 x 8", "%", "the ceiling"),
        ("20 even steps, 8 x 8", "%", "an ideal synapse"),
    ]
    for end in ("", ", read late"):
        own += [
            (f"films by accuracy, 8 x 8{end}", "", "not printed; the paper trains n = 3 alone"),
            (f"spikes of the most used synapse, 8 x 8{end}", "1", "not printed"),
            (f"energy of a training, 8 x 8{end}", "J", "not printed"),
            (f"error of the curve for spikes of any order{end}", "1", "0 if the conductance were the whole state"),
        ]
    return rows + [Target("X-DIG", name, unit, text, "pipeline.digits", source="") for name, unit, text in own]


TARGETS: dict[str, Target] = table(
    Target("K-STACK-01", "stack", "", "ITO/BCCP/OHP/Al", "p. 2, Fig. 1"),
    Target("K-STACK-02", "films, n", "", "1, 2, 3, 4, 5, inf", "p. 2"),
    Target("K-PULSE-01", "amplitude of a spike", "V", "-1", "Fig. 3 caption", -1.0, -1.0),
    Target("K-PULSE-01", "width of a spike", "s", "20e-3", "Fig. 3 caption", 20e-3, 20e-3),
    Target("K-PULSE-01", "read voltage, plasticity", "V", "-0.01", "Fig. 3 caption", -0.01, -0.01),
    Target("K-PPF-01", "intervals", "", "20 to 180 ms", "Fig. 3b caption"),
    Target("K-PLAST-01", "trends of the five indices that go the paper's way", "1", "all", "p. 4", low=1.0, high=1.0),
    Target("K-RET-PROT", "spikes before the watch", "1", "30", "Fig. 4 caption, p. 4", 30, 30),
    Target("K-RET-PROT", "read voltage, retention", "V", "-0.1", "Fig. 4 caption", -0.1, -0.1),
    Target("K-RET-PROT", "watched for", "s", "15", "Fig. 4, time axis", 15, 15),
    *_by_film(),
    Target("K-RET-ORD", "films by m", "", ORDER, "Table 2"),
    Target("K-RET-N12", "b of n = 3 over b of n = 2", "1", "9", "Table 2", 4.5, 18.0),
    Target("K-RET-N12", "b of n = 5 over b of n = 1", "1", "41", "Table 2", 20.5, 82.0),
    Target(
        "K-RET-N12",
        "rise after 30 spikes, smallest of n = 3 to 5 over largest of n = 1, 2",
        "1",
        "> 1, very small amount of ions for n = 1, 2",
        "p. 4",
        low=1.0,
    ),
    Target("K-EA-EQ", "R2 of ln R against 1/kT, worst film", "1", "a straight line", "p. 6, Fig. 5b", low=0.99),
    Target("K-EA-ORD", "films by E_A", "", "1 > 2 > 3 > 4 > 5 > inf", "p. 6, Table 2"),
    Target("K-EA-LIT", "films whose E_A lies in 0.09-0.16 eV, the lowest published range", "1", "6", "Table 1", 6, 6),
    Target("K-EA-LIT", "species of Table 1 with the lowest barrier", "", "V_Br", "Table 1"),
    Target("K-COND-ORD", "films by conductivity at rest", "", "1 < 2 < 3 < 4 < 5 < inf", "p. 3"),
    Target("K-COND-ORD", "films by postsynaptic current after one spike", "", "1 < 2 < 3 < 4 < 5 < inf", "pp. 3, 6"),
    Target("K-EN-EQ", "energy of an event", "", "E = P I t", "p. 6"),
    Target("K-EN-18", "n = 1: energy of an event, -1 V", "J", "~ 18e-15", "p. 6", 9e-15, 36e-15),
    Target("K-EN-07", "n = 1: energy of an event, -0.02 V", "J", "~ 0.7e-15", "p. 6", 0.35e-15, 1.4e-15),
    Target("K-EN-AREA", "exponent of the energy in the area, film furthest from 1", "1", "1", "Fig. 6a", 0.999, 1.001),
    Target("K-EN-AREA", "areas", "", "62500, 250000, 562500 um2", "Fig. 6a"),
    Target(
        "K-EN-BIO",
        "n = 1: energy of an event, -0.02 V, against a biological synapse",
        "J",
        "not above 10e-15",
        "p. 6",
        high=10e-15,
    ),
    Target("K-LTP-01", "n = 3: potentiation, R2 of the straight line", "1", "almost linear", "p. 6", low=0.95),
    Target("K-LTP-01", "n = 3: depression, R2 of the straight line", "1", "almost linear", "p. 6", low=0.95),
    Target("K-LTP-01", "n = 3: nonlinearity of potentiation", "1", "not printed; 0 is a straight line", "p. 6"),
    Target("K-LTP-01", "n = 3: nonlinearity of depression", "1", "not printed; 0 is a straight line", "p. 6"),
    Target(
        "K-LTP-01",
        "n = 3: largest step of one spike, share of the range",
        "1",
        "gradual; 1/20 if even",
        "p. 6",
        high=0.2,
    ),
    Target("K-LTP-01", "n = 3: asymmetry", "1", "not printed; 0 is symmetric", "p. 6"),
    Target(
        "K-LTP-01",
        "n = 3: largest step of one spike, share of the range, read late",
        "1",
        "gradual; 1/20 if even",
        "p. 6",
        high=0.2,
    ),
    *_digits(),
    Target("K-OPT-01", "absorption peaks, n = 1 and inf", "nm", "401 and 525", "p. 2"),
    Target("K-OPT-02", "absorption peaks, n = 2 to 5", "nm", "401, 432, 450", "p. 2"),
    Target(
        "X-IV",
        "n = 1: energy that the source delivers in one -1 V, 20 ms spike",
        "J",
        "the integral of I V",
        "physics",
        source="",
    ),
    Target(
        "X-ION",
        "n = 1: current of the returning ions over that of the electrons, 1 ms after a spike",
        "1",
        "not printed",
        "physics",
        source="",
    ),
    source="Kim2019",
)


def quantity(key: str, value: float | str | None, **details: Any) -> dict[str, Any]:
    """One line of the results; `key` is ``"id/name"`` of :data:`TARGETS`, the rest as for `targets.quantity`.

    Parameters
    ----------
    key : str
    value : float, str or None
        In the unit of the target; None if it could not be computed.
    **details : object
        Keyword arguments of :func:`halidrift.pipeline.targets.quantity`, of which ``device`` is needed.

    Returns
    -------
    dict
    """
    return row(TARGETS[key], value, **details)
