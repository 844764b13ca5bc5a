/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A NIC's fault script: ways in which the host misbehaves, to test that a guest survives it.
 *
 * One entry is "name" or "name:N". Unless stated otherwise N is how often the fault happens, and
 * without it a fault of the set-up happens always, one of the data path once.
 *
 * Set-up:
 *   gpadl-fail             GPADL creation is answered with kNoResource
 *   open-fail              opening a channel is answered with kRefused
 *   refuse-nvsp            every NVSP version is refused
 *   no-init-reply          NVSP INIT is not answered
 *   short-init-reply       INIT_COMPLETE is cut to 8 bytes
 *   no-recvbuf-reply       SEND_RECEIVE_BUFFER is not answered
 *   recvbuf-fail           SEND_RECEIVE_BUFFER is answered with failure
 *   sendbuf-fail           SEND_SEND_BUFFER is answered with failure
 *   rndis-init-fail        RNDIS INITIALIZE is answered with failure
 *   no-rndis-reply         RNDIS requests are completed, but never answered
 *   short-query-reply      the answer to a QUERY is cut to 20 bytes
 *   bad-query-length       the answer to a QUERY tells an information length beyond its end
 *   no-switch-reply        SWITCH_DATA_PATH is neither obeyed nor answered
 *   unrelated-before-reply a VF association precedes every NVSP answer, a link speed indication
 *                          every RNDIS answer
 * Data path:
 *   bad-completion-id      a transmit completion with an id that was never used precedes the
 *                          real one
 *   double-completion      a transmit completion is sent twice
 *   bad-rx-range           a receive range lies outside the receive buffer
 *   bad-rx-rndis           a received RNDIS message has an impossible data offset and length
 *   bad-rx-ppi             a received RNDIS message has a per-packet info of size 0
 *   bad-rx-part            a received frame claims to be a part of a packet that never began
 *   bad-descriptor         a packet's descriptor is shorter than its own header says
 *   bad-ring-index         the write index of the host-to-guest ring points outside it
 *   keepalive              the host sends an RNDIS KEEPALIVE after the filter was set
 *   silent-after:N         a channel is not served any more after N packets from the guest
 *   tx-fail:N              every Nth transmit packet is completed with failure
 */
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace netvsp {

enum class Fault {
	kGpadlFail,
	kOpenFail,
	kRefuseNvsp,
	kNoInitReply,
	kShortInitReply,
	kNoRecvbufReply,
	kRecvbufFail,
	kSendbufFail,
	kRndisInitFail,
	kNoRndisReply,
	kShortQueryReply,
	kBadQueryLength,
	kNoSwitchReply,
	kUnrelatedBeforeReply,
	kBadCompletionId,
	kDoubleCompletion,
	kBadRxRange,
	kBadRxRndis,
	kBadRxPpi,
	kBadRxPart,
	kBadDescriptor,
	kBadRingIndex,
	kKeepalive,
	kSilentAfter,
	kTxFail,
	kCount,
};

class FaultScript {
      public:
	/** @return empty, or what is wrong with an entry */
	std::string parse(const std::vector<std::string>& entries);

	/** Whether the fault is to happen now; counts it. */
	bool fire(Fault fault)
	{
		uint32_t& left = left_[size_t(fault)];
		if (left == 0)
			return false;
		if (left != kAlways)
			left--;
		return true;
	}
	/** N of the faults where it is a parameter; 0 = not asked for. */
	uint32_t parameter(Fault fault) const { return left_[size_t(fault)]; }
	bool any() const { return any_; }

      private:
	static constexpr uint32_t kAlways = 0xffffffff;
	std::array<uint32_t, size_t(Fault::kCount)> left_{};
	bool any_ = false;
};

} // namespace netvsp
