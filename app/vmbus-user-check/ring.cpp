/* SPDX-License-Identifier: BSD-3-Clause */
/** Checks of the rings themselves: completions, signals, and what happens when there is no room. */
#include <chrono>
#include <thread>

#include "session.hpp"

namespace check {

namespace {

constexpr const char* kPackets = "Packets";
constexpr const char* kSignals = "Signals";
constexpr const char* kMonitor = "The monitor page";

/* A host that signals does so at once; one that must not is given this long to be caught. */
constexpr int kQuietMs = 20;

nvsp::Message init_message(uint32_t version)
{
	nvsp::Message m{};
	m.type = nvsp::kInit;
	m.init = {version, version};
	return m;
}

void completion_flag(Run& run)
{
	Session session(run);
	session.init();
	session.ndis(); /* asks for no completions; Session finds one that comes all the same */
	session.receive_buffer();
	run.said = "completions for packets that ask for one, and for no others";
}

void features(Run& run)
{
	Session session(run);
	session.init();
	const auto& to_guest = session.channel.to_guest();
	require(to_guest.feature_bits & vmbus::kFeaturePendingSendSize,
		format("host → guest ring: feature_bits %#x, must have bit 0",
		       to_guest.feature_bits),
		"Rings");
	require(to_guest.pending_send_size == 0,
		format("host → guest ring: pending_send_size %u while there is room, must be 0",
		       to_guest.pending_send_size));
	run.said = "host → guest ring: feature_bits has bit 0";
}

void signal(Run& run)
{
	Session session(run);
	Channel& channel = session.channel;
	for (int i = 0; i < 3; i++) {
		Packet packet;
		channel.drain_signals();
		channel.mask(false);
		/* A version that no host has: it can be asked for any number of times. */
		session.send(init_message(0x7fff0000), true);
		const bool signalled = channel.signalled(session.timeout());
		require(channel.receive(packet, 0),
			signalled ? "eventfd: signalled before there was a packet"
				  : format("INIT: no completion of it within %d ms",
					   session.timeout()));
		require(signalled, format("eventfd: no signal within %d ms of a packet in an empty "
					  "ring, with interrupt_mask 0",
					  session.timeout()));
	}
	run.said = "eventfd: signalled for a packet in an empty ring with interrupt_mask 0";
}

void masked(Run& run)
{
	Session session(run);
	for (int i = 0; i < 3; i++)
		session.try_init(0x7fff0000, 0x7fff0000);
	require(!session.channel.signalled(kQuietMs),
		"eventfd: signalled with interrupt_mask 1, must not be");
	run.said = "eventfd: silent with interrupt_mask 1";
}

/* The guest as a sender without room: the host must signal once it has made room. */
void pending_guest(Run& run)
{
	Session session(run);
	session.up();
	Channel& channel = session.channel;
	/* 40 packets take at least 80 bytes each: more than what is not asked for. */
	constexpr uint32_t kCount = 40, kNotAsked = 2048;
	const uint32_t asked = channel.to_host_size() - kNotAsked;
	const auto ids = session.transmit(kCount, nullptr, asked);
	const bool signalled = channel.signalled(session.timeout());
	__atomic_store_n(&channel.to_host().pending_send_size, 0u, __ATOMIC_SEQ_CST);
	session.transmitted(ids);
	require(signalled,
		format("eventfd: no signal within %d ms when pending_send_size %u bytes got free",
		       session.timeout(), asked));
	run.said = "eventfd: signalled when pending_send_size bytes got free, in spite of the mask";
}

/* The host as a sender without room: it waits, loses nothing, and goes on when signalled. */
void pending_host(Run& run)
{
	Session session(run, Rings{.to_host = 14, .to_guest = 2});
	session.up();
	/* 200 completions of 56 bytes and more do not fit a ring of 4096. */
	const auto ids = session.transmit(200);
	uint32_t asked = 0;
	for (int i = 0; i < session.timeout() && asked == 0; i++) {
		std::this_thread::sleep_for(std::chrono::milliseconds(1));
		asked = __atomic_load_n(&session.channel.to_guest().pending_send_size,
					__ATOMIC_SEQ_CST);
	}
	require(asked != 0,
		format("host → guest ring: full for %d ms, and pending_send_size 0, must tell how "
		       "much the host waits for",
		       session.timeout()));
	require(asked < 4096,
		format("host → guest ring: pending_send_size %u, must be below the data area's "
		       "4096",
		       asked));
	session.transmitted(ids);
	run.said = format("host → guest ring: pending_send_size %u when full; nothing was lost",
			  asked);
}

/* Packets wrap around at every offset in turn. */
void wrap(Run& run)
{
	Session session(run, Rings{.to_host = 2, .to_guest = 2});
	session.up();
	for (int i = 0; i < 150; i++)
		session.transmitted(session.transmit(1));
	run.said = "150 packets and completions through rings of one page";
}

void monitor(Run& run)
{
	Session session(run, {}, true);
	if (session.offer.monitor_id > vmbus::kMonitorIdMax)
		throw NotApplicable{"the adapter has no monitor id"};
	const nvsp::Message m = init_message(0x7fff0000);
	Packet packet;
	for (int i = 0; i < 3; i++) {
		session.channel.write(vmbus::PacketType::kInband, true, 1 + i, nullptr, 0, &m,
				      nvsp::kSizeLegacy);
		session.channel.publish_by_monitor(session.offer.monitor_id);
		require(session.channel.receive(packet, session.timeout()),
			format("INIT: no completion within %d ms of bit %u in the monitor page",
			       session.timeout(), session.offer.monitor_id));
	}
	session.init(); /* by the eventfd, on which signals must be taken, too */
	run.said = format("monitor page: bit %u is seen", session.offer.monitor_id);
}

} // namespace

const std::vector<Check> kRingChecks = {
	{"ring.completion-flag", kPackets, "nvsp.receive-buffer",
	 "completions come where they were asked for", completion_flag},
	{"ring.features", "Rings", "nvsp.init", "the host's control fields", features},
	{"ring.signal", kSignals, "nvsp.init", "the host signals a guest that sleeps", signal},
	{"ring.masked", kSignals, "nvsp.init", "the host does not signal a guest that polls",
	 masked},
	{"ring.monitor", kMonitor, "nvsp.init", "signals by the monitor page", monitor},
	{"ring.pending-guest", kSignals, "rndis.transmit",
	 "the host signals when there is the room that the guest waits for", pending_guest},
	{"ring.pending-host", kSignals, "rndis.transmit",
	 "the host waits for room and loses nothing", pending_host},
	{"ring.wrap", kPackets, "rndis.transmit", "packets that wrap around", wrap},
};

} // namespace check
