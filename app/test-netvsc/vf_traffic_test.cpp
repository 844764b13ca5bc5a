/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VF that comes and goes under traffic: numbered frames both ways, of which none is lost and none
 * overtakes another.
 */
#include <cstring>

#include <rte_thash.h>

#include "vf_network.hpp"

namespace scenario {

namespace {

constexpr uint32_t kInFlight = 400; /* less than any ring on the way takes */
constexpr size_t kNumberAt = 60;    /* behind the headers of a frame that is hashed */

/* One flow each way for each queue: UDP, so that host and VF choose the same queue. */
Frame numbered(const rte_ether_addr& to, uint16_t flow, uint32_t number)
{
	Frame frame = make_frame_to(to, kNumberAt + 4 + number % 200, number);
	uint8_t* ip = &frame[14];
	std::fill(ip, ip + 28, 0);
	frame[12] = 8;
	frame[13] = 0;
	ip[0] = 0x45;
	ip[2] = static_cast<uint8_t>((frame.size() - 14) >> 8);
	ip[3] = static_cast<uint8_t>(frame.size() - 14);
	ip[8] = 64;
	ip[9] = 17;
	ip[12] = ip[16] = 10;
	ip[15] = 1;
	ip[19] = 2;
	ip[21] = static_cast<uint8_t>(flow);
	ip[23] = 53;
	std::memcpy(&frame[kNumberAt], &number, 4);
	return frame;
}

uint16_t flow_of(const uint8_t* frame)
{
	return frame[14 + 21];
}

uint32_t number_of(const uint8_t* frame)
{
	uint32_t number;
	std::memcpy(&number, frame + kNumberAt, 4);
	return number;
}

/* What an application, the network and the VF's hardware do meanwhile. */
class Traffic {
      public:
	/**
	 * @param lcores 1: receives and sends, 2: one of them each. Not one for each queue: threads
	 * that are preempted inside a mempool's ring, where others wait for them, take ages.
	 */
	Traffic(VfNetwork& net, uint16_t queues, uint16_t flows, uint32_t lcores)
		: net_(net),
		  queues_(queues),
		  flows_(flows),
		  next_in_(flows),
		  next_out_(queues),
		  queue_of_(flows, UINT16_MAX),
		  to_(net.port.mac())
	{
		network_ = std::thread([this] { inject(); });
		for (uint32_t i = 0; i < lcores; i++)
			lcores_.emplace_back([this, i, lcores] { run(i == 0, i + 1 == lcores); });
	}
	~Traffic() { end(); }

	/** Frames both ways since the last call; for "until there was traffic". */
	bool flows(uint32_t count = 500)
	{
		const uint64_t in = received_;
		const uint64_t out = sent_;
		return eventually([&] { return received_ >= in + count && sent_ >= out + count; },
				  20000);
	}

	void end()
	{
		if (lcores_.empty())
			return;
		stop_sending_ = true;
		network_.join();
		EXPECT_TRUE(eventually([&] { return received_ == injected_; }, 10000))
			<< injected_ - received_ << " of " << injected_ << " frames are missing";
		EXPECT_TRUE(eventually([&] { return net_.wire->taken_count() == sent_; }, 10000))
			<< sent_ - net_.wire->taken_count() << " of " << sent_
			<< " frames did not arrive";
		over_ = true;
		for (std::thread& lcore : lcores_)
			lcore.join();
		lcores_.clear();
		std::vector<uint32_t> next(queues_);
		for (const Frame& frame : net_.wire->taken()) {
			const uint16_t q = flow_of(frame.data());
			ASSERT_LT(q, queues_);
			ASSERT_EQ(number_of(frame.data()), next[q]) << "sent by queue " << q;
			ASSERT_EQ(frame, numbered(to_, q, next[q]));
			next[q]++;
		}
		EXPECT_EQ(disorder_, 0u) << "frames received out of order";
		EXPECT_EQ(strays_, 0u) << "frames that changed their queue";
		const rte_eth_stats s = net_.port.stats();
		EXPECT_EQ(s.ipackets, injected_);
		EXPECT_EQ(s.opackets, sent_);
		EXPECT_EQ(s.imissed + s.ierrors + s.oerrors, 0u);
	}

      private:
	void inject()
	{
		std::vector<uint32_t> next(flows_);
		for (uint16_t flow = 0; !stop_sending_; flow = (flow + 1) % flows_) {
			while (injected_ - received_ >= kInFlight && !stop_sending_)
				std::this_thread::sleep_for(std::chrono::microseconds(20));
			net_.wire->inject(numbered(to_, flow, next[flow]++));
			injected_++;
		}
	}

	void run(bool receives, bool sends)
	{
		while (!over_) {
			bool work = false;
			for (uint16_t q = 0; q < queues_; q++) {
				work |= receives && receive(q);
				work |= sends && send(q);
			}
			if (!work) /* on a busy machine, who yields waits long */
				std::this_thread::sleep_for(std::chrono::microseconds(20));
		}
	}

	bool receive(uint16_t queue)
	{
		rte_mbuf* mbufs[32];
		const uint16_t n = net_.port.rx(mbufs, 32, queue);
		for (uint16_t i = 0; i < n; i++)
			check(mbufs[i], queue);
		rte_pktmbuf_free_bulk(mbufs, n);
		received_ += n;
		return n != 0;
	}

	bool send(uint16_t queue)
	{
		if (stop_sending_ || sent_ - net_.wire->taken_count() >= kInFlight)
			return false;
		rte_mbuf* mbufs[4];
		for (uint32_t i = 0; i < 4; i++)
			mbufs[i] =
				to_mbuf(numbered(to_, queue, next_out_[queue] + i), pools().normal);
		const uint16_t n = net_.port.tx(mbufs, 4, queue);
		rte_pktmbuf_free_bulk(mbufs + n, 4u - n);
		next_out_[queue] += n;
		sent_ += n;
		return n != 0;
	}

	void check(const rte_mbuf* m, uint16_t queue)
	{
		const auto* frame = rte_pktmbuf_mtod(m, const uint8_t*);
		const uint16_t flow = flow_of(frame);
		if (flow >= flows_ || m->port != net_.port.id) {
			disorder_++;
			return;
		}
		if (queue_of_[flow] == UINT16_MAX)
			queue_of_[flow] = queue;
		if (queue_of_[flow] != queue) {
			strays_++;
			return;
		}
		if (number_of(frame) != next_in_[flow])
			disorder_++;
		next_in_[flow] = number_of(frame) + 1;
	}

	VfNetwork& net_;
	const uint16_t queues_;
	const uint16_t flows_;
	std::vector<uint32_t> next_in_;
	std::vector<uint32_t> next_out_;
	std::vector<uint16_t> queue_of_;
	const rte_ether_addr to_;
	std::thread network_;
	std::vector<std::thread> lcores_;
	std::atomic<bool> stop_sending_{false};
	std::atomic<bool> over_{false};
	std::atomic<uint64_t> injected_{0};
	std::atomic<uint64_t> received_{0};
	std::atomic<uint64_t> sent_{0};
	std::atomic<uint64_t> disorder_{0};
	std::atomic<uint64_t> strays_{0};
};

/* Hardware that sends now and then only: frames are in its queue when the path changes. */
class SlowHardware {
      public:
	explicit SlowHardware(VirtualVf& vf) : vf_(vf)
	{
		thread_ = std::thread([this] {
			for (bool hold = true; !over_; hold = !hold) {
				vf_.hold(hold);
				std::this_thread::sleep_for(std::chrono::microseconds(700));
			}
			vf_.hold(false);
		});
	}
	~SlowHardware()
	{
		over_ = true;
		thread_.join();
	}

      private:
	VirtualVf& vf_;
	std::atomic<bool> over_{false};
	std::thread thread_;
};

} // namespace

class VfTraffic : public Scenario {
      protected:
	void SetUp() override
	{
		Scenario::SetUp();
		NEEDS_VF();
	}
	static constexpr uint32_t kRounds = 15;
};

TEST_F(VfTraffic, HostGivesAndTakes)
{
	VfNetwork net;
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	VirtualVf& vf = net.plug();
	SlowHardware hardware(vf);
	Traffic traffic(net, 1, 1, 1);
	for (uint32_t i = 0; i < kRounds; i++) {
		SCOPED_TRACE(i);
		net.give(i);
		ASSERT_TRUE(net.switched(i + 1));
		ASSERT_TRUE(traffic.flows());
		net.take();
		ASSERT_TRUE(net.by_nic());
		ASSERT_TRUE(traffic.flows());
	}
	traffic.end();
	EXPECT_GT(vf.seen.received, kRounds * 100);
	EXPECT_GT(vf.seen.sent, kRounds * 100);
	EXPECT_EQ(vf.seen.missed, 0u);
}

/* By the guest's own decision, while the host still has the VF. */
TEST_F(VfTraffic, LinkGoesUpAndDown)
{
	VfNetwork net;
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	net.give(1);
	VirtualVf& vf = net.plug();
	SlowHardware hardware(vf);
	Traffic traffic(net, 1, 1, 2);
	for (uint32_t i = 0; i < kRounds; i++) {
		SCOPED_TRACE(i);
		ASSERT_TRUE(net.switched(i + 1));
		ASSERT_TRUE(traffic.flows(200));
		vf.set_link(false);
		ASSERT_TRUE(net.by_nic());
		ASSERT_TRUE(traffic.flows(200));
		vf.set_link(true);
	}
	traffic.end();
	EXPECT_EQ(vf.seen.missed, 0u);
}

/* The device is gone with what it had not sent; this one had sent everything. */
TEST_F(VfTraffic, VfVanishes)
{
	VfNetwork net;
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	Traffic traffic(net, 1, 1, 1);
	for (uint32_t i = 0; i < kRounds; i++) {
		SCOPED_TRACE(i);
		net.give(i);
		VirtualVf& vf = net.plug();
		ASSERT_TRUE(net.switched(i + 1));
		ASSERT_TRUE(traffic.flows(200));
		vf.vanish();
		ASSERT_TRUE(eventually([&] { return !vf.plugged(); }, 10000));
		ASSERT_TRUE(traffic.flows(200));
		EXPECT_EQ(vf.seen.missed, 0u);
		net.unplug();
		net.take();
	}
	traffic.end();
}

/* Host and VF hash alike, so that a flow stays with its queue. */
TEST_F(VfTraffic, FourQueues)
{
	constexpr uint16_t kQueues = 4;
	NEEDS(announced().flow_type_rss_offloads & RTE_ETH_RSS_NONFRAG_IPV4_UDP, "hashes of UDP");
	VfNetwork net(kQueues);
	ASSERT_NO_FATAL_FAILURE(
		net.port.up({.rx_queues = kQueues,
			     .tx_queues = kQueues,
			     .rss_types = RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_IPV4}));
	VirtualVf& vf = net.plug();
	SlowHardware hardware(vf);
	Traffic traffic(net, kQueues, 32, 1);
	for (uint32_t i = 0; i < kRounds; i++) {
		SCOPED_TRACE(i);
		net.give(i);
		ASSERT_TRUE(net.switched(i + 1));
		ASSERT_TRUE(traffic.flows(1000));
		net.take();
		ASSERT_TRUE(net.by_nic());
		ASSERT_TRUE(traffic.flows(1000));
	}
	traffic.end();
	EXPECT_EQ(vf.seen.missed, 0u);
}

/* What the host still sends by the NIC comes through, also where the VF is never idle. */
TEST_F(VfTraffic, BroadcastsAreNotStarved)
{
	VfNetwork net;
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	net.give(1);
	VirtualVf& vf = net.plug();
	ASSERT_TRUE(net.switched(1));
	ASSERT_EQ(net.port.receive_rest(5), 0u); /* the path has changed when somebody polled */
	const Frame unicast = make_frame_to(net.port.mac(), 100, 1);
	Frame broadcast = make_frame_to({{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, 100, 2);
	net.wire->inject(broadcast);
	ASSERT_TRUE(eventually([&] { return net.host.stats().rx_frames == 1; }));
	uint32_t before = 0; /* frames of the VF */
	bool found = false;
	while (!found && before < 100000) {
		for (uint32_t i = 0; i < 32; i++)
			vf.receive(unicast);
		rte_mbuf* mbufs[32];
		const uint16_t n = net.port.rx(mbufs, 32);
		for (uint16_t i = 0; i < n; i++) {
			const bool other = from_mbuf(mbufs[i]) == broadcast;
			found |= other;
			before += !found;
		}
		rte_pktmbuf_free_bulk(mbufs, n);
	}
	EXPECT_TRUE(found);
	EXPECT_LE(before, 512u + 2 * 32); /* what may be older, and a burst */
	net.port.receive_rest();
}

/* A guest that polls neither path meanwhile: what the VF had received comes first. */
TEST_F(VfTraffic, NobodyPolls)
{
	VfNetwork net;
	ASSERT_NO_FATAL_FAILURE(net.port.up());
	VirtualVf& vf = net.plug();
	std::vector<Frame> all;
	const auto inject = [&] {
		for (uint32_t i = 0; i < 100; i++) {
			all.push_back(make_frame_to(net.port.mac(), 60 + i,
						    static_cast<uint32_t>(all.size())));
			net.wire->inject(all.back());
		}
		EXPECT_TRUE(eventually([&] { return net.wire->injected_left() == 0; }));
	};
	for (uint32_t i = 0; i < 3; i++) {
		net.give(i);
		ASSERT_TRUE(net.switched(i + 1));
		/* The ring is empty, and somebody has seen so: the path has changed. */
		ASSERT_EQ(net.port.receive(1, 5).size(), 0u);
		inject();
		net.take();
		ASSERT_TRUE(net.by_nic());
		inject();
		EXPECT_EQ(net.port.receive(all.size()), all);
		all.clear();
	}
	EXPECT_EQ(vf.seen.received, 300u);
	EXPECT_EQ(net.port.stats().ipackets, 600u);
}

} // namespace scenario
