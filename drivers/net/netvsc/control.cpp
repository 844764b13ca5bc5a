/* SPDX-License-Identifier: BSD-3-Clause */
/* Modes, MTU and link: what the application asks of the host, and what the host tells. */
#include <sys/eventfd.h>

#include "netvsc.hpp"

namespace netvsc {

using vmbus::Error;

static constexpr uint64_t kTickUs = 100000;

Error apply_filter(Port& port)
{
	const rte_eth_dev_data& data = *port.ethdev->data;
	uint32_t filter = 0;
	if (port.running) {
		filter = rndis::kFilterDirected | rndis::kFilterBroadcast | rndis::kFilterMulticast;
		if (data.all_multicast != 0)
			filter |= rndis::kFilterAllMulticast;
		if (data.promiscuous != 0)
			filter = rndis::kFilterPromiscuous;
	}
	return port.session.set_packet_filter(filter);
}

/* ethdev sets the mode in its data after the operation: this one sets it for the filter. */
static int set_mode(rte_eth_dev* dev, uint8_t promiscuous, uint8_t all_multicast, const char* doing)
{
	Port& port = port_of(dev);
	rte_eth_dev_data& data = *dev->data;
	if (!port.running)
		return 0; /* told when the port starts */
	const uint8_t old_promiscuous = data.promiscuous;
	const uint8_t old_all_multicast = data.all_multicast;
	data.promiscuous = promiscuous & 1;
	data.all_multicast = all_multicast & 1;
	Error error = apply_filter(port);
	data.promiscuous = old_promiscuous & 1;
	data.all_multicast = old_all_multicast & 1;
	if (error)
		return failed(port, doing, error);
	port.vf.set_modes(promiscuous != 0, all_multicast != 0);
	return 0;
}

int promiscuous_enable(rte_eth_dev* dev)
{
	return set_mode(dev, 1, dev->data->all_multicast, "promiscuous mode on");
}

int promiscuous_disable(rte_eth_dev* dev)
{
	return set_mode(dev, 0, dev->data->all_multicast, "promiscuous mode off");
}

int allmulticast_enable(rte_eth_dev* dev)
{
	return set_mode(dev, dev->data->promiscuous, 1, "all-multicast mode on");
}

int allmulticast_disable(rte_eth_dev* dev)
{
	return set_mode(dev, dev->data->promiscuous, 0, "all-multicast mode off");
}

int mtu_set(rte_eth_dev* dev, uint16_t mtu)
{
	Port& port = port_of(dev);
	if (mtu == port.session.info().mtu)
		return 0;
	if (port.running)
		return failed(port, "set the MTU", {EBUSY, "stop the port first"});
	const uint32_t old = port.session.info().mtu;
	Error error = reconnect(port, mtu);
	if (error)
		return failed(port, "set the MTU", error);
	if (const uint32_t granted = port.session.info().mtu; granted != mtu) {
		if ((error = reconnect(port, old)))
			return failed(port, "restore the MTU", error);
		return failed(port, "set the MTU",
			      {EINVAL, "the host grants " + std::to_string(granted) + ", not " +
					       std::to_string(mtu)});
	}
	return 0;
}

int mac_addr_set(rte_eth_dev* dev, rte_ether_addr* mac)
{
	Port& port = port_of(dev);
	const auto address = std::to_array(mac->addr_bytes);
	if (address == port.session.info().mac)
		return 0; /* ethdev sets it at every start */
	if (Error error = port.session.set_mac(address))
		return failed(port, "set the MAC address", error);
	port.shared.host.mac = address;
	port.mac_changed = true;
	port.vf.set_mac(*mac);
	return 0;
}

std::string version_text(const HostInfo& host)
{
	/* Versions 1 and 2 are numbers of their own; later ones are major and minor. */
	const uint32_t v = host.nvsp_version;
	const uint32_t major = v == nvsp::kVersion1 ? 1 : v == nvsp::kVersion2 ? 2 : v >> 16;
	const uint32_t minor = v >= nvsp::kVersion4 ? v & 0xffff : 0;
	return "NVSP " + std::to_string(major) + "." + std::to_string(minor) + ", NDIS " +
	       std::to_string(host.ndis_major) + "." + std::to_string(host.ndis_minor);
}

int fw_version_get(rte_eth_dev* dev, char* text, size_t size)
{
	const std::string version = version_text(shared_of(dev).host);
	std::snprintf(text, size, "%s", version.c_str());
	const size_t needed = version.size() + 1;
	return size < needed ? static_cast<int>(needed) : 0;
}

const uint32_t* supported_ptypes_get(rte_eth_dev*, size_t* count)
{
	static constexpr uint32_t kTypes[] = {
		RTE_PTYPE_L2_ETHER,    RTE_PTYPE_L2_ETHER_VLAN, RTE_PTYPE_L2_ETHER_QINQ,
		RTE_PTYPE_L3_IPV4,     RTE_PTYPE_L3_IPV4_EXT,	RTE_PTYPE_L3_IPV6,
		RTE_PTYPE_L3_IPV6_EXT, RTE_PTYPE_L4_TCP,	RTE_PTYPE_L4_UDP,
		RTE_PTYPE_L4_SCTP,     RTE_PTYPE_L4_FRAG,	RTE_PTYPE_UNKNOWN};
	*count = std::size(kTypes) - 1; /* without the last, by which older versions find the end */
	return kTypes;
}

/* ethdev allows it while the port is stopped only. */
int ptypes_set(rte_eth_dev* dev, uint32_t mask)
{
	shared_of(dev).ptype_mask = mask & kAllPtypes;
	return 0;
}

int link_update(rte_eth_dev* dev, int)
{
	Port& port = port_of(dev);
	/* Threads of the application and of EAL: who comes last has seen the latest. */
	std::lock_guard lock(port.link_lock);
	if (!port.gone)
		port.session.poll();
	rte_eth_link link{};
	const bool up = !port.gone && port.running && port.session.link_up();
	link.link_status = up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN;
	link.link_speed = up ? static_cast<uint32_t>(port.session.speed_bps() / 1000000)
			     : uint32_t{RTE_ETH_SPEED_NUM_NONE};
	link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
	link.link_autoneg = RTE_ETH_LINK_FIXED;
	return rte_eth_linkstatus_set(dev, &link);
}

/* The application may have closed the port while it was told something. */
static bool is_open(const Port& port, const rte_eth_dev* dev)
{
	return __atomic_load_n(&dev->process_private, __ATOMIC_ACQUIRE) == &port;
}

static void tell_link(Port& port)
{
	notify_processes();
	if (port.ethdev->data->dev_conf.intr_conf.lsc != 0)
		rte_eth_dev_callback_process(port.ethdev, RTE_ETH_EVENT_INTR_LSC, nullptr);
}

/* A link that leads elsewhere is one that went down and came up again. */
static void tell_network(Port& port)
{
	rte_eth_link link{};
	link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
	{
		std::lock_guard lock(port.link_lock);
		rte_eth_linkstatus_set(port.ethdev, &link);
	}
	tell_link(port);
}

/* On the interrupt thread: callbacks of the application may do as they like here. */
static void on_alarm(void* arg)
{
	Port& port = *static_cast<Port*>(arg);
	rte_eth_dev* dev = port.ethdev;
	const uint32_t events = port.events.exchange(0);
	const auto has = [events](Session::Event e) {
		return (events >> static_cast<uint32_t>(e) & 1) != 0;
	};
	if (has(Session::Event::kOffload)) {
		NETVSC_LOG(WARNING,
			   "%s: the host does no longer all offloads that were configured: the "
			   "port must be reset",
			   port.name().c_str());
		rte_eth_dev_callback_process(dev, RTE_ETH_EVENT_INTR_RESET, nullptr);
	}
	if ((events & kDamagedEvent) != 0 && is_open(port, dev)) {
		NETVSC_LOG(ERR,
			   "%s: a process died in a burst of it: the port must be reset, or "
			   "stopped and started",
			   port.name().c_str());
		rte_eth_dev_callback_process(dev, RTE_ETH_EVENT_INTR_RESET, nullptr);
	}
	if (has(Session::Event::kNetwork) && is_open(port, dev))
		tell_network(port);
	if ((has(Session::Event::kNetwork) || has(Session::Event::kLink)) && is_open(port, dev)) {
		link_update(dev, 0);
		tell_link(port);
	}
}

void schedule_events(Port& port)
{
	rte_eal_alarm_set(1, on_alarm, &port);
}

/* What the host says on a channel that nobody polls must be heard: keepalives, and the link. */
static void on_tick(void* arg)
{
	Port& port = *static_cast<Port*>(arg);
	port.session.tend();
	if (!port.gone)
		rte_eal_alarm_set(kTickUs, on_tick, &port);
}

/* Whoever polls the ring, in whatever process, has found a message in it. */
static void on_wake(void* arg)
{
	Port& port = *static_cast<Port*>(arg);
	uint64_t count;
	[[maybe_unused]] const ssize_t n = ::read(port.wake_fd, &count, sizeof(count));
	port.session.take_messages();
}

static Error open_wake(Port& port)
{
	port.wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (port.wake_fd < 0)
		return Error::system("eventfd");
	if (Error error = port.wake_slot.take(port.wake_fd))
		return error;
	port.wake = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (port.wake == nullptr)
		return {ENOMEM, "no memory for an interrupt handle"};
	rte_intr_fd_set(port.wake, port.wake_fd);
	rte_intr_type_set(port.wake, RTE_INTR_HANDLE_EXT);
	if (const int rc = rte_intr_callback_register(port.wake, on_wake, &port); rc < 0)
		return {-rc, "EAL takes no interrupt callback"};
	vmbus::bus::mirror().add(port.wake_slot.number(), port.wake_fd);
	port.session.set_wake(port.wake_slot.number());
	return {};
}

static void close_wake(Port& port)
{
	port.session.set_wake(0);
	if (port.wake != nullptr) {
		rte_intr_callback_unregister_sync(port.wake, on_wake, &port);
		vmbus::bus::mirror().remove(port.wake_slot.number());
	}
	rte_intr_instance_free(port.wake);
	port.wake = nullptr;
	port.wake_slot = {};
	if (port.wake_fd >= 0)
		::close(port.wake_fd);
	port.wake_fd = -1;
}

Error watch_session(Port& port)
{
	if (Error error = open_wake(port))
		return error;
	port.session.set_on_event([&port](Session::Event event) {
		if (event == Session::Event::kVf)
			return port.vf.schedule();
		port.events.fetch_or(1u << static_cast<uint32_t>(event));
		schedule_events(port);
	});
	rte_eal_alarm_set(kTickUs, on_tick, &port);
	return {};
}

void unwatch_session(Port& port)
{
	rte_eal_alarm_cancel(on_tick, &port);
	close_wake(port);
	port.session.set_on_event(nullptr);
	rte_eal_alarm_cancel(on_alarm, &port);
}

void device_gone(Port& port)
{
	rte_eth_dev* dev = port.ethdev;
	port.gone = true;
	for (RxQueue& q : port.shared.rx)
		vmbus::store_relaxed(&q.generation, 0u);
	for (TxQueue& q : port.shared.tx)
		vmbus::store_relaxed(&q.generation, 0u);
	wake_sleepers(port);
	link_update(dev, 0);
	notify_processes();
	rte_eth_dev_callback_process(dev, RTE_ETH_EVENT_INTR_LSC, nullptr);
	if (is_open(port, dev)) /* else it knows */
		rte_eth_dev_callback_process(dev, RTE_ETH_EVENT_INTR_RMV, nullptr);
}

} // namespace netvsc
