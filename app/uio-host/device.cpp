/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "node_file.hpp"
#include "vmbus/atomic.hpp"
#include "vmbus/guid.hpp"

namespace uio_host {

using vmbus::Error;
using vmbus::kPageSize;
using vmbus::RingControl;
using vmbus::user::OfferChannel;

namespace {

/* Of enum hv_uio_map. */
enum : uint32_t { kRings, kInterruptPage, kMonitorPage, kReceiveBuffer, kSendBuffer, kMaps };

std::string decimal(uint64_t n)
{
	return std::to_string(n);
}

std::string hexadecimal(uint64_t n)
{
	char text[24];
	std::snprintf(text, sizeof(text), "0x%016llx", static_cast<unsigned long long>(n));
	return text;
}

} // namespace

HvUioDevice::HvUioDevice(std::shared_ptr<vmbus::user::Connection> connection,
			 const OfferChannel& offer, const vmbus::Guid& shown, int number,
			 const Generation& generation, SysfsTree& tree)
	: connection_(std::move(connection)),
	  number_(number),
	  generation_(generation),
	  tree_(tree),
	  name_(to_string(shown)),
	  path_(std::string(SysfsTree::kDevices) + "/" + name_)
{
	primary_.offer = offer;
	primary_.path = path_ + "/channels/" + decimal(offer.relid);
}

HvUioDevice::~HvUioDevice()
{
	remove();
}

/* hv_uio_remove(), and what the bus does when a device goes. Who has the node open keeps memory
 * that nobody writes to any more. */
void HvUioDevice::remove()
{
	std::lock_guard lock(mutex_);
	if (std::exchange(removed_, true))
		return;
	gone_ = true;
	notify();
	for (auto& channel : subchannels_)
		free_channel(*channel);
	subchannels_.clear();
	close_channel(primary_);
	if (receive_gpadl_ != 0)
		connection_->teardown_gpadl(relid(), receive_gpadl_);
	if (send_gpadl_ != 0)
		connection_->teardown_gpadl(relid(), send_gpadl_);
	if (receive_)
		(void)connection_->remove_memory(receive_gpa_, receive_->size()).code;
	if (send_)
		(void)connection_->remove_memory(send_gpa_, send_->size()).code;
	free_channel(primary_);
	tree_.remove(path_);
	tree_.remove("/dev/uio" + decimal(uint64_t(number_)));
}

Error HvUioDevice::bind()
{
	show();
	if (primary_.offer.monitor_id > vmbus::kMonitorIdMax && !generation_.binds_without_monitor)
		return {ENOTSUP, "vmbus channel requires hypercall"};
	if (Error error = make_rings(primary_))
		return error;
	if (Error error = make_buffer("recv", generation_.receive_buffer, receive_, receive_gpa_,
				      receive_gpadl_))
		return error;
	if (Error error =
		    make_buffer("send", generation_.send_buffer, send_, send_gpa_, send_gpadl_))
		return error;
	if (Error error = vmbus::SharedMemory::create("int_page", kPageSize, interrupt_page_))
		return error;
	const std::string uio = path_ + "/uio/uio" + decimal(uint64_t(number_));
	const auto show_map = [&](uint32_t index, const std::string& name, uint64_t size) {
		const std::string map = uio + "/maps/map" + decimal(index);
		tree_.write(map + "/name", name);
		tree_.write(map + "/size", hexadecimal(size));
		tree_.write(map + "/offset", "0x0");
		tree_.write(map + "/addr", hexadecimal(0));
	};
	show_map(kRings, "txrx_rings", 2 * kRingSize);
	show_map(kInterruptPage, "int_page", kPageSize);
	show_map(kMonitorPage, "monitor_page", kPageSize);
	show_map(kReceiveBuffer, "recv:" + decimal(receive_gpadl_), receive_->size());
	show_map(kSendBuffer, "send:" + decimal(send_gpadl_), send_->size());
	tree_.write(uio + "/name", "uio_hv_generic");
	tree_.write(uio + "/version", "0.02.1");
	tree_.write(uio + "/event", "0");
	tree_.write("/dev/uio" + decimal(uint64_t(number_)), "");
	tree_.link(path_ + "/driver", "../../drivers/uio_hv_generic");
	return {};
}

/* Attributes that a bus driver reads; Documentation/ABI/stable/sysfs-bus-vmbus has them. */
void HvUioDevice::show()
{
	const OfferChannel& offer = primary_.offer;
	tree_.write(path_ + "/class_id", "{" + to_string(offer.class_id) + "}");
	tree_.write(path_ + "/device_id", "{" + name_ + "}");
	tree_.write(path_ + "/modalias", "vmbus:f8615163df3e46c5913ff2d2f965ed0e");
	tree_.write(path_ + "/vendor", "0x1414");
	tree_.write(path_ + "/device", "0x0");
	tree_.write(path_ + "/id", decimal(offer.relid));
	tree_.write(path_ + "/state", "3");
	tree_.write(path_ + "/numa_node", "0");
	tree_.write(path_ + "/driver_override", "uio_hv_generic");
	tree_.write(path_ + "/channel_vp_mapping", decimal(offer.relid) + ":0");
	if (offer.monitor_id <= vmbus::kMonitorIdMax)
		tree_.write(path_ + "/monitor_id", decimal(offer.monitor_id));
	show_channel(primary_);
}

void HvUioDevice::show_channel(const Channel& channel)
{
	const OfferChannel& offer = channel.offer;
	tree_.write(channel.path + "/subchannel_id", decimal(offer.subchannel_index));
	tree_.write(channel.path + "/cpu", "0");
	if (offer.monitor_id <= vmbus::kMonitorIdMax)
		tree_.write(channel.path + "/monitor_id", decimal(offer.monitor_id));
}

/* vmbus_alloc_ring(): the memory, which is a file of sysfs, too. */
Error HvUioDevice::make_rings(Channel& channel)
{
	const std::string file = tree_.at(channel.path + "/ring");
	channel.ring_file = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (channel.ring_file < 0 || ftruncate(channel.ring_file, 2 * kRingSize) != 0)
		return Error::system(file);
	void* p = mmap(nullptr, 2 * kRingSize, PROT_READ | PROT_WRITE, MAP_SHARED,
		       channel.ring_file, 0);
	if (p == MAP_FAILED)
		return Error::system(file);
	channel.rings = static_cast<uint8_t*>(p);
	channel.gpa = connection_->allocate_gpa(2 * kRingSize);
	return connection_->add_memory(channel.gpa, channel.rings, 2 * kRingSize, channel.ring_file,
				       0);
}

Error HvUioDevice::make_buffer(const char* name, uint32_t size,
			       std::shared_ptr<vmbus::SharedMemory>& memory, uint64_t& gpa,
			       uint32_t& gpadl)
{
	if (Error error = vmbus::SharedMemory::create(name, size, memory))
		return error;
	gpa = connection_->allocate_gpa(size);
	if (Error error = connection_->add_memory(gpa, memory->data(), size, memory->fd(), 0))
		return error;
	return connection_->create_gpadl(relid(), gpa, size, gpadl);
}

uint32_t* HvUioDevice::receive_mask(const Channel& channel) const
{
	return &reinterpret_cast<RingControl*>(channel.rings + kRingSize)->interrupt_mask;
}

/* vmbus_connect_ring() or vmbus_open(): with rings as new. */
Error HvUioDevice::open_channel(Channel& channel)
{
	*reinterpret_cast<RingControl*>(channel.rings) = {};
	*reinterpret_cast<RingControl*>(channel.rings + kRingSize) = {};
	channel.kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	channel.call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (channel.kick < 0 || channel.call < 0)
		return Error::system("eventfd");
	Error error = connection_->create_gpadl(channel.offer.relid, channel.gpa, 2 * kRingSize,
						channel.gpadl);
	if (!error)
		error = connection_->open_channel(channel.offer.relid, channel.gpadl,
						  kRingSize / kPageSize, channel.kick,
						  channel.call);
	channel.open = !error;
	if (error)
		close_channel(channel);
	return error;
}

void HvUioDevice::close_channel(Channel& channel)
{
	if (channel.open)
		connection_->close_channel(channel.offer.relid);
	channel.open = false;
	if (channel.gpadl != 0)
		connection_->teardown_gpadl(channel.offer.relid, channel.gpadl);
	channel.gpadl = 0;
	for (int* fd : {&channel.kick, &channel.call}) {
		if (*fd >= 0)
			::close(*fd);
		*fd = -1;
	}
}

/*
 * vmbus_free_ring(). The pages of a subchannel's rings go with its file: who still looks into them
 * gets SIGBUS, as when the kernel takes a file out of sysfs.
 */
void HvUioDevice::free_rings(Channel& channel)
{
	if (channel.rings != nullptr) {
		(void)connection_->remove_memory(channel.gpa, 2 * kRingSize).code;
		munmap(channel.rings, 2 * kRingSize);
		channel.rings = nullptr;
	}
	if (channel.ring_file >= 0) {
		if (channel.offer.subchannel_index != 0 && ftruncate(channel.ring_file, 0) != 0)
			std::perror("uio-host: ftruncate");
		::close(channel.ring_file);
		channel.ring_file = -1;
	}
	tree_.remove(channel.path + "/ring");
}

/* hv_process_channel_removal(): the channel is forgotten, here and by the host. */
void HvUioDevice::free_channel(Channel& channel)
{
	close_channel(channel);
	free_rings(channel);
	tree_.remove(channel.path);
	connection_->release_relid(channel.offer.relid);
}

/* hv_uio_open() */
Error HvUioDevice::open()
{
	std::lock_guard lock(mutex_);
	if (gone_)
		return {ENODEV, "the device is gone"};
	if (users_++ != 0)
		return {};
	if (Error error = open_channel(primary_)) {
		users_--;
		return error;
	}
	if (generation_.masks)
		vmbus::store_seq_cst(receive_mask(primary_), 1u);
	return {};
}

/* hv_uio_release(), hence vmbus_disconnect_ring(): subchannels wait until the host rescinds them.
 */
void HvUioDevice::release()
{
	std::lock_guard lock(mutex_);
	if (--users_ != 0 || removed_)
		return;
	for (auto& channel : subchannels_) {
		close_channel(*channel);
		free_rings(*channel);
	}
	close_channel(primary_);
}

/* hv_uio_new_channel(): its file appears when it is open. */
void HvUioDevice::open_subchannel(Channel& channel)
{
	Error error = make_rings(channel);
	if (!error)
		error = open_channel(channel);
	if (error)
		std::fprintf(stderr, "uio-host: %s: sub-channel open failed: %s\n", name_.c_str(),
			     error.what.c_str());
	else if (generation_.masks)
		vmbus::store_seq_cst(receive_mask(channel), 1u);
}

void HvUioDevice::add_subchannel(const OfferChannel& offer)
{
	std::lock_guard lock(mutex_);
	auto channel = std::make_unique<Channel>();
	channel->offer = offer;
	channel->path = path_ + "/channels/" + decimal(offer.relid);
	show_channel(*channel);
	if (users_ != 0 && !removed_)
		open_subchannel(*channel);
	subchannels_.push_back(std::move(channel));
}

bool HvUioDevice::rescind(uint32_t relid)
{
	std::lock_guard lock(mutex_);
	if (relid == primary_.offer.relid) {
		remove(); /* after hv_uio_rescind(): reads fail from now on */
		return true;
	}
	return std::erase_if(subchannels_, [&](auto& channel) {
		       if (channel->offer.relid != relid)
			       return false;
		       free_channel(*channel);
		       return true;
	       }) != 0;
}

/* hv_uio_channel_cb() */
void HvUioDevice::interrupt(uint32_t relid)
{
	std::lock_guard lock(mutex_);
	const auto handle = [&](Channel& channel) {
		uint64_t count = 0;
		if (!channel.open || channel.offer.relid != relid ||
		    ::read(channel.call, &count, sizeof(count)) != sizeof(count))
			return;
		if (generation_.masks)
			vmbus::store_seq_cst(receive_mask(channel), 1u);
		notify();
	};
	handle(primary_);
	for (auto& channel : subchannels_)
		handle(*channel);
}

void HvUioDevice::signals(std::vector<std::pair<int, uint32_t>>& out)
{
	std::lock_guard lock(mutex_);
	if (primary_.open)
		out.emplace_back(primary_.call, primary_.offer.relid);
	for (auto& channel : subchannels_)
		if (channel->open)
			out.emplace_back(channel->call, channel->offer.relid);
}

int HvUioDevice::irq_control(bool on)
{
	std::lock_guard lock(mutex_);
	const auto control = [&](Channel& channel) {
		if (!channel.open)
			return;
		vmbus::store_seq_cst(receive_mask(channel), on ? 0u : 1u);
		/* vmbus_set_event(): by hypercall; kernels that bind monitored channels only have
		 * no reason to */
		const uint64_t one = 1;
		if (on && generation_.binds_without_monitor &&
		    channel.offer.monitor_id > vmbus::kMonitorIdMax &&
		    ::write(channel.kick, &one, sizeof(one)) < 0 && errno != EAGAIN)
			std::perror("uio-host: signalling the host");
	};
	control(primary_);
	if (generation_.controls_all_channels)
		for (auto& channel : subchannels_)
			control(*channel);
	return 0;
}

int HvUioDevice::map(uint64_t index, uint64_t& size) const
{
	const auto shared = [&](const std::shared_ptr<vmbus::SharedMemory>& memory) {
		size = memory->size();
		return memory->fd();
	};
	switch (index) {
	case kRings:
		size = 2 * kRingSize;
		return primary_.ring_file;
	case kInterruptPage:
		return shared(interrupt_page_);
	case kMonitorPage:
		size = kPageSize;
		return connection_->monitor_fd();
	case kReceiveBuffer:
		return shared(receive_);
	case kSendBuffer:
		return shared(send_);
	default:
		return -1;
	}
}

bool HvUioDevice::ring_is_open(const std::string& path)
{
	std::lock_guard lock(mutex_);
	if (path == tree_.at(primary_.path + "/ring"))
		return primary_.open;
	return std::any_of(subchannels_.begin(), subchannels_.end(), [&](const auto& channel) {
		return channel->open && path == tree_.at(channel->path + "/ring");
	});
}

void HvUioDevice::notify()
{
	for (NodeFile* file : files_)
		file->notify();
}

void HvUioDevice::add_file(NodeFile* file)
{
	std::lock_guard lock(mutex_);
	files_.insert(file);
}

void HvUioDevice::remove_file(NodeFile* file)
{
	std::lock_guard lock(mutex_);
	files_.erase(file);
}

} // namespace uio_host
