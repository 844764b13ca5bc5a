/* SPDX-License-Identifier: BSD-3-Clause */
/** Events of ports, counted as an application would take note of them. */
#pragma once

#include <atomic>
#include <utility>

#include "support.hpp"

namespace scenario {

class Events {
      public:
	explicit Events(Port& port) : id_(port.id)
	{
		for (const auto event : kAll)
			EXPECT_EQ(rte_eth_dev_callback_register(id_, event, note, this), 0);
	}
	~Events() { off(); }
	/** Before the port closes: ethdev keeps callbacks for the next port of that number. */
	void off()
	{
		if (std::exchange(off_, true))
			return;
		for (const auto event : kAll)
			rte_eth_dev_callback_unregister(id_, event, note, this);
	}
	std::atomic<uint32_t> removals{0};
	std::atomic<uint32_t> link_changes{0};
	std::atomic<uint32_t> link_downs{0}; /**< of them, those that said so */
	std::atomic<uint32_t> resets{0};

      private:
	static constexpr rte_eth_event_type kAll[] = {
		RTE_ETH_EVENT_INTR_RMV, RTE_ETH_EVENT_INTR_LSC, RTE_ETH_EVENT_INTR_RESET};

	static int note(uint16_t port, rte_eth_event_type type, void* arg, void*)
	{
		auto* events = static_cast<Events*>(arg);
		if (type == RTE_ETH_EVENT_INTR_RMV)
			events->removals++;
		if (type == RTE_ETH_EVENT_INTR_RESET)
			events->resets++;
		if (type == RTE_ETH_EVENT_INTR_LSC) {
			rte_eth_link link{};
			if (rte_eth_link_get_nowait(port, &link) == 0 &&
			    link.link_status == RTE_ETH_LINK_DOWN)
				events->link_downs++;
			events->link_changes++;
		}
		return 0;
	}
	const uint16_t id_;
	bool off_ = false;
};

/** New ports of the process, as an application would take them over. */
class NewPorts {
      public:
	NewPorts()
	{
		EXPECT_EQ(rte_eth_dev_callback_register(RTE_ETH_ALL, RTE_ETH_EVENT_NEW, note, this),
			  0);
	}
	~NewPorts() { rte_eth_dev_callback_unregister(RTE_ETH_ALL, RTE_ETH_EVENT_NEW, note, this); }
	std::atomic<uint32_t> count{0};
	std::atomic<uint16_t> last{RTE_MAX_ETHPORTS};

      private:
	static int note(uint16_t port, rte_eth_event_type, void* arg, void*)
	{
		auto* ports = static_cast<NewPorts*>(arg);
		ports->last = port;
		ports->count++;
		return 0;
	}
};

} // namespace scenario
