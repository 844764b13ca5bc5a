/* SPDX-License-Identifier: BSD-3-Clause */
/** The two pipelines over a MemoryChannel, with a host that does no more than it must. */
#pragma once

#include "memory_channel.hpp"
#include "netvsc/rx.hpp"

struct TransmitRig {
	static constexpr uint32_t kSection = 6144;
	static constexpr uint32_t kSections = 256;

	MemoryChannel c;
	Memory sections{size_t{kSections} * kSection};
	vmbus::SpinLock lock;
	netvsc::Tx tx;

	explicit TransmitRig(uint32_t max_frames = 8) : tx(c.channel, lock, config(max_frames)) {}

	void host_completes()
	{
		c.host_completes([this](uint64_t id) { tx.complete(id, true); });
	}

      private:
	netvsc::TxConfig config(uint32_t max_frames) const
	{
		netvsc::TxConfig config;
		config.sections = sections.data();
		config.section_size = kSection;
		config.section_count = kSections;
		config.max_frames = max_frames;
		config.nvsp_version = nvsp::kVersion61;
		return config;
	}
};

/** One packet of 32 frames, again and again. */
struct ReceiveRig {
	static constexpr uint32_t kBurst = 32;
	static constexpr uint32_t kRoom =
		1728; /* of a frame in the receive buffer, as hosts have it */
	static constexpr uint32_t kInfo = sizeof(rndis::PacketInfo) + 4;

	MemoryChannel c;
	Memory buffer{size_t{kBurst} * kRoom};
	vmbus::SpinLock rx_lock;
	vmbus::SpinLock tx_lock;
	netvsc::Rx rx{c.channel, rx_lock, tx_lock, nullptr};

	/** @param infos 0..3: checksum, tag, hash */
	explicit ReceiveRig(uint32_t length, uint32_t infos = 0)
	{
		Packet packet{};
		constexpr uint32_t kLength = sizeof(packet) - sizeof(packet.footer);
		packet.descriptor = {static_cast<uint16_t>(vmbus::PacketType::kTransferPages),
				     offsetof(Packet, message) / 8, kLength / 8, 1, 16};
		packet.header = {nvsp::kReceiveBufferId, 0, 0, kBurst};
		packet.message[0] = nvsp::kSendRndisPacket;
		for (uint32_t i = 0; i < kBurst; i++)
			packet.ranges[i] = {write_frame(i, length, infos), i * kRoom};
		for (uint32_t at = 0; at < kRing; at += sizeof(packet))
			std::memcpy(c.rx_data + at, &packet, sizeof(packet));
		c.channel.rx = vmbus::RingReader(c.rx, c.rx_data, kRing);
		rx.configure({buffer.data(), 0, kBurst * kRoom, 0, nullptr});
	}

	const uint8_t* frame_at(uint32_t i) const { return buffer.data() + i * kRoom; }
	void host_sends()
	{
		in_ = (in_ + static_cast<uint32_t>(sizeof(Packet))) % kRing;
		c.rx->in = in_;
	}

      private:
	struct Packet {
		vmbus::PacketDescriptor descriptor;
		vmbus::TransferPageHeader header;
		vmbus::TransferPageRange ranges[kBurst];
		uint32_t message[10];
		uint64_t footer;
	};
	static constexpr uint32_t kRing = MemoryChannel::kData / sizeof(Packet) * sizeof(Packet);

	/* @return length of the message */
	uint32_t write_frame(uint32_t i, uint32_t length, uint32_t infos)
	{
		static constexpr uint32_t kTypes[3] = {rndis::kPpiChecksum, rndis::kPpiVlan,
						       rndis::kPpiHashValue};
		const uint32_t header = sizeof(rndis::PacketMessage) + infos * kInfo;
		uint8_t* at = buffer.data() + i * kRoom;
		rndis::PacketMessage m{};
		m.hdr = {rndis::kPacket, header + length};
		m.data_offset = header - rndis::kOffsetBase;
		m.data_length = length;
		if (infos != 0) {
			m.ppi_offset = sizeof(m) - rndis::kOffsetBase;
			m.ppi_length = infos * kInfo;
		}
		std::memcpy(at, &m, sizeof(m));
		for (uint32_t k = 0; k < infos; k++) {
			const uint32_t info[4] = {kInfo, kTypes[k], sizeof(rndis::PacketInfo), 1};
			std::memcpy(at + sizeof(m) + k * kInfo, info, sizeof(info));
		}
		return header + length;
	}

	uint32_t in_ = 0;
};
