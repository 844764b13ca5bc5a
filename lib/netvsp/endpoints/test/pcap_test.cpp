/* SPDX-License-Identifier: BSD-3-Clause */
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <pcap/pcap.h>
#include <thread>
#include <unistd.h>

#include "support.hpp"

using namespace netvsp;
using namespace netvsp::test;

namespace {

class PcapTest : public ::testing::Test {
      protected:
	PcapTest()
	{
		char name[] = "/tmp/netvsp-pcap-XXXXXX";
		dir = mkdtemp(name);
	}
	~PcapTest() override { std::filesystem::remove_all(dir); }

	std::string path(const std::string& name) const { return dir + "/" + name; }

	void write(const std::string& name, const std::vector<Frame>& frames, int link = DLT_EN10MB,
		   uint32_t cut = 0) const
	{
		pcap_t* pcap = pcap_open_dead(link, 65535);
		pcap_dumper_t* dumper = pcap_dump_open(pcap, path(name).c_str());
		ASSERT_TRUE(dumper);
		for (const Frame& frame : frames) {
			pcap_pkthdr header{};
			header.caplen = uint32_t(frame.size()) - cut;
			header.len = uint32_t(frame.size());
			pcap_dump(reinterpret_cast<u_char*>(dumper), &header, frame.data());
		}
		pcap_dump_close(dumper);
		pcap_close(pcap);
	}

	std::vector<Frame> read(const std::string& name) const
	{
		char error[PCAP_ERRBUF_SIZE];
		std::vector<Frame> frames;
		pcap_pkthdr* header;
		const u_char* data;
		pcap_t* pcap = pcap_open_offline(path(name).c_str(), error);

		if (!pcap) {
			ADD_FAILURE() << error;
			return frames;
		}
		EXPECT_EQ(pcap_datalink(pcap), DLT_EN10MB);
		EXPECT_EQ(pcap_snapshot(pcap), 65535);
		while (pcap_next_ex(pcap, &header, &data) == 1) {
			EXPECT_EQ(header->caplen, header->len);
			EXPECT_LE(std::abs(header->ts.tv_sec - time(nullptr)), 10);
			frames.emplace_back(data, data + header->caplen);
		}
		pcap_close(pcap);
		return frames;
	}

	static std::vector<Frame> all_lengths()
	{
		std::vector<Frame> frames;

		for (size_t length = 14; length < 130; length++)
			frames.push_back(make_frame(length, uint8_t(length)));
		for (size_t length : {1500, 1514, 9000, 9215, 9216})
			frames.push_back(make_frame(length, 3));
		return frames;
	}

	std::string dir;
};

} // namespace

TEST_F(PcapTest, ReplaysOnceFromTheStart)
{
	write("in", all_lengths());
	for (int round = 0; round < 2; round++) {
		auto endpoint = make("pcap:" + path("in") + ":");
		EXPECT_EQ(endpoint->wait_ns(), 0);
		for (const Frame& frame : all_lengths())
			ASSERT_EQ(receive(*endpoint), frame);
		EXPECT_TRUE(receive(*endpoint).empty());
		EXPECT_EQ(endpoint->wait_ns(), -1);
		EXPECT_TRUE(send(*endpoint, make_frame(60)));
		EXPECT_EQ(endpoint->wait_ns(), -1);
		EXPECT_EQ(endpoint->stats().received_frames, all_lengths().size());
	}
}

TEST_F(PcapTest, WritesWhatTheGuestSends)
{
	{
		auto endpoint = make("pcap::" + path("out"));
		for (const Frame& frame : all_lengths())
			EXPECT_TRUE(send(*endpoint, frame));
		EXPECT_TRUE(receive(*endpoint).empty());
	}
	EXPECT_EQ(read("out"), all_lengths());
}

TEST_F(PcapTest, InAndOutTogether)
{
	write("in", all_lengths());
	{
		auto endpoint = make("pcap:" + path("in") + ":" + path("out"));
		for (Frame frame = receive(*endpoint); !frame.empty(); frame = receive(*endpoint))
			send(*endpoint, frame);
		EXPECT_EQ(endpoint->stats().sent_bytes, endpoint->stats().received_bytes);
	}
	EXPECT_EQ(read("out"), all_lengths());
}

TEST_F(PcapTest, FlushesSoonAfterTheTrafficStops)
{
	auto endpoint = make("pcap::" + path("out"));

	EXPECT_TRUE(read("out").empty()); /* a valid file from the start */
	EXPECT_EQ(endpoint->wait_ns(), -1);
	send(*endpoint, make_frame(60));
	endpoint->flush();
	/* Nobody calls the endpoint any more. */
	for (int i = 0; i < 200 && std::filesystem::file_size(path("out")) <= 24; i++)
		std::this_thread::sleep_for(std::chrono::milliseconds(10));
	EXPECT_EQ(read("out").size(), 1u);
	send(*endpoint, make_frame(61));
	for (int i = 0; i < 200 && std::filesystem::file_size(path("out")) <= 24 + 76; i++)
		std::this_thread::sleep_for(std::chrono::milliseconds(10));
	EXPECT_EQ(read("out").size(), 2u);
}

TEST_F(PcapTest, WritesWhileItFlushes)
{
	const uint64_t start = clock_ns(CLOCK_MONOTONIC);
	size_t count = 0;
	{
		auto endpoint = make("pcap::" + path("out"));
		while (clock_ns(CLOCK_MONOTONIC) - start < 350'000'000) {
			for (int i = 0; i < 32; i++)
				send(*endpoint, make_frame(60, uint8_t(count++)));
			endpoint->flush();
			std::this_thread::sleep_for(std::chrono::microseconds(200));
		}
	}
	const std::vector<Frame> frames = read("out");
	ASSERT_EQ(frames.size(), count);
	for (size_t i = 0; i < count; i++)
		ASSERT_EQ(frames[i], make_frame(60, uint8_t(i)));
}

TEST_F(PcapTest, ReadsPcapng)
{
	/* Section header, interface description (EN10MB), one enhanced packet of 60 bytes. */
	const Frame frame = make_frame(60);
	std::vector<uint32_t> words = {0x0a0d0d0a, 28, 0x1a2b3c4d, 1,  ~0u, ~0u, 28, 1,	 20, 1,
				       0,	   20, 6,	   92, 0,   0,	 0,  60, 60};
	words.resize(words.size() + 15);
	memcpy(&words[words.size() - 15], frame.data(), 60);
	words.push_back(92);
	std::ofstream(path("in"), std::ios::binary)
		.write(reinterpret_cast<const char*>(words.data()),
		       std::streamsize(words.size() * 4));
	auto endpoint = make("pcap:" + path("in") + ":");
	EXPECT_EQ(receive(*endpoint), frame);
}

TEST_F(PcapTest, SkipsCutFramesAndThoseWithoutRoom)
{
	write("cut", {make_frame(100), make_frame(200)}, DLT_EN10MB, 10);
	auto endpoint = make("pcap:" + path("cut") + ":");
	EXPECT_TRUE(receive(*endpoint).empty());
	EXPECT_EQ(endpoint->stats().dropped, 2u);

	write("long", {make_frame(200), make_frame(100)});
	endpoint = make("pcap:" + path("long") + ":");
	EXPECT_EQ(receive(*endpoint, 100), make_frame(100));
	EXPECT_EQ(endpoint->stats().dropped, 1u);
}

TEST_F(PcapTest, PathsMayHaveColonsAndBackslashes)
{
	write("a:b\\c", {make_frame(77)});
	auto endpoint = make("pcap:" + dir + "/a\\:b\\\\c:" + dir + "/o\\:ut");
	EXPECT_EQ(receive(*endpoint), make_frame(77));
	EXPECT_TRUE(std::filesystem::exists(path("o:ut")));
}

TEST_F(PcapTest, RefusesWhatItCannotServe)
{
	write("raw", {make_frame(60)}, DLT_RAW);
	std::ofstream(path("text")) << "This is no capture, but it is long enough to be one.\n";
	EXPECT_NE(refuse("pcap:" + path("raw") + ":").find("EN10MB"), std::string::npos);
	EXPECT_NE(refuse("pcap:" + path("text") + ":").find("no pcap or pcapng"),
		  std::string::npos);
	EXPECT_NE(refuse("pcap:" + path("none") + ":").find("No such file"), std::string::npos);
	EXPECT_NE(refuse("pcap::" + path("no/dir")).find("cannot write"), std::string::npos);
	EXPECT_NE(refuse("pcap:" + path("x")).find("IN:OUT"), std::string::npos);
	EXPECT_NE(refuse("pcap:a:b:c").find("IN:OUT"), std::string::npos);
	EXPECT_NE(refuse("pcap:a\\b:c").find("IN:OUT"), std::string::npos);
	EXPECT_NE(refuse("pcap:a:c\\").find("IN:OUT"), std::string::npos);
	EXPECT_NE(refuse("pcap:a:a").find("same file"), std::string::npos);
}

TEST_F(PcapTest, RefusesADamagedFile)
{
	write("in", {make_frame(100), make_frame(100)});
	std::filesystem::resize_file(path("in"), 24 + 16 + 100 + 16 + 50);
	EXPECT_NE(refuse("pcap:" + path("in") + ":").find("damaged"), std::string::npos);
}

TEST_F(PcapTest, CountsAFullDisk)
{
	if (access("/dev/full", W_OK) != 0)
		GTEST_SKIP() << "no /dev/full";
	auto endpoint = make("pcap::/dev/full");
	EXPECT_TRUE(send(*endpoint, make_frame(60)));
	for (int i = 0; i < 200 && endpoint->stats().errors == 0; i++) {
		std::this_thread::sleep_for(std::chrono::milliseconds(10));
		endpoint->flush();
	}
	EXPECT_EQ(endpoint->stats().errors, 1u);
}
