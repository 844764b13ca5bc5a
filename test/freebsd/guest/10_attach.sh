#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A NIC is the kernel's own driver's until devctl(8) gives it away.
. "$(dirname "$0")/common.sh"

host_start endpoint=null || exit 1
pass "a NIC is given to hv_uio"
check "the node is root's alone" sh -c "stat -f %Su%Sp $NODE | grep -q 'rootcrw-------'"
check "the NIC has buffers" sh -c '[ $(sysctl -n dev.hv_uio.0.recv_buf.size) -gt 1000000 ]'
check "it can be opened and mapped" "$T"/bin/fuzz $NODE cycles 1
check "it can be given back" devctl clear driver -f hv_uio0
check "the node goes with it" within 5 not_there $NODE
check "and taken again" devctl set driver -f hn0 hv_uio
within 5 there $NODE
host_stop
check "the node goes with the host" not_there $NODE
exit $failed
