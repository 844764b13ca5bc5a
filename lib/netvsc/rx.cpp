/* SPDX-License-Identifier: BSD-3-Clause */
#include "rx.hpp"

#include "ndis.hpp"

namespace netvsc {

using vmbus::PacketType;
using vmbus::PacketView;

Rx::Rx(vmbus::Channel& channel, vmbus::SpinLock& tx_lock, ControlSink& control)
	: channel_(channel),
	  ring_(channel.rx),
	  tx_lock_(tx_lock),
	  control_(control),
	  pending_(new uint64_t[kPending]),
	  bounce_(new uint8_t[kBounceSize])
{
}

Rx::~Rx()
{
	if (holds_ != nullptr)
		holds_->orphan();
}

void Rx::configure(const RxConfig& config)
{
	lock_.lock();
	buffer_ = config.buffer;
	begin_ = config.begin;
	end_ = config.end;
	if (config.holds != 0 && holds_ == nullptr) {
		/* Room for all holds besides the rest; what waits in the array stays. */
		std::unique_ptr<uint64_t[]> pending(new uint64_t[kPending + config.holds]);
		std::copy_n(&pending_[0], pending_count_, &pending[0]);
		pending_ = std::move(pending);
		holds_ = HoldPool::create(config.holds, config.keep);
	}
	lock_.unlock();
}

void Rx::set_tx(Tx* tx)
{
	lock_.lock();
	tx_ = tx;
	lock_.unlock();
}

/*
 * Descriptor, TransferPageHeader, ranges, and then, at data_offset, the NVSP message. The count is
 * read here each time that the packet is looked at, and checked each time.
 */
bool Rx::parse_transfer(const PacketView& view, Transfer& out)
{
	const uint8_t* p = ring_.bytes(view, bounce_.get(), kBounceSize);
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
	const uint8_t* p = ring_.bytes(view, bounce_.get(), kBounceSize);
	if (p == nullptr) {
		stats_.errors++;
		return;
	}
	p += view.data_offset;
	const uint32_t length = view.length - view.data_offset;
	if ((view.transaction_id & kControlTransaction) != 0) {
		control_.on_completion(view.transaction_id, p, length);
		return;
	}
	const bool success = length >= 8 && detail::read_u32(p) == nvsp::kSendRndisPacketComplete &&
			     detail::read_u32(p + 4) == nvsp::kStatusSuccess;
	if (tx_ == nullptr || !tx_->complete(view.transaction_id, success))
		stats_.errors++;
}

void Rx::take_message(const PacketView& view)
{
	const uint8_t* p = ring_.bytes(view, bounce_.get(), kBounceSize);
	if (p == nullptr)
		stats_.errors++;
	else
		control_.on_message(p + view.data_offset, view.length - view.data_offset);
}

void Rx::take_control(const Transfer& transfer)
{
	for (uint32_t i = 0; i < transfer.count; i++) {
		const uint64_t range = range_at(transfer, i);
		const uint32_t length = static_cast<uint32_t>(range);
		const uint64_t offset = range >> 32;
		if (offset < begin_ || offset + length > end_ || length < sizeof(rndis::Header))
			stats_.errors++;
		else
			control_.on_rndis(buffer_ + offset, std::min(length, kMaxControl));
	}
}

bool Rx::parse_info(const uint8_t* info, uint32_t length, Frame& frame)
{
	using detail::read_u32;
	uint32_t left = length;
	while (left >= sizeof(rndis::PacketInfo)) {
		const uint32_t size = read_u32(info);
		const uint32_t type = read_u32(info + 4);
		const uint32_t offset = read_u32(info + 8);
		if (size < sizeof(rndis::PacketInfo) || size > left || offset > size)
			return false;
		if (size - offset >= 4 && offset >= sizeof(rndis::PacketInfo)) {
			const uint32_t value = read_u32(info + offset);
			switch (type) {
			case rndis::kPpiVlan:
				frame.vlan = value;
				frame.info |= Frame::kVlan;
				break;
			case rndis::kPpiChecksum:
				frame.checksum = value;
				frame.info |= Frame::kChecksum;
				break;
			case rndis::kPpiHashValue:
				frame.hash = value;
				frame.info |= Frame::kHash;
				break;
			case rndis::kPpiPacketId:
				frame.part = static_cast<uint8_t>(value >> 8);
				if ((frame.part & ndis::kPacketIdPart) != 0)
					frame.info |= Frame::kPart;
				break;
			default: /* other information is for other guests */
				break;
			}
		}
		info += size;
		left -= size;
	}
	return left == 0;
}

void Rx::scan(bool starving)
{
	if (!lock_.try_lock())
		return;
	ring_.refresh();
	PacketView view;
	bool found = false;
	while (scanned_ < ring_.available() && ring_.peek(scanned_, view)) {
		Transfer transfer;
		if (view.type != PacketType::kTransferPages) {
			take_other(view);
			found = true;
		} else if (parse_transfer(view, transfer) &&
			   transfer.channel_type != nvsp::kChannelData) {
			if (!can_complete())
				break;
			take_control(transfer);
			complete(view.transaction_id);
		}
		scanned_ += view.ring_length();
	}
	if (starving && !found)
		drop_oldest();
	/* What is at the read position and dealt with can go: nobody may be receiving. */
	while (scanned_ != 0 && next_range_ == 0 && ring_.peek(0, view)) {
		Transfer transfer;
		if (view.type == PacketType::kTransferPages &&
		    (!parse_transfer(view, transfer) ||
		     transfer.channel_type == nvsp::kChannelData))
			break;
		consume(view.ring_length());
	}
	finish_burst();
	lock_.unlock();
}

/* Called when everything in the ring was scanned. Leaves half of the ring free. */
void Rx::drop_oldest()
{
	if (ring_.free_for_host() >= ring_.size() / 8)
		return;
	PacketView view;
	while (ring_.free_for_host() < ring_.size() / 2 && ring_.peek(0, view)) {
		Transfer transfer;
		if (view.type == PacketType::kTransferPages) {
			if (!can_complete())
				return;
			if (!parse_transfer(view, transfer)) {
				stats_.errors++;
				complete(view.transaction_id);
			} else if (transfer.channel_type == nvsp::kChannelData) {
				stats_.missed +=
					transfer.count - std::min(transfer.count, next_range_);
				next_range_ = 0;
				if (hold_ == nullptr) {
					complete(view.transaction_id);
				} else { /* receive() lets go of it */
					hold_->next = given_up_;
					given_up_ = std::exchange(hold_, nullptr);
				}
			}
		}
		consume(view.ring_length());
	}
}

uint32_t Rx::waiting(uint32_t enough)
{
	if (!ring_.maybe_nonempty())
		return 0;
	lock_.lock();
	ring_.refresh();
	uint32_t frames = 0;
	PacketView view;
	for (uint32_t at = 0; frames < enough && at < ring_.available() && ring_.peek(at, view);
	     at += view.ring_length()) {
		Transfer transfer;
		if (view.type == PacketType::kTransferPages && parse_transfer(view, transfer) &&
		    transfer.channel_type == nvsp::kChannelData)
			frames += at == 0 ? transfer.count - std::min(transfer.count, next_range_)
					  : transfer.count;
	}
	lock_.unlock();
	return frames;
}

/* A host that has no buffers left sends nothing: what was received must be completed first. */
bool Rx::arm()
{
	lock_.lock();
	finish_burst();
	if (pending_count_ != 0)
		write_completions(true);
	const bool ready = channel_.arm() || pending_count_ != 0;
	lock_.unlock();
	return !ready;
}

void Rx::flush_completions()
{
	if (!lock_.try_lock())
		return;
	finish_burst();
	lock_.unlock();
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
void Rx::write_completions(bool wait_for_lock)
{
	static constexpr uint32_t kLength = sizeof(vmbus::PacketDescriptor) + 8;
	if (ring_.broken())
		return;
	if (wait_for_lock)
		tx_lock_.lock();
	else if (!tx_lock_.try_lock())
		return;
	vmbus::RingWriter& ring = channel_.tx;
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
	tx_lock_.unlock();
	if (done != pending_count_)
		std::copy(&pending_[done], &pending_[pending_count_], &pending_[0]);
	vmbus::store_relaxed(&pending_count_, pending_count_ - done);
	if (signal) {
		stats_.signals++;
		channel_.doorbell.ring();
	}
}

} // namespace netvsc
