#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Arguments of which most are wrong.
. "$(dirname "$0")/common.sh"

host_start endpoint=null,queues=4 || exit 1
for seed in 1 2 3 4; do
	check "random calls, seed $seed" "$T"/bin/fuzz $NODE random $seed 50000
done
host_stop
exit $failed
