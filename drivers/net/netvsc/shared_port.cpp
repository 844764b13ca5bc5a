/* SPDX-License-Identifier: BSD-3-Clause */
#include "shared_port.hpp"

#include <new>

namespace netvsc {

std::array<uint32_t, RTE_MAX_ETHPORTS> taken_over;
uint32_t process_id;

namespace {

constexpr char kPortsName[] = "netvsc_ports";

class SharedMemory final : public std::pmr::memory_resource {
      public:
	explicit SharedMemory(int socket) : socket_(socket) {}

      private:
	void* do_allocate(size_t bytes, size_t alignment) override
	{
		void* memory = rte_zmalloc_socket("netvsc", bytes, RTE_CACHE_LINE_SIZE, socket_);
		if (memory == nullptr || alignment > RTE_CACHE_LINE_SIZE) {
			rte_free(memory);
			throw std::bad_alloc();
		}
		return memory;
	}
	void do_deallocate(void* memory, size_t, size_t) override { rte_free(memory); }
	bool do_is_equal(const memory_resource& other) const noexcept override
	{
		return this == &other;
	}

	const int socket_;
};

} // namespace

SharedPort::SharedPort()
{
	for (uint32_t i = 0; i < nvsp::kMaxChannels; i++) {
		rx[i].rx = &session.queues[i].rx;
		tx[i].rx = &session.queues[i].rx;
		tx[i].tx = &session.queues[i].tx;
		rx_table[i] = &rx[i];
		tx_table[i] = &tx[i];
	}
}

void SharedPort::reset()
{
	args = {};
	host = {};
	mac = {};
	rss = {};
	ptype_mask = kAllPtypes;
	bursts = {};
	bounce.reset({}, 0);
	vf = {};
	const auto reset_vf = [](VfFrames& f) {
		f.frames = f.bytes = f.dropped = f.dropped_bytes = 0;
	};
	for (RxQueue& q : rx) {
		q.reset();
		reset_vf(q.vf);
	}
	for (TxQueue& q : tx) {
		q.reset();
		reset_vf(q.vf);
	}
}

/* Field by field: another process may look at the first ones at any time. */
void RxQueue::reset()
{
	set_up = built = scatter = deferred = false;
	past = base = {};
	stash_count = 0;
	no_mbuf = too_long = merged = 0;
	no_mbuf_base = too_long_base = merged_base = 0;
	joined = joined_last = nullptr;
}

void TxQueue::reset()
{
	set_up = built = deferred = false;
	starved_since = 0;
	memory = nullptr;
	past = base = {};
	dropped = dropped_base = 0;
}

SharedPorts* shared_ports()
{
	const rte_memzone* zone = rte_memzone_lookup(kPortsName);
	return zone != nullptr ? static_cast<SharedPorts*>(zone->addr) : nullptr;
}

static SharedPorts* make_shared_ports()
{
	if (SharedPorts* ports = shared_ports())
		return ports;
	const rte_memzone* zone =
		rte_memzone_reserve(kPortsName, sizeof(SharedPorts), SOCKET_ID_ANY, 0);
	return zone != nullptr ? new (zone->addr) SharedPorts{} : nullptr;
}

SharedPort* take_shared_port(int socket)
{
	SharedPorts* ports = make_shared_ports();
	if (ports == nullptr)
		return nullptr;
	for (auto& slot : ports->ports) {
		SharedPort* port = slot.load();
		if (port == nullptr) {
			void* memory = rte_zmalloc_socket("netvsc_port", sizeof(SharedPort),
							  alignof(SharedPort), socket);
			if (memory == nullptr)
				return nullptr;
			port = new (memory) SharedPort;
			slot = port;
		}
		if (!port->used.exchange(true)) {
			port->reset();
			return port;
		}
	}
	return nullptr;
}

void give_shared_port(SharedPort& port)
{
	port.used = false;
}

uint32_t next_generation()
{
	static std::atomic<uint32_t> last;
	const uint32_t generation = ++last;
	return generation != 0 ? generation : ++last; /* 0 is nobody's */
}

std::pmr::memory_resource& shared_memory(int socket)
{
	static std::array<SharedMemory*, RTE_MAX_NUMA_NODES + 1> all = [] {
		std::array<SharedMemory*, RTE_MAX_NUMA_NODES + 1> made;
		for (int i = 0; i < RTE_MAX_NUMA_NODES; i++)
			made[static_cast<size_t>(i)] = new SharedMemory(i);
		made.back() = new SharedMemory(SOCKET_ID_ANY);
		return made;
	}();
	return socket >= 0 && socket < RTE_MAX_NUMA_NODES ? *all[static_cast<size_t>(socket)]
							  : *all.back();
}

} // namespace netvsc
