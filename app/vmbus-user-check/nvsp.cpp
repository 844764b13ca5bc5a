/* SPDX-License-Identifier: BSD-3-Clause */
/** Checks of NVSP: versions and buffers. */
#include "session.hpp"

namespace check {

namespace {

constexpr const char* kSecurity = "Security";

void init(Run& run)
{
	Session session(run);
	session.init();
	run.said = format("INIT_COMPLETE: version %#x", session.version);
}

void init_range(Run& run)
{
	Session session(run);
	const auto c = session.try_init(nvsp::kVersion1, nvsp::kVersion61);
	require(c.status == nvsp::kStatusSuccess,
		format("INIT_COMPLETE: status %u for versions 2 to 0x60001, must be 1", c.status));
	run.said = "INIT_COMPLETE: status 1 for versions 2 to 0x60001";
}

void init_refusal(Run& run)
{
	Session session(run);
	const auto c = session.try_init(0x7fff0000, 0x7fff0000);
	require(c.status != nvsp::kStatusSuccess,
		"INIT_COMPLETE: status 1 for version 0x7fff0000, must be another");
	session.init();
	run.said = format("INIT_COMPLETE: status %u for an unknown version, then another was taken",
			  c.status);
}

void receive_buffer(Run& run)
{
	Session session(run);
	session.init();
	session.ndis();
	session.receive_buffer();
	run.said = "SEND_RECV_BUF_COMPLETE: a section that lies in the buffer";
}

void ndis(Run& run)
{
	Session session(run);
	session.init();
	session.ndis(true);
	session.receive_buffer();
	run.said = session.version >= nvsp::kVersion2 ? "NDIS_CONFIG and NDIS_VERSION: completed"
						      : "NDIS_VERSION: completed";
}

void receive_buffer_unknown(Run& run)
{
	Session session(run);
	session.init();
	session.ndis();
	nvsp::Message m{};
	m.type = nvsp::kSendReceiveBuffer;
	m.buffer = {77, nvsp::kReceiveBufferId, 0};
	const auto a = session.answer(m, nvsp::kSendReceiveBufferComplete, 4, "SEND_RECV_BUF",
				      "SEND_RECV_BUF_COMPLETE");
	require(a.receive_buffer_complete.status != nvsp::kStatusSuccess,
		"SEND_RECV_BUF_COMPLETE: status 1 for an unknown GPADL, must be another");
	run.said = format("SEND_RECV_BUF_COMPLETE: status %u for an unknown GPADL",
			  a.receive_buffer_complete.status);
}

void send_buffer(Run& run)
{
	Session session(run);
	session.init();
	session.ndis();
	session.receive_buffer();
	run.said = format("SEND_SEND_BUF_COMPLETE: sections of %u bytes", session.send_buffer());
}

void revoke(Run& run)
{
	Session session(run);
	session.init();
	session.ndis();
	session.receive_buffer();
	session.send_buffer();
	nvsp::Message m{};
	m.type = nvsp::kRevokeReceiveBuffer;
	m.revoke = {nvsp::kReceiveBufferId, 0};
	session.completion(session.send(m, true), "REVOKE_RECV_BUF");
	m.type = nvsp::kRevokeSendBuffer;
	m.revoke = {nvsp::kSendBufferId, 0};
	session.completion(session.send(m, true), "REVOKE_SEND_BUF");
	session.guest.teardown(session.offer.relid, kReceiveGpadl);
	session.guest.teardown(session.offer.relid, kSendGpadl);
	session.channel.close();
	run.said = "REVOKE_RECV_BUF and REVOKE_SEND_BUF: completed, the GPADLs torn down";
}

/* What follows is the host's choice: an answer or silence. But it must not spread. */
void unknown_message(Run& run)
{
	Session session(run);
	session.init();
	nvsp::Message m{};
	m.type = 9999;
	session.send(m, true);
	Packet packet;
	const bool answered = session.channel.receive(packet, 20);
	session.channel.close();
	Channel again(session.guest, session.offer.relid);
	again.close();
	run.said = std::string("unknown NVSP message: ") + (answered ? "answered" : "silence") +
		   ", and the channel can be opened anew";
}

/* Buffers of an open channel are torn down: the host lets go of them. */
void teardown_buffer(Run& run)
{
	Session session(run);
	session.init();
	session.ndis();
	session.receive_buffer();
	session.guest.teardown(session.offer.relid, kReceiveGpadl);
	session.channel.close();
	Guest::status("MEM_RESULT for MEM_REMOVE after all GPADLs",
		      session.guest.mem_remove(kGpa, kMemorySize), vu::Status::kOk,
		      "MEM_REMOVE (0x1002)");
	run.said = "GPADL_TORNDOWN of the receive buffer in use; all memory removed";
}

} // namespace

const std::vector<Check> kNvspChecks = {
	{"nvsp.init", kNvspSection, "channel.open", "a version is agreed on", init},
	{"nvsp.init-range", kNvspSection, "nvsp.init", "INIT with a range of versions", init_range},
	{"nvsp.init-refusal", kNvspSection, "nvsp.init", "unknown versions are refused",
	 init_refusal},
	{"nvsp.receive-buffer", kNvspSection, "nvsp.init", "the receive buffer and its section",
	 receive_buffer},
	{"nvsp.ndis", kNvspSection, "nvsp.receive-buffer", "NDIS_CONFIG and NDIS_VERSION", ndis},
	{"nvsp.receive-buffer-unknown", kNvspSection, "nvsp.receive-buffer",
	 "a receive buffer of an unknown GPADL", receive_buffer_unknown},
	{"nvsp.send-buffer", kNvspSection, "nvsp.receive-buffer",
	 "the send buffer and its sections", send_buffer},
	{"nvsp.revoke", kNvspSection, "nvsp.send-buffer", "buffers are given back", revoke},
	{"nvsp.unknown-message", kSecurity, "nvsp.init",
	 "an unknown message harms its channel at most", unknown_message},
	{"nvsp.teardown-buffer", "GPADL_TEARDOWN (11) and GPADL_TORNDOWN (12)",
	 "nvsp.receive-buffer", "teardown of a buffer in use", teardown_buffer},
};

} // namespace check
