/* SPDX-License-Identifier: BSD-3-Clause */
/** Checks of opening, closing and losing channels, without a word in their rings. */
#include <unistd.h>

#include "channel.hpp"

namespace check {

namespace {

constexpr const char* kOpen = "OPEN_CHANNEL (5)";
constexpr const char* kClose = "CLOSE_CHANNEL (7)";
constexpr const char* kTeardown = "GPADL_TEARDOWN (11) and GPADL_TORNDOWN (12)";
constexpr uint64_t kPage = vmbus::kPageSize;

void open(Run& run)
{
	Guest guest(run);
	guest.request_offers();
	Channel channel(guest, guest.nic().relid);
	Guest::status("MEM_RESULT for MEM_REMOVE while a ring is in the region",
		      guest.mem_remove(kGpa, kMemorySize), vu::Status::kBadState,
		      "MEM_REMOVE (0x1002)");
	channel.close();
	Channel again(guest, guest.nic().relid);
	again.close();
	run.said = "OPEN_RESULT, and opened again after CLOSE_CHANNEL";
}

void open_refused(Run& run)
{
	Guest guest(run);
	guest.request_offers();
	const uint32_t relid = guest.nic().relid;
	memset(guest.memory(), 0, 16 * kPage);
	Guest::status("GPADL_CREATED", guest.gpadl(relid, 1, {{kGpa, 16 * kPage}}), vu::Status::kOk,
		      "GPADL_HEADER (8)");
	const File a = make_eventfd(), b = make_eventfd(), memory = make_memory(kPage);
	int ends[2];
	if (pipe(ends) != 0)
		throw NotApplicable{"no pipe could be made"};
	const File in(ends[0]), out(ends[1]);
	using enum vu::Status;
	struct Case {
		const char* what;
		uint32_t relid, gpadl, offset;
		std::initializer_list<int> fds;
		vu::Status expected;
	};
	const std::initializer_list<int> good = {a.fd(), b.fd()}, one = {a.fd()},
					 three = {a.fd(), b.fd(), a.fd()},
					 pipe_fds = {in.fd(), out.fd()},
					 file = {a.fd(), memory.fd()};
	const Case cases[] = {
		{"of an unknown relid", relid + 0x10000, 1, 8, good, kUnknownId},
		{"with an unknown GPADL", relid, 9, 8, good, kUnknownId},
		{"without descriptors", relid, 1, 8, {}, kBadArgument},
		{"with one descriptor", relid, 1, 8, one, kBadArgument},
		{"with three descriptors", relid, 1, 8, three, kBadArgument},
		{"with a pipe instead of eventfds", relid, 1, 8, pipe_fds, kBadArgument},
		{"with a file instead of an eventfd", relid, 1, 8, file, kBadArgument},
		{"with ring_offset_pages 0", relid, 1, 0, good, kBadArgument},
		{"with a guest → host ring of one page", relid, 1, 1, good, kBadArgument},
		{"with a host → guest ring of one page", relid, 1, 15, good, kBadArgument},
		{"with ring_offset_pages at the end", relid, 1, 16, good, kBadArgument},
		{"with ring_offset_pages 0xffffffff", relid, 1, 0xffffffff, good, kBadArgument},
	};
	for (const Case& c : cases)
		Guest::status(std::string("OPEN_RESULT ") + c.what,
			      guest.open(c.relid, c.gpadl, c.offset, c.fds), c.expected, kOpen);
	auto* control = reinterpret_cast<vmbus::RingControl*>(guest.memory());
	control->out = 16 * kPage;
	Guest::status("OPEN_RESULT with an index beyond its ring", guest.open(relid, 1, 8, good),
		      kBadArgument, kOpen);
	control->out = 0;
	Guest::status("OPEN_RESULT after failures", guest.open(relid, 1, 8, good), kOk, "Errors");
	Guest::status("OPEN_RESULT of an open channel", guest.open(relid, 1, 8, good), kBadState,
		      kOpen);
	run.said = format("OPEN_RESULT: %zu wrong OPEN_CHANNEL were refused", std::size(cases) + 2);
}

void close(Run& run)
{
	Guest guest(run);
	guest.request_offers();
	const uint32_t relid = guest.nic().relid;
	guest.close(relid); /* not open: nothing happens */
	Channel channel(guest, relid);
	channel.close();
	guest.close(relid);
	guest.teardown(relid, 99); /* answered, so that the connection is alive */
	guest.close(relid + 0x10000);
	guest.wire().expect_end("CLOSE_CHANNEL of an unknown relid");
	run.said = "CLOSE_CHANNEL: nothing for a closed channel, the end for an unknown one";
}

void release(Run& run)
{
	Guest guest(run);
	guest.request_offers();
	guest.wire().send(vu::Type::kRelidReleased, vu::ChannelId{{}, guest.nic().relid, 0});
	guest.wire().expect_end("RELID_RELEASED of a channel that was not rescinded");
	run.said = "RELID_RELEASED without RESCIND: ended the connection";
}

void teardown_in_use(Run& run)
{
	Guest guest(run);
	guest.request_offers();
	const uint32_t relid = guest.nic().relid;
	const Channel channel(guest, relid);
	guest.teardown(relid, 1); /* of the rings, without CLOSE_CHANNEL */
	Channel again(guest, relid);
	again.close();
	Guest::status("MEM_RESULT for MEM_REMOVE after the rings",
		      guest.mem_remove(kGpa, kMemorySize), vu::Status::kOk, kTeardown);
	run.said = "GPADL_TORNDOWN of an open channel's rings closed it";
}

void unload_open(Run& run)
{
	Guest guest(run);
	guest.request_offers();
	const Channel channel(guest, guest.nic().relid);
	guest.unload();
	guest.contact();
	guest.request_offers_again();
	Channel again(guest, guest.nic().relid);
	again.close();
	run.said = "UNLOAD closed an open channel; opened anew";
}

void vanish_open(Run& run)
{
	for (int i = 0; i < 3; i++) {
		Guest guest(run);
		guest.request_offers();
		const Channel channel(guest, guest.nic().relid);
	}
	run.said = "three guests that left their channel open: each found it closed";
}

} // namespace

const std::vector<Check> kChannelChecks = {
	{"channel.open", kOpen, "gpadl.create", "a channel opens, closes, and opens again", open},
	{"channel.open-refused", kOpen, "channel.open", "OPEN_CHANNEL that cannot be",
	 open_refused},
	{"channel.close", kClose, "channel.open", "CLOSE_CHANNEL of closed and unknown channels",
	 close},
	{"channel.release", "RELID_RELEASED (13)", "channel.open",
	 "RELID_RELEASED of a channel that is there", release},
	{"channel.teardown-in-use", kTeardown, "channel.open",
	 "teardown of an open channel's rings closes it", teardown_in_use},
	{"channel.unload", "UNLOAD (16) and UNLOAD_RESPONSE (17)", "channel.open",
	 "UNLOAD closes channels", unload_open},
	{"channel.reconnect", "End of the connection", "channel.open",
	 "the end of the connection closes channels", vanish_open},
};

} // namespace check
