/* SPDX-License-Identifier: BSD-3-Clause */
/* Receive interrupts: applications that sleep until a frame comes. */
#include <sys/epoll.h>

#include <atomic>
#include <thread>

#include <rte_interrupts.h>

#include "support.hpp"

namespace scenario {

class Interrupt : public Scenario {
      protected:
	void SetUp() override
	{
		Scenario::SetUp();
		epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
		ASSERT_GE(epoll_, 0);
	}
	void TearDown() override
	{
		::close(epoll_);
		Scenario::TearDown();
	}
	/* The application's tag of a queue is its number + 1. */
	void watch(Port& port, uint16_t queue = 0)
	{
		ASSERT_EQ(rte_eth_dev_rx_intr_ctl_q(port.id, queue, epoll_, RTE_INTR_EVENT_ADD,
						    reinterpret_cast<void*>(queue + uintptr_t{1})),
			  0);
	}
	/** The queue that woke the application, or -1: none did within the time. */
	int sleep(int timeout_ms)
	{
		rte_epoll_event event{};
		const int n = rte_epoll_wait(epoll_, &event, 1, timeout_ms);
		EXPECT_GE(n, 0);
		return n == 1 ? static_cast<int>(reinterpret_cast<uintptr_t>(event.epdata.data) - 1)
			      : -1;
	}
	static PortOptions with_interrupts()
	{
		PortOptions options;
		options.interrupts = true;
		return options;
	}

	int epoll_ = -1;
};

static constexpr int kSoon = 5000;
static constexpr int kQuiet = 20;

TEST_F(Interrupt, AFrameWakesASleeper)
{
	auto wire = std::make_shared<Wire>();
	TestHost host(nic_with("null"), wire);
	Port port(host.args());
	port.up(with_interrupts());
	watch(port);
	ASSERT_EQ(rte_eth_dev_rx_intr_enable(port.id, 0), 0);
	EXPECT_EQ(sleep(kQuiet), -1) << "nothing came";
	for (uint32_t i = 0; i < 3; i++) {
		wire->inject(make_frame(100, i));
		ASSERT_EQ(sleep(kSoon), 0);
		EXPECT_EQ(rte_eth_dev_rx_intr_disable(port.id, 0), 0);
		EXPECT_EQ(port.receive(1).size(), 1u);
		ASSERT_EQ(rte_eth_dev_rx_intr_enable(port.id, 0), 0);
		EXPECT_EQ(sleep(kQuiet), -1) << "it was received";
	}
	/* Disabled: frames come without a word. */
	EXPECT_EQ(rte_eth_dev_rx_intr_disable(port.id, 0), 0);
	wire->inject(make_frame(100, 9));
	EXPECT_TRUE(eventually([&] { return rte_eth_rx_queue_count(port.id, 0) == 1; }));
	EXPECT_EQ(sleep(kQuiet), -1);
	EXPECT_EQ(port.receive(1).size(), 1u);
}

/* No signal comes for what is in the ring when the interrupt is enabled: the driver gives one. */
TEST_F(Interrupt, FramesThatWaitAlreadyWakeAtOnce)
{
	auto wire = std::make_shared<Wire>();
	TestHost host(nic_with("null"), wire);
	Port port(host.args());
	port.up(with_interrupts());
	watch(port);
	for (uint32_t i = 0; i < 40; i++)
		wire->inject(make_frame(100, i));
	ASSERT_TRUE(eventually([&] { return rte_eth_rx_queue_count(port.id, 0) == 40; }));
	ASSERT_EQ(rte_eth_dev_rx_intr_enable(port.id, 0), 0);
	EXPECT_EQ(sleep(kSoon), 0);
	EXPECT_EQ(rte_eth_dev_rx_intr_disable(port.id, 0), 0);
	EXPECT_EQ(port.receive(32).size(), 32u);
	ASSERT_EQ(rte_eth_dev_rx_intr_enable(port.id, 0), 0);
	EXPECT_EQ(sleep(kSoon), 0) << "eight are left";
	EXPECT_EQ(port.receive(8).size(), 8u);
	ASSERT_EQ(rte_eth_dev_rx_intr_enable(port.id, 0), 0);
	(void)sleep(kQuiet); /* the interrupt was on while frames were taken */
	EXPECT_EQ(sleep(kQuiet), -1);
}

/* One frame at a time, sent just before the sleep or just after it begins. */
TEST_F(Interrupt, NoWakeupIsLost)
{
	static constexpr uint32_t kRounds = 20000;
	Port port("endpoint=loopback");
	port.up(with_interrupts());
	watch(port);
	std::atomic<uint32_t> wanted{0};
	std::atomic<bool> over{false};
	std::thread sender([&] {
		for (uint32_t sent = 0; !over;) {
			if (sent == wanted.load(std::memory_order_acquire)) {
				std::this_thread::yield();
				continue;
			}
			for (uint32_t i = 0; i < sent * 7 % 3000; i++)
				__asm__ volatile("");
			if (!port.send(make_frame(60, sent)))
				break;
			sent++;
		}
	});
	uint32_t slept = 0;
	for (uint32_t round = 0; round < kRounds && !HasFailure(); round++) {
		wanted.store(round + 1, std::memory_order_release);
		rte_mbuf* m = nullptr;
		while (port.rx(&m, 1) == 0) {
			ASSERT_EQ(rte_eth_dev_rx_intr_enable(port.id, 0), 0);
			if (sleep(kSoon) != 0) {
				ADD_FAILURE() << "nobody woke the sleeper in round " << round;
				break;
			}
			slept++;
			rte_eth_dev_rx_intr_disable(port.id, 0);
		}
		rte_pktmbuf_free(m);
	}
	over = true;
	sender.join();
	EXPECT_GT(slept, kRounds / 4) << "the test did not test what it should";
}

TEST_F(Interrupt, EveryQueueWakesItsOwnSleeper)
{
	NEEDS(announced().max_rx_queues >= 4, "4 queues");
	netvsp::NicConfig config;
	config.queues = 4;
	auto wire = std::make_shared<Wire>();
	TestHost host(config, wire);
	Port port(host.args());
	PortOptions options = with_interrupts();
	options.rx_queues = options.tx_queues = 4;
	options.rss_types = RTE_ETH_RSS_IPV4;
	port.up(options);
	for (uint16_t q = 0; q < 4; q++) {
		watch(port, q);
		ASSERT_EQ(rte_eth_dev_rx_intr_enable(port.id, q), 0);
	}
	for (uint16_t q = 0; q < 4; q++) {
		/* All of the table to one queue. */
		rte_eth_rss_reta_entry64 reta[2]{};
		for (auto& group : reta) {
			group.mask = ~uint64_t{0};
			for (uint16_t& entry : group.reta)
				entry = q;
		}
		ASSERT_EQ(rte_eth_dev_rss_reta_update(port.id, reta, port.info().reta_size), 0);
		while (sleep(kQuiet) != -1) /* answers of the host wake queue 0, too */
			ASSERT_EQ(rte_eth_dev_rx_intr_enable(port.id, 0), 0);
		wire->inject(make_frame(100, q));
		Frame ip = make_frame(100, q);
		ip[12] = 0x08;
		ip[13] = 0x00;
		ip[14] = 0x45;
		wire->inject(ip);
		bool woke = false;
		while (!woke) {
			const int who = sleep(kSoon);
			ASSERT_NE(who, -1);
			woke = who == q;
			EXPECT_TRUE(who == q || who == 0) << "the frame without IP goes to queue 0";
		}
		EXPECT_EQ(port.receive(q == 0 ? 2 : 1, kSoon, q).size(), q == 0 ? 2u : 1u);
		if (q != 0) {
			EXPECT_EQ(port.receive(1, kSoon, 0).size(), 1u);
		}
		ASSERT_EQ(rte_eth_dev_rx_intr_enable(port.id, 0), 0);
		ASSERT_EQ(rte_eth_dev_rx_intr_enable(port.id, q), 0);
		while (sleep(kQuiet) != -1) {
		}
	}
}

/* The descriptors change when the port connects anew. */
TEST_F(Interrupt, SurvivesRestartAndANewMtu)
{
	Port port("endpoint=loopback");
	port.up(with_interrupts());
	for (int round = 0; round < 3; round++) {
		watch(port);
		ASSERT_EQ(rte_eth_dev_rx_intr_enable(port.id, 0), 0);
		ASSERT_TRUE(port.send(make_frame(100, 1)));
		EXPECT_EQ(sleep(kSoon), 0);
		EXPECT_EQ(port.receive(1).size(), 1u);
		EXPECT_EQ(port.stop(), 0);
		EXPECT_LT(rte_eth_dev_rx_intr_enable(port.id, 0), 0) << "the port is stopped";
		if (round == 1 && announced().max_mtu > 1500) {
			ASSERT_EQ(rte_eth_dev_set_mtu(port.id, 1400), 0);
		}
		ASSERT_EQ(port.start(), 0);
	}
}

TEST_F(Interrupt, IsRefusedWhereItWasNotConfigured)
{
	Port port("endpoint=null");
	port.up();
	EXPECT_EQ(rte_eth_dev_rx_intr_enable(port.id, 0), -ENOTSUP);
	EXPECT_LT(rte_eth_dev_rx_intr_ctl_q(port.id, 0, epoll_, RTE_INTR_EVENT_ADD, nullptr), 0);
}

/* Sleepers of a port that is gone must find out. */
TEST_F(Interrupt, TheHostsEndWakes)
{
	TestHost host(nic_with("null"));
	Port port(host.args());
	port.up(with_interrupts());
	watch(port);
	ASSERT_EQ(rte_eth_dev_rx_intr_enable(port.id, 0), 0);
	std::thread killer([&] { host.die(); });
	EXPECT_EQ(sleep(kSoon), 0);
	killer.join();
	EXPECT_TRUE(eventually([&] {
		return rte_eth_dev_rx_intr_enable(port.id, 0) == -ENODEV ||
		       rte_eth_dev_is_removed(port.id) != 0;
	}));
}

/* A polled port costs the host no signals. */
TEST_F(Interrupt, PolledPortsAreNotSignalled)
{
	Port port("endpoint=loopback");
	port.up(with_interrupts());
	watch(port);
	loop(port, std::vector<Frame>(500, make_frame(100, 3)));
	EXPECT_EQ(sleep(0), -1);
}

} // namespace scenario
