/* SPDX-License-Identifier: BSD-3-Clause */
/* A VF of a driver that is not ours: shared memory, whose other end is the network. */
#include <unistd.h>

#include "support.hpp"
#include "vf_network.hpp"

namespace scenario {

/*
 * Not a Scenario: DPDK 22.11's memif leaves a socket open when both of its ends are unplugged, and
 * closes others when it comes to it.
 */
class VfMemif : public testing::Test {
      protected:
	void SetUp() override
	{
		descriptors_ = open_descriptors();
		NEEDS_VF();
	}
	void TearDown() override
	{
		EXPECT_EQ(rte_eth_dev_count_total(), 0u);
		EXPECT_EQ(mbufs_out(), 0u);
		EXPECT_TRUE(eventually([&] { return open_descriptors() <= descriptors_ + 1; }));
	}

      private:
	unsigned int descriptors_ = 0;
};

namespace {

/* DPDK's memif, hot-plugged as the VF's device would be. */
class Memif {
      public:
	Memif(const std::string& name, const std::string& role, const std::string& more)
		: name_(name)
	{
		const std::string args = "role=" + role +
					 ",id=1,rsize=10,socket-abstract=no,socket=" + path() +
					 more;
		EXPECT_EQ(rte_eal_hotplug_add("vdev", name.c_str(), args.c_str()), 0);
		EXPECT_EQ(rte_eth_dev_get_port_by_name(name.c_str(), &id), 0);
	}
	~Memif()
	{
		rte_eth_dev_stop(id);
		EXPECT_EQ(rte_eal_hotplug_remove("vdev", name_.c_str()), 0);
	}
	static std::string path() { return "/tmp/test-memif-" + std::to_string(::getpid()); }
	uint16_t id = RTE_MAX_ETHPORTS;

      private:
	const std::string name_;
};

} // namespace

TEST_F(VfMemif, FramesBothWays)
{
	VfNetwork net;
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	net.give(1);
	{
		Memif vf("net_memif0", "server", ",mac=00:15:5d:0a:0b:0c");
		Memif network("net_memif1", "client", "");
		EXPECT_EQ(rte_eth_dev_count_avail(), 2u); /* the NIC and the network */
		rte_eth_conf conf{};
		ASSERT_EQ(rte_eth_dev_configure(network.id, 1, 1, &conf), 0);
		ASSERT_EQ(rte_eth_rx_queue_setup(network.id, 0, 512, SOCKET_ID_ANY, nullptr,
						 pools().normal),
			  0);
		ASSERT_EQ(rte_eth_tx_queue_setup(network.id, 0, 512, SOCKET_ID_ANY, nullptr), 0);
		ASSERT_EQ(rte_eth_dev_start(network.id), 0);
		/* Connected by and by: until then the VF has no link, and the NIC is used. */
		ASSERT_TRUE(net.by_vf());
		std::vector<Frame> frames;
		for (uint32_t i = 0; i < 500; i++) {
			frames.push_back(make_frame_to(net.port.mac(), 60 + i * 2, i));
			rte_mbuf* out = to_mbuf(frames[i], pools().normal);
			rte_mbuf* m = nullptr;
			/* The other end makes room for frames when it looks for some. */
			ASSERT_TRUE(eventually([&] {
				if (out != nullptr && net.port.tx(&out, 1) == 1)
					out = nullptr;
				return rte_eth_rx_burst(network.id, 0, &m, 1) == 1;
			})) << i;
			ASSERT_EQ(from_mbuf(m), frames[i]);
			ASSERT_TRUE(eventually(
				[&] { return rte_eth_tx_burst(network.id, 0, &m, 1) == 1; }));
			if (i % 10 == 9) {
				ASSERT_EQ(net.port.receive(10),
					  (std::vector<Frame>(frames.end() - 10, frames.end())));
			}
		}
		const rte_eth_stats s = net.port.stats();
		EXPECT_EQ(s.ipackets, 500u);
		EXPECT_EQ(s.opackets, 500u);
		EXPECT_EQ(net.host.stats().endpoint.sent_frames, 0u);
		net.take();
		ASSERT_TRUE(net.eventually_asking(
			[&] {
				rte_eth_link link{};
				return rte_eth_link_get_nowait(vf.id, &link) == 0 &&
				       link.link_status == RTE_ETH_LINK_DOWN;
			},
			20000));
		ASSERT_TRUE(net.port.send(frames[0]));
		EXPECT_TRUE(eventually([&] { return net.wire->taken_count() == 1; }));
	}
	EXPECT_EQ(rte_eth_dev_count_total(), 1u);
	EXPECT_EQ(net.port.stats().opackets, 501u);
}

} // namespace scenario
