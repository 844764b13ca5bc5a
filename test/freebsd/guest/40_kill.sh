#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A process dies without a word while frames are on their way.
. "$(dirname "$0")/common.sh"

host_start endpoint=generator:window=512,queues=4 || exit 1
before=$(memory_in_use)
for round in 1 2 3; do
	pmd_start --rxq=4 --txq=4 --forward-mode=io || exit 1
	pmd start
	seen=$(counter verified)
	within 20 more_than verified $((seen + FRAMES))
	kill -9 $PMD
	exec 3>&-
	wait $PMD 2>/dev/null
	check "round $round: the channels are closed" within 10 eval '[ "$(counter channels_open)" -eq 0 ]'
	check "round $round: the NIC can be opened" within 10 "$T"/bin/fuzz $NODE cycles 1
done
check "nothing but the rings of more channels is kept" eval '[ $(memory_in_use | cut -d" " -f1) -le $((${before%% *} + 8)) ]'
host_stop
exit $failed
