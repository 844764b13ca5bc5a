#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What was opened and closed a hundred times leaves nothing behind.
. "$(dirname "$0")/common.sh"

empty=$(memory_in_use)
host_start endpoint=null || exit 1
"$T"/bin/fuzz $NODE cycles 1
before=$(memory_in_use)
check "100 times" "$T"/bin/fuzz $NODE cycles 100
after=$(memory_in_use)
check "memory in use: $before, then $after" [ "$before" = "$after" ]
host_stop
after=$(memory_in_use)
check "without a NIC: $empty, then $after" [ "$empty" = "$after" ]
exit $failed
