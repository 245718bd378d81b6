"""The `firsttoken` command. Floor 6 (commands); what a subcommand needs is loaded when it is called."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from firsttoken._version import __version__
from firsttoken.cli import demo, doctor, view
from firsttoken.errors import ConfigError, FirstTokenError

FAILED: Final = 1
REFUSED: Final = 2
INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code.

    arguments: those of the process if not given.
    """
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        # Now, not at the interpreter's end, so that what cannot be written is told like other failures.
        sys.stdout.flush()
        return code
    except FirstTokenError as error:
        sys.stderr.write(f"firsttoken {options.command}: {error}\n")
        return REFUSED if isinstance(error, ConfigError) else FAILED
    except KeyboardInterrupt:
        sys.stderr.write(f"firsttoken {options.command}: stopped\n")
        return INTERRUPTED
    except OSError as error:
        # Whoever closed the pipe has seen enough.
        if not isinstance(error, BrokenPipeError):
            sys.stderr.write(f"firsttoken {options.command}: {error}\n")
        # What could not be written is still in the buffer; the interpreter must not complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="firsttoken", description="Observability for LLM token streams: see why a stream was slow."
    )
    parser.add_argument("--version", action="version", version=f"firsttoken {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    command = commands.add_parser("demo", help="see the main job: five clients, five stories, one table")
    demo.add_arguments(command)
    command.set_defaults(run=demo.main)

    command = commands.add_parser("view", help="take traces over OTLP, and show their streams on a page")
    view.add_arguments(command)
    command.set_defaults(run=view.main)

    command = commands.add_parser("doctor", help="print what is installed, what is set, and what answers")
    command.set_defaults(run=doctor.main)

    command = commands.add_parser("replay", help="send the traces that were spooled while nobody took them")
    command.add_argument("directory", type=Path, help="the spool (FIRSTTOKEN_SPOOL_DIR)")
    command.add_argument("--endpoint", metavar="URL", help="of the collector, path included")
    command.set_defaults(run=_replay)
    return parser


def _replay(options: argparse.Namespace) -> int:
    from firsttoken.cli.replay import replay

    return replay(options.directory, options.endpoint)


if __name__ == "__main__":
    sys.exit(main())
