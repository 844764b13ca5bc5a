# SPDX-License-Identifier: BSD-3-Clause
"""python3 -m netvsc_tools.bench"""
import sys

from .cli import main

sys.exit(main(sys.argv[1:]))
