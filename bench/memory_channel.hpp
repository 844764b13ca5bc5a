/* SPDX-License-Identifier: BSD-3-Clause */
/** A channel in plain memory, with the host's part done by the benchmark. */
#pragma once

#include <sys/mman.h>

#include "vmbus/channel.hpp"

/** Touched once before the measurement, so that no page fault is part of it. */
class Memory {
      public:
	explicit Memory(size_t size)
		: size_(size),
		  data_(static_cast<uint8_t*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE,
						     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)))
	{
		std::memset(data_, 0, size_);
	}
	~Memory() { ::munmap(data_, size_); }
	Memory(const Memory&) = delete;
	Memory& operator=(const Memory&) = delete;
	uint8_t* data() const { return data_; }

      private:
	size_t size_;
	uint8_t* data_;
};

struct MemoryChannel {
	static constexpr uint32_t kRing = 1u << 20;
	static constexpr uint32_t kData = kRing - vmbus::kPageSize;

	Memory memory{2 * kRing};
	vmbus::RingControl* tx = reinterpret_cast<vmbus::RingControl*>(memory.data());
	vmbus::RingControl* rx = reinterpret_cast<vmbus::RingControl*>(memory.data() + kRing);
	uint8_t* rx_data = memory.data() + kRing + vmbus::kPageSize;
	vmbus::Channel channel;

	MemoryChannel()
	{
		tx->interrupt_mask = 1; /* the host polls */
		channel.tx = vmbus::RingWriter(tx, memory.data() + vmbus::kPageSize, kData);
		channel.rx = vmbus::RingReader(rx, rx_data, kData);
	}
	/** The host reads everything, and hands the transaction ids to `complete`. */
	template <class Complete> void host_completes(Complete&& complete)
	{
		const uint8_t* data = memory.data() + vmbus::kPageSize;
		const auto wrapped = [](uint32_t at) { return at < kData ? at : at - kData; };
		uint32_t out = tx->out;
		while (out != tx->in) {
			vmbus::PacketDescriptor d;
			std::memcpy(&d, data + out, 8);
			std::memcpy(&d.transaction_id, data + wrapped(out + 8), 8);
			complete(d.transaction_id);
			out = wrapped(out + d.length8 * 8u + vmbus::kFooterSize);
		}
		tx->out = out;
	}
	/** The host reads everything. */
	void host_reads() { tx->out = tx->in; }
};
