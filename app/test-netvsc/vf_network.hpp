/* SPDX-License-Identifier: BSD-3-Clause */
/** A NIC that may have a VF: both ends of the network are the test's, whichever way frames take. */
#pragma once

#include <thread>

#include "virtual_vf.hpp"

namespace scenario {

struct VfNetwork {
	static constexpr rte_ether_addr kMac = {{0x00, 0x15, 0x5d, 0x0a, 0x0b, 0x0c}};

	explicit VfNetwork(uint16_t queues = 1, const std::vector<std::string>& faults = {},
			   const std::string& args = "")
		: wire(std::make_shared<Wire>()),
		  host(config(queues, faults), wire),
		  port(host.args(args))
	{
		EXPECT_EQ(port.plug_result(), 0);
	}

	static netvsp::NicConfig config(uint16_t queues,
					const std::vector<std::string>& faults)
	{
		netvsp::NicConfig c;
		std::copy_n(kMac.addr_bytes, c.mac.size(), c.mac.begin());
		c.queues = queues;
		c.mtu = 9202;
		c.faults = faults;
		return c;
	}

	/** The host has a VF for the NIC. */
	void give(uint32_t serial) { EXPECT_TRUE(host.host().set_vf(host.nic, true, serial)); }
	void take() { EXPECT_TRUE(host.host().set_vf(host.nic, false, 0)); }
	/** Its PCI device comes, so to speak. */
	VirtualVf& plug(VirtualVfOptions options = {})
	{
		options.mac = kMac;
		vf = std::make_unique<VirtualVf>(wire, options);
		return *vf;
	}
	void unplug() { vf.reset(); }

	/** What the host tells is seen when somebody polls, or asks for the link. */
	bool eventually_asking(const std::function<bool()>& condition, int timeout_ms)
	{
		return eventually(
			[&] {
				port.link();
				return condition();
			},
			timeout_ms);
	}
	/** The data path went to a VF n times (or more, if the host's messages were late), in both
	 * directions. */
	bool switched(uint64_t n, int timeout_ms = 20000)
	{
		return eventually_asking([&] { return port.xstat("vf_switches") >= n; },
					 timeout_ms);
	}
	bool by_vf(int timeout_ms = 20000)
	{
		if (!eventually_asking([&] { return host.stats().data_path_vf; }, timeout_ms))
			return false;
		port.stats(); /* waits for the change to be over */
		return true;
	}
	bool by_nic(int timeout_ms = 20000)
	{
		return eventually_asking(
			[&] {
				return !host.stats().data_path_vf &&
				       (!vf || !vf->plugged() || !vf->seen.started ||
					vf->link_is_down());
			},
			timeout_ms);
	}

	std::shared_ptr<Wire> wire;
	TestHost host;
	std::unique_ptr<VirtualVf> vf; /* goes after the port, as in life */
	Port port;
};

} // namespace scenario
