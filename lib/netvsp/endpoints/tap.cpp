/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A TAP interface of this machine: the guest's link ends in the kernel's network stack.
 *
 * Before each frame is the kernel's virtio-net header (IFF_VNET_HDR), which says what is left to
 * do: large sends of the guest go to the kernel in one piece, and what the kernel sends in one
 * piece, or without its checksum, becomes frames as they would be on a wire. For a guest that has
 * receive segment coalescing the host joins them again.
 */
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../inet.hpp"
#include "../rx_offload.hpp"
#include "../tx_offload.hpp"
#include "kinds.hpp"
#include "vnet_header.hpp"

namespace netvsp {

namespace {

constexpr const char* kDevice = "/dev/net/tun";

/* How long a TAP that had nothing is left alone: a host that polls would otherwise spend its time
 * in read(), and a frame waits no longer than this. */
constexpr uint64_t kQuietNs = 5000;

/* Of an IP packet of the greatest length, and then some. */
constexpr size_t kLargest = 128 * 1024;

/* A frame of the kernel's that several are made of. */
class LargeFrame {
      public:
	LargeFrame() : bytes_(std::make_unique_for_overwrite<uint8_t[]>(kLargest)) {}

	uint8_t* data() { return bytes_.get(); }

	/** @return false if it is not what its header says */
	bool start(uint32_t length, const VnetHeader& header)
	{
		uint8_t* frame = data();
		TxRequest request;
		request.large = true;
		request.mss = header.gso_size;
		request.v6 = (header.gso_type & ~kVnetGsoEcn) == kVnetGsoTcp6;
		request.l4 = header.csum_start;
		tagged_ = is_tagged(frame, length);
		if (tagged_) {
			tag_ = strip_tag(frame);
			frame += kVlanTag;
			length -= kVlanTag;
			request.l4 -= kVlanTag;
		}
		next_ = 0;
		count_ = segmenter_.start(frame, length, request) ? segmenter_.count() : 0;
		return count_ != 0;
	}
	uint32_t left() const { return count_ - next_; }
	void clear() { next_ = count_ = 0; }
	uint32_t frame_length() const
	{
		return segmenter_.frame_length() + (tagged_ ? kVlanTag : 0);
	}
	/** Writes the next of the frames, each at most frame_length(). @return its length */
	uint32_t next(uint8_t* to)
	{
		if (!tagged_)
			return segmenter_.build(next_++, to);
		const uint32_t length = segmenter_.build(next_++, to + kVlanTag);
		insert_tag(to + kVlanTag, tag_);
		return length + kVlanTag;
	}

      private:
	std::unique_ptr<uint8_t[]> bytes_;
	Segmenter segmenter_;
	uint32_t count_ = 0;
	uint32_t next_ = 0;
	bool tagged_ = false;
	uint16_t tag_ = 0;
};

/* Completes the checksum that the kernel began. @return false if it cannot be where it is said */
bool complete_checksum(uint8_t* frame, uint32_t length, const VnetHeader& header)
{
	const uint32_t start = header.csum_start;
	if (start >= length || length - start < header.csum_offset + 2u)
		return false;
	const auto sum = uint16_t(~inet_sum(frame + start, length - start));
	/* In UDP zero would say that there is none; in TCP it says the same as its inverse. */
	store16(frame + start + header.csum_offset, sum == 0 ? 0xffff : sum);
	return true;
}

class Tap final : public Endpoint {
      public:
	explicit Tap(int fd) : fd_(fd) {}
	~Tap() override { close(fd_); }

	bool send(const uint8_t* frame, uint32_t length) override
	{
		return write_frame(VnetHeader{}, frame, length);
	}

	bool takes_offloads() const override { return true; }

	bool send_offload(const uint8_t* frame, uint32_t length, const FrameOffload& left) override
	{
		VnetHeader header;

		if (left.checksum) {
			header.flags = kVnetNeedsChecksum;
			header.csum_start = uint16_t(left.checksum_start);
			header.csum_offset = uint16_t(left.checksum_offset);
		}
		if (left.mss != 0) {
			header.gso_type = left.v6 ? kVnetGsoTcp6 : kVnetGsoTcp4;
			header.gso_size = uint16_t(left.mss);
			header.hdr_len = uint16_t(left.headers);
		}
		return write_frame(header, frame, length);
	}

	uint32_t receive(uint8_t* room, uint32_t capacity) override
	{
		if (!connected_)
			return 0;
		for (;;) {
			if (large_.left() != 0)
				return count(large_.next(room));
			if (quiet_) {
				if (clock_ns(CLOCK_MONOTONIC) < quiet_until_)
					return 0;
				quiet_ = false;
			}
			VnetHeader header;
			const uint32_t length = read_frame(header, room, capacity);
			if (length == 0)
				return 0;
			if (header.gso_type != kVnetNoGso) {
				memcpy(large_.data(), room, std::min(length, capacity));
				start_large(length, header, capacity);
				continue;
			}
			/* A checksum that is none goes the way of a frame that is too long. */
			if (length > capacity || ((header.flags & kVnetNeedsChecksum) &&
						  !complete_checksum(room, length, header))) {
				stats_.dropped++;
				continue;
			}
			return count(length);
		}
	}

	void discard_waiting() override
	{
		/* Of each frame a byte is read; a kernel queue has no more than this. */
		uint8_t bytes[sizeof(VnetHeader) + 1];
		stats_.dropped += large_.left();
		large_.clear();
		for (uint32_t n = 0; n < kMaxWaiting && read(fd_, bytes, sizeof(bytes)) > 0; n++)
			stats_.dropped++;
	}

	/* A TAP that vanished would poll readable for ever. */
	int wait_fd() const override { return connected_ ? fd_ : -1; }
	int64_t wait_ns() const override { return connected_ && large_.left() != 0 ? 0 : -1; }
	bool connected() const override { return connected_; }

      private:
	bool write_frame(VnetHeader header, const uint8_t* frame, uint32_t length)
	{
		iovec parts[2] = {{&header, sizeof(header)}, {const_cast<uint8_t*>(frame), length}};

		if (!connected_) {
			stats_.dropped++;
			return true;
		}
		for (;;) {
			const ssize_t written = writev(fd_, parts, 2);

			if (written == ssize_t(sizeof(header) + length)) {
				stats_.sent_frames++;
				stats_.sent_bytes += length;
				stats_.sent_large += header.gso_type != kVnetNoGso;
				return true;
			}
			if (written < 0 && errno == EINTR)
				continue;
			/* The kernel has no room, and may not have it for long: as on a wire. */
			if (written < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
				stats_.dropped++;
				return true;
			}
			/* EIO is an interface that is down, which may come up again. */
			stats_.errors++;
			if (written < 0)
				check_gone(errno);
			return true;
		}
	}

	/*
	 * The kernel's next frame: the first `capacity` bytes in `room`, what is more in the large
	 * frame, behind where these belong.
	 * @return its length; 0: there is none
	 */
	uint32_t read_frame(VnetHeader& header, uint8_t* room, uint32_t capacity)
	{
		iovec parts[3] = {{&header, sizeof(header)},
				  {room, capacity},
				  {large_.data() + capacity, kLargest - capacity}};

		for (;;) {
			const ssize_t length = readv(fd_, parts, 3);

			if (length > ssize_t(sizeof(header)))
				return uint32_t(length) - uint32_t(sizeof(header));
			if (length < 0 && errno == EINTR)
				continue;
			if (length < 0 && errno != EAGAIN)
				check_gone(errno);
			quiet_ = true;
			quiet_until_ = clock_ns(CLOCK_MONOTONIC) + kQuietNs;
			return 0;
		}
	}

	void start_large(uint32_t length, const VnetHeader& header, uint32_t capacity)
	{
		stats_.received_large++;
		if (!large_.start(length, header)) {
			stats_.dropped++;
		} else if (large_.frame_length() > capacity) {
			stats_.dropped += large_.left();
			large_.clear();
		}
	}

	uint32_t count(uint32_t length)
	{
		stats_.received_frames++;
		stats_.received_bytes += length;
		return length;
	}

	void check_gone(int reason)
	{
		if (reason == EBADFD || reason == ENODEV || reason == EBADF)
			connected_ = false;
	}

	static constexpr uint32_t kMaxWaiting = 10000;

	int fd_;
	bool connected_ = true;
	bool quiet_ = false;
	uint64_t quiet_until_ = 0;
	LargeFrame large_;
};

std::string system_error(const std::string& what, int reason)
{
	std::string text = what + ": " + strerror(reason);

	if (reason == EPERM || reason == EACCES)
		text += " (run as root or with CAP_NET_ADMIN, or make the interface first: "
			"ip tuntap add mode tap user USER name NAME)";
	else if (reason == ENOENT || reason == ENODEV || reason == ENXIO)
		text += " (is the kernel module there? modprobe tun)";
	return text;
}

/* The kernel's rules for an interface name, and '%', by which it would choose a number. */
bool is_valid_name(const std::string& name)
{
	if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == "..")
		return false;
	for (const char c : name) {
		if (c <= ' ' || c > '~' || c == '/' || c == ':' || c == '%')
			return false;
	}
	return true;
}

/*
 * Brings the interface up. Its MTU stays what it is (1500 on a new one): which one suits depends on
 * what the guest will negotiate, so that is for "ip link set NAME mtu N".
 * @return empty, or what went wrong
 */
std::string bring_up(const std::string& name)
{
	ifreq request{};
	std::string error;
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return system_error("socket", errno);
	memcpy(request.ifr_name, name.data(), name.size());
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0) {
		error = system_error("cannot read the flags of " + name, errno);
	} else if (!(request.ifr_flags & IFF_UP)) {
		request.ifr_flags = short(request.ifr_flags | IFF_UP);
		if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
			error = system_error("cannot bring up " + name, errno);
	}
	close(fd);
	return error;
}

} // namespace

std::unique_ptr<Endpoint> make_tap(const std::string& args, std::string& error)
{
	ifreq request{};

	if (!is_valid_name(args)) {
		error = "\"" + args +
			"\" is no interface name: accepted are 1..15 printable "
			"characters without space, '/', ':' and '%'";
		return nullptr;
	}
	const int fd = open(kDevice, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		error = system_error(std::string("cannot open ") + kDevice, errno);
		return nullptr;
	}
	auto tap = std::make_unique<Tap>(fd);

	request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	memcpy(request.ifr_name, args.data(), args.size());
	if (ioctl(fd, TUNSETIFF, &request) < 0) {
		const int reason = errno;

		error = system_error("cannot attach to " + args, reason);
		if (reason == EBUSY)
			error += " (another program has it)";
		else if (reason == EINVAL)
			error += " (it is no TAP, or one with several queues)";
		return nullptr;
	}
	/* The header has the size that it is born with, whatever a TAP that stays had before. */
	int header_size = sizeof(VnetHeader);
	const unsigned int offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	if (ioctl(fd, TUNSETVNETHDRSZ, &header_size) < 0 ||
	    ioctl(fd, TUNSETOFFLOAD, offloads) < 0) {
		error = system_error("cannot turn on the offloads of " + args, errno);
		return nullptr;
	}
	error = bring_up(args);
	if (!error.empty())
		return nullptr;
	return tap;
}

} // namespace netvsp
