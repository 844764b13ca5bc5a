/* SPDX-License-Identifier: BSD-3-Clause */
/* Hosts that do not take, applications that do not poll, and threads side by side. */
#include <atomic>
#include <cstring>
#include <thread>

#include "support.hpp"

namespace scenario {

class Pressure : public Scenario {};

TEST_F(Pressure, ARefusingNetworkLosesNothing)
{
	for (const char* args : {"", "tx_copybreak=0", "tx_copybreak=0,ring_kb=64"}) {
		SCOPED_TRACE(args);
		auto wire = std::make_shared<Wire>();
		TestHost host({}, wire);
		Port port(host.args(args));
		ASSERT_NO_FATAL_FAILURE(port.up());
		wire->open(false);
		std::vector<Frame> sent;
		/* Until nothing is taken any more for a while. */
		for (auto last = Clock::now();
		     Clock::now() - last < std::chrono::milliseconds(50);) {
			Frame frame = make_frame(60 + sent.size() % 700,
						 static_cast<uint32_t>(sent.size()));
			rte_mbuf* m = to_mbuf(frame);
			if (m == nullptr || port.tx(&m, 1) == 0) {
				rte_pktmbuf_free(m);
				continue;
			}
			sent.push_back(std::move(frame));
			last = Clock::now();
		}
		EXPECT_GE(sent.size(), 64u);
		EXPECT_EQ(wire->taken_count(), 0u);
		wire->open(true);
		for (uint32_t i = 0; i < 2000; i++) {
			sent.push_back(make_frame(60 + i % 1455, i));
			ASSERT_TRUE(port.send(sent.back()));
		}
		EXPECT_EQ(port.stop(), 0);
		EXPECT_EQ(wire->taken_count(), sent.size());
		EXPECT_TRUE(wire->taken() == sent) << "lost, changed or out of order";
		EXPECT_EQ(port.stats().opackets, sent.size());
		EXPECT_EQ(port.stats().oerrors, 0u);
	}
}

/* 8 MB of loopback fill up; then everything is received, and everything is there. */
TEST_F(Pressure, AFullLoopbackLosesNothing)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args("recv_kb=1024"));
	ASSERT_NO_FATAL_FAILURE(port.up());
	std::vector<Frame> sent;
	for (auto last = Clock::now(); Clock::now() - last < std::chrono::milliseconds(500);) {
		const uint32_t n = static_cast<uint32_t>(sent.size());
		Frame frame = make_frame(1000 + n % 500, n);
		rte_mbuf* m = to_mbuf(frame);
		if (m == nullptr || port.tx(&m, 1) == 0) {
			rte_pktmbuf_free(m);
			continue;
		}
		sent.push_back(std::move(frame));
		last = Clock::now();
	}
	EXPECT_GT(sent.size(), 6000u);
	EXPECT_GT(host.stats().rx_no_buffer, 0u);
	const std::vector<Frame> received = port.receive(sent.size(), 10000);
	const uint64_t missed = port.stats().imissed;
	EXPECT_EQ(received.size() + missed, sent.size());
	EXPECT_EQ(missed, 0u) << "the ring had room: completions were not held up";
	EXPECT_TRUE(received == sent);
}

/* An application that only transmits must not starve by frames that it never asks for. */
TEST_F(Pressure, TransmitOnly)
{
	for (const char* args : {"ring_kb=64", "ring_kb=32", "ring_kb=64,tx_copybreak=0",
				 "ring_kb=64,rx_extmbuf_enable=1,rx_copybreak=0", "recv_kb=256"}) {
		SCOPED_TRACE(args);
		TestHost host(nic_with("loopback"));
		Port port(host.args(args));
		ASSERT_NO_FATAL_FAILURE(port.up());
		/* More than ring and receive buffer take; the loopback is not full by that. */
		static constexpr uint32_t kFrames = 10000;
		uint32_t sent = 0;
		auto progress = Clock::now();
		while (sent < kFrames && Clock::now() - progress < std::chrono::seconds(3)) {
			rte_mbuf* m = to_mbuf(make_frame(100, sent));
			if (m == nullptr || port.tx(&m, 1) == 0) {
				rte_pktmbuf_free(m);
				std::this_thread::yield();
				continue;
			}
			sent++;
			progress = Clock::now();
		}
		EXPECT_EQ(sent, kFrames) << "transmission starved";
		const size_t received = port.receive_rest();
		const rte_eth_stats s = port.stats();
		EXPECT_EQ(s.ipackets, received);
		EXPECT_EQ(s.ipackets + s.imissed, sent);
		EXPECT_EQ(host.stats().rx_frames, sent);
		EXPECT_EQ(host.stats().protocol_errors, 0u) << host.stats().last_error;
		/* And the port receives as if nothing had been. */
		loop(port, {make_frame(60, 1), make_frame(1514, 2)});
	}
}

/*
 * A forwarder that tries until each frame is taken, and does not receive meanwhile. Completions lie
 * in the ring behind frames that it has not asked for yet: 20,000 at once are packets of hundreds
 * of frames, of which it has a part when it comes to that.
 */
TEST_F(Pressure, ForwarderThatInsists)
{
	static constexpr struct {
		const char* endpoint;
		const char* args;
		uint32_t frames;
	} kCases[] = {
		{"generator:size=64:count=20000", "", 20000},
		{"generator:size=64", "", 200000},
		{"generator:size=64", "ring_kb=64", 200000},
		{"generator:size=64", "rx_extmbuf_enable=1,rx_copybreak=0,tx_copybreak=0", 200000}};
	for (const auto& c : kCases) {
		SCOPED_TRACE(std::string(c.endpoint) + " " + c.args);
		TestHost host(nic_with(c.endpoint));
		Port port(host.args(c.args));
		ASSERT_EQ(port.configure(), 0);
		EXPECT_EQ(port.start(), 0);
		uint64_t forwarded = 0;
		bool stuck = false;
		const auto deadline = Clock::now() + std::chrono::seconds(5);
		while (forwarded + port.stats().imissed < c.frames && !stuck &&
		       Clock::now() < deadline) {
			rte_mbuf* mbufs[32];
			const uint16_t n = port.rx(mbufs, 32);
			uint16_t sent = port.tx(mbufs, n);
			for (const auto begin = Clock::now(); sent < n && !stuck;) {
				sent += port.tx(mbufs + sent, n - sent);
				stuck = Clock::now() - begin > std::chrono::seconds(1);
			}
			rte_pktmbuf_free_bulk(mbufs + sent, n - sent);
			forwarded += sent;
		}
		EXPECT_FALSE(stuck) << "transmission starved after " << forwarded;
		EXPECT_GE(forwarded + port.stats().imissed, c.frames);
		EXPECT_EQ(port.stats().opackets, forwarded);
	}
}

/* Traffic comes all the time, nobody polls: control commands must get their answers. */
TEST_F(Pressure, ControlWhileNobodyReceives)
{
	for (const char* args : {"endpoint=generator:size=64,timeout=2000,ring_kb=32",
				 "endpoint=generator:size=64,timeout=2000,recv_kb=256"}) {
		SCOPED_TRACE(args);
		Port port(args);
		ASSERT_EQ(port.configure(), 0);
		EXPECT_EQ(port.start(), 0);
		if (HasFailure())
			continue;
		std::this_thread::sleep_for(std::chrono::milliseconds(20));
		EXPECT_EQ(rte_eth_promiscuous_disable(port.id), 0);
		EXPECT_EQ(rte_eth_promiscuous_enable(port.id), 0);
		std::this_thread::sleep_for(std::chrono::milliseconds(20));
		const auto begin = Clock::now();
		EXPECT_EQ(port.stop(), 0);
		EXPECT_LT(Clock::now() - begin, std::chrono::milliseconds(1000));
		EXPECT_EQ(port.start(), 0);
		EXPECT_GT(port.receive(100).size(), 0u);
	}
}

TEST_F(Pressure, ReceiverAndTransmitterSideBySide)
{
	for (const char* args : {"", "ring_kb=64", "tx_copybreak=0",
				 "rx_extmbuf_enable=1,rx_copybreak=0,tx_copybreak=0"}) {
		SCOPED_TRACE(args);
		TestHost host(nic_with("loopback"));
		Port port(host.args(args));
		ASSERT_NO_FATAL_FAILURE(port.up());
		const uint32_t kFrames = *args == '\0' ? 1000000 : 200000;
		std::atomic<bool> give_up{false};
		std::thread transmitter([&] {
			Frame frame = make_frame(64, 1);
			rte_mbuf* mbufs[32];
			uint32_t made = 0;
			while (made < kFrames && !give_up) {
				if (rte_pktmbuf_alloc_bulk(pools().normal, mbufs, 32) != 0) {
					std::this_thread::yield();
					continue;
				}
				for (rte_mbuf* m : mbufs) {
					std::memcpy(&frame[20], &made, sizeof(made));
					std::memcpy(rte_pktmbuf_mtod(m, void*), frame.data(), 64);
					m->pkt_len = m->data_len = 64;
					made++;
				}
				uint16_t sent = 0;
				while (sent < 32 && !give_up) {
					const uint16_t n = port.tx(mbufs + sent, 32 - sent);
					sent += n;
					if (n == 0)
						std::this_thread::yield();
				}
				rte_pktmbuf_free_bulk(mbufs + sent, 32 - sent);
			}
		});
		uint32_t received = 0;
		uint32_t wrong = 0;
		auto progress = Clock::now();
		while (received < kFrames && wrong == 0 &&
		       Clock::now() - progress < std::chrono::seconds(5)) {
			rte_mbuf* mbufs[32];
			const uint16_t n = port.rx(mbufs, 32);
			for (uint16_t i = 0; i < n; i++) {
				uint32_t number;
				std::memcpy(&number, rte_pktmbuf_mtod_offset(mbufs[i], void*, 20),
					    4);
				wrong += number != received || mbufs[i]->pkt_len != 64 ? 1 : 0;
				received++;
			}
			rte_pktmbuf_free_bulk(mbufs, n);
			if (n != 0)
				progress = Clock::now();
			else
				std::this_thread::yield();
		}
		give_up = received != kFrames;
		transmitter.join();
		EXPECT_EQ(wrong, 0u);
		EXPECT_EQ(received, kFrames) << port.stats().imissed << " missed";
		EXPECT_EQ(port.stats().imissed, 0u);
		EXPECT_EQ(host.stats().protocol_errors, 0u) << host.stats().last_error;
	}
}

/* Statistics and link are read by another thread than those of the queues. */
TEST_F(Pressure, ControlBesideTraffic)
{
	TestHost host(nic_with("loopback"));
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up());
	std::atomic<bool> over{false};
	std::thread control([&] {
		for (uint32_t i = 0; !over; i++) {
			EXPECT_EQ(port.link().link_status, RTE_ETH_LINK_UP);
			port.stats();
			/* Frames of make_frame() pass with promiscuous mode only. */
			EXPECT_EQ(i % 2 == 0 ? rte_eth_allmulticast_enable(port.id)
					     : rte_eth_allmulticast_disable(port.id),
				  0);
			std::this_thread::sleep_for(std::chrono::microseconds(500));
		}
	});
	std::vector<Frame> frames;
	for (uint32_t i = 0; i < 2000; i++)
		frames.push_back(make_frame(60 + i % 1455, i));
	for (int round = 0; round < 20 && !HasFailure(); round++)
		loop(port, frames);
	over = true;
	control.join();
	EXPECT_EQ(port.stats().ipackets, 40000u);
}

} // namespace scenario
