/* SPDX-License-Identifier: BSD-3-Clause */
/** Checks of RNDIS and of frames. */
#include "session.hpp"

namespace check {

namespace {

void initialize(Run& run)
{
	Session session(run);
	session.up();
	run.said = "INITIALIZE_CMPLT: status 0, Ethernet";
}

std::vector<uint8_t> address(Session& session, uint32_t oid, const char* name)
{
	std::vector<uint8_t> mac;
	const uint32_t status = session.query(oid, mac);
	require(status == rndis::kStatusSuccess && mac.size() == 6,
		format("QUERY_CMPLT of %s: status %#x, %zu bytes, must be 0 and 6", name, status,
		       mac.size()));
	require((mac[0] & 1) == 0 && mac != std::vector<uint8_t>(6),
		format("QUERY_CMPLT of %s: %02x:%02x:..., must be the address of one adapter", name,
		       mac[0], mac[1]));
	return mac;
}

void query(Run& run)
{
	Session session(run);
	session.up();
	const auto mac = address(session, rndis::kOidPermanentAddress, "PERMANENT_ADDRESS");
	address(session, rndis::kOidCurrentAddress, "CURRENT_ADDRESS");
	run.said = format("QUERY_CMPLT: address %02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
			  mac[2], mac[3], mac[4], mac[5]);
}

void query_mtu(Run& run)
{
	Session session(run);
	session.up();
	const uint32_t mtu = session.query_u32(rndis::kOidMaximumFrameSize, "MAXIMUM_FRAME_SIZE");
	require(mtu >= 68 && mtu <= kMtu,
		format("QUERY_CMPLT of MAXIMUM_FRAME_SIZE: %u, must be the %u of NDIS_CONFIG, or "
		       "less where the host has less",
		       mtu, kMtu));
	run.said = format("QUERY_CMPLT: MTU %u", mtu);
}

void query_link(Run& run)
{
	Session session(run);
	session.up();
	const uint32_t state =
		session.query_u32(rndis::kOidMediaConnectStatus, "MEDIA_CONNECT_STATUS");
	require(state == rndis::kMediaConnected || state == rndis::kMediaDisconnected,
		format("QUERY_CMPLT of MEDIA_CONNECT_STATUS: %u, must be 0 or 1", state));
	const uint32_t speed = session.query_u32(rndis::kOidLinkSpeed, "LINK_SPEED");
	require(speed != 0, "QUERY_CMPLT of LINK_SPEED: 0, must be more");
	run.said = format("QUERY_CMPLT: link %s, %u × 100 bit/s",
			  state == rndis::kMediaConnected ? "up" : "down", speed);
}

void unknown_oid(Run& run)
{
	Session session(run);
	session.up();
	constexpr uint32_t kOid = 0x7f0000ff, value = 0;
	std::vector<uint8_t> info;
	const uint32_t queried = session.query(kOid, info);
	require(queried != rndis::kStatusSuccess,
		format("QUERY_CMPLT of the unknown OID %#x: status 0, must be an error", kOid));
	const uint32_t status = session.set(kOid, &value, sizeof(value));
	require(status != rndis::kStatusSuccess,
		format("SET_CMPLT of the unknown OID %#x: status 0, must be an error", kOid));
	run.said = format("QUERY_CMPLT status %#x, SET_CMPLT status %#x for an unknown OID",
			  queried, status);
}

void set_filter(Session& session, uint32_t filter)
{
	const uint32_t status =
		session.set(rndis::kOidCurrentPacketFilter, &filter, sizeof(filter));
	require(status == rndis::kStatusSuccess,
		format("SET_CMPLT of CURRENT_PACKET_FILTER %#x: status %#x, must be 0", filter,
		       status));
}

void filter(Run& run)
{
	Session session(run);
	session.up();
	set_filter(session, rndis::kFilterDirected | rndis::kFilterBroadcast);
	set_filter(session, 0);
	run.said = "SET_CMPLT: packet filter set and cleared";
}

void keepalive(Run& run)
{
	Session session(run);
	session.up();
	const rndis::KeepaliveRequest r{{rndis::kKeepalive, sizeof(r)}, 0};
	std::vector<uint8_t> message(sizeof(r));
	memcpy(message.data(), &r, sizeof(r));
	const auto a = session.request(message, "KEEPALIVE");
	rndis::StatusComplete c{};
	memcpy(&c, a.data(), sizeof(c)); /* request() checked the size */
	require(c.status == rndis::kStatusSuccess,
		format("KEEPALIVE_CMPLT: status %#x, must be 0", c.status));
	run.said = "KEEPALIVE_CMPLT: status 0";
}

void transmit(Run& run)
{
	Session session(run);
	session.up();
	for (int i = 0; i < 3; i++)
		session.transmitted(session.transmit(1));
	session.transmitted(session.transmit(10));
	/* A completion too many would lie before this answer. */
	session.query_u32(rndis::kOidLinkSpeed, "LINK_SPEED");
	run.said = "SEND_RNDIS_PKT by GPA-direct: 13 frames, each completed once";
}

void transmit_section(Run& run)
{
	Session session(run);
	session.up();
	const uint32_t size = session.send_buffer();
	const auto message = Session::frame_message();
	if (message.size() > size)
		throw NotApplicable{format("sections of %u bytes hold no frame", size)};
	session.transmitted({session.send_section(0, message)});
	session.query_u32(rndis::kOidLinkSpeed, "LINK_SPEED");
	run.said = "SEND_RNDIS_PKT by send section: completed once";
}

/* Whatever comes is looked at; a network where nothing happens says nothing of the host. */
void receive(Run& run)
{
	constexpr int kQuietMs = 30;
	Session session(run);
	session.up();
	set_filter(session, rndis::kFilterPromiscuous | rndis::kFilterBroadcast |
				    rndis::kFilterDirected | rndis::kFilterAllMulticast);
	session.transmitted(session.transmit(3));
	for (int n = 0; n < 100 && session.take_one(kQuietMs); n++)
		;
	set_filter(session, 0);
	if (session.frames_received == 0)
		throw NotApplicable{format("no frame came within %d ms", kQuietMs)};
	run.said = format("transfer-page packets: %llu frames received, all well-formed",
			  static_cast<unsigned long long>(session.frames_received));
}

void halt(Run& run)
{
	Session session(run);
	session.up();
	session.halt();
	require(!session.take_one(20) || session.answers.empty(),
		"HALT was answered, must only be completed");
	session.channel.close();
	session.guest.teardown(session.offer.relid, kReceiveGpadl);
	Channel again(session.guest, session.offer.relid);
	again.close();
	run.said = "HALT: completed without an answer, and the channel can be opened anew";
}

void again(Run& run)
{
	for (int i = 0; i < 2; i++) {
		Session session(run);
		session.up();
		session.transmitted(session.transmit(1));
	}
	run.said = "all of it again on a new connection";
}

} // namespace

const std::vector<Check> kRndisChecks = {
	{"rndis.initialize", kRndisSection, "nvsp.receive-buffer", "INITIALIZE", initialize},
	{"rndis.query", kRndisSection, "rndis.initialize", "QUERY of the addresses", query},
	{"rndis.query-mtu", kRndisSection, "rndis.query", "QUERY of the MTU", query_mtu},
	{"rndis.query-link", kRndisSection, "rndis.query", "QUERY of link state and speed",
	 query_link},
	{"rndis.unknown-oid", kRndisSection, "rndis.query", "an unknown OID gives an error",
	 unknown_oid},
	{"rndis.filter", kRndisSection, "rndis.initialize", "SET of the packet filter", filter},
	{"rndis.keepalive", kRndisSection, "rndis.initialize", "KEEPALIVE", keepalive},
	{"rndis.transmit", kRndisSection, "rndis.query", "frames by GPA-direct packets", transmit},
	{"rndis.transmit-section", kRndisSection, "rndis.transmit nvsp.send-buffer",
	 "frames by send sections", transmit_section},
	{"rndis.receive", kRndisSection, "rndis.transmit", "frames received, if any come", receive},
	{"rndis.halt", kRndisSection, "rndis.initialize", "HALT", halt},
	{"rndis.reconnect", "End of the connection", "rndis.transmit",
	 "a new connection finds a new adapter", again},
};

} // namespace check
