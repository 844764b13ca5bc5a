/* SPDX-License-Identifier: BSD-3-Clause */
/** Checks of the connection: version, offers, malformed messages, UNLOAD, a second guest. */
#include <algorithm>
#include <set>

#include "guest.hpp"

namespace check {

namespace {

constexpr const char* kTransport = "Transport";
constexpr const char* kErrors = "Errors";
constexpr const char* kContact = "INITIATE_CONTACT (14)";
constexpr const char* kResponse = "VERSION_RESPONSE (15)";
constexpr const char* kOffers = "REQUEST_OFFERS (3)";
constexpr const char* kOffer = "OFFER_CHANNEL (1)";
constexpr const char* kUnload = "UNLOAD (16) and UNLOAD_RESPONSE (17)";

void version(Run& run)
{
	Guest guest(run);
	run.said = "VERSION_RESPONSE: accepted version 1";
}

/* A version that no host has leaves the connection undecided. But it was answered: a host that is
 * busy would close, too, and look right. */
constexpr uint32_t kNoVersion = 0x7fffffff;

std::unique_ptr<Wire> undecided(Run& run)
{
	std::unique_ptr<Wire> wire;
	first_contact(run, kNoVersion, wire);
	return wire;
}

void magic(Run& run)
{
	auto wire = undecided(run);
	wire->send(vu::Type::kInitiateContact, vu::InitiateContact{{}, 0x12345678, vu::kVersion});
	wire->expect_end("INITIATE_CONTACT with a wrong magic");
	run.said = "INITIATE_CONTACT with a wrong magic: ended the connection";
}

void refusal(Run& run)
{
	std::unique_ptr<Wire> wire;
	auto answer = first_contact(run, kNoVersion, wire);
	require(answer.accepted == 0,
		format("VERSION_RESPONSE: accepted %u for version 0x7fffffff, must be 0",
		       answer.accepted));
	require(answer.version >= 1 && answer.version < kNoVersion,
		format("VERSION_RESPONSE: version %u, must be the host's newest", answer.version));
	const uint32_t newest = answer.version;
	wire->send(vu::Type::kInitiateContact, vu::InitiateContact{{}, vu::kMagic, newest});
	answer = wire->expect<vu::VersionResponse>(vu::Type::kVersionResponse);
	require(answer.accepted == 1 && answer.version == newest,
		format("VERSION_RESPONSE: accepted %u, version %u after a refusal, must be 1 and "
		       "the %u that it named",
		       answer.accepted, answer.version, newest));
	run.said = format("VERSION_RESPONSE: version 0x7fffffff refused, newest is %u", newest);
}

void contact_twice(Run& run)
{
	Guest guest(run);
	guest.wire().send(vu::Type::kInitiateContact,
			  vu::InitiateContact{{}, vu::kMagic, vu::kVersion});
	guest.wire().expect_end("a second INITIATE_CONTACT");
	run.said = "second INITIATE_CONTACT: ended the connection";
}

void before_version(Run& run)
{
	auto wire = undecided(run);
	wire->send(vu::Type::kRequestOffers, vu::RequestOffers{});
	wire->expect_end("REQUEST_OFFERS before the version was agreed on");
	run.said = "REQUEST_OFFERS before a version: ended the connection";
}

void malformed(Run& run)
{
	struct Case {
		const char* what;
		std::vector<uint32_t> words; /* type, size, ... */
		size_t bytes;
	};
	const uint32_t gpadl = uint32_t(vu::Type::kGpadlHeader);
	const Case cases[] = {
		{"a datagram of 4 bytes", {3}, 4},
		{"a datagram whose size field says more than it has", {3, 24, 0, 0}, 16},
		{"a datagram whose size field says less than it has", {3, 8, 0, 0}, 16},
		{"REQUEST_OFFERS of 24 bytes", {3, 24, 0, 0, 0, 0}, 24},
		{"MEM_ADD of 16 bytes", {0x1001, 16, 0, 0}, 16},
		{"UNLOAD of 16 bytes", {16, 16, 0, 0}, 16},
		{"GPADL_HEADER whose size does not fit its run_count", {gpadl, 24, 1, 1, 7, 0}, 24},
		{"a datagram longer than 65536 bytes", {3, 65544, 0, 0}, 65544},
	};
	for (const Case& c : cases) {
		Guest guest(run);
		std::vector<uint8_t> message(c.bytes);
		memcpy(message.data(), c.words.data(), std::min(c.bytes, c.words.size() * 4));
		guest.wire().send_raw(message.data(), message.size());
		guest.wire().expect_end(c.what);
	}
	run.said =
		format("%zu datagrams of wrong size: each ended the connection", std::size(cases));
}

void unknown_type(Run& run)
{
	/* GPADL_BODY exists in VMBus only; the others go the other way, or are nothing. */
	const uint32_t types[] = {0, 1, 2, 4, 6, 9, 10, 12, 15, 17, 18, 99, 0x1000, 0x1003, 0x1004};
	for (const uint32_t type : types) {
		Guest guest(run);
		guest.wire().send(vu::Type(type), vu::Bare{});
		guest.wire().expect_end(format("message type %#x", type));
	}
	run.said = format("%zu unknown types and such of the other direction: each ended the "
			  "connection",
			  std::size(types));
}

void spare_descriptors(Run& run)
{
	Guest guest(run);
	const File a = make_eventfd();
	guest.wire().send(vu::Type::kRequestOffers, vu::RequestOffers{}, {a.fd(), a.fd()});
	guest.wire().expect<vu::Bare>(vu::Type::kAllOffersDelivered);
	run.said = "REQUEST_OFFERS with two descriptors: answered all the same";
}

void offers(Run& run)
{
	Guest guest(run);
	guest.request_offers();
	std::set<uint32_t> relids;
	for (const vu::OfferChannel& o : guest.wire().offers) {
		require(o.relid != 0, "OFFER_CHANNEL: relid 0, must be another number", kOffer);
		require(relids.insert(o.relid).second,
			format("OFFER_CHANNEL: relid %u twice, must be unique", o.relid), kOffer);
		require(o.subchannel_index == 0,
			format("OFFER_CHANNEL: subchannel_index %u, must be 0 where no guest asked "
			       "for subchannels",
			       o.subchannel_index),
			kOffer);
		require(o.monitor_id == vmbus::kMonitorIdNone,
			format("OFFER_CHANNEL: monitor_id %u, must be 255 for a guest without a "
			       "monitor page",
			       o.monitor_id),
			kOffer);
		require(o.reserved == 0,
			format("OFFER_CHANNEL: reserved %u, must be 0", o.reserved), "Conventions");
		require(memchr(o.name, 0, sizeof(o.name)) != nullptr,
			"OFFER_CHANNEL: name has no NUL within its 32 bytes", kOffer);
		require(!(o.class_id == vmbus::Guid{}), "OFFER_CHANNEL: class_id is all 0", kOffer);
		for (const vu::OfferChannel& other : guest.wire().offers)
			require(&other == &o || !(other.instance_id == o.instance_id),
				format("OFFER_CHANNEL: relids %u and %u have the same instance_id, "
				       "must be unique among devices",
				       o.relid, other.relid),
				kOffer);
	}
	run.said =
		format("%zu OFFER_CHANNEL, then ALL_OFFERS_DELIVERED", guest.wire().offers.size());
}

void offers_monitor(Run& run)
{
	Guest guest(run);
	guest.request_offers(true);
	size_t monitored = 0;
	std::set<uint8_t> ids;
	for (const vu::OfferChannel& o : guest.wire().offers) {
		if (o.monitor_id == vmbus::kMonitorIdNone)
			continue;
		require(o.monitor_id <= vmbus::kMonitorIdMax,
			format("OFFER_CHANNEL: monitor_id %u, must be 0..127 or 255",
			       o.monitor_id));
		require(ids.insert(o.monitor_id).second,
			format("OFFER_CHANNEL: monitor_id %u twice, must be unique", o.monitor_id));
		monitored++;
	}
	Guest::status("MEM_RESULT for MEM_REMOVE of the monitor page's region",
		      guest.mem_remove(kGpa, kMemorySize), vu::Status::kBadState,
		      "MEM_REMOVE (0x1002)");
	run.said = format("OFFER_CHANNEL: %zu of %zu channels have a monitor id", monitored,
			  guest.wire().offers.size());
}

void offers_twice(Run& run)
{
	Guest guest(run);
	guest.request_offers();
	guest.wire().send(vu::Type::kRequestOffers, vu::RequestOffers{});
	guest.wire().expect_end("a second REQUEST_OFFERS");
	run.said = "second REQUEST_OFFERS: ended the connection";
}

void offers_bad_page(Run& run)
{
	for (const uint64_t gpa : {kGpa + kMemorySize, kGpa + 8}) {
		Guest guest(run);
		guest.add_memory();
		guest.wire().send(vu::Type::kRequestOffers, vu::RequestOffers{{}, gpa});
		guest.wire().expect_end(gpa % vmbus::kPageSize
						? "REQUEST_OFFERS with an unaligned monitor page"
						: "REQUEST_OFFERS with a monitor page outside of "
						  "memory");
	}
	run.said = "REQUEST_OFFERS with a bad monitor page: ended the connection";
}

void unload(Run& run)
{
	Guest guest(run);
	guest.request_offers(true);
	const size_t count = guest.wire().offers.size();
	guest.unload();
	guest.contact();
	guest.add_memory(); /* the same addresses as before: they must be free */
	guest.request_offers(true);
	require(guest.wire().offers.size() == count,
		format("%zu OFFER_CHANNEL after UNLOAD, must be %zu as before",
		       guest.wire().offers.size(), count));
	run.said = "UNLOAD_RESPONSE, and all forgotten: the same again on the same connection";
}

void unload_needs_contact(Run& run)
{
	Guest guest(run);
	guest.unload();
	guest.wire().send(vu::Type::kRequestOffers, vu::RequestOffers{});
	guest.wire().expect_end("REQUEST_OFFERS after UNLOAD without INITIATE_CONTACT");
	run.said = "after UNLOAD the version must be agreed on anew";
}

/* A host may serve several guests; one that does not must say so at once. */
void second_guest(Run& run)
{
	Guest guest(run);
	Wire second(run.path, run.timeout_ms);
	second.send(vu::Type::kInitiateContact, vu::InitiateContact{{}, vu::kMagic, vu::kVersion});
	vu::VersionResponse answer;
	const bool served = second.answered(answer);
	guest.request_offers(); /* the first one must not suffer */
	run.said = served ? "a second guest is served, too" : "a second guest: closed at once";
}

void reconnect(Run& run)
{
	std::vector<vu::OfferChannel> before;
	for (int i = 0; i < 3; i++) {
		Guest guest(run);
		guest.request_offers(); /* adds the same memory again */
		const auto& offers = guest.wire().offers;
		require(i == 0 || offers.size() == before.size(),
			format("%zu OFFER_CHANNEL on a new connection, must be %zu as before",
			       offers.size(), before.size()),
			"End of the connection");
		for (const auto& o : before)
			require(std::any_of(offers.begin(), offers.end(),
					    [&](const vu::OfferChannel& other) {
						    return other.instance_id == o.instance_id;
					    }),
				"OFFER_CHANNEL: an instance_id of the connection before is gone, "
				"must be the same each time",
				kOffer);
		before = offers;
	}
	run.said = "three connections one after another: the same each time";
}

} // namespace

const std::vector<Check> kControlChecks = {
	{"control.version", kResponse, nullptr, "version 1 is accepted", version},
	{"control.refusal", kResponse, "control.version", "an unknown version is refused", refusal},
	{"control.magic", kContact, "control.refusal", "a wrong magic ends the connection", magic},
	{"control.contact-twice", kContact, "control.version",
	 "a second INITIATE_CONTACT ends the connection", contact_twice},
	{"control.before-version", kErrors, "control.refusal",
	 "any message before the version ends the connection", before_version},
	{"control.malformed", kErrors, "control.version", "datagrams of wrong size", malformed},
	{"control.unknown-type", kErrors, "control.version",
	 "unknown messages and those of the other direction", unknown_type},
	{"control.spare-descriptors", kTransport, "control.version",
	 "descriptors that nobody asked for are no error", spare_descriptors},
	{"control.offers", kOffers, "control.version", "what is offered", offers},
	{"control.offers-monitor", kOffer, "control.offers",
	 "offers to a guest with a monitor page", offers_monitor},
	{"control.offers-twice", kOffers, "control.offers",
	 "a second REQUEST_OFFERS ends the connection", offers_twice},
	{"control.monitor-page", kOffers, "control.offers",
	 "a monitor page outside of memory ends the connection", offers_bad_page},
	{"control.unload", kUnload, "control.offers", "UNLOAD forgets everything", unload},
	{"control.unload-contact", kUnload, "control.unload", "UNLOAD forgets the version, too",
	 unload_needs_contact},
	{"control.second-guest", kTransport, "control.offers",
	 "a second guest is served or refused at once", second_guest},
	{"control.reconnect", "End of the connection", "control.offers",
	 "a new connection finds a new host", reconnect},
};

} // namespace check
