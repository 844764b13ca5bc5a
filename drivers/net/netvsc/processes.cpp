/* SPDX-License-Identifier: BSD-3-Clause */
/* What the primary process tells the others, and what becomes of a port when one of them dies. */
#include "netvsc.hpp"

namespace netvsc {

/* A process that attaches just now reads the generation by itself: it has the memory by then. */
void begin_generation(Port& port)
{
	vmbus::bus::sync_processes();
	port.shared.generation = next_generation();
	vmbus::bus::sync_processes();
}

void end_sharing(Port& port)
{
	port.shared.open = false;
	vmbus::bus::sync_processes();
}

void notify_processes()
{
	vmbus::bus::mirror().notify();
}

/*
 * Who dies in a burst leaves a ring's lock taken, and what it guards half changed. The queue is
 * closed before the lock is given free, so that nobody looks at it until the session begins anew.
 */
static bool take_locks(SharedPort& port, uint32_t i, uint32_t id)
{
	Queue& queue = port.session.queues[i];
	if (!queue.rx_lock.held_by(id) && !queue.tx_lock.held_by(id))
		return false;
	vmbus::store_seq_cst(&port.rx[i].generation, 0u);
	vmbus::store_seq_cst(&port.tx[i].generation, 0u);
	queue.tx_lock.take_from(id);
	queue.rx_lock.take_from(id);
	return true;
}

void process_left(uint32_t id)
{
	SharedPorts* ports = shared_ports();
	if (ports == nullptr)
		return;
	for (auto& slot : ports->ports) {
		SharedPort* port = slot.load();
		if (port == nullptr)
			continue;
		bool damaged = false;
		for (uint32_t i = 0; i < nvsp::kMaxChannels; i++)
			damaged |= take_locks(*port, i, id);
		if (damaged)
			mark_damaged(*port);
	}
}

} // namespace netvsc
