/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts that misbehave: each ends in an error in time, and nothing is lost but their service. */
#include <thread>

#include "support.hpp"

namespace scenario {

static constexpr int kTimeout = 300;

class Fault : public Scenario {
      protected:
	static netvsp::NicConfig faulty(const std::string& fault)
	{
		netvsp::NicConfig config = nic_with("loopback");
		config.faults = {fault};
		return config;
	}
	static std::string args(const TestHost& host, const std::string& more = "")
	{
		return "socket=" + host.path + ",timeout=" + std::to_string(kTimeout) +
		       (more.empty() ? "" : ",") + more;
	}
	/* The process and the driver are none the worse. */
	static void expect_healthy()
	{
		TestHost host(nic_with("loopback"));
		Port port(host.args());
		ASSERT_NO_FATAL_FAILURE(port.up());
		loop(port, {make_frame(60, 1), make_frame(1514, 2)});
	}
	/* Sends some hundred frames and receives what comes, without expecting all of it. */
	static size_t try_traffic(Port& port, uint32_t count = 400)
	{
		size_t received = 0;
		for (uint32_t i = 0; i < count; i++) {
			rte_mbuf* m = to_mbuf(make_frame(60 + i * 3, i));
			if (m != nullptr && port.tx(&m, 1) == 0)
				rte_pktmbuf_free(m);
			rte_mbuf* in[8];
			const uint16_t n = port.rx(in, 8);
			rte_pktmbuf_free_bulk(in, n);
			received += n;
			std::this_thread::yield();
		}
		return received + port.receive_rest(10);
	}
	static void expect_within(int ms, const char* what, const std::function<void()>& action)
	{
		const auto begin = Clock::now();
		action();
		EXPECT_LT(Clock::now() - begin, std::chrono::milliseconds(ms)) << what;
	}
};

class SetupFault : public Fault, public testing::WithParamInterface<const char*> {};

TEST_P(SetupFault, FailsTheProbeInTime)
{
	{
		TestHost host(faulty(GetParam()));
		int rc = 0;
		expect_within(4 * kTimeout, "the probe", [&] {
			Port port(args(host));
			rc = port.plug_result();
		});
		EXPECT_LT(rc, 0);
		EXPECT_EQ(rte_eth_dev_count_total(), 0u);
		EXPECT_TRUE(eventually([&] { return !host.host().guest_connected(); }));
		EXPECT_EQ(host.stats().channels_open, 0u);
		expect_healthy();
	}
	/* The same of the host in this process. */
	Port local(std::string("endpoint=loopback,timeout=300,fault=") + GetParam());
	EXPECT_LT(local.plug_result(), 0);
	Port healthy("endpoint=loopback");
	ASSERT_NO_FATAL_FAILURE(healthy.up());
	loop(healthy, {make_frame(60, 1)});
}

static std::string name_of(const testing::TestParamInfo<const char*>& info)
{
	std::string name = info.param;
	for (char& c : name)
		c = c == '-' || c == ':' ? '_' : c;
	return name;
}

INSTANTIATE_TEST_SUITE_P(Host, SetupFault,
			 testing::Values("gpadl-fail", "open-fail", "refuse-nvsp", "no-init-reply",
					 "short-init-reply", "no-recvbuf-reply", "recvbuf-fail",
					 "sendbuf-fail", "rndis-init-fail", "no-rndis-reply",
					 "short-query-reply", "bad-query-length"),
			 name_of);

/* Once refused, the next try works: nothing of the first is in its way. */
TEST_F(Fault, ProbeAfterAFailedOne)
{
	for (const char* fault : {"gpadl-fail:1", "gpadl-fail:2", "open-fail:1", "no-init-reply:1",
				  "no-recvbuf-reply:1", "recvbuf-fail:1", "sendbuf-fail:1",
				  "no-rndis-reply:1", "short-query-reply:1"}) {
		SCOPED_TRACE(fault);
		TestHost host(faulty(fault));
		for (int i = 0; i < 2; i++) {
			Port failing(args(host));
			if (failing.plug_result() == 0)
				break; /* a fault that the driver lives with, or the second of two
					*/
		}
		EXPECT_TRUE(eventually([&] { return !host.host().guest_connected(); }));
		Port port(host.args());
		ASSERT_NO_FATAL_FAILURE(port.up());
		loop(port, {make_frame(60, 1), make_frame(1514, 2)});
	}
}

TEST_F(Fault, UnrelatedMessagesBeforeReplies)
{
	TestHost host(faulty("unrelated-before-reply"));
	Port port(args(host));
	ASSERT_NO_FATAL_FAILURE(port.up());
	std::vector<Frame> frames;
	for (uint32_t i = 0; i < 1000; i++)
		frames.push_back(make_frame(60 + i, i));
	loop(port, frames);
	EXPECT_EQ(port.link().link_status, RTE_ETH_LINK_UP);
	EXPECT_EQ(port.stop(), 0);
	EXPECT_EQ(rte_eth_dev_reset(port.id), 0); /* connects anew */
	EXPECT_EQ(host.stats().protocol_errors, 0u) << host.stats().last_error;
}

class DataFault : public Fault, public testing::WithParamInterface<const char*> {};

/* No crash, no hang; what follows on the port, or on the port started anew, works. */
TEST_P(DataFault, IsSurvived)
{
	for (const char* more : {"", "tx_copybreak=0", "rx_extmbuf_enable=1,rx_copybreak=0"}) {
		SCOPED_TRACE(more);
		TestHost host(faulty(GetParam()));
		Port port(args(host, more));
		ASSERT_NO_FATAL_FAILURE(port.up());
		try_traffic(port);
		const rte_eth_stats before = port.stats();
		EXPECT_LE(before.oerrors + before.opackets, 400u);
		expect_within(4 * kTimeout + 2000, "stop", [&] { EXPECT_EQ(port.stop(), 0); });
		ASSERT_EQ(port.start(), 0);
		try_traffic(port, 20);
		expect_within(4 * kTimeout + 2000, "stop", [&] { EXPECT_EQ(port.stop(), 0); });
		expect_within(4 * kTimeout, "close", [&] { EXPECT_EQ(port.close(), 0); });
		EXPECT_EQ(port.remove(), 0);
		EXPECT_EQ(mbufs_out(), 0u);
	}
	expect_healthy();
}

INSTANTIATE_TEST_SUITE_P(Host, DataFault,
			 testing::Values("bad-completion-id", "double-completion", "bad-rx-range",
					 "bad-rx-rndis", "bad-rx-ppi", "bad-rx-part",
					 "bad-descriptor", "bad-ring-index", "keepalive",
					 "silent-after:50", "tx-fail:3", "bad-completion-id:50",
					 "double-completion:50", "bad-rx-range:50",
					 "bad-rx-rndis:50", "bad-rx-ppi:50", "bad-rx-part:50"),
			 name_of);

TEST_F(Fault, CompletionsOfNothingAreCounted)
{
	for (const char* fault : {"bad-completion-id:7", "double-completion:7"}) {
		SCOPED_TRACE(fault);
		TestHost host(faulty(fault));
		Port port(args(host, "tx_copybreak=0"));
		ASSERT_NO_FATAL_FAILURE(port.up());
		std::vector<Frame> frames;
		for (uint32_t i = 0; i < 3000; i++) /* slots are used many times */
			frames.push_back(make_frame(60 + i % 1400, i));
		loop(port, frames);
		EXPECT_EQ(port.stop(), 0);
		/* The former has the look of a control command's, which may come late. */
		if (std::string(fault) == "double-completion:7") {
			EXPECT_EQ(port.xstat("tx_q0_bad_completions"), 7u);
		}
		EXPECT_EQ(port.stats().opackets, frames.size());
		EXPECT_EQ(port.stats().oerrors, 0u);
	}
}

/* Bad frames are dropped and counted, good ones come, their buffers go back. */
TEST_F(Fault, BadFramesAreCounted)
{
	for (const char* fault :
	     {"bad-rx-range:5", "bad-rx-rndis:5", "bad-rx-ppi:5", "bad-rx-part:5"}) {
		SCOPED_TRACE(fault);
		auto wire = std::make_shared<Wire>();
		netvsp::NicConfig config;
		config.faults = {fault};
		TestHost host(config, wire);
		Port port(args(host));
		ASSERT_NO_FATAL_FAILURE(port.up());
		for (uint32_t i = 0; i < 50; i++) { /* one a packet */
			wire->inject(make_frame(100, i));
			EXPECT_TRUE(eventually([&] { return host.stats().rx_frames == i + 1; }));
		}
		EXPECT_EQ(port.receive(45).size(), 45u);
		EXPECT_EQ(port.receive_rest(5), 0u);
		EXPECT_EQ(port.stats().ierrors, 5u);
		EXPECT_EQ(port.stats().ipackets, 45u);
		EXPECT_EQ(host.stats().suballocations_in_use, 0u);
	}
}

TEST_F(Fault, KeepaliveIsAnswered)
{
	TestHost host(faulty("keepalive:100"));
	Port port(args(host));
	ASSERT_NO_FATAL_FAILURE(port.up());
	for (uint32_t i = 0; i < 50; i++) {
		EXPECT_EQ(rte_eth_allmulticast_enable(port.id), 0);
		loop(port, {make_frame(60, i)});
		EXPECT_EQ(rte_eth_allmulticast_disable(port.id), 0);
	}
	EXPECT_EQ(host.stats().protocol_errors, 0u) << host.stats().last_error;
}

/* A host that serves no more: transmission stops without a hang, and a stop heals it. */
TEST_F(Fault, SilentHost)
{
	TestHost host(faulty("silent-after:50"));
	Port port(args(host, "tx_copybreak=0"));
	ASSERT_NO_FATAL_FAILURE(port.up());
	uint32_t sent = 0;
	for (auto last = Clock::now(); Clock::now() - last < std::chrono::milliseconds(50);) {
		rte_mbuf* m = to_mbuf(make_frame(100, sent));
		if (m == nullptr || port.tx(&m, 1) == 0) {
			rte_pktmbuf_free(m);
			continue;
		}
		sent++;
		last = Clock::now();
	}
	EXPECT_GT(sent, 64u);
	EXPECT_LT(sent, 4096u);
	EXPECT_LT(rte_eth_allmulticast_enable(port.id), 0);
	EXPECT_EQ(port.stop(), 0);
	/* All mbufs are back, but those that the receive queue keeps ready. */
	EXPECT_LE(mbufs_out(), 64u);
	ASSERT_EQ(port.start(), 0);
	port.receive_rest(5); /* what the loopback still had */
	loop(port, {make_frame(60, 1), make_frame(600, 2)});
}

TEST_F(Fault, ResetOfAPortWhoseHostIsSilent)
{
	TestHost host(faulty("silent-after:50"));
	Port port(args(host));
	ASSERT_NO_FATAL_FAILURE(port.up());
	try_traffic(port);
	EXPECT_LT(rte_eth_allmulticast_enable(port.id), 0);
	ASSERT_EQ(rte_eth_dev_reset(port.id), 0);
	ASSERT_NO_FATAL_FAILURE(port.up());
	port.receive_rest(5);
	loop(port, {make_frame(60, 1), make_frame(600, 2)});
	host.die();
	EXPECT_LT(rte_eth_dev_reset(port.id), 0);
}

} // namespace scenario
