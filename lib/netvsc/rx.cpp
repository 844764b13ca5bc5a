/* SPDX-License-Identifier: BSD-3-Clause */
#include "rx.hpp"

namespace netvsc {

using vmbus::PacketType;
using vmbus::PacketView;

Rx::Rx(vmbus::Channel& channel, vmbus::SpinLock& lock, vmbus::SpinLock& tx_lock, Inbox* inbox,
       std::pmr::memory_resource* memory)
	: channel_(&channel),
	  lock_(&lock),
	  tx_lock_(&tx_lock),
	  inbox_(inbox),
	  memory_(memory),
	  pending_(kPending, memory),
	  bounce_(kBounceSize, memory)
{
}

Rx::~Rx()
{
	if (holds_ != nullptr)
		holds_->orphan();
}

void Rx::configure(const RxConfig& config)
{
	lock_->lock();
	buffer_ = config.buffer;
	begin_ = config.begin;
	end_ = config.end;
	if (config.holds != 0 && holds_ == nullptr) {
		/* Room for all holds besides the rest; what waits in the array stays. */
		Array<uint64_t> pending(kPending + config.holds, memory_);
		std::copy_n(&pending_[0], pending_count_, &pending[0]);
		pending_ = std::move(pending);
		holds_ = HoldPool::create(config.holds, config.keep, memory_);
	}
	lock_->unlock();
}

void Rx::set_tx(Tx* tx)
{
	lock_->lock();
	tx_ = tx;
	lock_->unlock();
}

/* Descriptor, TransferPageHeader, ranges, and then, at data_offset, the NVSP message. */
bool Rx::parse_transfer(const PacketView& view, Transfer& out)
{
	const uint8_t* p = channel_->rx.bytes(view, bounce_.data(), kBounceSize);
	if (p == nullptr)
		return false;
	const uint32_t fixed = sizeof(vmbus::PacketDescriptor) + sizeof(vmbus::TransferPageHeader);
	if (view.data_offset < fixed || view.length < view.data_offset + 8)
		return false;
	const uint64_t header = vmbus::load_once(
		reinterpret_cast<const uint64_t*>(p + sizeof(vmbus::PacketDescriptor)));
	const uint64_t message =
		vmbus::load_once(reinterpret_cast<const uint64_t*>(p + view.data_offset));
	out.count = static_cast<uint32_t>(header >> 32);
	out.ranges = p + fixed;
	out.channel_type = static_cast<uint32_t>(message >> 32);
	return static_cast<uint16_t>(header) == nvsp::kReceiveBufferId &&
	       static_cast<uint32_t>(message) == nvsp::kSendRndisPacket &&
	       out.count <= (view.data_offset - fixed) / sizeof(vmbus::TransferPageRange);
}

/*
 * Finds the next packet of frames, and takes what is before it. Looks at the host's index once in a
 * burst, so that a burst ends. @return false: there is none
 */
bool Rx::open_packet(bool& refreshed)
{
	vmbus::RingReader& ring = channel_->rx;
	if (!std::exchange(refreshed, true))
		ring.refresh();
	PacketView view;
	while (pending_count_ < kPending && ring.peek(0, view)) {
		const bool scanned = scanned_ != 0;
		if (view.type != PacketType::kTransferPages) {
			if (!scanned)
				take_other(view);
		} else if (!parse_transfer(view, packet_)) {
			stats_.errors++;
			complete(view.transaction_id);
		} else if (packet_.channel_type == nvsp::kChannelData) {
			vmbus::store_relaxed(&packet_length_, view.ring_length());
			transaction_ = view.transaction_id;
			return true;
		} else if (!scanned) {
			take_control(packet_);
			complete(view.transaction_id);
		}
		consume(view.ring_length());
	}
	return false;
}

/* Frames never wait for somebody to take messages: what does not fit is lost. */
void Rx::put(Inbox::Kind kind, uint64_t id, const uint8_t* data, uint32_t length)
{
	if (inbox_ == nullptr || !inbox_->push(kind, id, data, length))
		stats_.errors++;
}

bool Rx::for_inbox(const PacketView& view) const
{
	return view.type == PacketType::kInband ||
	       (view.type == PacketType::kCompletion &&
		(view.transaction_id & kControlTransaction) != 0);
}

void Rx::take_other(const PacketView& view)
{
	if (view.type == PacketType::kCompletion)
		take_completion(view);
	else if (view.type == PacketType::kInband)
		take_message(view);
	else
		stats_.errors++;
}

void Rx::take_completion(const PacketView& view)
{
	const uint8_t* p = channel_->rx.bytes(view, bounce_.data(), kBounceSize);
	if (p == nullptr) {
		stats_.errors++;
		return;
	}
	p += view.data_offset;
	const uint32_t length = view.length - view.data_offset;
	if ((view.transaction_id & kControlTransaction) != 0) {
		put(Inbox::Kind::kCompletion, view.transaction_id, p, length);
		return;
	}
	static constexpr uint64_t kSuccess =
		nvsp::kSendRndisPacketComplete | uint64_t{nvsp::kStatusSuccess} << 32;
	const bool success = length >= 8 && detail::read_u64(p) == kSuccess;
	if (tx_ == nullptr || !tx_->complete(view.transaction_id, success))
		stats_.errors++;
}

void Rx::take_message(const PacketView& view)
{
	const uint8_t* p = channel_->rx.bytes(view, bounce_.data(), kBounceSize);
	if (p == nullptr)
		stats_.errors++;
	else
		put(Inbox::Kind::kMessage, 0, p + view.data_offset, view.length - view.data_offset);
}

void Rx::take_control(const Transfer& transfer)
{
	for (uint32_t i = 0; i < transfer.count; i++) {
		const uint64_t range = range_at(transfer.ranges, i);
		const uint32_t length = static_cast<uint32_t>(range);
		const uint64_t offset = range >> 32;
		if (offset < begin_ || offset + length > end_ || length < sizeof(rndis::Header))
			stats_.errors++;
		else
			put(Inbox::Kind::kRndis, 0, buffer_ + offset, length);
	}
}

/* The newest frames that take_ranges() read come again, with the malformed ones behind them. */
void Rx::put_back(const Frame* frames, uint32_t count, uint64_t& bytes)
{
	for (uint32_t i = 0; i < count; i++)
		bytes -= frames[i].length;
	stats_.errors -= next_range_ - frames[0].number - count;
	next_range_ = frames[0].number;
}

/* Stays before a message that the inbox has no room for: whoever scans can come again. */
void Rx::scan_locked(bool starving, uint32_t owner)
{
	channel_->rx.refresh();
	PacketView view;
	bool found = false;
	while (scanned_ < channel_->rx.available() && channel_->rx.peek(scanned_, view)) {
		bool frames = false;
		if (view.type != PacketType::kTransferPages) {
			if (for_inbox(view) && inbox_ != nullptr && inbox_->full())
				break;
			take_other(view);
			found = true;
		} else {
			Transfer transfer;
			const bool good = parse_transfer(view, transfer);
			frames = !good || transfer.channel_type == nvsp::kChannelData;
			if (!frames) {
				if ((inbox_ != nullptr && inbox_->full()) || !can_complete(owner))
					break;
				take_control(transfer);
				complete(view.transaction_id);
			}
		}
		/* What is at the read position can go: nobody may be receiving. */
		if (scanned_ == 0 && !frames && packet_length_ == 0)
			consume(view.ring_length());
		else
			scanned_ += view.ring_length();
	}
	if (starving && !found && scanned_ >= channel_->rx.available())
		drop_oldest(owner);
	finish_burst(owner);
}

/* Called when everything in the ring was scanned. Leaves half of the ring free. */
void Rx::drop_oldest(uint32_t owner)
{
	if (channel_->rx.free_for_host() >= channel_->rx.size() / 8)
		return;
	bool refreshed = true;
	while (channel_->rx.free_for_host() < channel_->rx.size() / 2 && can_complete(owner) &&
	       (packet_length_ != 0 || open_packet(refreshed))) {
		stats_.missed += packet_.count - next_range_;
		end_packet([this](Hold* hold) { /* receive() lets go of it */
						hold->next = given_up_;
						given_up_ = hold;
		});
	}
}

uint32_t Rx::waiting_locked(uint32_t enough)
{
	channel_->rx.refresh();
	uint32_t frames = packet_length_ != 0 ? packet_.count - next_range_ : 0;
	PacketView view;
	for (uint32_t at = packet_length_;
	     frames < enough && at < channel_->rx.available() && channel_->rx.peek(at, view);
	     at += view.ring_length()) {
		Transfer transfer;
		if (view.type == PacketType::kTransferPages && parse_transfer(view, transfer) &&
		    transfer.channel_type == nvsp::kChannelData)
			frames += transfer.count;
	}
	return frames;
}

/* A host that has no buffers left sends nothing: what was received must be completed first. */
bool Rx::arm()
{
	lock_->lock();
	finish_burst(OpenGate::owner());
	if (pending_count_ != 0)
		write_completions(true, OpenGate::owner());
	const bool ready = channel_->arm() || pending_count_ != 0;
	lock_->unlock();
	return !ready;
}

void Rx::flush_completions()
{
	if (!lock_->try_lock())
		return;
	finish_burst(OpenGate::owner());
	lock_->unlock();
}

void Rx::take_returned()
{
	holds_->take_returned([this](uint64_t transaction_id) {
		complete(transaction_id); /* pending_ has room for all holds besides the rest */
	});
}

/*
 * NVSP SEND_RNDIS_PACKET_COMPLETE for each packet. The transmitting lcore may hold the ring for a
 * burst: then the completions wait for the next call, unless there are many.
 */
void Rx::write_completions(bool wait_for_lock, uint32_t owner)
{
	static constexpr uint32_t kLength = sizeof(vmbus::PacketDescriptor) + 8;
	if (channel_->rx.broken())
		return;
	if (wait_for_lock)
		tx_lock_->lock(owner);
	else if (!tx_lock_->try_lock(owner))
		return;
	vmbus::RingWriter& ring = channel_->tx;
	uint32_t done = 0;
	while (done < pending_count_ && ring.fits(kLength + vmbus::kFooterSize)) {
		const uint64_t packet[3] = {
			static_cast<uint64_t>(PacketType::kCompletion) |
				uint64_t{sizeof(vmbus::PacketDescriptor) / 8} << 16 |
				uint64_t{kLength / 8} << 32,
			pending_[done],
			nvsp::kSendRndisPacketComplete | static_cast<uint64_t>(nvsp::kStatusSuccess)
								 << 32};
		std::memcpy(ring.begin(kLength), packet, sizeof(packet));
		ring.end();
		done++;
	}
	const bool signal = ring.publish();
	tx_lock_->unlock();
	if (done != pending_count_)
		std::copy(&pending_[done], &pending_[pending_count_], &pending_[0]);
	vmbus::store_relaxed(&pending_count_, pending_count_ - done);
	if (signal) {
		stats_.signals++;
		channel_->doorbell.ring();
	}
}

} // namespace netvsc
