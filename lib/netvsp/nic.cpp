/* SPDX-License-Identifier: BSD-3-Clause */
#include "nic.hpp"

#include <algorithm>

#include <ctime>
#include <unistd.h>

namespace netvsp {

using vmbus::user::Status;

namespace {

constexpr uint32_t kPacketsPerPass = 512; /* of one channel, so that others have their turn */

Offloads configured(const NicSettings& settings)
{
	Offloads out;
	out.tx_checksum = settings.tx_csum & kChecksumAll;
	out.rx_checksum = settings.rx_csum & kChecksumAll;
	out.lso4 = out.lso6 = settings.lso_max != 0;
	out.rsc4 = out.rsc6 = settings.rsc;
	return out;
}

} // namespace

uint64_t monotonic_ns()
{
	timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return uint64_t(now.tv_sec) * 1000000000u + uint64_t(now.tv_nsec);
}

Nic::Nic(const NicSettings& settings, const vmbus::Guid& guid, std::unique_ptr<Endpoint> endpoint,
	 FaultScript faults, const Log& log)
	: settings_(settings),
	  guid_(guid),
	  endpoint_(std::move(endpoint)),
	  faults_(faults),
	  log_(log),
	  offered_(configured(settings)),
	  link_up_(settings.link),
	  mac_(settings.mac),
	  scratch_(16 * 1024)
{
	channels_.push_back(std::make_unique<Channel>());
	pieces_.reserve(1024);
	range_ends_.reserve(vmbus::kMaxGpaRanges);
}

Nic::~Nic()
{
	disconnect();
}

void Nic::note(const std::string& text)
{
	if (log_)
		log_(settings_.name + ": " + text);
}

void Nic::stats(NicStats& out) const
{
	out = stats_;
	out.endpoint = endpoint_->stats();
	out.suballocations_in_use = receive_buffer_.in_use();
	out.channels_open = 0;
	for (const auto& channel : channels_)
		out.channels_open += channel->open;
	out.nvsp_version = version_;
	out.packet_filter = filter_;
	out.vf_told = vf_told_;
	out.data_path_vf = data_path_vf_;
	out.mac = mac_;
	out.ndis_version = ndis_version_;
	out.capabilities = capabilities_;
	out.mtu = mtu_ - 14;
	out.latency_hint = channels_[0]->latency_hint;
	out.offloads = enabled_;
	out.offload_sets = offload_sets_;
}

/* The guest gets no answer and no rescind: it has to notice by itself, as with Hyper-V. */
void Nic::violation(Channel& channel, const std::string& what)
{
	if (channel.silent)
		return;
	channel.silent = true;
	stats_.protocol_errors++;
	stats_.last_error = "channel " + std::to_string(channel.index) + ": " + what;
	note("protocol error on " + stats_.last_error);
}

void Nic::disconnect()
{
	link_ = nullptr;      /* nothing is told to a guest that is gone */
	close(*channels_[0]); /* takes the subchannels along */
	channels_.resize(1);
	channels_[0]->relid = 0;
	data_path_vf_ = false;
	reset();
}

/* Back to what a guest finds that opens the primary channel. */
void Nic::reset()
{
	version_ = 0;
	ndis_version_ = 0;
	capabilities_ = 0;
	mtu_ = 1514;
	have_ndis_config_ = false;
	rndis_ready_ = false;
	table_sent_ = false;
	vf_told_ = false;
	data_path_lost_ = false;
	filter_ = 0;
	mac_ = settings_.mac;
	rss_.disable();
	enabled_ = {};
	offload_sets_ = 0;
	offloads_changed_ = false;
	indications_.clear();
	forget_frames();
	receive_buffer_.detach();
	receive_gpadl_ = 0;
	send_buffer_ = nullptr;
	send_sections_ = 0;
	send_gpadl_ = 0;
	endpoint_full_ = false;
}

void Nic::rescind_all()
{
	if (channels_[0]->open)
		close(*channels_[0]); /* takes the subchannels along */
	for (auto& channel : channels_)
		if (channel->relid != 0 && link_)
			link_->rescind(*this, channel->index);
	channels_.resize(1);
}

Status Nic::open(Channel& channel, const Gpadl& ring, uint32_t ring_offset_pages, int kick_fd,
		 int call_fd)
{
	if (channel.open)
		return Status::kBadState;
	if (faults_.fire(Fault::kOpenFail))
		return Status::kRefused;
	uint64_t split = uint64_t(ring_offset_pages) * vmbus::kPageSize;
	if (split >= ring.size || !channel.in.attach(ring.base, split) ||
	    !channel.out.attach(ring.base + split, ring.size - split))
		return Status::kBadArgument;
	channel.open = true;
	channel.silent = false;
	channel.signal = false;
	channel.triggered = false;
	channel.ring_gpadl = ring.id;
	channel.kick_fd = kick_fd;
	channel.call_fd = call_fd;
	channel.packets = 0;
	channel.tx_offset = 0;
	channel.tx_messages = 0;
	channel.tx_segments = 0;
	channel.rx_count = 0;
	channel.in.set_mask(1);
	if (channel.index == 0)
		reset();
	return Status::kOk;
}

void Nic::close(Channel& channel)
{
	if (!channel.open)
		return;
	channel.open = false;
	channel.ring_gpadl = 0;
	::close(channel.kick_fd);
	::close(channel.call_fd);
	channel.kick_fd = channel.call_fd = -1;
	for (uint32_t i = 0; i < channel.rx_count; i++)
		receive_buffer_.give(channel.rx_index[i]);
	channel.rx_count = 0;
	for (const RxFrame& frame : channel.held)
		receive_buffer_.give(frame.index);
	channel.held.clear();
	receive_buffer_.abandon(channel.index);
	if (channel.index != 0)
		return;
	/* Subchannels live and die with their primary's negotiation. */
	for (size_t i = 1; i < channels_.size(); i++) {
		if (channels_[i]->open)
			close(*channels_[i]);
		if (channels_[i]->relid != 0 && link_)
			link_->rescind(*this, uint32_t(i));
	}
	channels_.resize(1);
	reset();
}

bool Nic::uses(uint32_t gpadl) const
{
	if (receive_gpadl_ == gpadl || send_gpadl_ == gpadl)
		return true;
	for (const auto& channel : channels_)
		if (channel->open && channel->ring_gpadl == gpadl)
			return true;
	return false;
}

void Nic::buffer_lost(uint32_t gpadl)
{
	/* Closing the primary drops the others from the list. */
	for (size_t i = 0; i < channels_.size(); i++) {
		Channel& channel = *channels_[i];
		if (channel.open && channel.ring_gpadl == gpadl) {
			violation(channel, "its ring's GPADL was torn down while it was open");
			close(channel);
		}
	}
	if (receive_gpadl_ == gpadl || send_gpadl_ == gpadl)
		violation(*channels_[0], "a buffer's GPADL was torn down without revoking it");
	if (receive_gpadl_ == gpadl) {
		forget_frames();
		receive_buffer_.detach();
		receive_gpadl_ = 0;
	}
	if (send_gpadl_ == gpadl) {
		send_buffer_ = nullptr;
		send_sections_ = 0;
		send_gpadl_ = 0;
	}
}

void Nic::set_link(bool up)
{
	if (up == link_up_)
		return;
	link_up_ = up;
	indicate(up ? rndis::kStatusMediaConnect : rndis::kStatusMediaDisconnect);
	finish(*channels_[0]);
}

void Nic::set_speed(uint64_t mbps)
{
	if (mbps == settings_.speed_mbps)
		return;
	settings_.speed_mbps = mbps;
	const uint32_t speed = link_speed();
	indicate(rndis::kStatusLinkSpeedChange, &speed, sizeof(speed));
	finish(*channels_[0]);
}

void Nic::send_indication(uint32_t status, const void* payload, uint32_t length)
{
	indicate(status, payload, length);
	finish(*channels_[0]);
}

void Nic::set_offered(const Offloads& offered)
{
	offered_ = offered;
	Offloads left = enabled_ & offered_;
	if (left == enabled_)
		return;
	enabled_ = left;
	indicate_offloads();
	finish(*channels_[0]);
}

bool Nic::receiving() const
{
	return link_up_ && filter_ != 0 && rndis_ready_ && channels_[0]->open &&
	       !channels_[0]->silent && receive_buffer_.attached();
}

bool Nic::can_receive() const
{
	if (!receiving() || receive_buffer_.in_use() + kControlIds >= receive_buffer_.count() ||
	    (channels_.size() == 1 && channels_[0]->out.blocked()))
		return false;
	return !network_waits();
}

bool Nic::held() const
{
	for (const auto& channel : channels_)
		if (!channel->held.empty())
			return true;
	return false;
}

/* A channel that had no room in its ring goes on only when the guest signalled. */
void Nic::check_blocked(Channel& channel)
{
	uint64_t count;
	bool kicked = channel.triggered;
	if (read(channel.kick_fd, &count, sizeof(count)) == ssize_t(sizeof(count)))
		kicked = true;
	if (kicked)
		channel.out.unblock();
}

/*
 * A packet of the guest waits, for the network or for room in the ring. What the guest completes
 * behind it must not: the receive buffer would run dry, and a network that waits for room in it
 * (a loopback) would never take the packet.
 */
bool Nic::take_completions_behind(Channel& channel, const Packet& waiting)
{
	bool work = false;
	uint32_t at = std::max(channel.in.ahead(), waiting.length + vmbus::kFooterSize);
	Packet packet;
	while (!channel.silent && channel.in.peek(packet, at) == InRing::Peek::kPacket) {
		if (packet.descriptor.type == uint16_t(vmbus::PacketType::kCompletion)) {
			handle_rx_completion(channel, packet);
			work = true;
		}
		at += packet.length + vmbus::kFooterSize;
	}
	channel.in.set_ahead(at);
	return work;
}

/* Has the send section of the packet behind this one fetched: the guest's CPU has just filled it.
 */
void Nic::prefetch_behind(Channel& channel, const Packet& packet)
{
	constexpr uint32_t kMost = 1024; /* bytes: what is behind comes by itself */
	const uint32_t behind = packet.length + vmbus::kFooterSize;
	Packet next;
	nvsp::Message message;
	if (!channel.in.known(behind) || channel.in.peek(next, behind) != InRing::Peek::kPacket ||
	    next.descriptor.type != uint16_t(vmbus::PacketType::kInband) ||
	    next.data_length() < nvsp::message_size(version_))
		return;
	memcpy(&message, next.data(), 16);
	if (message.type != nvsp::kSendRndisPacket || message.rndis.section_index >= send_sections_)
		return;
	const uint8_t* section =
		send_buffer_ + uint64_t(message.rndis.section_index) * settings_.section_size;
	const uint32_t end = std::min({message.rndis.section_size, settings_.section_size, kMost});
	for (uint32_t at = 0; at < end; at += 64)
		__builtin_prefetch(section + at);
}

bool Nic::serve(Channel& channel)
{
	if (channel.out.blocked())
		check_blocked(channel);
	channel.triggered = false;
	bool work = false;
	for (uint32_t n = 0; n < kPacketsPerPass && !channel.silent; n++) {
		Packet packet;
		InRing::Peek peek = channel.in.peek(packet);
		if (peek == InRing::Peek::kEmpty)
			break;
		if (peek == InRing::Peek::kBroken) {
			violation(channel, "malformed packet or index in the transmit ring");
			break;
		}
		if (faults_.any() && faults_.parameter(Fault::kSilentAfter) != 0 &&
		    channel.packets >= faults_.parameter(Fault::kSilentAfter)) {
			channel.silent = true; /* the host's fault, not the guest's */
			break;
		}
		nvsp::Message message;
		switch (vmbus::PacketType(packet.descriptor.type)) {
		case vmbus::PacketType::kCompletion:
			if (channel.in.ahead() == 0)
				handle_rx_completion(channel, packet);
			break;
		case vmbus::PacketType::kInband:
		case vmbus::PacketType::kGpaDirect: {
			uint32_t length = packet.data_length() < sizeof(message)
						  ? packet.data_length()
						  : uint32_t(sizeof(message));
			memset(&message, 0, sizeof(message));
			memcpy(&message, packet.data(), length);
			if (length >= 16 && message.type == nvsp::kSendRndisPacket) {
				prefetch_behind(channel, packet);
				if (!handle_data(channel, packet, message))
					return take_completions_behind(channel, packet) || work;
			} else {
				if (!reply_room(channel))
					return take_completions_behind(channel, packet) || work;
				handle_nvsp(channel, packet, message, length);
			}
			break;
		}
		default:
			violation(channel,
				  "packet of type " + std::to_string(packet.descriptor.type));
			break;
		}
		if (!channel.open)
			return true;
		channel.in.consume(packet);
		channel.packets++;
		work = true;
	}
	return work;
}

/* Publishes what the pass wrote and read, and signals the guest at most once. */
void Nic::finish(Channel& channel)
{
	if (!channel.open)
		return;
	if (channel.rx_count != 0)
		flush_rx(channel);
	if (channel.out.broken())
		violation(channel, "impossible read index in the receive ring");
	bool signal = channel.out.commit() || channel.signal;
	channel.signal = false;
	signal |= channel.in.publish();
	if (channel.bad_index) {
		channel.bad_index = false;
		channel.out.corrupt_index();
		channel.silent = true; /* or the next packet would set it right */
		signal = true;
	}
	if (!channel.in.mask_intact())
		violation(channel, "the guest wrote the interrupt mask of its transmit ring");
	if (signal) {
		uint64_t one = 1;
		if (write(channel.call_fd, &one, sizeof(one)) == ssize_t(sizeof(one)))
			stats_.interrupts++;
	}
}

bool Nic::pass()
{
	bool work = false;
	/* One look at the clock where passes follow each other. */
	const uint64_t begin = moving_ ? last_moved_ : monotonic_ns();
	const uint64_t sent = stats_.tx_frames;
	const uint64_t moved = sent + stats_.rx_frames;
	endpoint_full_ = false;
	/* Channels come and go with what the primary asks for: no iterators. */
	for (size_t i = 0; i < channels_.size(); i++)
		if (channels_[i]->open && !channels_[i]->silent)
			work |= serve(*channels_[i]);
	if (stats_.tx_frames != sent)
		endpoint_->flush();
	send_indications();
	if (vf_interface_)
		work |= pump_vf();
	if (vf_present_ || vf_told_ || data_path_lost_)
		tell_vf();
	if (offloads_changed_)
		indicate_offloads();
	if (!table_sent_ && channels_.size() > 1)
		send_indirection_table();
	if (receiving())
		work |= receive_pass();
	for (auto& channel : channels_)
		finish(*channel);
	moving_ = stats_.tx_frames + stats_.rx_frames != moved;
	if (moving_)
		count_time(begin);
	return work;
}

/* Who waited for whom: a pause is waiting only if frames go on soon. */
void Nic::count_time(uint64_t begin)
{
	static constexpr uint64_t kPause = 100'000'000;
	if (begin - last_moved_ < kPause)
		stats_.idle_ns += begin - last_moved_;
	last_moved_ = monotonic_ns();
	stats_.busy_ns += last_moved_ - begin;
}

bool Nic::unmask()
{
	bool work = false;
	for (auto& channel : channels_) {
		if (!channel->open || channel->silent)
			continue;
		channel->in.set_mask(0);
		/* A packet that waits for room, in a ring or at the endpoint, is no news. */
		work |= channel->in.has_data() && !channel->out.blocked() && !endpoint_full_;
	}
	return work;
}

void Nic::mask()
{
	for (auto& channel : channels_)
		if (channel->open && !channel->silent)
			channel->in.set_mask(1);
}

} // namespace netvsp
