/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Makes an emulated host (docs/vmbus-user.md) the host of this machine's kernel, by way of
 * /dev/mock_vmbus: what the kernel asks of a hypervisor is asked of the emulated host, and what
 * that offers, the kernel sees. The memory of the guest is all memory that the machine has.
 */
#include "wire.hpp"

#include <cerrno>
#include <cstdio>
#include <map>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../mock_vmbus/mock_vmbus.h"

using namespace vmbus::user;

namespace bridge {

namespace {

/* The kernel's side of an open channel: eventfds that it does not know of. */
struct Channel {
	int to_host;
	int to_guest;
};

class Bridge {
      public:
	Bridge(Wire& wire, int device) : wire_(wire), device_(device) {}

	void introduce();
	void run();

      private:
	template <class T> void control(const char* what, unsigned long command, T& argument);
	void answer(uint32_t request, Status status);
	void answer_gpadl(std::map<uint32_t, uint32_t>& asked, uint32_t gpadl, Status status);
	void add_memory(uint64_t start, uint64_t size, int fd);

	void from_host();
	void offer(const OfferChannel& m);

	void from_guest(const mock_vmbus_msg& m);
	void gpadl(const mock_vmbus_msg& m);
	void open_channel(const mock_vmbus_msg& m);
	void close_channel(uint32_t relid);
	void tell(Type type, uint32_t relid);

	void interrupt(uint32_t relid, int fd);

	Wire& wire_;
	const int device_;
	std::map<uint32_t, Channel> channels_;	/* that are open, by relid */
	std::map<uint32_t, uint32_t> creating_; /* GPADL to the kernel's request */
	std::map<uint32_t, uint32_t> tearing_;
};

template <class T> void Bridge::control(const char* what, unsigned long command, T& argument)
{
	/* What the host says about a channel that the kernel gave back is late, not wrong. */
	if (ioctl(device_, command, &argument) != 0)
		fprintf(stderr, "bridge: %s: %s\n", what, strerror(errno));
}

void Bridge::add_memory(uint64_t start, uint64_t size, int fd)
{
	auto add = message<MemAdd>(Type::kMemAdd);
	add.gpa = add.offset = start;
	add.size = size;
	wire_.send(add, {fd});
	if (!wire_.receive() || wire_.type() != Type::kMemResult ||
	    wire_.as<MemResult>().status != Status::kOk)
		die("the host does not take the machine's memory");
}

/* Up to the point at which offers come. */
void Bridge::introduce()
{
	auto contact = message<InitiateContact>(Type::kInitiateContact);
	contact.magic = kMagic;
	contact.version = kVersion;
	wire_.send(contact);
	if (!wire_.receive() || wire_.type() != Type::kVersionResponse ||
	    wire_.as<VersionResponse>().accepted != 1)
		die("the host speaks another version");

	mock_vmbus_memory memory;
	if (ioctl(device_, MOCK_VMBUS_GET_MEMORY, &memory) != 0)
		die(std::string("the machine's memory: ") + strerror(errno));
	for (uint32_t i = 0; i < memory.ranges; i++)
		add_memory(memory.range[i].start, memory.range[i].size, memory.fd);
	close(memory.fd);
	auto request = message<RequestOffers>(Type::kRequestOffers);
	request.monitor_gpa = memory.monitor_page;
	wire_.send(request);
}

void Bridge::answer(uint32_t request, Status status)
{
	mock_vmbus_answer m{request, uint32_t(status)};
	control("an answer", MOCK_VMBUS_ANSWER, m);
}

void Bridge::answer_gpadl(std::map<uint32_t, uint32_t>& asked, uint32_t gpadl, Status status)
{
	auto found = asked.find(gpadl);
	if (found == asked.end())
		die("the host answers about a GPADL of which nobody asked");
	answer(found->second, status);
	asked.erase(found);
}

void Bridge::offer(const OfferChannel& m)
{
	mock_vmbus_offer o{};
	std::memcpy(o.class_id, m.class_id.bytes, sizeof(o.class_id));
	std::memcpy(o.instance_id, m.instance_id.bytes, sizeof(o.instance_id));
	o.relid = m.relid;
	o.subidx = m.subchannel_index;
	o.monitor_id = m.monitor_id < 128 ? m.monitor_id : MOCK_VMBUS_NO_MONITOR;
	control("an offer", MOCK_VMBUS_OFFER, o);
}

void Bridge::from_host()
{
	switch (wire_.type()) {
	case Type::kOfferChannel:
		offer(wire_.as<OfferChannel>());
		break;
	case Type::kAllOffersDelivered:
		break;
	case Type::kRescind: {
		uint32_t relid = wire_.as<ChannelId>().relid;
		control("a rescind", MOCK_VMBUS_RESCIND, relid);
		break;
	}
	case Type::kOpenResult: {
		const auto m = wire_.as<OpenResult>();
		if (m.status != Status::kOk)
			close_channel(m.relid);
		answer(m.open_id, m.status);
		break;
	}
	case Type::kGpadlCreated: {
		const auto m = wire_.as<GpadlCreated>();
		answer_gpadl(creating_, m.gpadl, m.status);
		break;
	}
	case Type::kGpadlTorndown:
		answer_gpadl(tearing_, wire_.as<GpadlId>().gpadl, Status::kOk);
		break;
	default:
		die("the host says what nobody expects");
	}
}

void Bridge::gpadl(const mock_vmbus_msg& m)
{
	struct {
		GpadlHeader header;
		GpaRun run;
	} out{};

	out.header.hdr = {Type::kGpadlHeader, sizeof(out)};
	out.header.relid = m.relid;
	out.header.gpadl = m.gpadl;
	out.header.run_count = 1;
	out.run = {m.gpa, m.size};
	creating_[m.gpadl] = m.request;
	wire_.send(out);
}

void Bridge::open_channel(const mock_vmbus_msg& m)
{
	Channel channel{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	if (channel.to_host < 0 || channel.to_guest < 0)
		die("no eventfd");
	auto out = message<OpenChannel>(Type::kOpenChannel);
	out.relid = m.relid;
	out.open_id = m.request;
	out.ring_gpadl = m.gpadl;
	out.ring_offset_pages = m.tx_pages;
	out.target_vp = m.vcpu;
	wire_.send(out, {channel.to_host, channel.to_guest});
	channels_[m.relid] = channel;
}

void Bridge::close_channel(uint32_t relid)
{
	auto found = channels_.find(relid);
	if (found == channels_.end())
		return;
	close(found->second.to_host);
	close(found->second.to_guest);
	channels_.erase(found);
}

void Bridge::tell(Type type, uint32_t relid)
{
	auto m = message<ChannelId>(type);
	m.relid = relid;
	wire_.send(m);
}

void Bridge::from_guest(const mock_vmbus_msg& m)
{
	switch (m.type) {
	case MOCK_VMBUS_SIGNAL:
		if (auto found = channels_.find(m.relid); found != channels_.end())
			(void)eventfd_write(found->second.to_host, 1);
		break;
	case MOCK_VMBUS_OPEN:
		open_channel(m);
		break;
	case MOCK_VMBUS_CLOSE:
		tell(Type::kCloseChannel, m.relid);
		close_channel(m.relid);
		break;
	case MOCK_VMBUS_GPADL:
		gpadl(m);
		break;
	case MOCK_VMBUS_GPADL_TEARDOWN: {
		auto out = message<GpadlId>(Type::kGpadlTeardown);
		out.relid = m.relid;
		out.gpadl = m.gpadl;
		tearing_[m.gpadl] = m.request;
		wire_.send(out);
		break;
	}
	case MOCK_VMBUS_RELEASE:
		tell(Type::kRelidReleased, m.relid);
		break;
	default:
		die("the kernel says what nobody expects");
	}
}

void Bridge::interrupt(uint32_t relid, int fd)
{
	eventfd_t count;

	if (eventfd_read(fd, &count) == 0)
		control("an interrupt", MOCK_VMBUS_INTERRUPT, relid);
}

void Bridge::run()
{
	std::vector<pollfd> fds;
	std::vector<uint32_t> relids;
	mock_vmbus_msg messages[64];

	for (;;) {
		fds = {{wire_.fd(), POLLIN, 0}, {device_, POLLIN, 0}};
		relids = {0, 0};
		for (const auto& [relid, channel] : channels_) {
			fds.push_back({channel.to_guest, POLLIN, 0});
			relids.push_back(relid);
		}
		if (poll(fds.data(), nfds_t(fds.size()), -1) < 0)
			continue;
		for (size_t i = 2; i < fds.size(); i++) {
			if (fds[i].revents != 0)
				interrupt(relids[i], fds[i].fd);
		}
		if (fds[1].revents != 0) {
			const ssize_t n = read(device_, messages, sizeof(messages));
			for (size_t i = 0; n > 0 && i < size_t(n) / sizeof(messages[0]); i++)
				from_guest(messages[i]);
		}
		if (fds[0].revents != 0) {
			if (!wire_.receive())
				return;
			from_host();
		}
	}
}

/* The kernel may still be busy with the devices of the last host. */
int open_device()
{
	for (int tries = 300;; tries--) {
		const int fd = open("/dev/" MOCK_VMBUS_DEVICE, O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (errno != EBUSY || tries == 0)
			die(std::string("/dev/" MOCK_VMBUS_DEVICE ": ") + strerror(errno));
		usleep(100000);
	}
}

} // namespace

} // namespace bridge

int main(int argc, char** argv)
{
	if (argc != 2) {
		fputs("Usage: bridge SOCKET-OF-NETVSP\n", stderr);
		return 2;
	}
	bridge::Wire wire(argv[1]);
	bridge::Bridge bridge(wire, bridge::open_device());
	bridge.introduce();
	bridge.run();
	return 0;
}
