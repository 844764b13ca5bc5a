# SPDX-License-Identifier: BSD-3-Clause
"""Takes the place of bench/pmd, and measures what the plugin's file says, an object with

  cycles, instructions  of each frame, by case; the key "" is for all others
  scatter               relative, of processes; half of it also of samples
  error, unsupported    reasons, by case
  dies                  at this case

There are many of these processes: without Python's json, whose import is half of their work.
"""
import os
import sys

GROUPS = {"copy": [f"{way}/{what}" for way in ("rx", "tx", "io") for what in ("64", "1518", "64/burst1")],
          "external": ["rx/64/external", "tx/64/external"]}
FRAMES = 256


class Chance:
    """Numbers that look random, the same in every run: each process of a folder has others."""

    def __init__(self, folder):
        counter = os.path.join(folder, "processes")
        with open(counter, "ab") as file:
            file.write(b".")
            self.state = file.tell() * 7919 + 1
        for _ in range(5):
            self.between()

    def between(self):
        """From -1 to 1."""
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) / 2**30 - 1

    def normal(self):
        return sum(self.between() for _ in range(12)) / 2


def main():
    options = {"--group": "copy", "--samples": "1", "--steps": "1", "--plugin": "", "--handicap": "0"}
    cases, flags, words = [], set(), sys.argv[1:]
    while words:
        word = words.pop(0)
        if word in ("--help", "--list", "--paced"):
            flags.add(word)
        elif word == "--case":
            cases.append(words.pop(0))
        else:
            options[word] = words.pop(0)
    if "--help" in flags:
        print("  --group NAME  which cases: copy (default),\n                external\n  --list        names them")
        return 0
    if "--list" in flags:
        print("\n".join(GROUPS[options["--group"]]))
        return 0
    plan = {"cycles": {"": 100}, "instructions": {"": 200}}
    if options["--plugin"]:
        with open(options["--plugin"]) as file:
            plan = eval(file.read())
    chance = Chance(os.path.dirname(os.path.abspath(__file__)))
    print("pmd: driver fake", file=sys.stderr)
    frames = int(options["--samples"]) * int(options["--steps"]) * FRAMES
    code = 0
    for number, case in enumerate(case for case in GROUPS[options["--group"]] if case in cases):
        print(f"pmd: {case}", file=sys.stderr, flush=True)
        if plan.get("dies") == case:
            os.abort()
        line = {"case": case}
        for reason in ("error", "unsupported"):
            if case in plan.get(reason, {}):
                line[reason] = plan[reason][case]
                code |= reason == "error"
        if len(line) == 1:
            mean = (plan["cycles"].get(case) or plan["cycles"][""]) + int(options["--handicap"]) / 4
            scatter = plan.get("scatter", 0.003)
            mean *= 1 + scatter * chance.normal()
            line.update(cycles=[], floor=[], frames=frames, frames_per_packet=8.0)
            for _ in range(int(options["--samples"])):
                if "--paced" in flags:
                    print("pmd: ready", file=sys.stderr, flush=True)
                    sys.stdin.readline()
                line["cycles"].append(round(mean * (1 + scatter / 2 * chance.normal()), 2))
                line["floor"].append(20.0)
            if os.environ.get("CALLGRIND_OUT"):
                count = (plan["instructions"].get(case) or plan["instructions"][""]) + int(options["--handicap"])
                with open(f"{os.environ['CALLGRIND_OUT']}.{number}", "w") as file:
                    file.write(f"desc: Trigger: Client Request: {case}\nevents: Ir\ntotals: {count * frames}\n")
        print(str(line).replace("'", '"'), flush=True)
    return code


sys.exit(main())
