#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The module stays while anybody sees its memory.
. "$(dirname "$0")/common.sh"

host_start endpoint=null || exit 1
"$T"/bin/fuzz $NODE hold 1000 >$TMP/hold.log & HOLD=$!
within 10 grep -q held $TMP/hold.log
refuse "kldunload is refused while it is mapped" kldunload hv_uio
refuse "and the NIC is not given back" devctl set driver -f hv_uio0 hn
refuse "nor opened by another" "$T"/bin/fuzz $NODE cycles 1
kill -9 $HOST
check "the node goes with the host all the same" within 20 not_there $NODE
check "who had it lives" kill -0 $HOLD
refuse "kldunload is refused while it is still mapped" kldunload hv_uio
kill -9 $HOLD
wait $HOLD 2>/dev/null
check "kldunload" within 10 kldunload hv_uio
check "kldload" kldload "$T"/modules/hv_uio.ko
within 10 gone $BRIDGE
host_start endpoint=null && check "kldunload with a NIC that nobody uses" kldunload hv_uio
check "kldload again" kldload "$T"/modules/hv_uio.ko
host_stop
exit $failed
