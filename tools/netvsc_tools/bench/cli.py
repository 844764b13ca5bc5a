# SPDX-License-Identifier: BSD-3-Clause
"""Command line of tools/bench."""
import argparse
import importlib
import importlib.util
import json
from pathlib import Path
from typing import Any, Sequence

from .. import machine, process
from ..build import build
from ..console import complain, elapsed
from ..process import ProcessError
from .instrument import FAILED, FOLDER, WrongUsage, output

INSTRUMENTS = ("micro", "pmd", "forward", "latency", "regress")
ABOUT = """\
Measures the driver. What each instrument tells, and what it does not, is in docs/performance.md.
'tools/bench INSTRUMENT --help' lists the options of one."""
EXITS = ("exit: 0 well, 1 a measurement failed (regress: or it is slower), 2 wrong usage, 3 (regress) inconclusive: "
         "too noisy")


def instruments() -> dict[str, Any]:
    """The instruments that there are, by name: modules as instrument.py describes."""
    return {name: importlib.import_module(f"{__package__}.{name}") for name in INSTRUMENTS
            if importlib.util.find_spec(f"{__package__}.{name}")}


def parser(modules: dict[str, Any]) -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--quick", action="store_true", help="less of everything, and less exact")
    common.add_argument("--case", action="append", default=[], metavar="GLOB",
                        help="only cases with such a name, as 'rx/64*' (regress: these, too); may be repeated")
    common.add_argument("--list", action="store_true", help="list the cases and measure none")
    common.add_argument("--json", metavar="FILE", type=output, help="write all samples there, for programs")
    common.add_argument("--build", metavar="DIR", type=Path,
                        help="measure with the programs of this build (default: build-bench/, which is brought up to "
                             "date first)")
    top = argparse.ArgumentParser(prog="tools/bench", description=ABOUT, epilog=EXITS,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="instrument", metavar="INSTRUMENT", required=True)
    for name, module in modules.items():
        command = commands.add_parser(name, parents=[common], help=module.ABOUT, prog=f"tools/bench {name}",
                                      description=f"{module.ABOUT[0].upper()}{module.ABOUT[1:]}.", epilog=EXITS)
        module.add_options(command)
    return top


def main(arguments: Sequence[str]) -> int:
    modules = instruments()
    options = parser(modules).parse_args(arguments)
    process.end_on_signals()
    machine.runtime_folder()
    module = modules[options.instrument]
    try:
        if options.build:
            options.build = options.build.resolve()
        else:
            options.build = FOLDER
            build(FOLDER, ["--buildtype=release"], module.TARGETS)
        if options.list:
            print("\n".join(module.list_cases(options)))
            return 0
        outcome = module.measure(options)
    except WrongUsage as error:
        parser(modules).error(str(error))
    except ProcessError as error:
        complain(str(error))
        return FAILED
    print(f"\n{outcome.text}\n\n{elapsed():.0f} s", flush=True)
    if options.json:
        options.json.write_text(json.dumps(outcome.data) + "\n")
    return int(outcome.code)
