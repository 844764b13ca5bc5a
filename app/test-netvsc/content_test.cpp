/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of every shape go out and come back, byte by byte and in order. */
#include <cstdlib>
#include <random>

#include <rte_malloc.h>

#include "support.hpp"

namespace scenario {

/* With which arguments the pipelines take which way. */
static const char* const kWays[] = {"", "tx_copybreak=0", "tx_copybreak=65535", "copies_only=1"};

class Content : public Scenario, public testing::WithParamInterface<const char*> {
      protected:
	netvsp::NicConfig loopback() const
	{
		netvsp::NicConfig config = nic_with("loopback");
		config.section_size = 16384; /* so that "all copied" may be all */
		return config;
	}
	/* The MTU for jumbo frames, or what the host has instead. */
	static uint16_t longest() { return std::min<uint16_t>(announced().max_mtu, 9000); }
	/* Which way the frames went, by the driver's own counters. */
	void expect_way(Port& port, uint64_t frames) const
	{
		const std::string way = GetParam();
		if (way == "tx_copybreak=0") {
			EXPECT_EQ(port.xstat("tx_q0_copied"), 0u);
		} else if (way == "tx_copybreak=65535" ||
			   (way == "copies_only=1" && !UioDevices::there())) {
			EXPECT_EQ(port.xstat("tx_q0_copied"), frames);
		}
	}
};

TEST_P(Content, EveryShortLength)
{
	TestHost host(loopback());
	Port port(host.args(GetParam()));
	ASSERT_NO_FATAL_FAILURE(port.up());
	std::vector<Frame> frames;
	for (uint32_t length = 1; length <= 200; length++)
		frames.push_back(make_frame(length, length));
	for (const uint32_t length : {511, 512, 513, 1023, 1024, 1500, 1513, 1514, 1518})
		frames.push_back(make_frame(length, length));
	loop(port, frames);
	expect_way(port, frames.size());
	EXPECT_EQ(host.stats().tx_frames, frames.size());
	EXPECT_EQ(host.stats().tx_errors, 0u);
}

TEST_P(Content, EveryJumboLength)
{
	NEEDS(announced().max_mtu >= 9000, "jumbo frames");
	TestHost host(loopback());
	Port port(host.args(GetParam()));
	PortOptions options;
	options.mtu = 9000;
	ASSERT_NO_FATAL_FAILURE(port.up(options));
	EXPECT_EQ(host.stats().mtu, 9000u);
	std::vector<Frame> frames;
	for (uint32_t length = 1515; length <= 9018; length++)
		frames.push_back(make_frame(length, length));
	loop(port, frames);
	expect_way(port, frames.size());
	EXPECT_EQ(host.stats().tx_errors, 0u);
}

TEST_P(Content, EveryAlignment)
{
	TestHost host(loopback());
	Port port(host.args(GetParam()));
	ASSERT_NO_FATAL_FAILURE(port.up());
	std::vector<Frame> frames;
	for (uint32_t i = 0; i < 64 * 8; i++)
		frames.push_back(make_frame(60 + i / 64 * 200 + i % 9, i));
	loop(port, frames, [](const Frame& frame, size_t number) -> rte_mbuf* {
		rte_mbuf* m = rte_pktmbuf_alloc(pools().jumbo);
		if (m == nullptr)
			return nullptr;
		m->data_off = static_cast<uint16_t>(RTE_PKTMBUF_HEADROOM + number % 64);
		std::copy(frame.begin(), frame.end(), rte_pktmbuf_mtod(m, uint8_t*));
		m->pkt_len = m->data_len = static_cast<uint16_t>(frame.size());
		return m;
	});
	EXPECT_EQ(host.stats().tx_errors, 0u);
}

/* Up to 40 segments: more than a packet has ranges for. */
TEST_P(Content, EveryNumberOfSegments)
{
	netvsp::NicConfig config = loopback();
	if (std::string(GetParam()) == "tx_copybreak=0")
		config.section_size = 512; /* short ones into a section, long ones bounced */
	TestHost host(config);
	Port port(host.args(GetParam()));
	PortOptions options;
	options.mtu = longest();
	ASSERT_NO_FATAL_FAILURE(port.up(options));
	std::vector<Frame> frames;
	std::vector<std::vector<uint32_t>> shapes;
	std::mt19937 random(1);
	for (uint32_t i = 0; i < 40 * 12; i++) {
		std::vector<uint32_t> shape(1 + i % 40);
		uint32_t total = 0;
		const uint32_t most = i % 3 == 0 ? 17 : i % 3 == 1 ? 63 : 223;
		for (uint32_t& length : shape) {
			/* Now and then nothing at all, first and last included. */
			length = random() % 5 == 0 ? 0 : random() % most | 1;
			total += length;
		}
		if (total < 60) {
			shape[random() % shape.size()] += 60;
			total += 60;
		}
		if (total > options.mtu + 14u)
			continue;
		frames.push_back(make_frame(total, i));
		shapes.push_back(shape);
	}
	loop(port, frames, [&](const Frame& frame, size_t number) {
		return to_chain(frame, shapes[number],
				number % 2 != 0 ? pools().small : pools().normal);
	});
	EXPECT_EQ(host.stats().tx_errors, 0u);
	EXPECT_EQ(host.stats().tx_frames, frames.size());
	if (std::string(GetParam()) == "tx_copybreak=0") {
		EXPECT_GT(port.xstat("tx_q0_bounced"), 0u);
		EXPECT_GT(port.xstat("tx_q0_copied"), 0u);
	}
}

/* Clones, and buffers that are not EAL's: the host cannot reach the latter. */
TEST_P(Content, IndirectAndExternalMbufs)
{
	TestHost host(loopback());
	Port port(host.args(GetParam()));
	PortOptions options;
	options.mtu = longest();
	ASSERT_NO_FATAL_FAILURE(port.up(options));
	std::vector<Frame> frames;
	for (uint32_t i = 0; i < 400; i++)
		frames.push_back(make_frame(60 + i * (options.mtu - 60u) / 400, i));
	size_t external_freed = 0;
	loop(port, frames, [&](const Frame& frame, size_t number) -> rte_mbuf* {
		if (number % 2 == 0) {
			rte_mbuf* whole = to_mbuf(frame);
			if (whole == nullptr)
				return nullptr;
			rte_mbuf* clone = rte_pktmbuf_clone(whole, pools().normal);
			rte_pktmbuf_free(whole);
			return clone;
		}
		rte_mbuf* m = rte_pktmbuf_alloc(pools().normal);
		if (m == nullptr)
			return nullptr;
		uint16_t room = static_cast<uint16_t>(
			frame.size() + sizeof(rte_mbuf_ext_shared_info) + sizeof(void*));
		void* memory = std::malloc(room);
		struct Owner {
			void* memory;
			size_t* freed;
		};
		rte_mbuf_ext_shared_info* shared = rte_pktmbuf_ext_shinfo_init_helper(
			memory, &room,
			[](void*, void* opaque) {
				auto* owner = static_cast<Owner*>(opaque);
				std::free(owner->memory);
				++*owner->freed;
				delete owner;
			},
			new Owner{memory, &external_freed});
		std::copy(frame.begin(), frame.end(), static_cast<uint8_t*>(memory));
		rte_pktmbuf_attach_extbuf(m, memory, RTE_BAD_IOVA, room, shared);
		m->data_off = 0;
		m->pkt_len = m->data_len = static_cast<uint16_t>(frame.size());
		return m;
	});
	EXPECT_EQ(port.stop(), 0);
	EXPECT_EQ(external_freed, frames.size() / 2);
	EXPECT_EQ(host.stats().protocol_errors, 0u) << host.stats().last_error;
}

/* Memory of EAL's attached by its virtual address alone, as applications do without VFIO. */
TEST_P(Content, ExternalMemoryOfEal)
{
	TestHost host(loopback());
	Port port(host.args(GetParam()));
	ASSERT_NO_FATAL_FAILURE(port.up());
	auto* memory = static_cast<uint8_t*>(rte_malloc(nullptr, 65536, 4096));
	ASSERT_NE(memory, nullptr);
	rte_mbuf_ext_shared_info shared{};
	shared.free_cb = [](void*, void*) {};
	rte_mbuf_ext_refcnt_set(&shared, 1);
	std::vector<Frame> frames;
	for (uint32_t i = 0; i < 32; i++)
		frames.push_back(make_frame(100 + i * 40, i));
	loop(port, frames, [&](const Frame& frame, size_t number) {
		rte_mbuf* m = rte_pktmbuf_alloc(pools().normal);
		uint8_t* at = memory + number * 2048 + number;
		std::copy(frame.begin(), frame.end(), at);
		rte_mbuf_ext_refcnt_update(&shared, 1);
		rte_pktmbuf_attach_extbuf(m, at, rte_malloc_virt2iova(memory) + (at - memory), 2000,
					  &shared);
		m->data_off = 0;
		m->pkt_len = m->data_len = static_cast<uint16_t>(frame.size());
		return m;
	});
	EXPECT_EQ(port.stop(), 0);
	EXPECT_EQ(rte_mbuf_ext_refcnt_read(&shared), 1);
	EXPECT_EQ(host.stats().protocol_errors, 0u) << host.stats().last_error;
	rte_free(memory);
}

TEST_P(Content, ScatteredOverSmallMbufs)
{
	TestHost host(loopback());
	for (const uint16_t mtu : {uint16_t{1500}, longest()}) {
		SCOPED_TRACE(mtu);
		Port port(host.args(GetParam()));
		PortOptions options;
		options.mtu = mtu;
		options.pool = pools().small;
		EXPECT_LT(port.configure(options), 0)
			<< "frames do not fit, and no scatter asked for";
		options.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER;
		ASSERT_NO_FATAL_FAILURE(port.up(options));
		std::vector<Frame> frames;
		for (uint32_t i = 0; i < 300; i++)
			frames.push_back(make_frame(60 + i * (mtu - 46) / 299, i));
		for (const uint32_t length : {255, 256, 257, 511, 512, 513})
			frames.push_back(make_frame(length, length));
		loop(port, frames, nullptr, [](rte_mbuf* m) {
			EXPECT_EQ(m->nb_segs, (m->pkt_len + 255) / 256);
			rte_pktmbuf_free(m);
		});
	}
}

static std::string name_of(const testing::TestParamInfo<const char*>& info)
{
	static const char* const kNames[] = {"Default", "Direct", "Copied", "CopiesOnly"};
	return kNames[info.index];
}

INSTANTIATE_TEST_SUITE_P(Ways, Content, testing::ValuesIn(kWays), name_of);

class Version : public Scenario,
		public testing::WithParamInterface<std::pair<const char*, uint32_t>> {
      protected:
	void exchange(const std::string& args, const netvsp::NicConfig& config)
	{
		TestHost host(config);
		Port port(host.args(args));
		ASSERT_NO_FATAL_FAILURE(port.up());
		EXPECT_EQ(host.stats().nvsp_version, GetParam().second);
		std::vector<Frame> frames;
		for (uint32_t i = 0; i < 600; i++)
			frames.push_back(make_frame(60 + i * 1454 / 599, i));
		loop(port, frames);
		uint16_t mtu = 9000;
		EXPECT_EQ(port.stop(), 0);
		if (GetParam().second == 2) { /* NVSP 1 cannot tell an MTU */
			EXPECT_LT(rte_eth_dev_set_mtu(port.id, mtu), 0);
			mtu = 1500;
		} else {
			EXPECT_EQ(rte_eth_dev_set_mtu(port.id, mtu), 0);
		}
		EXPECT_EQ(port.configure({.mtu = mtu}), 0);
		ASSERT_EQ(port.start(), 0);
		loop(port, {make_frame(60, 1), make_frame(mtu + 14u, 2)});
		EXPECT_EQ(port.stop(), 0);
		EXPECT_EQ(host.stats().protocol_errors, 0u) << host.stats().last_error;
	}
};

TEST_P(Version, TheHostsLimit)
{
	NEEDS(GetParam().second <= profile().nvsp, "so new a version");
	netvsp::NicConfig config = nic_with("loopback");
	config.nvsp = GetParam().second;
	exchange("", config);
}

TEST_P(Version, TheGuestsLimit)
{
	NEEDS(GetParam().second <= profile().nvsp, "so new a version");
	exchange(std::string("max_nvsp=") + GetParam().first, nic_with("loopback"));
}

INSTANTIATE_TEST_SUITE_P(Nvsp, Version,
			 testing::Values(std::pair{"1", 0x2u}, std::pair{"2", 0x30002u},
					 std::pair{"4", 0x40000u}, std::pair{"5", 0x50000u},
					 std::pair{"6", 0x60000u}, std::pair{"6.1", 0x60001u}),
			 [](const auto& info) {
				 std::string name = std::string("V") + info.param.first;
				 for (char& c : name)
					 c = c == '.' ? '_' : c;
				 return name;
			 });

} // namespace scenario
