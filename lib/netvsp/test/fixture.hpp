/* SPDX-License-Identifier: BSD-3-Clause */
/** What most tests of the emulated host start from: a host with one NIC, and its guest. */
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "guest.hpp"

namespace test {

/** An endpoint whose two sides are queues of the test's. */
struct QueueEndpoint : netvsp::Endpoint {
	std::vector<std::string> sent;
	std::deque<std::string> incoming;
	size_t room = SIZE_MAX;
	uint32_t discards = 0;
	std::vector<std::string> to_vf_frames;
	char not_by_vf = 0; /* frames that begin with it stay with the NIC */
	bool send(const uint8_t* frame, uint32_t length) override
	{
		if (sent.size() >= room)
			return false;
		sent.emplace_back(reinterpret_cast<const char*>(frame), length);
		stats_.sent_frames++;
		return true;
	}
	/* A network that takes frames with work left to do. */
	bool offloads = false;
	std::vector<netvsp::FrameOffload> left;
	bool takes_offloads() const override { return offloads; }
	bool send_offload(const uint8_t* frame, uint32_t length,
			  const netvsp::FrameOffload& what) override
	{
		if (!send(frame, length))
			return false;
		left.push_back(what);
		return true;
	}
	void discard_waiting() override { discards++; }
	bool to_vf(const uint8_t* frame, uint32_t length) override
	{
		if (frame[0] == uint8_t(not_by_vf))
			return false;
		to_vf_frames.emplace_back(reinterpret_cast<const char*>(frame), length);
		return true;
	}
	uint32_t receive(uint8_t* to, uint32_t capacity) override
	{
		while (!incoming.empty()) {
			std::string frame = incoming.front();
			incoming.pop_front();
			if (frame.size() > capacity) {
				stats_.dropped++;
				continue;
			}
			memcpy(to, frame.data(), frame.size());
			return uint32_t(frame.size());
		}
		return 0;
	}
};

/** A host with one NIC and its guest, for tests that want one for each row of a table. */
struct NicAndGuest {
	netvsp::Host host;
	vmbus::Guid nic{};
	QueueEndpoint* endpoint = nullptr;
	Guest guest{[this] { host.poll(); }};

	explicit NicAndGuest(const netvsp::NicConfig& config = {})
	{
		auto owned = std::make_unique<QueueEndpoint>();
		endpoint = owned.get();
		std::string error;
		EXPECT_TRUE(host.add_nic(config, std::move(owned), nic, error)) << error;
		guest.connect(host);
		guest.hello();
	}
	netvsp::NicStats stats()
	{
		netvsp::NicStats s;
		EXPECT_TRUE(host.stats(nic, s));
		return s;
	}
};

/** A host with one NIC, stepped by the guest's waiting. */
struct Fixture : ::testing::Test {
	std::vector<std::string> log; /* outlives the host, which says goodbye */
	netvsp::Host host;
	QueueEndpoint* endpoint = nullptr;
	vmbus::Guid nic{};
	std::unique_ptr<Guest> guest;

	void start(netvsp::NicConfig config = {}, bool monitor = false)
	{
		host.set_log([this](const std::string& line) { log.push_back(line); });
		auto owned = std::make_unique<QueueEndpoint>();
		endpoint = owned.get();
		std::string error;
		ASSERT_TRUE(host.add_nic(config, std::move(owned), nic, error)) << error;
		guest = std::make_unique<Guest>([this] { host.poll(); });
		guest->connect(host);
		guest->hello(monitor);
	}
	netvsp::NicStats stats()
	{
		netvsp::NicStats s;
		EXPECT_TRUE(host.stats(nic, s));
		return s;
	}
};

} // namespace test
