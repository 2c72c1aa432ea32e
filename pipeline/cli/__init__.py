"""The command line: the nouns of the package as commands, one module a noun."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from ...physics.errors import HalidriftError
from ._console import out, told
from .characterise import characterise
from .conduction import conduction
from .db import db_app
from .design import design
from .devices import device_app, devices
from .explain import explain
from .fit import fit
from .neb import neb
from .reproduce import reproduce_app
from .simulate import fem_app, kmc_app
from .trace import trace

__all__ = ["app", "main"]

# the chain, from a barrier to a network
_ORDER = (
    "db",
    "neb",
    "conduction",
    "devices",
    "device",
    "kmc",
    "fem",
    "characterise",
    "fit",
    "export",
    "crossbar",
    "reproduce",
    "explain",
    "design",
    "trace",
    "version",
)


class _InOrder(TyperGroup):
    """Commands in the order of the chain, not of their registration."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=lambda name: (*_ORDER, name).index(name))


app = typer.Typer(
    cls=_InOrder,
    name="halidrift",
    help="Halide-perovskite memristors, from migration barriers to classified spike trains.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(db_app, name="db")
app.command("conduction")(conduction)
app.command("neb")(neb)
app.command("devices")(devices)
app.add_typer(device_app, name="device")
app.add_typer(kmc_app, name="kmc")
app.add_typer(fem_app, name="fem")
app.command("characterise")(characterise)
app.command("fit")(fit)
app.add_typer(reproduce_app, name="reproduce")
app.command("explain")(explain)
app.command("design")(design)
app.command("trace")(trace)


@app.command("version")
def version() -> None:
    """Print the version."""
    from ... import __version__

    out().print(__version__)


def main() -> None:
    """Run the command line: exit code 2 for what the user can mend, 130 for Ctrl-C; a defect keeps its traceback."""
    arguments = sys.argv[1:]
    # FiPy reads the command line of whoever imports it
    sys.argv = sys.argv[:1]
    try:
        code = app(args=arguments, prog_name="halidrift", standalone_mode=False)
    except HalidriftError as error:
        told().print(str(error), style="red", soft_wrap=True, markup=False)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        told().print("Interrupted.", style="yellow")
        sys.exit(130)
    except Exception as error:
        # how typer and click report a wrong option
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(getattr(error, "exit_code", 2))
    sys.exit(code if isinstance(code, int) else 0)
