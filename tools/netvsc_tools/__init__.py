# SPDX-License-Identifier: BSD-3-Clause
"""What tools/quickstart, tools/test and the system tests share."""
