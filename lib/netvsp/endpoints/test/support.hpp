/* SPDX-License-Identifier: BSD-3-Clause */
/** What the endpoints' tests share. */
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "../endpoint.hpp"
#include "../kinds.hpp"
#include "../switch.hpp"

namespace netvsp::test {

using Frame = std::vector<uint8_t>;

/** A frame of this length whose bytes differ by position and seed. */
inline Frame make_frame(size_t length, uint8_t seed = 0)
{
	Frame frame(length);

	for (size_t i = 0; i < length; i++)
		frame[i] = uint8_t(i * 7 + i / 256 + seed);
	return frame;
}

/** Makes an endpoint that must be accepted. */
inline std::unique_ptr<Endpoint> make(const std::string& spec)
{
	std::string error;
	auto endpoint = make_endpoint(spec, std::make_shared<Switch>(), error);

	EXPECT_TRUE(endpoint) << error;
	return endpoint;
}

/** Makes an endpoint that must be refused. @return why it was */
inline std::string refuse(const std::string& spec)
{
	std::string error;
	auto endpoint = make_endpoint(spec, std::make_shared<Switch>(), error);

	EXPECT_FALSE(endpoint) << spec;
	EXPECT_FALSE(error.empty()) << spec;
	return error;
}

/** The next frame, empty if there is none. The room ends where the capacity does. */
inline Frame receive(Endpoint& endpoint, uint32_t capacity = kMaxFrame)
{
	Frame room(capacity);
	const uint32_t length = endpoint.receive(room.data(), capacity);

	EXPECT_LE(length, capacity);
	room.resize(length);
	return room;
}

inline bool send(Endpoint& endpoint, const Frame& frame)
{
	/* An allocation of its own shows a read past the end. */
	const Frame copy(frame);

	return endpoint.send(copy.data(), uint32_t(copy.size()));
}

} // namespace netvsp::test
