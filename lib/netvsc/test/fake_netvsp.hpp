/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A device in plain memory with a netvsp host behind it, for tests of the session.
 *
 * The host has no thread: it takes a step whenever the session asks whether the device is gone,
 * which every wait does. So each test runs the same way each time, and tests can say what comes
 * between a request and its answer.
 */
#pragma once

#include <functional>
#include <set>
#include <string>

#include "netvsc/session.hpp"
#include "pipeline.hpp"

namespace netvsc::test {

class FakeNetvsp final : public vmbus::Device {
      public:
	/** @return true: the message is dealt with. Payload of an NVSP message and its transaction.
	 */
	using NvspScript = std::function<bool(FakeNetvsp&, const Bytes&, uint64_t)>;
	/** @return true: dealt with. A whole RNDIS request. */
	using RndisScript = std::function<bool(FakeNetvsp&, const Bytes&)>;

	static constexpr uint32_t kReceiveSize = 1 << 20;
	static constexpr uint32_t kSendSize = 1 << 19;

	FakeNetvsp()
		: receive_memory_(new uint8_t[kReceiveSize]()),
		  send_memory_(new uint8_t[kSendSize]()),
		  control_bytes_(new uint8_t[16384]())
	{
		receive_.data = receive_memory_.get();
		receive_.size = kReceiveSize;
		receive_.gpadl = 71;
		send_.data = send_memory_.get();
		send_.size = kSendSize;
		send_.gpadl = 72;
		control_.data = control_bytes_.get();
		control_.size = 16384;
	}

	/* vmbus::Device */
	const vmbus::Guid& class_id() const override { return guid_; }
	const vmbus::Guid& instance_id() const override { return guid_; }
	const std::string& name() const override { return name_; }
	int numa_node() const override { return -1; }
	Error open(Milliseconds) override
	{
		if (open_error.code != 0)
			return open_error;
		wire = std::make_unique<FakeChannel>();
		subchannels.clear();
		opened++;
		open_ = true;
		return {};
	}
	void close() override
	{
		/* What was sent before is read before; scripts may be gone with their test by now.
		 */
		on_nvsp = nullptr;
		on_rndis = nullptr;
		step();
		open_ = false;
		log.push_back("close");
	}
	bool is_open() const override { return open_; }
	vmbus::Channel& primary() override { return wire->channel; }
	Error open_subchannel(uint16_t index, Milliseconds, vmbus::Channel*& channel) override
	{
		channel = nullptr;
		if (index > offered)
			return {ETIMEDOUT, "not offered"};
		subchannels.push_back(std::make_unique<FakeChannel>());
		channel = &subchannels.back()->channel;
		return {};
	}
	const vmbus::Region& receive_buffer() const override { return receive_; }
	Error limit_receive_buffer(size_t size) override
	{
		receive_limit = size;
		return limit_error;
	}
	const vmbus::Region& send_buffer() const override { return send_; }
	const vmbus::Region& control_memory() const override { return control_; }
	uint64_t gpa(const void* address) const override
	{
		const auto* p = static_cast<const uint8_t*>(address);
		if (!control_has_address || p < control_.data || p >= control_.data + control_.size)
			return vmbus::kGpaUnknown;
		return kControlGpa + static_cast<uint64_t>(p - control_.data);
	}
	bool gone() const override
	{
		const_cast<FakeNetvsp*>(this)->step();
		return gone_;
	}
	void take_away() { gone_ = true; }
	size_t receive_limit = 0;
	Error limit_error; /* of limit_receive_buffer() */

	/** Handles what the guest has sent. */
	void step()
	{
		Packet p;
		while (open_ && reads && wire->receiver.take(p)) {
			if (p.type == 0xb)
				continue; /* a receive buffer comes back */
			EXPECT_NE(p.id >> 63, 0u);
			if (p.type == 6)
				handle_nvsp(p);
			else if (p.type == 9)
				handle_rndis_at_address(p);
			else
				ADD_FAILURE() << "packet of type " << p.type;
		}
		if (open_) {
			EXPECT_FALSE(wire->receiver.bad());
		}
	}

	void complete(uint64_t id, const Bytes& message)
	{
		wire->sender.send(0xb, id, {}, message);
	}
	void send_nvsp(const Bytes& message) { wire->sender.send(6, 0, {}, message); }
	/** A RNDIS message through the receive buffer. */
	void send_rndis(const Bytes& message)
	{
		const uint32_t at = section_offset + next_slot_ * section_size;
		next_slot_ = (next_slot_ + 1) % 16;
		std::copy(message.begin(), message.end(), &receive_memory_[at]);
		Bytes head;
		put32(head, 0, 0xcafe);
		put32(head, 4, 1);
		put32(head, 8, static_cast<uint32_t>(message.size()));
		put32(head, 12, at);
		wire->sender.send(7, next_slot_, head, nvsp_message({107, 1, 0xffffffff, 0}), 1);
	}
	static Bytes words(std::initializer_list<uint32_t> fields)
	{
		Bytes b;
		for (const uint32_t f : fields)
			put32(b, b.size(), f);
		return b;
	}
	/** QUERY_CMPLT with the data right behind it. */
	static Bytes query_complete(const Bytes& request, const Bytes& data, uint32_t status = 0)
	{
		Bytes b =
			words({0x80000004, static_cast<uint32_t>(24 + data.size()),
			       get32(request, 8), status, static_cast<uint32_t>(data.size()), 16});
		b.insert(b.end(), data.begin(), data.end());
		return b;
	}
	void answer_rndis(const Bytes& r)
	{
		const uint32_t id = get32(r, 8);
		switch (get32(r, 0)) {
		case 2:
			send_rndis(
				words({0x80000002, 52, id, 0, 1, 0, 1, 0, 8, 0xefffffff, 3, 0, 0}));
			break;
		case 3: /* gets no answer */
			break;
		case 4:
			send_rndis(query_complete(r, oid_value(get32(r, 12))));
			break;
		case 5:
			send_rndis(words({0x80000005, 16, id, 0}));
			break;
		case 0x80000008:
			keepalives.push_back(r);
			break;
		default:
			ADD_FAILURE() << "RNDIS message " << get32(r, 0);
		}
	}
	void answer_nvsp(const Bytes& m, uint64_t id)
	{
		switch (get32(m, 0)) {
		case 1:
			if (versions.count(get32(m, 4)))
				complete(id, nvsp_message({2, get32(m, 4), 34, 1}));
			else
				complete(id, nvsp_message({2, 0xffffffff, 0, 0}));
			break;
		case 101:
			complete(id, nvsp_message({102, 1, 1, section_offset, section_size,
						   section_count, section_size * section_count}));
			break;
		case 104:
			complete(id, nvsp_message({105, 1, send_section_size}));
			break;
		case 129: /* as real hosts: a completion without a message */
			complete(id, {});
			break;
		case 133:
			offered = std::min(get32(m, 8), grant);
			complete(id, words({133, 1, offered, 0}));
			break;
		default:
			break;
		}
	}
	Bytes oid_value(uint32_t oid) const
	{
		switch (oid) {
		case 0x01010101:
			return {2, 0, 0, 0, 0, 1};
		case 0x01010102:
			return {2, 0, 0, 0, 0, 2};
		case 0x00010106:
			return words({mtu});
		case 0x00010107:
			return words({400000000});
		case 0x00010114:
			return words({media});
		case 0x00010203:
			return rss_capabilities;
		case 0xfc01020d:
			return offload_capabilities;
		default:
			return words({0});
		}
	}

	static constexpr uint64_t kControlGpa = 0x1000000000000000;
	/* What the host is like. */
	std::set<uint32_t> versions = {0x00002, 0x30002, 0x40000, 0x50000, 0x60000, 0x60001};
	uint32_t mtu = 1500, media = 0, grant = 63;
	/* Toeplitz over the ports of TCP, 64 queues, 128 entries. */
	Bytes rss_capabilities = {0x88, 2, 18, 0, 1, 3, 0, 0, 1, 0, 0, 0, 64, 0, 0, 0, 128, 0};
	Bytes offload_capabilities; /* none */
	uint32_t section_offset = 0, section_size = 1728, section_count = 400;
	uint32_t send_section_size = 6144;
	bool control_has_address = true;
	bool reads = true; /**< the guest's packets */
	Error open_error;
	NvspScript on_nvsp;
	RndisScript on_rndis;
	/* What happened. */
	std::vector<std::string> log; /**< messages by number, "close" */
	std::vector<Bytes> nvsp, rndis, keepalives;
	std::vector<uint32_t> sections; /**< where RNDIS messages came in the send buffer */
	int opened = 0;
	uint32_t offered = 0;
	std::unique_ptr<FakeChannel> wire;
	std::vector<std::unique_ptr<FakeChannel>> subchannels;

      private:
	void handle_nvsp(const Packet& p)
	{
		const uint32_t type = get32(p.payload, 0);
		if (type == 107)
			return handle_rndis_in_section(p);
		log.push_back("nvsp " + std::to_string(type));
		nvsp.push_back(p.payload);
		/* Only what has an answer asks for one. */
		EXPECT_EQ(p.flags,
			  type == 1 || type == 101 || type == 104 || type == 129 || type == 133
				  ? 1
				  : 0);
		if (type == 1) {
			EXPECT_EQ(p.payload.size(), 40u);
			agreed_ = get32(p.payload, 4);
		} else {
			EXPECT_EQ(p.payload.size(), agreed_ >= 0x60001 ? 40u : 32u);
		}
		if (!on_nvsp || !on_nvsp(*this, p.payload, p.id))
			answer_nvsp(p.payload, p.id);
	}
	void handle_rndis_in_section(const Packet& p)
	{
		EXPECT_EQ(get32(p.payload, 4), 1u);
		EXPECT_EQ(p.flags, 1);
		const uint32_t section = get32(p.payload, 8), length = get32(p.payload, 12);
		ASSERT_LE(length, send_section_size);
		ASSERT_LT(section, kSendSize / send_section_size);
		sections.push_back(section);
		const uint8_t* begin = &send_memory_[section * send_section_size];
		handle_rndis(p, Bytes(begin, begin + length));
	}
	void handle_rndis_at_address(const Packet& p)
	{
		EXPECT_EQ(get32(p.payload, 0), 107u);
		EXPECT_EQ(get32(p.payload, 4), 1u);
		EXPECT_EQ(get32(p.payload, 8), 0xffffffffu);
		EXPECT_EQ(p.flags, 1);
		ASSERT_EQ(get32(p.head, 4), 1u);
		const uint32_t length = get32(p.head, 8), offset = get32(p.head, 12);
		const uint64_t begin = get64(p.head, 16) * 4096 + offset - kControlGpa;
		ASSERT_LE(begin + length, control_.size);
		const uint64_t pages = (offset + length + 4095) / 4096;
		ASSERT_EQ(p.head.size(), 16 + 8 * pages);
		for (uint64_t i = 0; i < pages; i++)
			EXPECT_EQ(get64(p.head, 16 + 8 * i), get64(p.head, 16) + i);
		handle_rndis(p, Bytes(&control_.data[begin], &control_.data[begin + length]));
	}
	void handle_rndis(const Packet& p, const Bytes& r)
	{
		EXPECT_EQ(get32(r, 4), r.size());
		log.push_back("rndis " + std::to_string(get32(r, 0)));
		rndis.push_back(r);
		complete(p.id, nvsp_message({108, 1}));
		if (!on_rndis || !on_rndis(*this, r))
			answer_rndis(r);
	}

	const vmbus::Guid guid_ = {{1}};
	const std::string name_ = "fake";
	std::unique_ptr<uint8_t[]> receive_memory_, send_memory_, control_bytes_;
	vmbus::Region receive_, send_, control_;
	bool open_ = false, gone_ = false;
	uint32_t next_slot_ = 0, agreed_ = 0;
};

} // namespace netvsc::test
