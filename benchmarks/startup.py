"""How long `import halidrift` and `halidrift --help` take.

python benchmarks/startup.py [--json] [--repeats 5]

CPU seconds of a fresh interpreter (user and system, the least of the repeats), so that a loaded machine tells the same
as an idle one; wall time and the total of `python -X importtime` beside them. The target of both is 1 s.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import time

TARGET_S = 1.0
COMMANDS = {
    "import halidrift": ["-c", "import halidrift"],
    "halidrift --help": ["-m", "halidrift.pipeline.cli", "--help"],
}


def spent(arguments: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a fresh interpreter."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def imported(arguments: list[str]) -> tuple[float, list[tuple[str, float]]]:
    """Total of -X importtime, s, and the modules that took most of it by themselves."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], check=True, capture_output=True, text=True
    ).stderr
    rows = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", done)
    own = sorted(((name, 1e-6 * int(us)) for us, name in rows), key=lambda row: -row[1])
    return sum(seconds for _, seconds in own), own[:5]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    found = {}
    for name, arguments in COMMANDS.items():
        times = [spent(arguments) for _ in range(asked.repeats)]
        total, most = imported(arguments)
        found[name] = {
            "cpu_s": round(min(cpu for cpu, _ in times), 3),
            "wall_s": round(min(wall for _, wall in times), 3),
            "importtime_s": round(total, 3),
            "most": {module: round(seconds, 4) for module, seconds in most},
            "met": min(cpu for cpu, _ in times) < TARGET_S,
        }
    if asked.json:
        print(json.dumps({"target_s": TARGET_S, "python": sys.version.split()[0], **found}, indent=2))
        return
    for name, row in found.items():
        verdict = "met" if row["met"] else "MISSED"
        print(
            f"{name}: {row['cpu_s']:.3f} s of CPU, {row['wall_s']:.3f} s of wall time, "
            f"-X importtime {row['importtime_s']:.3f} s; target {TARGET_S:g} s of CPU: {verdict}"
        )
        print("  most: " + ", ".join(f"{module} {1e3 * s:.0f} ms" for module, s in row["most"].items()))


if __name__ == "__main__":
    main()
