"""Solutions of badcrossbar that `tests/verification/test_crossbar.py` compares with; needs badcrossbar and numpy alone.

python benchmarks/crossbar_reference.py tests/verification/data/badcrossbar.json

badcrossbar is no dependency of the tests because it draws with pycairo, which has no wheel for Linux and wants cairo's
headers to build. Its solver does not: ``pip install --no-deps badcrossbar sigfig pathvalidate sortedcontainers`` and
numpy, scipy in an environment of its own are enough.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import sys
from pathlib import Path

import badcrossbar  # warns that it cannot draw without cairo: nothing is drawn here
import numpy as np
import scipy

logging.disable(logging.INFO)

# name, words, bits, ohm of a word segment, of a bit segment, decades of the device resistances, seed, what is stored
CASES = (
    ("square", 6, 6, 2.5, 2.5, (3.0, 3.0), 0, "all"),
    ("tall", 9, 4, 1.0, 1.0, (2.0, 6.0), 1, "all"),
    ("wide, unequal lines", 3, 8, 10.0, 0.3, (2.0, 5.0), 2, "all"),
    ("ideal words", 5, 5, 0.0, 5.0, (2.0, 4.0), 3, "all"),
    ("ideal bits", 5, 5, 5.0, 0.0, (2.0, 4.0), 4, "all"),
    ("one word", 1, 7, 20.0, 20.0, (2.0, 3.0), 5, "all"),
    ("one bit", 7, 1, 20.0, 20.0, (2.0, 3.0), 6, "all"),
    ("strong drop", 8, 8, 100.0, 100.0, (2.0, 3.0), 7, "all"),
    ("64 x 48", 64, 48, 2.5, 2.5, (3.0, 6.0), 8, "output"),
)


def case(words: int, bits: int, decades: tuple[float, float], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Device resistances, ohm, and the voltages of the words, V; the tests draw the same."""
    rng = np.random.default_rng(seed)
    return 10.0 ** rng.uniform(*decades, (words, bits)), rng.uniform(-1.0, 1.0, words)


def main() -> None:
    """Solve every case and write the file that the argument names."""
    solved = []
    for name, words, bits, word_ohm, bit_ohm, decades, seed, stored in CASES:
        R, V = case(words, bits, decades, seed)
        found = badcrossbar.compute(V[:, None], R, r_i_word_line=word_ohm, r_i_bit_line=bit_ohm)
        record = {
            "name": name,
            "words": words,
            "bits": bits,
            "word_segment_ohm": word_ohm,
            "bit_segment_ohm": bit_ohm,
            "decades": decades,
            "seed": seed,
            "first_resistance_ohm": float(R[0, 0]),
            "output_A": np.ravel(found.currents.output).tolist(),
        }
        if stored == "all":
            record["word_voltage_V"] = np.reshape(found.voltages.word_line, (words, bits)).tolist()
            record["bit_voltage_V"] = np.reshape(found.voltages.bit_line, (words, bits)).tolist()
            record["device_A"] = np.reshape(found.currents.device, (words, bits)).tolist()
        solved.append(record)
    versions = {"badcrossbar": importlib.metadata.version("badcrossbar")}
    versions |= {"numpy": np.__version__, "scipy": scipy.__version__}
    text = json.dumps({"made_by": "benchmarks/crossbar_reference.py", "versions": versions, "cases": solved}, indent=1)
    Path(sys.argv[1]).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
