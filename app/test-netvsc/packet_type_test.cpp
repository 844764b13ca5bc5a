/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/netvsc/packet_type.hpp"

#include <random>

#include "support.hpp"

namespace scenario {
namespace {

/* A frame that DPDK finds something in, or nearly: from common headers, with a few bytes changed.
 */
std::vector<uint8_t> headers(std::mt19937& random)
{
	std::vector<uint8_t> frame(14 + 64, 0);
	const bool v6 = random() % 2 != 0;
	const uint8_t next[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP, 0, 4, 47};
	const bool tagged = random() % 4 == 0;
	const size_t ip = tagged ? 18 : 14;
	if (tagged)
		frame[12] = 0x81;
	frame[ip - 2] = v6 ? 0x86 : 0x08;
	frame[ip - 1] = v6 ? 0xdd : 0x00;
	frame[ip] = v6 ? 0x60 : 0x45;
	frame[ip + (v6 ? 6 : 9)] = next[random() % 7];
	frame[ip + (v6 ? 40 : 20) + 12] = 0x50; /* length of TCP's header */
	for (uint32_t n = random() % 3; n != 0; n--)
		frame[12 + random() % 24] = static_cast<uint8_t>(random());
	frame.resize(14 + random() % 65);
	return frame;
}

TEST(PacketType, IsWhatDpdkFinds)
{
	rte_mbuf* m = rte_pktmbuf_alloc(pools().small);
	ASSERT_NE(m, nullptr);
	std::mt19937 random(1);
	uint32_t common = 0;
	for (uint32_t n = 0; n < 200000; n++) {
		rte_pktmbuf_reset(m);
		const std::vector<uint8_t> frame = headers(random);
		std::copy(frame.begin(), frame.end(),
			  reinterpret_cast<uint8_t*>(
				  rte_pktmbuf_append(m, static_cast<uint16_t>(frame.size()))));
		const uint32_t wanted =
			random() % 2 != 0 ? netvsc::kAllPtypes : netvsc::kAllPtypes & random();
		ASSERT_EQ(netvsc::packet_type(*m, wanted), rte_net_get_ptype(m, nullptr, wanted))
			<< testing::PrintToString(frame);
		common += netvsc::common_packet_type(rte_pktmbuf_mtod(m, const uint8_t*),
						     m->data_len) != 0;
	}
	EXPECT_GT(common, 5000u) << "the short way was hardly taken";
	rte_pktmbuf_free(m);
}

} // namespace
} // namespace scenario
