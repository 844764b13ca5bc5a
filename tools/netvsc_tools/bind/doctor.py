# SPDX-License-Identifier: BSD-3-Clause
"""Checks of what the driver needs: the form of an answer, and how it is shown."""
import json
from dataclasses import asdict, dataclass
from typing import Sequence

from .nic import Nic

OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass
class Check:
    """state: ok, warning (some things do not work) or error (nothing does). fix: a command, or what to do"""
    subject: str
    state: str
    text: str
    fix: str = ""


def check_nics(nics: Sequence[Nic], user_driver: str) -> Check:
    """Whether some NIC is user space's; if not, which one may be."""
    bound = [nic for nic in nics if nic.driver == user_driver]
    if bound:
        return Check("NICs", OK, f"{len(bound)} of {len(nics)} bound to {user_driver}: {', '.join(map(str, bound))}")
    if not nics:
        return Check("NICs", ERROR, "no VMBus NIC", "attach a network adapter to the virtual machine")
    spare = next((nic for nic in nics if not nic.uses()), None)
    if spare is None:
        return Check("NICs", WARNING, "none is bound, and each carries a default route or an ssh session",
                     "attach another network adapter to the virtual machine, or use its console and 'netvsc-bind bind --force'")
    return Check("NICs", WARNING, f"none of {len(nics)} is bound to {user_driver}",
                 f"netvsc-bind bind {spare.interface or spare.guid}")


def show(checks: Sequence[Check], as_json: bool) -> int:
    """Prints the checks. @return the exit code"""
    if as_json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        width = max(len(check.subject) for check in checks)
        for check in checks:
            print(f"{check.state:7}  {check.subject:{width}}  {check.text}")
            if check.fix:
                print(f"{'':7}  {'':{width}}    fix: {check.fix}")
    return 1 if any(check.state == ERROR for check in checks) else 0
