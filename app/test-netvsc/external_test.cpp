/* SPDX-License-Identifier: BSD-3-Clause */
/* Received frames as external mbufs: an application may keep them as long as it likes. */
#include <algorithm>
#include <random>
#include <thread>

#include "support.hpp"

namespace scenario {

class External : public Scenario {
      protected:
	static constexpr const char* kArgs = "rx_extmbuf_enable=1,rx_copybreak=0,recv_kb=1024";
	static std::vector<Frame> some_frames(uint32_t count)
	{
		std::vector<Frame> frames;
		for (uint32_t i = 0; i < count; i++)
			frames.push_back(make_frame(60 + i * 7 % 1455, i));
		return frames;
	}
};

TEST_F(External, PointIntoTheReceiveBuffer)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args("rx_extmbuf_enable=1,rx_copybreak=0"));
	ASSERT_NO_FATAL_FAILURE(port.up());
	size_t external = 0;
	loop(port, some_frames(2000), nullptr, [&](rte_mbuf* m) {
		external += RTE_MBUF_HAS_EXTBUF(m) ? 1 : 0;
		rte_pktmbuf_free(m);
	});
	EXPECT_EQ(external, 2000u);	     /* the buffer is much larger than that */
	EXPECT_EQ(port.receive_rest(5), 0u); /* gives the last ones back */
	EXPECT_EQ(host.stats().suballocations_in_use, 0u);
}

TEST_F(External, CopybreakDecides)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args("rx_extmbuf_enable=1,rx_copybreak=700"));
	ASSERT_NO_FATAL_FAILURE(port.up());
	loop(port, some_frames(500), nullptr, [&](rte_mbuf* m) {
		EXPECT_EQ(RTE_MBUF_HAS_EXTBUF(m) != 0, m->pkt_len > 700);
		rte_pktmbuf_free(m);
	});
}

TEST_F(External, FreedInAnyOrder)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args(kArgs));
	ASSERT_NO_FATAL_FAILURE(port.up());
	std::mt19937 random(1);
	std::vector<rte_mbuf*> held;
	loop(port, some_frames(5000), nullptr, [&](rte_mbuf* m) {
		held.push_back(m);
		if (held.size() < 100)
			return;
		std::swap(held[random() % held.size()], held.back());
		rte_pktmbuf_free(held.back());
		held.pop_back();
	});
	std::shuffle(held.begin(), held.end(), random);
	for (rte_mbuf* m : held)
		rte_pktmbuf_free(m);
	EXPECT_EQ(port.receive_rest(5), 0u);
	EXPECT_EQ(host.stats().suballocations_in_use, 0u);
}

TEST_F(External, FreedByAnotherThread)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args(kArgs));
	ASSERT_NO_FATAL_FAILURE(port.up());
	std::mutex mutex;
	std::vector<rte_mbuf*> passed;
	std::atomic<bool> over{false};
	std::thread other([&] {
		for (bool last = false; !last;) {
			last = over;
			std::vector<rte_mbuf*> mine;
			{
				std::lock_guard lock(mutex);
				mine.swap(passed);
			}
			for (rte_mbuf* m : mine)
				rte_pktmbuf_free(m);
			std::this_thread::yield();
		}
	});
	loop(port, some_frames(20000), nullptr, [&](rte_mbuf* m) {
		std::lock_guard lock(mutex);
		passed.push_back(m);
	});
	over = true;
	other.join();
	EXPECT_EQ(port.receive_rest(5), 0u);
	EXPECT_EQ(host.stats().suballocations_in_use, 0u);
}

/* The receive buffer is exhausted, or the driver keeps a part of it; in both cases traffic resumes
 * when the application lets go. */
TEST_F(External, HeldUntilNoneIsLeft)
{
	auto wire = std::make_shared<Wire>();
	TestHost host({}, wire);
	Port port(host.args(kArgs));
	ASSERT_NO_FATAL_FAILURE(port.up());
	const std::vector<Frame> frames = some_frames(3000);
	for (const Frame& frame : frames)
		wire->inject(frame);
	std::vector<rte_mbuf*> held;
	const auto patience = [&] { /* slow machines take their time to begin */
		return std::chrono::milliseconds(held.empty() ? 5000 : 200);
	};
	for (auto last = Clock::now(); Clock::now() - last < patience();) {
		rte_mbuf* m;
		if (port.rx(&m, 1) == 0)
			continue;
		held.push_back(m);
		last = Clock::now();
	}
	EXPECT_GE(held.size(), 200u);
	for (size_t i = 0; i < held.size(); i++) {
		EXPECT_EQ(from_mbuf(held[i]), frames[i]) << i;
		rte_pktmbuf_free(held[i]);
	}
	const size_t left = frames.size() - held.size();
	EXPECT_TRUE(port.receive(left) == std::vector<Frame>(frames.end() - left, frames.end()));
	EXPECT_EQ(port.receive_rest(5), 0u);
	EXPECT_EQ(host.stats().suballocations_in_use, 0u);
	EXPECT_EQ(port.stats().imissed, 0u);
}

/* All that the driver lends is kept: then frames are copied, and the port goes on. */
TEST_F(External, HostKeepsAPartOfTheBuffer)
{
	NEEDS_VDEV("small receive buffer");
	TestHost host(nic_with("loopback"));
	Port port(host.args(kArgs));
	ASSERT_NO_FATAL_FAILURE(port.up());
	const std::vector<Frame> frames = some_frames(3000);
	std::vector<rte_mbuf*> held;
	size_t copied = 0;
	loop(port, frames, nullptr, [&](rte_mbuf* m) {
		copied += RTE_MBUF_HAS_EXTBUF(m) ? 0 : 1;
		held.push_back(m);
	});
	EXPECT_EQ(held.size(), frames.size());
	EXPECT_GT(copied, 0u);
	EXPECT_LT(copied, frames.size());
	EXPECT_GT(host.stats().suballocations_in_use, 100u);
	for (size_t i = 0; i < held.size(); i++)
		EXPECT_EQ(from_mbuf(held[i]), frames[i]) << i;
	for (rte_mbuf* m : held)
		rte_pktmbuf_free(m);
	size_t external = 0;
	loop(port, some_frames(200), nullptr, [&](rte_mbuf* m) {
		external += RTE_MBUF_HAS_EXTBUF(m) ? 1 : 0;
		rte_pktmbuf_free(m);
	});
	EXPECT_GT(external, 100u);
	EXPECT_EQ(port.receive_rest(5), 0u);
	EXPECT_EQ(host.stats().suballocations_in_use, 0u);
}

/* Of a received burst one frame is kept for ever, which keeps its whole packet. */
TEST_F(External, OneOfEachBurstIsKept)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args(kArgs));
	ASSERT_NO_FATAL_FAILURE(port.up());
	std::vector<rte_mbuf*> held;
	size_t n = 0;
	loop(port, some_frames(20000), nullptr, [&](rte_mbuf* m) {
		if (n++ % 16 == 0)
			held.push_back(m);
		else
			rte_pktmbuf_free(m);
	});
	for (rte_mbuf* m : held)
		rte_pktmbuf_free(m);
	EXPECT_EQ(port.receive_rest(5), 0u);
	EXPECT_EQ(host.stats().suballocations_in_use, 0u);
}

TEST_F(External, OutliveThePort)
{
	std::vector<rte_mbuf*> held;
	const std::vector<Frame> frames = some_frames(200);
	{
		TestHost host(nic_with("loopback"));
		Port port(host.args(kArgs));
		ASSERT_NO_FATAL_FAILURE(port.up());
		loop(port, frames, nullptr, [&](rte_mbuf* m) { held.push_back(m); });
		EXPECT_EQ(port.stop(), 0);
		EXPECT_EQ(port.close(), 0);
		EXPECT_EQ(port.remove(), 0);
	}
	ASSERT_EQ(held.size(), frames.size());
	for (size_t i = 0; i < held.size(); i++) {
		EXPECT_EQ(from_mbuf(held[i]), frames[i]) << i;
		rte_pktmbuf_free(held[i]);
	}
}

TEST_F(External, OutliveAnMtuChange)
{
	NEEDS(announced().max_mtu > 1500, "other MTU than the usual");
	TestHost host(nic_with("loopback"));
	Port port(host.args(kArgs));
	ASSERT_NO_FATAL_FAILURE(port.up());
	std::vector<rte_mbuf*> held;
	const std::vector<Frame> frames = some_frames(100);
	loop(port, frames, nullptr, [&](rte_mbuf* m) { held.push_back(m); });
	EXPECT_EQ(port.stop(), 0);
	ASSERT_EQ(rte_eth_dev_set_mtu(port.id, 2000), 0);
	ASSERT_NO_FATAL_FAILURE(port.up({.mtu = 2000}));
	loop(port, {make_frame(2014, 1)});
	for (size_t i = 0; i < held.size(); i++) {
		EXPECT_EQ(from_mbuf(held[i]), frames[i]) << i;
		rte_pktmbuf_free(held[i]);
	}
	loop(port, frames);
	EXPECT_EQ(host.stats().protocol_errors, 0u) << host.stats().last_error;
	EXPECT_EQ(port.receive_rest(5), 0u);
	EXPECT_EQ(host.stats().suballocations_in_use, 0u);
}

/* Held over a stop and start without any change: they still go back to the same buffer. */
TEST_F(External, OutliveAStop)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args(kArgs));
	ASSERT_NO_FATAL_FAILURE(port.up());
	std::vector<rte_mbuf*> held;
	const std::vector<Frame> frames = some_frames(100);
	loop(port, frames, nullptr, [&](rte_mbuf* m) { held.push_back(m); });
	EXPECT_EQ(port.stop(), 0);
	ASSERT_EQ(port.start(), 0);
	loop(port, frames);
	for (size_t i = 0; i < held.size(); i++) {
		EXPECT_EQ(from_mbuf(held[i]), frames[i]) << i;
		rte_pktmbuf_free(held[i]);
	}
	EXPECT_EQ(port.receive_rest(5), 0u);
	EXPECT_EQ(host.stats().suballocations_in_use, 0u);
}

/* A forwarder sends what it received: by GPA ranges into the receive buffer, without a copy. */
TEST_F(External, AreForwarded)
{
	for (const char* more : {",tx_copybreak=0", ""}) {
		SCOPED_TRACE(more);
		auto wire = std::make_shared<Wire>();
		TestHost host({}, wire);
		Port port(host.args(std::string(kArgs) + more));
		ASSERT_NO_FATAL_FAILURE(port.up());
		const std::vector<Frame> frames = some_frames(1000);
		for (const Frame& frame : frames)
			wire->inject(frame);
		size_t forwarded = 0;
		eventually([&] {
			rte_mbuf* mbufs[32];
			const uint16_t n = port.rx(mbufs, 32);
			for (uint16_t i = 0; i < n; i++)
				forwarded += port.send(mbufs[i]) ? 1 : 0;
			return forwarded == frames.size();
		});
		EXPECT_TRUE(eventually([&] { return wire->taken_count() == frames.size(); }));
		EXPECT_TRUE(wire->taken() == frames);
		EXPECT_EQ(port.stop(), 0);
		EXPECT_EQ(host.stats().protocol_errors, 0u) << host.stats().last_error;
	}
}

} // namespace scenario
