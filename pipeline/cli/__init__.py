"""The command line: the nouns of the package as commands, one module a noun."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from ...physics.errors import DataError, FullError, HalidriftError, InputError, OutputError, ValidityError
from ._console import failed, out, quietly, typed
from .characterise import characterise
from .check import check
from .conduction import conduction
from .crossbar import crossbar
from .db import db_app
from .design import design
from .devices import device_app, devices
from .doctor import doctor
from .explain import explain
from .export import export
from .fit import fit
from .neb import neb
from .new import new_app
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
    "new",
    "check",
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
    "doctor",
    "version",
)


_LESS = (
    "Try --workers 1, or ask for less: fewer samples, a smaller column, fewer patterns. Finished stages and replicas "
    "are kept: the same command continues from there."
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
)
app.add_typer(db_app, name="db")
app.command("conduction")(conduction)
app.command("neb")(neb)
app.command("devices")(devices)
app.add_typer(device_app, name="device")
app.add_typer(new_app, name="new")
app.command("check")(check)
app.add_typer(kmc_app, name="kmc")
app.add_typer(fem_app, name="fem")
app.command("characterise")(characterise)
app.command("fit")(fit)
app.command("export")(export)
app.command("crossbar")(crossbar)
app.add_typer(reproduce_app, name="reproduce")
app.command("explain")(explain)
app.command("design")(design)
app.command("trace")(trace)
app.command("doctor")(doctor)


@app.command("version")
def version() -> None:
    """Print the version.

    Example: halidrift version
    """
    from ... import __version__

    out().print(__version__)


def _quiet(group: typer.Typer) -> None:
    """Give every command the option --quiet."""
    for command in group.registered_commands:
        assert command.callback is not None
        command.callback = quietly(command.callback)
    for member in group.registered_groups:
        assert member.typer_instance is not None
        _quiet(member.typer_instance)


_quiet(app)


_commands = app


def _options(arguments: list[str]) -> list[str]:
    """The options of the command that these words call."""
    command: Any = typer.main.get_command(_commands)
    for word in arguments:
        members = getattr(command, "commands", {})
        if word not in members:
            break
        command = members[word]
    return [option for p in command.params for option in p.opts]


def main() -> None:
    """Run the command line.

    Exit code 0; 1 where the work failed (a solver did not converge, a worker died, the disk or the memory is full, or
    a defect of ours, which keeps its traceback); 2 for input that the user can mend; 130 for Ctrl-C.
    """
    arguments = sys.argv[1:]
    # FiPy reads the command line of whoever imports it
    sys.argv = sys.argv[:1]
    try:
        code = app(args=arguments, prog_name="halidrift", standalone_mode=False)
    except HalidriftError as error:
        # what stands in a file keeps its name there
        text = str(error) if isinstance(error, DataError) else typed(str(error), _options(arguments), arguments)
        failed().print(text, style="red", soft_wrap=True, markup=False)
        mend = isinstance(error, InputError | ValidityError | OutputError) and not isinstance(error, FullError)
        sys.exit(2 if mend else 1)
    except MemoryError as error:
        words = f"Memory ran out{f' ({error})' if str(error) else ''}. {_LESS}"
        failed().print(words, style="red", soft_wrap=True, markup=False)
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        failed().print("Interrupted.", style="yellow")
        sys.exit(130)
    except Exception as error:
        # how typer and click report a wrong option
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(getattr(error, "exit_code", 2))
    sys.exit(code if isinstance(code, int) else 0)
