/* SPDX-License-Identifier: BSD-3-Clause */
#include "nic.hpp"

#include <algorithm>

#include "inet.hpp"
#include "rx_offload.hpp"

namespace netvsp {

namespace {

constexpr uint32_t kFramesPerPass = 4 * nvsp::kMaxFramesPerReceive;
constexpr uint32_t kMostHeld = 64; /* frames of one channel that wait for the guest */
/* How long the network waits for one of several channels. */
constexpr uint64_t kPatienceNs = 250'000'000;

struct WordInfo {
	rndis::PacketInfo header;
	uint32_t value;
};

/* The compiler takes a fetch for reading unless it may assume newer CPUs: it leaves the line where
 * the other CPU has it, too, which must then be told to drop it. */
void prefetch_for_writing(const uint8_t* line)
{
#ifdef __x86_64__
	asm volatile("prefetchw %0" : : "m"(*line));
#else
	__builtin_prefetch(line, 1);
#endif
}

/**
 * Sub-allocations that are taken before they are needed, so that their lines are on their way into
 * the cache: the guest's CPU had them last.
 */
class TakenAhead {
      public:
	/** @param offset of frames in a sub-allocation */
	TakenAhead(ReceiveBuffer& buffer, uint32_t offset) : buffer_(buffer), offset_(offset) {}
	~TakenAhead()
	{
		while (put_ != got_)
			if (const uint32_t index = taken_[--put_ % kAhead];
			    index != ReceiveBuffer::kNone)
				buffer_.give(index);
	}
	TakenAhead(const TakenAhead&) = delete;
	TakenAhead& operator=(const TakenAhead&) = delete;

	/** @return ReceiveBuffer::kNone if the guest has them all */
	uint32_t take()
	{
		if (got_ == put_)
			fetch();
		return taken_[got_++ % kAhead];
	}
	/** The last one was needed: more will be. */
	void go_on()
	{
		for (uint32_t n = 0; n < 2 && put_ - got_ < kAhead; n++)
			fetch();
	}

      private:
	static constexpr uint32_t kAhead = 8;

	/* What will be written: the header, and the frame's first bytes. */
	void fetch()
	{
		const uint32_t index = buffer_.take();
		taken_[put_++ % kAhead] = index;
		if (index == ReceiveBuffer::kNone)
			return;
		prefetch_for_writing(buffer_.at(index));
		prefetch_for_writing(buffer_.at(index) + offset_);
	}

	ReceiveBuffer& buffer_;
	const uint32_t offset_;
	uint32_t put_ = 0;
	uint32_t got_ = 0;
	std::array<uint32_t, kAhead> taken_;
};

constexpr uint32_t packet_space(uint32_t frames)
{
	return OutRing::space(uint32_t(sizeof(vmbus::TransferPageHeader) +
				       frames * sizeof(vmbus::TransferPageRange) + nvsp::kSize61));
}

} // namespace

void Nic::handle_rx_completion(Channel& channel, const Packet& packet)
{
	uint64_t id = packet.descriptor.transaction_id;
	if (channel.index == 0 && completes_vf_message(id))
		return;
	/* The rings have no common order: what the guest completed on a subchannel before it
	 * revoked the buffer on the primary may be seen after that. */
	if (channel.index != 0 && !receive_buffer_.attached())
		return;
	bool good = id < kControlIds ? channel.index == 0 && receive_buffer_.complete_control(id)
				     : receive_buffer_.complete(id, channel.index);
	if (!good)
		violation(channel,
			  "completion of " + std::to_string(id) + ", which is not outstanding");
}

inline bool Nic::passes_filter(const uint8_t* frame, uint32_t length) const
{
	if (filter_ & rndis::kFilterPromiscuous)
		return true;
	if (length < 6)
		return false;
	if (!(frame[0] & 1))
		return (filter_ & rndis::kFilterDirected) && memcmp(frame, mac_.data(), 6) == 0;
	static constexpr uint8_t kBroadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	if (memcmp(frame, kBroadcast, 6) == 0)
		return filter_ & rndis::kFilterBroadcast;
	/* There is no multicast list, so "multicast" lets all of them through. */
	return filter_ & (rndis::kFilterMulticast | rndis::kFilterAllMulticast);
}

/* As in NET_BUFFER_LIST_HASH_VALUE's companion: the type, and the function that made it. */
static uint32_t hash_kind(uint32_t type, bool udp_as_tcp)
{
	if (udp_as_tcp && type == ndis::kHashUdpIpv4)
		type = ndis::kHashTcpIpv4;
	return type | ndis::kHashFunctionToeplitz;
}

/* Hosts say how long the message is, or just that it has the whole sub-allocation. */
inline uint32_t Nic::range_length(const RxFrame& frame) const
{
	return settings_.profile->whole_suballocations ? receive_buffer_.suballocation_size()
						       : frame.offset + frame.length;
}

/* Writes the RNDIS header and the infos of what lies in a sub-allocation. */
inline void Nic::write_headers(const RxFrame& frame)
{
	uint8_t* at = receive_buffer_.at(frame.index);
	const uint32_t start[4] = {rndis::kPacket, range_length(frame),
				   frame.offset - rndis::kOffsetBase, frame.length};
	static_assert(offsetof(rndis::PacketMessage, data_length) == 12);
	memcpy(at, start, sizeof(start));
	memset(at + sizeof(start), 0, sizeof(rndis::PacketMessage) - sizeof(start));
	if (frame.verified || frame.tagged || frame.part || frame.rss.type != 0)
		write_infos(at, frame);
}

void Nic::write_infos(uint8_t* at, const RxFrame& frame)
{
	uint32_t where[2] = {sizeof(rndis::PacketMessage) - rndis::kOffsetBase, 0};
	auto add_info = [&](uint32_t type, uint32_t value) {
		WordInfo info{{sizeof(info), type, sizeof(rndis::PacketInfo)}, value};
		memcpy(at + sizeof(rndis::PacketMessage) + where[1], &info, sizeof(info));
		where[1] += uint32_t(sizeof(info));
	};
	if (frame.verified)
		add_info(rndis::kPpiChecksum, frame.checksum);
	if (frame.tagged)
		add_info(rndis::kPpiVlan, vlan_info(frame.tag));
	if (frame.rss.type != 0 && settings_.profile->tells_hash)
		add_info(rndis::kPpiHashValue, frame.rss.hash);
	if (frame.rss.type != 0 && settings_.profile->tells_hash_kind)
		add_info(rndis::kPpiHashInfo,
			 hash_kind(frame.rss.type, settings_.profile->calls_udp_hash_tcp));
	if (frame.part) {
		uint32_t id;
		memcpy(&id, &frame.id, sizeof(id));
		add_info(rndis::kPpiPacketId, id);
	}
	if (where[1] != 0)
		memcpy(at + offsetof(rndis::PacketMessage, ppi_offset), where, sizeof(where));
}

bool Nic::rsc_wanted(bool v6) const
{
	/* Who is not told that checksums were good could not know it of what is made anew. */
	const uint32_t checksums = v6 ? kChecksumTcp6 : kChecksumTcp4 | kChecksumIp4;
	return (v6 ? enabled_.rsc6 : enabled_.rsc4) &&
	       (enabled_.rx_checksum & checksums) == checksums;
}

/*
 * Makes the frame a part of the packet before it, if it can be. Its headers and those before it are
 * in the guest's memory, but the guest does not know yet.
 */
RxFrame Nic::coalesce(Channel& channel, RxFrame frame)
{
	if (channel.rx_count == 0)
		channel.rsc.end();
	RscSegment segment;
	if (checksum_failed(frame.checksum) ||
	    !read_segment(receive_buffer_.at(frame.index) + frame.offset, frame.length, segment) ||
	    !rsc_wanted(segment.v6)) {
		channel.rsc.end();
		return frame;
	}
	RxFrame& first = channel.rsc_first;
	if (!channel.rsc.takes(segment) || frame.tagged != first.tagged || frame.tag != first.tag) {
		channel.rsc.start(segment);
		first = frame;
		return frame;
	}
	channel.rsc.add(segment);
	if (channel.rsc.segments() == 2) {
		first.part = true;
		first.id = {ndis::kPacketIdVersion1, ndis::kPacketIdPart | ndis::kPacketIdFirst,
			    ++channel.rsc_id};
		first.checksum |= ndis::kRxChecksumTcpValueInvalid;
		if (!segment.v6)
			first.checksum |= ndis::kRxChecksumIpValueInvalid;
		write_headers(first);
		stats_.rx_rsc++;
		stats_.rx_rsc_frames++;
	} else {
		channel.rsc_last.id.flags = ndis::kPacketIdPart;
		write_headers(channel.rsc_last);
	}
	channel.rsc.update_headers(receive_buffer_.at(first.index) + first.offset);
	RxFrame& last = channel.rsc_last;
	last = RxFrame();
	last.index = frame.index;
	last.offset = frame.offset + segment.headers;
	last.length = segment.payload;
	last.part = true;
	last.id = {ndis::kPacketIdVersion1, ndis::kPacketIdPart | ndis::kPacketIdLast,
		   channel.rsc_id};
	stats_.rx_rsc_frames++;
	return last;
}

/*
 * Where there are several channels each has its share of the receive buffer, as OpenVMM's have
 * (rx_bufs.rs): a guest that does not serve one of them must not starve the others. A part of the
 * share is for frames that wait.
 */
uint32_t Nic::share() const
{
	const uint32_t frames = receive_buffer_.count() - kControlIds;
	return std::max(frames / uint32_t(channels_.size()), 1u);
}

uint32_t Nic::most_held() const
{
	return std::clamp(share() / 4, 1u, kMostHeld);
}

inline void Nic::add_range(Channel& channel, const RxFrame& frame)
{
	write_headers(frame);
	channel.rx_index[channel.rx_count] = frame.index;
	channel.rx_range[channel.rx_count] = {range_length(frame),
					      receive_buffer_.offset(frame.index)};
	channel.rx_count++;
}

/* Puts headers before the frame and adds it to the channel's packet. @return false: no room */
[[gnu::always_inline]] inline bool Nic::queue_frame(Channel& channel, const RxFrame& frame)
{
	if (channel.rx_count == nvsp::kMaxFramesPerReceive)
		flush_rx(channel);
	const uint32_t used = receive_buffer_.outstanding(channel.index) + channel.rx_count;
	if (channels_.size() > 1 && used >= std::max(share() - most_held(), 1u))
		return false;
	if (channel.rx_count == 0 ? !channel.out.reserve(packet_space(1))
				  : !channel.out.fits(packet_space(channel.rx_count + 1))) {
		if (channel.rx_count != 0) {
			flush_rx(channel);
			channel.out.reserve(packet_space(1));
		}
		return false;
	}
	if (enabled_.rsc4 || enabled_.rsc6)
		add_range(channel, coalesce(channel, frame));
	else
		add_range(channel, frame);
	return true;
}

void Nic::rx_faults(Channel& channel)
{
	uint8_t* first = receive_buffer_.at(channel.rx_index[0]);
	rndis::PacketMessage header;
	memcpy(&header, first, sizeof(header));
	if (faults_.fire(Fault::kBadRxRange))
		channel.rx_range[0] = {0xfffffff0, 0xfffffff8};
	if (faults_.fire(Fault::kBadRxRndis)) {
		header.data_offset = 0xfffffff0;
		header.data_length = 0x20;
	}
	if (faults_.fire(Fault::kBadRxPpi)) {
		rndis::PacketInfo info{0, rndis::kPpiHashValue, sizeof(rndis::PacketInfo)};
		header.ppi_offset = sizeof(header) - rndis::kOffsetBase;
		header.ppi_length = sizeof(WordInfo);
		memcpy(first + sizeof(header), &info, sizeof(info));
	}
	if (faults_.fire(Fault::kBadRxPart)) {
		const uint32_t middle = ndis::kPacketIdVersion1 | uint32_t(ndis::kPacketIdPart)
									  << 8;
		WordInfo info{{sizeof(info), rndis::kPpiPacketId, sizeof(info.header)}, middle};
		header.ppi_offset = sizeof(header) - rndis::kOffsetBase;
		header.ppi_length = sizeof(info);
		memcpy(first + sizeof(header), &info, sizeof(info));
	}
	memcpy(first, &header, sizeof(header));
}

/* Announces the frames put together; queue_frame() made sure of the room. */
void Nic::flush_rx(Channel& channel)
{
	uint32_t count = channel.rx_count;
	channel.rx_count = 0;
	if (count == 0)
		return;
	bool bad_descriptor = false;
	if (faults_.any()) {
		rx_faults(channel);
		channel.bad_index = faults_.fire(Fault::kBadRingIndex);
		bad_descriptor = faults_.fire(Fault::kBadDescriptor);
		if (bad_descriptor) /* it will be the first that is not visible yet */
			channel.signal |= channel.out.commit();
	}
	struct {
		vmbus::TransferPageHeader header;
		std::array<vmbus::TransferPageRange, nvsp::kMaxFramesPerReceive> ranges;
	} head;
	head.header = {receive_buffer_id_, 0, 0, count};
	memcpy(head.ranges.data(), channel.rx_range.data(), count * sizeof(head.ranges[0]));
	nvsp::Message body{};
	body.type = nvsp::kSendRndisPacket;
	body.rndis.channel_type = nvsp::kChannelData;
	body.rndis.section_index = nvsp::kNoSection;
	uint32_t id = receive_buffer_.begin(channel.rx_index.data(), count, channel.index);
	channel.out.write(vmbus::PacketType::kTransferPages, vmbus::kFlagCompletionRequested, id,
			  &head, uint32_t(sizeof(head.header) + count * sizeof(head.ranges[0])),
			  &body, nvsp::message_size(version_));
	if (bad_descriptor)
		channel.out.corrupt_descriptor();
	stats_.rx_packets++;
	stats_.rx_frames += count;
}

/* Finds out what there is to tell of a frame that was put into a sub-allocation. */
inline RxFrame Nic::inspect(uint32_t index, uint32_t length)
{
	RxFrame frame;
	frame.index = index;
	frame.offset = settings_.profile->frame_offset;
	frame.length = length;
	uint8_t* data = receive_buffer_.at(index) + frame.offset;
	/* Who did not say that it knows the info for tags finds them where they are. */
	if ((capabilities_ & nvsp::kCap8021q) && is_tagged(data, length)) {
		frame.tag = strip_tag(data);
		frame.tagged = true;
		frame.offset += kVlanTag;
		frame.length -= kVlanTag;
		data += kVlanTag;
		stats_.rx_vlan++;
	}
	frame.verified = settings_.profile->tells_checksum_always;
	if (enabled_.rx_checksum != 0) {
		frame.verified = true;
		frame.checksum = verify_checksums(data, frame.length, enabled_.rx_checksum);
		stats_.rx_csum_bad += checksum_failed(frame.checksum);
	}
	if (rss_.enabled())
		frame.rss = rss_.classify(data, frame.length);
	return frame;
}

/* Whether there are as many as may be. The one channel of a NIC has room for one. */
bool Nic::full(const Channel& channel) const
{
	return channel.held.size() >= (channels_.size() == 1 ? 1 : most_held());
}

/* Whether the guest does not serve a channel, as its frames have waited for long. */
bool Nic::stuck(const Channel& channel) const
{
	return channels_.size() > 1 && monotonic_ns() - channel.held_since > kPatienceNs;
}

/* Whether for a channel that is full but not given up. */
bool Nic::network_waits() const
{
	for (const auto& channel : channels_)
		if (!channel->held.empty() && full(*channel) && !stuck(*channel))
			return true;
	return false;
}

/*
 * Hands a frame to its channel, where it waits if the guest has no room. When a channel is full the
 * network waits, too, so that nothing is lost where the guest is only slow. But not
 * for ever if there are others: what is too much for a channel that is not served is dropped.
 * @return whether the guest has it
 */
inline bool Nic::deliver(const RxFrame& frame)
{
	uint32_t number = frame.rss.channel;
	/* What the table names may not be there (yet). */
	if (number >= channels_.size() || !channels_[number]->open || channels_[number]->silent)
		number = 0;
	Channel& channel = *channels_[number];
	if (channel.held.empty()) {
		if (queue_frame(channel, frame)) [[likely]]
			return true;
		stats_.rx_no_buffer++;
		channel.held_since = monotonic_ns();
	} else if (full(channel)) {
		receive_buffer_.give(frame.index);
		stats_.rx_dropped++;
		return false;
	}
	channel.held.push_back(frame);
	return false;
}

bool Nic::deliver_held(Channel& channel)
{
	bool work = false;
	while (!channel.held.empty() && queue_frame(channel, channel.held.front())) {
		channel.held.pop_front();
		work = true;
	}
	if (work)
		channel.held_since = monotonic_ns();
	return work;
}

/* What was not announced stays where it is: the buffer goes. */
void Nic::forget_frames()
{
	for (auto& channel : channels_) {
		channel->rx_count = 0;
		channel->held.clear();
	}
}

bool Nic::receive_pass()
{
	bool work = false;
	for (auto& channel : channels_)
		if (!channel->held.empty() && channel->open && !channel->silent)
			work |= deliver_held(*channel);
	if (!can_receive())
		return work;
	if (!endpoint_->connected())
		return work;
	const uint32_t capacity = mtu_ + kVlanTag; /* a VLAN tag is not part of the MTU */
	TakenAhead ahead(receive_buffer_, settings_.profile->frame_offset);
	for (uint32_t n = 0; n < kFramesPerPass; n++) {
		const uint32_t index = ahead.take();
		if (index == ReceiveBuffer::kNone) {
			stats_.rx_no_buffer++;
			break;
		}
		uint8_t* frame = receive_buffer_.at(index) + settings_.profile->frame_offset;
		uint32_t length = endpoint_->receive(frame, capacity);
		if (length == 0) {
			receive_buffer_.give(index);
			break;
		}
		ahead.go_on();
		work = true;
		if (data_path_vf_ && to_vf(frame, length)) {
			stats_.rx_to_vf++;
			receive_buffer_.give(index);
			continue;
		}
		if (!passes_filter(frame, length)) {
			stats_.rx_filtered++;
			receive_buffer_.give(index);
			continue;
		}
		if (!deliver(inspect(index, length)) && network_waits())
			break;
	}
	return work;
}

} // namespace netvsp
