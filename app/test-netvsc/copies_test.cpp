/* SPDX-License-Identifier: BSD-3-Clause */
/* A host that is given no memory of the application's: whatever is sent, it can read. */
#include "support.hpp"

namespace scenario {

namespace {

/* A section less the longest RNDIS header, Ethernet header and tag: Tx::longest_copy(). */
constexpr uint16_t kMaxMtu = 6144 - 76 - 18;

class Copies : public Scenario {
      protected:
	void SetUp() override
	{
		Scenario::SetUp();
		NEEDS_VDEV("arguments for that: EAL's decide");
	}
	static std::string args(const TestHost& host, const std::string& more = "")
	{
		return host.args("copies_only=1" + (more.empty() ? "" : "," + more));
	}
	static std::vector<Frame> frames(uint32_t from, uint32_t to, uint32_t step = 1)
	{
		std::vector<Frame> all;
		for (uint32_t length = from; length <= to; length += step)
			all.push_back(make_frame(length, length));
		return all;
	}
};

} // namespace

TEST_F(Copies, SaysWhatItCannot)
{
	TestHost host(nic_with("loopback"));
	Port port(args(host));
	const rte_eth_dev_info info = port.info();
	EXPECT_EQ(info.max_mtu, std::min(announced().max_mtu, kMaxMtu));
	EXPECT_EQ(info.max_rx_pktlen, info.max_mtu + 18u);
	EXPECT_EQ(info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_TCP_TSO, 0u);
	EXPECT_NE(info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS, 0u);
	PortOptions options;
	options.tx_offloads = RTE_ETH_TX_OFFLOAD_TCP_TSO;
	EXPECT_EQ(port.configure(options), -EINVAL);
	options = {};
	options.mtu = static_cast<uint16_t>(info.max_mtu + 1);
	EXPECT_EQ(port.configure(options), -EINVAL);
	ASSERT_NO_FATAL_FAILURE(port.up());
}

TEST_F(Copies, EveryLengthThatFits)
{
	TestHost host(nic_with("loopback"));
	Port port(args(host));
	PortOptions options;
	options.mtu = std::min(port.info().max_mtu, announced().max_mtu);
	ASSERT_NO_FATAL_FAILURE(port.up(options));
	const std::vector<Frame> all = frames(1, options.mtu + 18u, 7);
	loop(port, all);
	loop(port, {make_frame(options.mtu + 18u, 1)});
	EXPECT_EQ(port.xstat("tx_q0_copied"), all.size() + 1);
	EXPECT_EQ(host.stats().tx_errors, 0u);
	/* A longer one is for nobody. */
	ASSERT_TRUE(port.send(make_frame(options.mtu + 19u, 2)));
	EXPECT_EQ(port.stats().oerrors, 1u);
	loop(port, {make_frame(60, 3)});
}

TEST_F(Copies, Chains)
{
	TestHost host(nic_with("loopback"));
	Port port(args(host));
	ASSERT_NO_FATAL_FAILURE(port.up());
	std::vector<Frame> all;
	for (uint32_t i = 0; i < 500; i++)
		all.push_back(make_frame(600 + i, i));
	loop(port, all, [](const Frame& frame, size_t) {
		return to_chain(frame, {100, 0, 300, 1, static_cast<uint32_t>(frame.size()) - 401});
	});
	EXPECT_EQ(port.xstat("tx_q0_copied"), all.size());
	EXPECT_EQ(host.stats().tx_errors, 0u);
}

/* Nobody receives: whoever transmits has to look for completions, and sections come back. */
TEST_F(Copies, TransmitterAloneNeverStops)
{
	auto wire = std::make_shared<Wire>();
	TestHost host({}, wire);
	Port port(args(host, "send_kb=128"));
	ASSERT_NO_FATAL_FAILURE(port.up());
	for (uint32_t i = 0; i < 2000; i++)
		ASSERT_TRUE(port.send(make_frame(1500, i))) << i;
	ASSERT_TRUE(eventually([&] { return wire->taken_count() == 2000; }));
	const std::vector<Frame> taken = wire->taken();
	for (uint32_t i = 0; i < 2000; i++)
		ASSERT_EQ(taken[i], make_frame(1500, i));
}

TEST_F(Copies, SettingsAndNewConversations)
{
	TestHost host(nic_with("loopback"));
	Port port(args(host));
	const uint16_t other = announced().max_mtu > 1500 ? 1400 : 1500; /* as old hosts have it */
	for (const uint16_t mtu : {uint16_t{1500}, other, uint16_t{1500}}) {
		PortOptions options;
		options.mtu = mtu;
		ASSERT_NO_FATAL_FAILURE(port.up(options));
		EXPECT_EQ(rte_eth_promiscuous_disable(port.id), 0);
		EXPECT_EQ(rte_eth_promiscuous_enable(port.id), 0);
		loop(port, frames(60, 1400, 100));
		ASSERT_EQ(port.stop(), 0);
	}
	EXPECT_EQ(host.stats().tx_errors, 0u);
}

TEST_F(Copies, SectionsMayBeTooSmallOrTooFew)
{
	netvsp::NicConfig config = nic_with("loopback");
	config.section_size = 1024;
	{
		TestHost host(config);
		Port port(args(host));
		EXPECT_EQ(port.plug_result(), -ENOTSUP);
	}
	NEEDS(profile().max_queues >= 16, "sixteen channels");
	config = nic_with("loopback");
	config.queues = 16;
	TestHost host(config);
	Port port(args(host, "send_kb=64")); /* 10 sections */
	PortOptions options;
	options.rx_queues = options.tx_queues = 16;
	ASSERT_EQ(port.configure(options), 0);
	EXPECT_EQ(port.start(), -ENOTSUP);
	ASSERT_EQ(port.stop(), 0);
}

} // namespace scenario
