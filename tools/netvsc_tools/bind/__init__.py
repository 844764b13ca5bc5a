# SPDX-License-Identifier: BSD-3-Clause
"""What tools/netvsc-bind does: lists VMBus NICs, hands them to user space and back, says what is missing."""
