"""What John et al. 2022 report, number by number."""

from __future__ import annotations

from typing import Any

from ..targets import Target, table
from ..targets import quantity as row

__all__ = ["TARGETS", "quantity"]

# What the paper only bounds ("sub-1 V") is a bound here; what it prints with "~" is met within a factor of two.
TARGETS: dict[str, Target] = table(
    Target("J-DIFF-02", "set voltage, volatile", "V", "< 1", "Results, Diffusive mode", high=1.0),
    Target(
        "J-DIFF-02",
        "on/off, volatile: I(2 V) / I(0.1 V)",
        "1",
        "~ 1e3",
        "Results, Diffusive mode; definition in Methods, Note",
        low=500.0,
        high=2000.0,
    ),
    Target(
        "J-DIFF-04",
        "rise of the conductance under reverse bias",
        "1",
        "no switching",
        "Results, Diffusive mode",
        high=10.0,
    ),
    Target("J-DIFF-08", "relaxation time after 1 V, 20 ms", "s", ">= 5e-3", "Results, RC reservoir elements", low=5e-3),
    Target(
        "J-DIFF-09", "memory horizon", "s", "< 23e-3", "Results, RC reservoir elements; echo-state test", high=23e-3
    ),
    Target(
        "J-DIFF-09",
        "set time of a pulse 100 ms after another, over that of the first",
        "1",
        "inputs older than 23e-3 s forgotten: 1",
        "Results, RC reservoir elements; echo-state test",
        low=0.8,
        high=1.25,
    ),
    Target("J-DIFF-10", "short-term memory", "s", "5e-3 to 20e-3", "Results, Classification", low=5e-3, high=20e-3),
    Target(
        "J-DIFF-11",
        "conductance after a pulse against its amplitude: rank correlation",
        "1",
        "monotone",
        "Results, RC reservoir elements",
        low=0.9,
    ),
    Target(
        "J-DIFF-12",
        "bursting: accumulation, peak of a group's last spike over its first",
        "1",
        "accumulates, > 1",
        "Results, Classification",
        low=1.0 + 1e-3,
    ),
    Target(
        "J-DIFF-12",
        "tonic: accumulation, peak of the last spike over the first",
        "1",
        "none, = 1",
        "Results, Classification",
        low=0.9,
        high=1.1,
    ),
    Target("J-DRIFT-02", "on/off, non-volatile, at 0.1 V", "1", ">= 1e3", "Results, Drift mode", low=1e3),
    Target("J-DRIFT-03", "set voltage, non-volatile", "V", "< 1", "Results, Drift mode", high=1.0),
    Target(
        "J-DRIFT-03",
        "retention: share of the conductance left",
        "1",
        "kept for 1e5 s; here within 20 %",
        "Results, Drift mode",
        low=0.8,
        high=1.25,
    ),
    Target(
        "J-DRIFT-05",
        "on/off after the erase of 0 to -7 V",
        "1",
        ">= 1e3 (J-DRIFT-02), read at 0.1 V",
        "Methods, Note",
        low=1e3,
    ),
    Target(
        "J-DRIFT-06",
        "filament atoms at 1 mA over those at 1 uA",
        "1",
        "thicker, > 1",
        "Results, Drift mode",
        low=1.0 + 1e-3,
    ),
    Target(
        "J-DRIFT-07",
        "Au electrode: rise of the conductance",
        "1",
        "no switching",
        "Results, Drift mode; control with Au",
        high=10.0,
    ),
    Target(
        "J-ICC-01",
        "Icc to G: exponent (1 is proportional)",
        "1",
        "linear",
        "Results, Drift readout",
        low=0.9,
        high=1.1,
    ),
    Target("J-ICC-01", "Icc to G: R2 of the straight line", "1", "linear", "Results, Drift readout", low=0.95),
    Target("J-ICC-02", "spread of a programmed conductance at 1 mA", "S", "linear in Icc; not printed", "Methods"),
    Target("J-NN-05", "largest programmable conductance", "S", "3.5e-3", "Methods", low=3.5e-3),
    Target(
        *("J-NN-07", "Icc readout: training accuracy", "%", "86.75", "Fig. 4e caption"),
        low=84.75,
        high=88.75,
        handle="accuracy_icc_training",
    ),
    Target(
        *("J-NN-07", "Icc readout: test accuracy", "%", "85.14", "Fig. 4e caption"),
        low=83.14,
        high=87.14,
        handle="accuracy_icc",
    ),
    Target(
        "J-NN-08",
        "floating-point readout: test accuracy",
        "%",
        "91.8",
        "Results, Classification",
        low=89.8,
        high=93.8,
        handle="accuracy_float",
    ),
    Target("J-NN-09", "worst class", "", "Irregular", "Fig. 4d caption"),
    Target(
        "J-NN-10",
        "Icc readout: training minus test accuracy",
        "%",
        "1.61, not overfitting",
        "Results, Classification",
        low=-3.0,
        high=3.0,
    ),
    Target("J-STACK-01", "thickness of the CsPbBr3 film", "m", "20e-9", "Fig. 2 caption", low=19.9e-9, high=20.1e-9),
    Target("J-RC-01", "virtual nodes", "1", "30", "Fig. 4a caption", low=30, high=30),
    Target("J-RC-02", "patterns of each class", "1", "4975", "Methods, Dataset", low=4975, high=4975),
    Target(
        "J-RC-04",
        "width of a spike",
        "s",
        "20e-3 (Fig. 4b); Methods print 25e-3",
        "Fig. 4b caption",
        low=20e-3,
        high=25e-3,
    ),
    Target("X-HOP", "migration barrier of Ag+", "eV", "no value in the paper", "database"),
    Target(
        "X-DISS",
        "relaxation time with 0.05 eV more dissolution barrier, over that without",
        "1",
        "exp(0.05 eV / kT) = 6.9 if one event decides",
        "Arrhenius' law",
        low=2.0,
        source="",
    ),
    Target(
        "X-WRITES",
        "writes of the most used readout cell in training",
        "1",
        "<= 5655, the endurance",
        "Results, Drift mode",
        high=5655,
    ),
    Target(
        "X-SILENT",
        "floating-point readout: test accuracy without any noise",
        "%",
        "> 99: the task, read literally, is easy",
        "DESIGN: simulated Methods",
        low=99.0,
        source="",
    ),
    Target(
        "X-MEMORY",
        "floating-point readout: test accuracy of a device that forgets within 10 us",
        "%",
        "that of the presence of a spike at each node",
        "same trains, no memory",
        source="",
    ),
    Target(
        "X-CHANCE",
        "floating-point readout on shuffled labels: deviation from 25 %, in standard errors of one test set",
        "1",
        "0, within 4",
        "chance",
        low=-4.0,
        high=4.0,
        source="",
    ),
    Target(
        "X-CHANCE",
        "Icc readout on shuffled labels: deviation from 25 %, in standard errors of one test set",
        "1",
        "0, within 4",
        "chance",
        low=-4.0,
        high=4.0,
        source="",
    ),
    Target(
        "X-CONV",
        "conventions that give the floating-point accuracy within 2 points",
        "",
        "those that the text does not state",
        "table of conventions",
        source="",
    ),
    Target(
        "X-CONV",
        "conventions that give the Icc accuracy within 2 points",
        "",
        "those that the text does not state",
        "table of conventions",
        source="",
    ),
    Target(
        "X-NOISE",
        "additive read noise that 91.8 % would take, over the deviation of the states",
        "1",
        "none stated",
        "inverted, not used",
        source="",
    ),
    Target(
        "X-SPREAD",
        "spread of a write over its target that 85.14 % would take then",
        "1",
        "none stated",
        "inverted, not used",
        source="",
    ),
    source="John2022",
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
