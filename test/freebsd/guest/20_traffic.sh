#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Frames go through testpmd and come back to the host, which verifies them.
. "$(dirname "$0")/common.sh"

# traffic NAME QUEUES NIC: with a NIC of so many queues
traffic() {
	host_start "endpoint=generator:flows=64:window=512$3,queues=$2" || exit 1
	pmd_start --rxq=$2 --txq=$2 --forward-mode=io || exit 1
	pmd start
	check "$1: frames come back" within 20 more_than verified $FRAMES
	check "$1: all channels are open" [ "$(counter channels_open)" -eq $2 ]
	pmd stop
	sleep 1
	before=$(counter verified)
	pmd start
	check "$1: after stop and start, too" within 20 more_than verified $((before + FRAMES))
	pmd "port stop 0"
	pmd "port start 0"
	before=$(counter verified)
	pmd start
	check "$1: after the port was stopped" within 20 more_than verified $((before + FRAMES))
	for what in corrupted foreign protocol_errors tx_errors; do
		check "$1: $what: none" [ "$(counter $what)" -eq 0 ]
	done
	pmd_quit
	check "$1: testpmd ends well" [ $? -eq 0 ]
	host_stop
}

traffic "1 queue" 1 :size=64
traffic "4 queues" 4 :size=1500
traffic "a monitored NIC" 2 :size=600,monitor=1
sysctl hw.hv_uio.map_pages=1 >/dev/null
traffic "the bus's pages mapped" 2 :size=600,monitor=1
sysctl hw.hv_uio.map_pages=0 >/dev/null
EAL="--no-huge -m 256"
traffic "without contigmem" 2 :size=1500
exit $failed
