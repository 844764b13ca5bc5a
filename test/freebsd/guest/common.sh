# SPDX-License-Identifier: BSD-3-Clause
# What the checks share; they source it. $T has what was packed for this machine.

T=$(cd "$(dirname "$0")/.." && pwd)
TMP=/tmp/hv_uio-test
NODE=/dev/hv_uio0
failed=0
mkdir -p $TMP

pass() { echo "PASS $1"; }
fail() { echo "FAIL $1${2:+: $2}"; failed=1; }

# check NAME COMMAND...: passes if the command succeeds
check() {
	name=$1; shift
	if "$@" >$TMP/check.log 2>&1; then pass "$name"; else fail "$name" "$(tail -3 $TMP/check.log | tr '\n' ' ')"; fi
}
# refuse NAME COMMAND...: passes if it fails
refuse() {
	name=$1; shift
	if "$@" >$TMP/check.log 2>&1; then fail "$name" "it succeeded"; else pass "$name"; fi
}

# How many frames show that something works: an emulated processor is slow.
FRAMES=2000

# within SECONDS COMMAND...: until it succeeds; on a fast machine, that is
within() {
	left=$(($1 * 40)); shift
	until "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		sleep 0.1
	done
}
gone() { ! kill -0 "$1" 2>/dev/null; }
there() { [ -e "$1" ]; }
not_there() { [ ! -e "$1" ]; }

# host_start NIC...: an emulated host with these NICs; the first becomes hv_uio's
host_start() {
	nics=
	for nic; do nics="$nics --nic $nic"; done
	rm -f $TMP/socket $TMP/host.json
	"$T"/bin/netvsp --socket $TMP/socket --json $nics >$TMP/host.json 2>$TMP/host.log & HOST=$!
	within 10 there $TMP/socket || { fail "host" "$(tail -1 $TMP/host.log)"; return 1; }
	"$T"/bin/bridge $TMP/socket >$TMP/bridge.log 2>&1 & BRIDGE=$!
	within 15 sysctl -n dev.hn.0.%desc || { fail "host" "no NIC: $(tail -1 $TMP/bridge.log)"; return 1; }
	devctl set driver -f hn0 hv_uio >$TMP/devctl.log 2>&1 || { fail "devctl" "$(tail -1 $TMP/devctl.log)"; return 1; }
	within 10 there $NODE || { fail "host" "no $NODE"; return 1; }
}

# The host goes, and with it all devices.
host_stop() {
	kill $HOST 2>/dev/null
	within 10 gone $HOST
	within 10 gone $BRIDGE
	within 10 not_there $NODE
}

# counter NAME: of the host's first NIC, now
counter() {
	reports=$(wc -l <$TMP/host.json)
	kill -USR1 $HOST
	within 5 reports_beyond $reports
	tail -1 $TMP/host.json | sed "s/.*\"nics\":\[{[^}]*\"$1\":\([0-9]*\).*/\1/"
}
reports_beyond() { [ "$(wc -l <$TMP/host.json)" -gt "$1" ]; }
more_than() { [ "$(counter "$1")" -gt "$2" ]; }

# pmd_start ARGUMENT...: testpmd with a prompt; $EAL has more for EAL
EAL=
pmd_start() {
	rm -f $TMP/in
	mkfifo $TMP/in
	dpdk-testpmd -l 0-1 -d "$T"/lib/librte_net_netvsc.so --no-pci --no-telemetry $EAL -- -i \
		--port-topology=loop --total-num-mbufs=16384 "$@" <$TMP/in >$TMP/pmd.log 2>&1 & PMD=$!
	exec 3>$TMP/in
	within 60 grep -q 'testpmd> ' $TMP/pmd.log || { fail "testpmd" "$(tail -3 $TMP/pmd.log | tr '\n' ' ')"; return 1; }
}
# pmd COMMAND: types it, waits for the prompt
pmd() {
	prompts=$(grep -o 'testpmd> ' $TMP/pmd.log | wc -l)
	echo "$1" >&3
	within 30 prompts_beyond $prompts
}
prompts_beyond() { [ "$(grep -o 'testpmd> ' $TMP/pmd.log | wc -l)" -gt "$1" ]; }
pmd_quit() {
	echo quit >&3
	exec 3>&-
	within 30 gone $PMD || { fail "testpmd quits"; kill -9 $PMD; }
	wait $PMD
}

# allocations and bytes of the module that are in use
memory_in_use() { vmstat -m | awk '$1 == "hv_uio" { print $2, $3 }'; }
