# SPDX-License-Identifier: BSD-3-Clause
"""Measurements. See tools/bench."""
