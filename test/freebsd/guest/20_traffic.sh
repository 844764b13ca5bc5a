#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Frames go through testpmd and come back to the host, which verifies them.
. "$(dirname "$0")/common.sh"

for queues in 1 4; do
	host_start endpoint=generator:size=64:flows=64:window=512,queues=$queues || exit 1
	pmd_start --rxq=$queues --txq=$queues --forward-mode=io || exit 1
	pmd start
	check "$queues queues: frames come back" within 20 more_than verified $FRAMES
	check "$queues queues: all channels are open" [ "$(counter channels_open)" -eq $queues ]
	pmd stop
	sleep 1
	before=$(counter verified)
	pmd start
	check "$queues queues: after stop and start, too" within 20 more_than verified $((before + FRAMES))
	pmd "port stop 0"
	pmd "port start 0"
	pmd start
	before=$(counter verified)
	check "$queues queues: after the port was stopped" within 20 more_than verified $((before + FRAMES))
	for what in corrupted foreign protocol_errors tx_errors; do
		value=$(counter $what)
		check "$queues queues: nothing is $what" [ "$value" -eq 0 ]
	done
	pmd_quit
	check "$queues queues: testpmd ends well" [ $? -eq 0 ]
	host_stop
done
exit $failed
