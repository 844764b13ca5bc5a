/* SPDX-License-Identifier: BSD-3-Clause */
/* NICs of one host that are on a switch, and the host's other networks. */
#include <cstdio>
#include <cstring>

#include <pcap/pcap.h>
#include <unistd.h>

#include "support.hpp"

namespace scenario {

class Networks : public Scenario {};

static Frame frame_between(Port& from, const rte_ether_addr& to, uint32_t length, uint32_t seed)
{
	Frame frame = make_frame_to(to, length, seed);
	const rte_ether_addr mac = from.mac();
	std::memcpy(frame.data() + 6, mac.addr_bytes, 6);
	return frame;
}

static constexpr rte_ether_addr kBroadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

TEST_F(Networks, TwoPortsOfASwitch)
{
	NEEDS_VDEV("host that it shares with others");
	Port a("endpoint=switch");
	Port b("endpoint=switch");
	const PortOptions options = {.promiscuous = false};
	ASSERT_NO_FATAL_FAILURE(a.up(options));
	ASSERT_NO_FATAL_FAILURE(b.up(options));
	const rte_ether_addr mac_a = a.mac();
	const rte_ether_addr mac_b = b.mac();
	EXPECT_FALSE(rte_is_same_ether_addr(&mac_a, &mac_b));
	for (uint32_t i = 0; i < 200; i++) {
		const Frame there = frame_between(a, b.mac(), 60 + i * 7, i);
		const Frame back = frame_between(b, a.mac(), 1514 - i * 7, i);
		ASSERT_TRUE(a.send(there));
		ASSERT_TRUE(b.send(back));
		ASSERT_EQ(b.receive(1), std::vector<Frame>{there});
		ASSERT_EQ(a.receive(1), std::vector<Frame>{back});
	}
	EXPECT_EQ(a.receive_rest(5) + b.receive_rest(5), 0u);
}

TEST_F(Networks, ThreePortsFloodAndLearn)
{
	NEEDS_VDEV("host that it shares with others");
	Port a("endpoint=switch");
	Port b("endpoint=switch");
	Port c("endpoint=switch");
	for (Port* port : {&a, &b, &c})
		ASSERT_NO_FATAL_FAILURE(port->up());
	const Frame broadcast = frame_between(a, kBroadcast, 60, 1);
	ASSERT_TRUE(a.send(broadcast));
	EXPECT_EQ(b.receive(1), std::vector<Frame>{broadcast});
	EXPECT_EQ(c.receive(1), std::vector<Frame>{broadcast});
	/* b is not known yet: flooded. a is known: to it alone, although all are promiscuous. */
	const Frame unknown = frame_between(a, b.mac(), 100, 2);
	ASSERT_TRUE(a.send(unknown));
	EXPECT_EQ(b.receive(1), std::vector<Frame>{unknown});
	EXPECT_EQ(c.receive(1), std::vector<Frame>{unknown});
	const Frame known = frame_between(b, a.mac(), 200, 3);
	ASSERT_TRUE(b.send(known));
	EXPECT_EQ(a.receive(1), std::vector<Frame>{known});
	EXPECT_EQ(a.receive_rest(5) + b.receive_rest(5) + c.receive_rest(5), 0u);
}

/* A NIC that goes leaves the others as they are. */
TEST_F(Networks, PortsComeAndGo)
{
	NEEDS_VDEV("host that it shares with others");
	Port a("endpoint=switch");
	Port b("endpoint=switch");
	ASSERT_NO_FATAL_FAILURE(a.up());
	ASSERT_NO_FATAL_FAILURE(b.up());
	for (uint32_t i = 0; i < 10; i++) {
		Port c("endpoint=switch");
		ASSERT_NO_FATAL_FAILURE(c.up());
		const Frame frame = frame_between(a, kBroadcast, 60 + i, i);
		ASSERT_TRUE(a.send(frame));
		EXPECT_EQ(b.receive(1), std::vector<Frame>{frame});
		EXPECT_EQ(c.receive(1), std::vector<Frame>{frame});
	}
	EXPECT_EQ(a.receive_rest(5), 0u);
}

TEST_F(Networks, GeneratorVerifiesWhatComesBack)
{
	TestHost host(nic_with("generator:size=64:count=50000:window=512"));
	Port port(host.args());
	ASSERT_NO_FATAL_FAILURE(port.up());
	const bool all = eventually(
		[&] {
			rte_mbuf* mbufs[32];
			const uint16_t n = port.rx(mbufs, 32);
			for (uint16_t i = 0; i < n; i++)
				EXPECT_TRUE(port.send(mbufs[i]));
			return n == 0 && port.stats().opackets == 50000;
		},
		30000);
	EXPECT_TRUE(all) << port.stats().opackets;
	EXPECT_EQ(port.stop(), 0);
	const netvsp::EndpointStats s = host.stats().endpoint;
	EXPECT_EQ(s.verified, 50000u);
	EXPECT_EQ(s.lost + s.reordered + s.corrupted + s.foreign, 0u);
}

TEST_F(Networks, CapturesAreReplayedAndWritten)
{
	const std::string base = "/tmp/test-netvsc-" + std::to_string(::getpid());
	const std::string in = base + "-in.pcap";
	const std::string out = base + "-out.pcap";
	std::vector<Frame> frames;
	pcap_t* form = pcap_open_dead(DLT_EN10MB, 65535);
	pcap_dumper_t* dumper = pcap_dump_open(form, in.c_str());
	ASSERT_NE(dumper, nullptr);
	for (uint32_t i = 0; i < 300; i++) {
		frames.push_back(make_frame(60 + i * 4, i));
		pcap_pkthdr header{};
		header.caplen = header.len = static_cast<uint32_t>(frames.back().size());
		pcap_dump(reinterpret_cast<u_char*>(dumper), &header, frames.back().data());
	}
	pcap_dump_close(dumper);
	pcap_close(form);
	{
		Port port("endpoint=pcap:" + in + ":" + out);
		ASSERT_NO_FATAL_FAILURE(port.up());
		const std::vector<Frame> received = port.receive(frames.size());
		EXPECT_TRUE(received == frames) << received.size();
		for (const Frame& frame : received)
			ASSERT_TRUE(port.send(frame));
	}
	char error[PCAP_ERRBUF_SIZE];
	pcap_t* capture = pcap_open_offline(out.c_str(), error);
	ASSERT_NE(capture, nullptr) << error;
	std::vector<Frame> written;
	pcap_pkthdr* header;
	const u_char* data;
	while (pcap_next_ex(capture, &header, &data) == 1)
		written.emplace_back(data, data + header->caplen);
	pcap_close(capture);
	EXPECT_TRUE(written == frames) << written.size();
	std::remove(in.c_str());
	std::remove(out.c_str());
}

} // namespace scenario
