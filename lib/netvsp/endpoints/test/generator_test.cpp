/* SPDX-License-Identifier: BSD-3-Clause */
#include <netinet/in.h>
#include <set>
#include <thread>

#include "support.hpp"

using namespace netvsp;
using namespace netvsp::test;

namespace {

/* The checksum as RFC 1071 has it, on bytes: nothing of the code under test. */
uint16_t checksum(const uint8_t* data, size_t length, uint32_t sum = 0)
{
	for (size_t i = 0; i < length; i++)
		sum += uint32_t(data[i]) << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return uint16_t(~sum);
}

uint16_t get16(const Frame& frame, size_t at)
{
	return uint16_t(frame[at] << 8 | frame[at + 1]);
}

void expect_valid(const Frame& frame, size_t size, bool tcp)
{
	ASSERT_EQ(frame.size(), size);
	ASSERT_EQ(get16(frame, 12), 0x0800);
	ASSERT_EQ(frame[14], 0x45);
	ASSERT_EQ(get16(frame, 16), size - 14);
	ASSERT_EQ(frame[23], tcp ? IPPROTO_TCP : IPPROTO_UDP);
	ASSERT_EQ(checksum(&frame[14], 20), 0);
	if (!tcp) {
		ASSERT_EQ(get16(frame, 38), size - 34);
		ASSERT_NE(get16(frame, 40), 0);
	}
	uint32_t pseudo = frame[23] + uint32_t(size) - 34;
	for (size_t i = 26; i < 34; i += 2)
		pseudo += get16(frame, i);
	ASSERT_EQ(checksum(&frame[34], size - 34, pseudo), 0);
}

} // namespace

TEST(Generator, MakesValidFrames)
{
	for (const bool tcp : {false, true}) {
		for (size_t size : {60, 64, 65, 66, 67, 72, 73, 79, 127, 512, 1514, 9001, 9216}) {
			if (tcp && size < 72)
				continue;
			auto endpoint = make("generator:flows=300:size=" + std::to_string(size) +
					     (tcp ? ":proto=tcp" : ""));
			for (int i = 0; i < 700; i++) {
				const Frame frame = receive(*endpoint, uint32_t(size));
				ASSERT_NO_FATAL_FAILURE(expect_valid(frame, size, tcp));
				ASSERT_TRUE(send(*endpoint, frame));
			}
			EXPECT_EQ(endpoint->stats().verified, 700u);
			EXPECT_EQ(endpoint->stats().errors, 0u);
			EXPECT_EQ(endpoint->stats().received_bytes, 700u * size);
		}
	}
}

TEST(Generator, ChecksumsAreValidOverManyFrames)
{
	auto endpoint = make("generator:size=61:flows=65536");

	for (int i = 0; i < 200000; i++)
		ASSERT_NO_FATAL_FAILURE(expect_valid(receive(*endpoint), 61, false));
}

TEST(Generator, FlowsDifferAndTakeTurns)
{
	auto endpoint = make("generator:flows=1000");
	std::set<std::string> flows;
	std::vector<std::string> order;

	for (int i = 0; i < 1000; i++) {
		const Frame frame = receive(*endpoint);
		order.emplace_back(frame.begin() + 26, frame.begin() + 38);
		flows.insert(order.back());
	}
	EXPECT_EQ(flows.size(), 1000u);
	for (int i = 0; i < 1000; i++) {
		const Frame frame = receive(*endpoint);
		ASSERT_EQ(std::string(frame.begin() + 26, frame.begin() + 38), order[size_t(i)]);
	}
}

TEST(Generator, DestinationAndDefaults)
{
	EXPECT_EQ(receive(*make("generator")).size(), 64u);
	EXPECT_EQ(receive(*make("generator:proto=tcp")).size(), 72u);
	const Frame wanted{0x00, 0x15, 0x5d, 0xAB, 0xcd, 0xef};
	for (const char* spec :
	     {"generator:dst=00:15:5d:AB:cd:ef:size=100", "generator:dst=00-15-5d-ab-cd-ef",
	      "generator:size=60:dst=00:15:5D:ab:cd:ef"}) {
		const Frame frame = receive(*make(spec));
		EXPECT_EQ(Frame(frame.begin(), frame.begin() + 6), wanted) << spec;
	}
}

TEST(Generator, RefusesWrongOptions)
{
	for (const char* spec :
	     {"generator:size=59", "generator:size=9217", "generator:size=", "generator:size=-1",
	      "generator:size=64x", "generator:flows=0", "generator:flows=65537",
	      "generator:rate=x", "generator:rate=1000000001",
	      "generator:count=99999999999999999999", "generator:dst=1:2",
	      "generator:dst=00:15:5d:01:02:0", "generator:dst=00:15:5d:01:02:0g",
	      "generator:proto=sctp", "generator:color=red", "generator:proto=tcp:size=71",
	      "generator:dst=00:15:5d:01:02:033"}) {
		EXPECT_NE(refuse(spec).find("endpoint generator: "), std::string::npos) << spec;
	}
	EXPECT_NE(refuse("generator:size=59").find("60..9216"), std::string::npos);
	EXPECT_NE(refuse("generator:proto=tcp:size=71").find("at least 72"), std::string::npos);
}

TEST(Generator, StopsAtTheCount)
{
	auto endpoint = make("generator:count=3");

	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(endpoint->wait_ns(), 0);
		EXPECT_FALSE(receive(*endpoint).empty());
	}
	EXPECT_TRUE(receive(*endpoint).empty());
	EXPECT_EQ(endpoint->wait_ns(), -1);
	EXPECT_EQ(endpoint->stats().received_frames, 3u);
}

TEST(Generator, KeepsTheRate)
{
	auto endpoint = make("generator:rate=50000");
	uint8_t room[64];
	uint64_t frames = 0;

	endpoint->receive(room, sizeof(room)); /* starts the clock */
	const uint64_t start = clock_ns(CLOCK_MONOTONIC);
	while (clock_ns(CLOCK_MONOTONIC) - start < 200'000'000) {
		if (endpoint->receive(room, sizeof(room)) != 0) {
			frames++;
			continue;
		}
		const int64_t wait = endpoint->wait_ns();
		ASSERT_GE(wait, 0);
		ASSERT_LE(wait, 20'000);
		std::this_thread::sleep_for(std::chrono::nanoseconds(wait));
	}
	/* A busy machine may take the time away, never add to it. */
	EXPECT_LE(frames, 10'100u);
	EXPECT_GE(frames, 5'000u);
}

TEST(Generator, DoesNotMakeUpForALongPause)
{
	auto endpoint = make("generator:rate=10000");
	uint64_t frames = 0;

	receive(*endpoint);
	std::this_thread::sleep_for(std::chrono::milliseconds(300));
	while (!receive(*endpoint).empty())
		frames++;
	EXPECT_GE(frames, 50u);
	EXPECT_LE(frames, 1000u);
}

TEST(Generator, SlowRateDoesNotLoseALateFrame)
{
	auto endpoint = make("generator:rate=20");

	receive(*endpoint);
	std::this_thread::sleep_for(std::chrono::milliseconds(75));
	EXPECT_FALSE(receive(*endpoint).empty());
	EXPECT_TRUE(receive(*endpoint).empty());
}

TEST(Generator, RateAndCountTogether)
{
	auto endpoint = make("generator:rate=1000000:count=500");
	uint64_t frames = 0;
	const uint64_t start = clock_ns(CLOCK_MONOTONIC);

	while (clock_ns(CLOCK_MONOTONIC) - start < 100'000'000)
		frames += !receive(*endpoint).empty();
	EXPECT_EQ(frames, 500u);
	EXPECT_EQ(endpoint->wait_ns(), -1);
}

TEST(Generator, WindowLimitsFramesOnTheirWay)
{
	auto endpoint = make("generator:window=8");
	std::vector<Frame> out;
	for (int i = 0; i < 8; i++)
		out.push_back(receive(*endpoint));
	EXPECT_TRUE(receive(*endpoint).empty());
	EXPECT_GT(endpoint->wait_ns(), 0);
	/* Each frame that comes back makes room for one. */
	for (int i = 0; i < 3; i++)
		ASSERT_TRUE(send(*endpoint, out[size_t(i)]));
	EXPECT_EQ(endpoint->wait_ns(), 0);
	for (int i = 0; i < 3; i++)
		EXPECT_FALSE(receive(*endpoint).empty());
	EXPECT_TRUE(receive(*endpoint).empty());
}

TEST(Generator, MeasuresRoundTripsOfOneFrameAtATime)
{
	auto endpoint = make("generator:window=1");
	EXPECT_EQ(endpoint->stats().rtt_p50_ns, 0u);
	for (int i = 0; i < 20; i++) {
		const Frame frame = receive(*endpoint);
		ASSERT_FALSE(frame.empty());
		std::this_thread::sleep_for(std::chrono::milliseconds(i == 7 ? 20 : 1));
		ASSERT_TRUE(send(*endpoint, frame));
	}
	const EndpointStats stats = endpoint->stats();
	EXPECT_EQ(stats.round_trips, 20u);
	EXPECT_GE(stats.rtt_p50_ns, 1'000'000u);
	EXPECT_LE(stats.rtt_p50_ns, stats.rtt_p99_ns);
	EXPECT_GE(stats.rtt_p99_ns, 20'000'000u);
	EXPECT_EQ(stats.rtt_p99_ns, stats.rtt_p999_ns);
	auto many = make("generator:window=2");
	ASSERT_TRUE(send(*many, receive(*many)));
	EXPECT_EQ(many->stats().round_trips, 0u);
}

TEST(Generator, WindowForgetsWhatIsLost)
{
	auto endpoint = make("generator:window=4");
	for (int i = 0; i < 4; i++)
		ASSERT_FALSE(receive(*endpoint).empty());
	ASSERT_TRUE(receive(*endpoint).empty());
	std::this_thread::sleep_for(std::chrono::milliseconds(1100));
	(void)receive(*endpoint); /* notices */
	EXPECT_FALSE(receive(*endpoint).empty());
}

TEST(Generator, CountsLossPerFlow)
{
	auto endpoint = make("generator:flows=4");

	for (int i = 0; i < 40; i++) {
		const Frame frame = receive(*endpoint);
		if (i != 10 && i != 14 && i != 21)
			send(*endpoint, frame);
	}
	EXPECT_EQ(endpoint->stats().lost, 3u);
	EXPECT_EQ(endpoint->stats().verified, 37u);
	EXPECT_EQ(endpoint->stats().reordered, 0u);
	EXPECT_EQ(endpoint->stats().errors, 0u);
}

TEST(Generator, OrderCountsWithinAFlowOnly)
{
	auto endpoint = make("generator:flows=2");
	std::vector<Frame> frames;

	for (int i = 0; i < 6; i++)
		frames.push_back(receive(*endpoint));
	for (size_t i : {1, 3, 0, 2, 5, 4})
		send(*endpoint, frames[i]);
	EXPECT_EQ(endpoint->stats().verified, 6u);
	EXPECT_EQ(endpoint->stats().reordered, 0u);
	send(*endpoint, frames[5]); /* a duplicate */
	send(*endpoint, frames[2]); /* late */
	EXPECT_EQ(endpoint->stats().reordered, 2u);
	EXPECT_EQ(endpoint->stats().errors, 2u);
}

TEST(Generator, FindsEachCorruptedByte)
{
	for (const char* spec :
	     {"generator:size=60", "generator:size=107", "generator:proto=tcp:size=99"}) {
		auto endpoint = make(spec);
		const Frame frame = receive(*endpoint);
		const size_t payload = frame[23] == IPPROTO_TCP ? 54 : 42;

		/* Without its magic it is a frame like any other. */
		for (size_t i = payload; i < payload + 4; i++) {
			Frame bad = frame;
			bad[i] ^= 0x10;
			send(*endpoint, bad);
		}
		EXPECT_EQ(endpoint->stats().foreign, 4u);
		for (size_t i = payload + 4; i < frame.size(); i++) {
			for (int bit = 0; bit < 8; bit++) {
				Frame bad = frame;
				bad[i] = uint8_t(bad[i] ^ 1 << bit);
				send(*endpoint, bad);
			}
		}
		EXPECT_EQ(endpoint->stats().corrupted, (frame.size() - payload - 4) * 8) << spec;
		EXPECT_EQ(endpoint->stats().verified, 0u);
		EXPECT_EQ(endpoint->stats().errors, endpoint->stats().corrupted);
	}
}

TEST(Generator, FindsAWrongLength)
{
	auto endpoint = make("generator:size=200");
	const Frame frame = receive(*endpoint);

	for (size_t length = 0; length < 230; length++) {
		Frame bad = frame;
		bad.resize(length);
		if (length != 200)
			send(*endpoint, bad);
	}
	EXPECT_EQ(endpoint->stats().verified, 0u);
	EXPECT_EQ(endpoint->stats().foreign, 46u); /* up to the magic's end */
	EXPECT_EQ(endpoint->stats().corrupted, 230u - 46 - 1);
}

TEST(Generator, AcceptsWhatForwardersRewrite)
{
	for (const char* spec : {"generator:size=100", "generator:proto=tcp:size=100"}) {
		auto endpoint = make(spec);

		for (int i = 0; i < 10; i++) {
			Frame frame = receive(*endpoint);
			std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
			std::swap_ranges(&frame[26], &frame[30], &frame[30]);
			frame[22]--;
			frame[24] = frame[25] = 0;
			if (i % 2) {
				const uint8_t tag[4] = {0x81, 0x00, 0x20, 0x05};
				frame.insert(frame.begin() + 12, tag, tag + 4);
			}
			send(*endpoint, frame);
		}
		EXPECT_EQ(endpoint->stats().verified, 10u) << spec;
	}
}

TEST(Generator, VerifiesAnotherGenerator)
{
	auto a = make("generator:size=100:flows=8");
	auto b = make("generator:size=1000:flows=3");

	for (int i = 0; i < 100; i++) {
		send(*a, receive(*b));
		send(*b, receive(*a));
		send(*a, receive(*a));
		if (i == 50)
			receive(*b);
	}
	EXPECT_EQ(a->stats().verified, 200u);
	EXPECT_EQ(b->stats().verified, 100u);
	/* Every second frame of a goes to b, so that a flow of a stays with one of them. */
	EXPECT_EQ(a->stats().lost, 1u);
	EXPECT_EQ(b->stats().lost, 0u);
}

TEST(Generator, SinksForeignFrames)
{
	auto endpoint = make("generator");

	for (size_t length : {0, 1, 14, 33, 34, 41, 42, 45, 46, 60, 1514})
		EXPECT_TRUE(send(*endpoint, make_frame(length)));
	/* Headers that lead past the end. */
	for (uint8_t first : {0x40, 0x4f, 0x45}) {
		for (uint8_t protocol : {6, 17, 1}) {
			for (size_t length : {38, 54, 58, 60, 74}) {
				Frame frame(length, 0xff);
				frame[12] = 8;
				frame[13] = 0;
				frame[14] = first;
				frame[23] = protocol;
				EXPECT_TRUE(send(*endpoint, frame));
			}
		}
	}
	EXPECT_EQ(endpoint->stats().foreign, 11u + 45u);
	EXPECT_EQ(endpoint->stats().errors, 0u);
	EXPECT_EQ(endpoint->stats().sent_frames, 56u);
}

TEST(Generator, DropsWhatTheGuestHasNoRoomFor)
{
	auto endpoint = make("generator:size=100");

	EXPECT_TRUE(receive(*endpoint, 99).empty());
	EXPECT_EQ(endpoint->stats().dropped, 1u);
	EXPECT_EQ(receive(*endpoint, 100).size(), 100u);
}
