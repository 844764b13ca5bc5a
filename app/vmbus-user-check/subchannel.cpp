/* SPDX-License-Identifier: BSD-3-Clause */
/** Checks of subchannels: granted, offered, used, and gone with their primary. */
#include <algorithm>
#include <set>

#include "netvsc/ndis.hpp"

#include "session.hpp"

namespace check {

namespace {

constexpr const char* kClose = "CLOSE_CHANNEL (7)";
constexpr const char* kOffer = "OFFER_CHANNEL (1)";

/* @return how many subchannels the host grants, as its RSS capabilities tell */
uint32_t subchannels_there(Session& session)
{
	if (session.version < nvsp::kVersion5)
		throw NotApplicable{format("NVSP %#x has no subchannels", session.version)};
	std::vector<uint8_t> info;
	if (session.query(rndis::kOidReceiveScaleCapabilities, info) != rndis::kStatusSuccess)
		throw NotApplicable{"the adapter has no RSS, hence one channel"};
	ndis::RssCapabilities caps{};
	require(info.size() >= offsetof(ndis::RssCapabilities, receive_queues) + 4,
		format("QUERY_CMPLT of RECEIVE_SCALE_CAPABILITIES: %zu bytes, must be at least 16",
		       info.size()),
		kRndisSection);
	memcpy(&caps, info.data(), std::min(info.size(), sizeof(caps)));
	if (caps.receive_queues < 2)
		throw NotApplicable{"the adapter has one channel"};
	return std::min(caps.receive_queues, nvsp::kMaxChannels) - 1;
}

std::vector<vu::OfferChannel> ask_subchannels(Session& session, uint32_t count)
{
	auto& offers = session.guest.wire().offers;
	offers.clear();
	nvsp::Message m{};
	m.type = nvsp::kSubchannel;
	m.subchannel_request = {nvsp::kSubchannelAllocate, count};
	const auto c = session.answer(m, nvsp::kSubchannel, sizeof(nvsp::SubchannelComplete),
				      "SUBCHANNEL", "SUBCHANNEL (answer)")
			       .subchannel_complete;
	if (c.status != nvsp::kStatusSuccess || c.count == 0)
		throw NotApplicable{format("SUBCHANNEL (answer): status %u, %u of %u granted",
					   c.status, c.count, count)};
	require(c.count <= count,
		format("SUBCHANNEL (answer): count %u, must be at most %u", c.count, count));
	while (offers.size() < c.count)
		require(session.guest.wire().more_events(session.timeout()),
			format("%zu OFFER_CHANNEL after SUBCHANNEL, must be the %u granted",
			       offers.size(), c.count),
			kOffer);
	std::set<uint32_t> relids = {session.offer.relid}, indices;
	for (const vu::OfferChannel& o : offers) {
		require(o.instance_id == session.offer.instance_id &&
				o.class_id == session.offer.class_id,
			"OFFER_CHANNEL of a subchannel: class_id or instance_id is not its "
			"primary's",
			kOffer);
		require(relids.insert(o.relid).second && o.relid != 0,
			format("OFFER_CHANNEL of a subchannel: relid %u, must be unique, not 0",
			       o.relid),
			kOffer);
		require(o.subchannel_index >= 1 && o.subchannel_index <= c.count &&
				indices.insert(o.subchannel_index).second,
			format("OFFER_CHANNEL of a subchannel: subchannel_index %u, must be one of "
			       "1..%u, once",
			       o.subchannel_index, c.count),
			kOffer);
	}
	return offers;
}

void subchannels(Run& run)
{
	Session session(run);
	session.up();
	const uint32_t there = subchannels_there(session);
	const auto offers = ask_subchannels(session, there);
	Channel sub(session.guest, offers[0].relid, Rings{.slot = 2});
	session.transmitted(session.transmit(3, &sub), &sub);
	sub.close();
	run.said = format("SUBCHANNEL: %zu of %u granted and offered; frames sent on one",
			  offers.size(), there);
}

void subchannels_rescinded(Run& run)
{
	Session session(run);
	session.up();
	const auto offers = ask_subchannels(session, subchannels_there(session));
	auto& rescinds = session.guest.wire().rescinds;
	session.channel.close();
	while (rescinds.size() < offers.size())
		require(session.guest.wire().more_events(session.timeout()),
			format("%zu RESCIND after the primary closed, must be %zu, one for each "
			       "subchannel",
			       rescinds.size(), offers.size()));
	for (const vu::OfferChannel& o : offers) {
		require(std::count(rescinds.begin(), rescinds.end(), o.relid) == 1,
			format("RESCIND: relid %u of a subchannel, must come once", o.relid));
		Guest::status("GPADL_CREATED for a rescinded relid",
			      session.guest.gpadl(o.relid, 9, {{kGpa, vmbus::kPageSize}}),
			      vu::Status::kUnknownId, "Rescind");
		session.guest.wire().send(vu::Type::kRelidReleased, vu::ChannelId{{}, o.relid, 0});
	}
	/* Alive, and no channel of before is left. */
	session.guest.teardown(session.offer.relid, 99);
	session.guest.close(offers[0].relid);
	session.guest.wire().expect_end("CLOSE_CHANNEL of a relid that was released");
	run.said = format("RESCIND of %zu subchannels after the primary closed", offers.size());
}

} // namespace

const std::vector<Check> kSubchannelChecks = {
	{"subchannel.offer", kNvspSection, "rndis.query rndis.transmit",
	 "subchannels are granted and work", subchannels},
	{"subchannel.rescind", kClose, "subchannel.offer", "subchannels go with their primary",
	 subchannels_rescinded},
};

} // namespace check
