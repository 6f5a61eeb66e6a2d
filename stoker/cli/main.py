"""The command `stoker`: all commands put together, and the entry point."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from stoker.cli import (
    backtest,
    catalogue,
    control,
    convert,
    demo,
    doctor,
    emulate,
    estimate,
    explain,
    fit,
    horizon,
    load,
    pareto,
    place,
    predict,
    profile,
    replica,
    schema,
    serve,
    simulate,
    solve,
    sweep,
    trace,
    validate,
    version,
)
from stoker.cli.exits import ExitCode
from stoker.cli.group import StokerGroup
from stoker.cli.output import abandon_stdout, show_errors

_HELP = """Plan LLM inference fleets: accelerators, replicas and batch limits that keep latency
targets at least cost."""

_EPILOG = """**Exit codes**

* 0: done
* 2: bad input
* 3: infeasible, a server is not served in full, or a replica fits on no node
* 4: the time limit passed before any plan was found
* 5: the measurements tell the parameters of no model
* 6: a profile that was checked cannot be true
"""

app = typer.Typer(
    cls=StokerGroup,
    help=_HELP,
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


@app.callback()
def options(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and end.",
            callback=version.version_flag,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Take the options that stand before the command."""


app.command(epilog=solve.EPILOG)(solve.solve)
app.command(epilog=explain.EPILOG)(explain.explain)
app.command(epilog=explain.DIFF_EPILOG)(explain.diff)
app.command(epilog=place.EPILOG)(place.place)
app.command(epilog=sweep.EPILOG)(sweep.sweep)
app.command(epilog=pareto.EPILOG)(pareto.pareto)
app.add_typer(replica.app, name="replica")
app.command(epilog=simulate.EPILOG)(simulate.simulate)
app.command(epilog=trace.EPILOG)(trace.trace)
app.command(epilog=backtest.EPILOG)(backtest.backtest)
app.command(epilog=horizon.EPILOG)(horizon.horizon)
app.command(epilog=validate.EPILOG)(validate.validate)
app.command(epilog=convert.EPILOG)(convert.convert)
app.command(epilog=schema.EPILOG)(schema.schema)
app.command(epilog=catalogue.EPILOG)(catalogue.catalogue)
app.command(epilog=estimate.EPILOG)(estimate.estimate)
app.command(epilog=fit.EPILOG)(fit.fit)
app.command(epilog=predict.EPILOG)(predict.predict)
app.add_typer(profile.app, name="profile")
app.command(epilog=serve.EPILOG)(serve.serve)
app.add_typer(control.app, name="control")
app.command(epilog=doctor.EPILOG)(doctor.doctor)
app.command(epilog=emulate.EPILOG)(emulate.emulate)
app.command(epilog=load.EPILOG)(load.load)
app.command(epilog=demo.EPILOG)(demo.demo)
app.command(epilog=version.EPILOG)(version.version)


def main() -> None:
    """Run the command line; a reader that closed the pipe ends it quietly."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without × shows ? in its place
    try:
        app(prog_name="stoker")
    finally:
        _flush_stdout()


def _flush_stdout() -> None:
    """Write what help and messages have left in the buffer."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        abandon_stdout()
    except OSError as error:
        abandon_stdout()
        show_errors([f"standard output: {error.strerror}"])
        sys.exit(ExitCode.BAD_INPUT)


if __name__ == "__main__":
    main()
