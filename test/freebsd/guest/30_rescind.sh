#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The host takes the NIC away while it is used.
. "$(dirname "$0")/common.sh"

for queues in 1 4; do
	host_start endpoint=generator:window=512,queues=$queues || exit 1
	pmd_start --rxq=$queues --txq=$queues --forward-mode=io || exit 1
	pmd start
	within 20 more_than verified $FRAMES
	kill -9 $HOST
	check "$queues queues: the node goes under a user" within 20 not_there $NODE
	check "$queues queues: testpmd lives on" kill -0 $PMD
	pmd "show port info all"
	pmd_quit
	check "$queues queues: testpmd ends" gone $PMD
	within 10 gone $BRIDGE
done
host_start endpoint=generator:window=512 || exit 1
pmd_start --forward-mode=io && pmd start
check "another host's NIC works" within 20 more_than verified $FRAMES
pmd_quit
host_stop
exit $failed
