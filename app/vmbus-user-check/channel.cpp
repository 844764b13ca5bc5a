/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel.hpp"

#include <algorithm>
#include <chrono>
#include <poll.h>
#include <stdexcept>
#include <thread>
#include <unistd.h>

namespace check {

namespace {

constexpr const char* kRingSection = "Rings";
constexpr const char* kPackets = "Packets";
constexpr auto kLook = std::chrono::microseconds(100);

} // namespace

uint32_t Packet::u32(size_t at) const
{
	uint32_t value = 0;
	if (at + sizeof(value) <= payload.size())
		memcpy(&value, payload.data() + at, sizeof(value));
	return value;
}

Channel::Channel(Guest& guest, uint32_t relid, const Rings& rings)
	: guest_(guest), relid_(relid), rings_(rings), kick_(make_eventfd()), call_(make_eventfd())
{
	uint8_t* at = guest.memory() + rings.offset();
	memset(at, 0, rings.size());
	uint8_t* in_at = at + uint64_t(rings.to_host) * vmbus::kPageSize;
	writer_control_ = reinterpret_cast<vmbus::RingControl*>(at);
	reader_ = reinterpret_cast<vmbus::RingControl*>(in_at);
	data_ = in_at + vmbus::kPageSize;
	size_ = (rings.to_guest - 1) * vmbus::kPageSize;
	writer_ = vmbus::RingWriter(writer_control_, at + vmbus::kPageSize,
				    (rings.to_host - 1) * vmbus::kPageSize);
	mask(true);
	Guest::status("GPADL_CREATED for rings",
		      guest.gpadl(relid, rings.slot, {{kGpa + rings.offset(), rings.size()}}),
		      vu::Status::kOk, "GPADL_HEADER (8)");
	Guest::status("OPEN_RESULT",
		      guest.open(relid, rings.slot, rings.to_host, {kick_.fd(), call_.fd()}),
		      vu::Status::kOk, "OPEN_CHANNEL (5)");
}

void Channel::close()
{
	guest_.close(relid_);
	guest_.teardown(relid_, rings_.slot);
}

void Channel::write(vmbus::PacketType type, bool wants_completion, uint64_t id, const void* head,
		    size_t head_size, const void* payload, size_t payload_size)
{
	const uint32_t length = uint32_t(sizeof(vmbus::PacketDescriptor) + head_size +
					 vmbus::align8(uint32_t(payload_size)));
	const auto until = std::chrono::steady_clock::now() +
			   std::chrono::milliseconds(guest_.wire().timeout());
	while (!writer_.fits(length + vmbus::kFooterSize)) {
		require(!writer_.broken(), "guest → host ring: out is no index of the ring",
			kRingSection);
		require(std::chrono::steady_clock::now() < until,
			format("guest → host ring: still full after %d ms, the host reads nothing",
			       guest_.wire().timeout()),
			kRingSection);
		std::this_thread::sleep_for(kLook);
	}
	vmbus::PacketDescriptor d{};
	d.type = uint16_t(type);
	d.data_offset8 = uint16_t((sizeof(d) + head_size) / 8);
	d.length8 = uint16_t(length / 8);
	d.flags = wants_completion ? vmbus::kFlagCompletionRequested : 0;
	d.transaction_id = id;
	uint8_t* at = writer_.begin(length);
	memset(at, 0, length);
	memcpy(at, &d, sizeof(d));
	if (head_size != 0)
		memcpy(at + sizeof(d), head, head_size);
	memcpy(at + sizeof(d) + head_size, payload, payload_size);
	writer_.end();
}

void Channel::kick()
{
	const uint64_t one = 1;
	/* EAGAIN: a signal is pending, which is as good. */
	[[maybe_unused]] const ssize_t n = ::write(kick_.fd(), &one, sizeof(one));
}

void Channel::publish()
{
	if (writer_.publish())
		kick();
}

void Channel::publish_by_monitor(uint8_t monitor_id)
{
	writer_.publish();
	auto* page = reinterpret_cast<vmbus::MonitorPage*>(guest_.memory() + kMonitorAt);
	__atomic_fetch_or(&page->trigger_group[monitor_id / 32].pending, 1u << monitor_id % 32,
			  __ATOMIC_SEQ_CST);
}

void Channel::copy_out(void* to, uint32_t from, uint32_t count) const
{
	from %= size_;
	const uint32_t first = std::min(count, size_ - from);
	memcpy(to, data_ + from, first);
	memcpy(static_cast<uint8_t*>(to) + first, data_, count - first);
}

bool Channel::receive(Packet& packet, int timeout_ms)
{
	const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
	uint32_t in;
	while ((in = __atomic_load_n(&reader_->in, __ATOMIC_ACQUIRE)) == out_) {
		if (std::chrono::steady_clock::now() >= until)
			return false;
		std::this_thread::sleep_for(kLook);
	}
	require(in < size_ && in % 8 == 0,
		format("host → guest ring: in is %u, must be a multiple of 8 below %u", in, size_),
		kRingSection);
	const uint32_t have = in > out_ ? in - out_ : size_ - out_ + in;
	require(have >= sizeof(packet.d) + vmbus::kFooterSize,
		format("host → guest ring: %u bytes, too few for a packet", have), kRingSection);
	vmbus::PacketDescriptor& d = packet.d;
	copy_out(&d, out_, sizeof(d));
	const uint32_t length = d.length8 * 8u, offset = d.data_offset8 * 8u;
	require(d.type == uint16_t(vmbus::PacketType::kInband) ||
			d.type == uint16_t(vmbus::PacketType::kTransferPages) ||
			d.type == uint16_t(vmbus::PacketType::kCompletion),
		format("packet: type %u, must be 6, 7 or 11 from a host", d.type), kPackets);
	require(offset >= sizeof(d) && length >= offset,
		format("packet: data_offset8 %u, length8 %u, must be 2 or more, and not less than "
		       "that",
		       d.data_offset8, d.length8),
		kPackets);
	require(length + vmbus::kFooterSize <= have,
		format("packet: length8 %u, goes beyond what was written", d.length8), kPackets);
	require((d.flags & ~vmbus::kFlagCompletionRequested) == 0,
		format("packet: flags %#x, must be 0 or 1", d.flags), kPackets);
	std::vector<uint8_t> bytes(length);
	copy_out(bytes.data(), out_, length);
	uint64_t footer;
	copy_out(&footer, out_ + length, sizeof(footer));
	require(footer == uint64_t(out_) << 32,
		format("packet: footer %#llx, must be %#llx: where the packet starts, above 0",
		       static_cast<unsigned long long>(footer),
		       static_cast<unsigned long long>(uint64_t(out_) << 32)),
		kPackets);
	packet.head.assign(bytes.begin() + sizeof(d), bytes.begin() + offset);
	packet.payload.assign(bytes.begin() + offset, bytes.end());

	const uint32_t taken = length + vmbus::kFooterSize;
	out_ = (out_ + taken) % size_;
	__atomic_store_n(&reader_->out, out_, __ATOMIC_RELEASE);
	fence();
	const uint32_t pending =
		__atomic_load_n(&reader_->pending_send_size, __ATOMIC_RELAXED) & ~7u;
	in = __atomic_load_n(&reader_->in, __ATOMIC_ACQUIRE);
	const int64_t used = in >= out_ ? in - out_ : int64_t(size_) - out_ + in;
	const int64_t room = int64_t(size_) - used - 8;
	if (pending != 0 && room >= pending && room - taken < pending)
		kick();
	return true;
}

bool Channel::signalled(int timeout_ms)
{
	pollfd p{call_.fd(), POLLIN, 0};
	if (poll(&p, 1, timeout_ms) != 1)
		return false;
	drain_signals();
	return true;
}

void Channel::drain_signals()
{
	uint64_t count;
	[[maybe_unused]] const ssize_t n = read(call_.fd(), &count, sizeof(count));
}

} // namespace check
