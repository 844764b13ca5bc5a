/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VF is found, owned, taken into use and let go of, as the host and ethdev tell.
 *
 * Everything is done on EAL's interrupt thread, in update(), which compares what is with what
 * should be: whatever comes first, the host's message or the VF's port, and however often it
 * changes its mind. Only stop() and close(), and a port that somebody closes, cannot wait for it.
 */
#include <thread>

#include "netvsc.hpp"

namespace netvsc {

using vmbus::Error;

namespace {

constexpr uint64_t kBusy = 10'000;	  /* microseconds: somebody else has the lock */
constexpr uint64_t kNotStarted = 1'000;	  /* ethdev is about to let the lcores in */
constexpr uint64_t kWhileThere = 100'000; /* the VF's link may have no interrupt; nor the host */
constexpr auto kRetry = std::chrono::seconds(1);
constexpr auto kSettle = vmbus::Milliseconds(200);

constexpr rte_eth_event_type kEvents[] = {RTE_ETH_EVENT_NEW, RTE_ETH_EVENT_INTR_RMV,
					  RTE_ETH_EVENT_INTR_LSC, RTE_ETH_EVENT_DESTROY};

} // namespace

Vf::Vf(Port& port) : port_(port), rx_(nvsp::kMaxChannels), tx_(nvsp::kMaxChannels) {}

Error Vf::open()
{
	std::lock_guard lock(lock_);
	if (const int rc = rte_eth_dev_owner_new(&owner_.id))
		return {-rc, "ethdev gives out no owner"};
	std::snprintf(owner_.name, sizeof(owner_.name), "net_netvsc %s", port_.name().c_str());
	for (const rte_eth_event_type event : kEvents)
		if (const int rc =
			    rte_eth_dev_callback_register(RTE_ETH_ALL, event, on_port_event, this))
			return {-rc, "ethdev takes no callback"};
	find();
	return {};
}

void Vf::close()
{
	for (const rte_eth_event_type event : kEvents)
		while (rte_eth_dev_callback_unregister(RTE_ETH_ALL, event, on_port_event, this) ==
		       -EAGAIN)
			std::this_thread::yield(); /* it is being called */
	rte_eal_alarm_cancel(on_alarm, this);
	std::lock_guard lock(lock_);
	if (id_ != kNone)
		let_go(removed_ ? VfEnd::kRemoved : VfEnd::kOrderly);
	for (size_t i = 0; i < rx_.size(); i++)
		drop_backlog(port_.shared.rx[i], rx_[i]);
}

void Vf::schedule(uint64_t microseconds)
{
	rte_eal_alarm_set(microseconds, on_alarm, this);
}

void Vf::on_alarm(void* arg)
{
	Vf& vf = *static_cast<Vf*>(arg);
	std::unique_lock lock(vf.lock_, std::try_to_lock);
	if (!lock)
		return vf.schedule(kBusy);
	/* First, so that what is told from now on has an alarm of its own. */
	rte_eal_alarm_cancel(on_alarm, arg);
	if (const uint64_t again = vf.update())
		vf.schedule(again);
}

/* On any thread. */
int Vf::on_port_event(uint16_t id, rte_eth_event_type event, void* arg, void*)
{
	Vf& vf = *static_cast<Vf*>(arg);
	if (event == RTE_ETH_EVENT_NEW) {
		vf.claim(id); /* at once: applications look through the ports, too */
		vf.schedule();
		return 0;
	}
	if (id != vf.id_)
		return 0;
	if (event == RTE_ETH_EVENT_DESTROY) {
		/* Its memory is about to go: this cannot wait. */
		std::lock_guard lock(vf.lock_);
		if (id == vf.id_ && !vf.closing_) {
			NETVSC_LOG(NOTICE, "%s: the VF's port %u is closed",
				   vf.port_.name().c_str(), id);
			vf.let_go(VfEnd::kDestroyed);
		}
		return 0;
	}
	if (event == RTE_ETH_EVENT_INTR_RMV)
		vf.removed_ = true;
	vf.schedule();
	return 0;
}

/*
 * A port with our address that nobody has or uses becomes the VF. Not one of this driver's: NICs
 * can share an address. May be called by any thread, while the port is being made.
 */
bool Vf::claim(uint16_t id)
{
	std::lock_guard lock(claim_lock_);
	const rte_eth_dev& dev = rte_eth_devices[id];
	if (id_ != kNone || dev.dev_ops == &kOps || dev.data->dev_started != 0 ||
	    dev.data->mac_addrs == nullptr ||
	    !rte_is_same_ether_addr(dev.data->mac_addrs, &port_.mac) ||
	    dev.data->owner.id != RTE_ETH_DEV_NO_OWNER || /* from 23.11 ethdev tells later only */
	    rte_eth_dev_owner_set(id, &owner_) != 0)
		return false;
	id_ = id;
	NETVSC_LOG(INFO, "%s: port %u (%s) is its VF", port_.name().c_str(), id, dev.data->name);
	return true;
}

void Vf::find()
{
	for (uint16_t id = rte_eth_find_next(0); id < RTE_MAX_ETHPORTS;
	     id = rte_eth_find_next(id + 1))
		if (claim(id))
			return;
}

bool Vf::wanted() const
{
	const VfAssociation host = port_.session.vf();
	/* Other processes receive what the host's NIC gets: they have no VF. */
	return host.allocated && port_.running && !port_.gone &&
	       vmbus::bus::mirror().count() == 0 && (!started_ || host.news == news_) &&
	       rte_is_same_ether_addr(rte_eth_devices[id_].data->mac_addrs, &port_.mac);
}

/* @return microseconds until the next look; 0: not without an event */
uint64_t Vf::update()
{
	if (!port_.gone)
		port_.session.poll();
	if (id_ != kNone && removed_)
		remove_vf();
	find();
	if (id_ != kNone && started_ && !wanted()) {
		retreat(VfEnd::kOrderly);
		stop_vf();
	}
	/* A port that is being made: when all have been told of it, it can be used. */
	bool soon = id_ != kNone && !rte_eth_dev_is_valid_port(id_);
	if (!soon && id_ != kNone && wanted() && Clock::now() >= retry_at_) {
		if (!installed_ && !install()) {
			soon = true;
		} else {
			if (!started_)
				take_into_use();
			if (started_ && active_ != link_up()) {
				if (active_)
					retreat(VfEnd::kOrderly);
				else
					switch_to_vf();
			}
		}
	}
	/* A host that another guest left on the VF would deliver nothing here. */
	if (!active_ && !path_known_ && port_.running && port_.session.vf().allocated) {
		path_known_ = true;
		if (Error error = port_.session.switch_data_path(false))
			failed(port_, "switch the data path", error);
	}
	if (installed_ && !started_ && quiet())
		uninstall();
	port_.shared.vf = counts();
	if (soon)
		return kNotStarted;
	return id_ != kNone || installed_ ? kWhileThere : 0;
}

void Vf::take_into_use()
{
	const uint32_t news = port_.session.vf().news;
	if (Error error = set_up_vf(port_, id_, setup_)) {
		retry_at_ = Clock::now() + kRetry;
		if (!std::exchange(complained_, true))
			NETVSC_LOG(WARNING, "%s: its VF, port %u, is not used: %s",
				   port_.name().c_str(), id_.load(), error.what.c_str());
		return;
	}
	news_ = news;
	started_ = true;
	seen_ = {};
	const VfCounts before = lost_;
	count_errors(); /* what it has lost is not ours */
	lost_ = before;
	if (setup_.rx_queues < port_.ethdev->data->nb_rx_queues ||
	    setup_.tx_queues < port_.ethdev->data->nb_tx_queues)
		NETVSC_LOG(NOTICE, "%s: its VF has %u and %u queues only: the others stay without",
			   port_.name().c_str(), setup_.rx_queues, setup_.tx_queues);
}

/* Frames may come by the VF as soon as the host reads the message. */
void Vf::switch_to_vf()
{
	active_ = true;
	path_known_ = true;
	for (uint16_t i = 0; i < setup_.rx_queues; i++)
		enter_vf(rx_[i], id_, setup_.rx_descriptors);
	if (Error error = port_.session.switch_data_path(true)) {
		failed(port_, "switch the data path to the VF", error);
		retreat(VfEnd::kOrderly);
		retry_at_ = Clock::now() + 10 * kRetry;
		return;
	}
	for (uint16_t i = 0; i < setup_.rx_queues; i++)
		rx_[i].switched.store(true, std::memory_order_release);
	for (uint16_t i = 0; i < setup_.tx_queues; i++)
		enter_vf(tx_[i], id_, setup_.tx_descriptors);
	lost_.switches++;
	NETVSC_LOG(INFO, "%s: data path is port %u", port_.name().c_str(), id_.load());
}

/*
 * Frames of the ring from before the switch come first: who polls gets them first, unless it was a
 * queue that nobody polls.
 */
void Vf::wait_until_settled()
{
	const auto deadline = Clock::now() + kSettle;
	for (uint16_t i = 0; i < setup_.rx_queues;) {
		VfRx& v = rx_[i];
		v.lock.lock();
		const bool settling = v.path == VfRx::Path::kSettling &&
				      v.switched.load(std::memory_order_relaxed);
		v.lock.unlock();
		if (!settling)
			i++;
		else if (Clock::now() < deadline)
			std::this_thread::sleep_for(std::chrono::microseconds(50));
		else
			return;
	}
}

/* The data path is the ring again, for the host too if it has not switched by itself. */
void Vf::retreat(VfEnd end)
{
	if (!active_)
		return;
	if (end != VfEnd::kDestroyed && port_.running)
		wait_until_settled();
	const rte_eth_dev_data& data = *port_.ethdev->data;
	for (uint16_t i = 0; i < setup_.tx_queues; i++)
		leave_vf(*tx_queue(data, i), tx_[i], end);
	if (port_.session.connected() && !port_.gone)
		if (Error error = port_.session.switch_data_path(false))
			failed(port_, "switch the data path from the VF", error);
	for (uint16_t i = 0; i < setup_.rx_queues; i++)
		leave_vf(*rx_queue(data, i), rx_[i], end);
	active_ = false;
	NETVSC_LOG(INFO, "%s: data path is the host's NIC", port_.name().c_str());
}

void Vf::stop_vf()
{
	if (!started_)
		return;
	count_errors();
	started_ = false;
	if (const int rc = rte_eth_dev_stop(id_))
		NETVSC_LOG(WARNING, "%s: its VF, port %u, does not stop: %s", port_.name().c_str(),
			   id_.load(), rte_strerror(-rc));
}

/* The VF's port is somebody else's again, or nobody's. */
void Vf::let_go(VfEnd end)
{
	retreat(end);
	if (end == VfEnd::kDestroyed)
		started_ = false;
	else
		stop_vf();
	const uint16_t id = id_;
	forget_vf();
	if (end != VfEnd::kDestroyed)
		rte_eth_dev_owner_unset(id, owner_.id);
}

void Vf::forget_vf()
{
	removed_ = false;
	complained_ = false;
	retry_at_ = {};
	id_ = kNone;
}

/* The device is gone, and nobody but its owner can tidy up behind it. */
void Vf::remove_vf()
{
	const uint16_t id = id_;
	rte_device* device = rte_eth_devices[id].device;
	NETVSC_LOG(NOTICE, "%s: its VF, port %u, is removed", port_.name().c_str(), id);
	closing_ = true;
	retreat(VfEnd::kRemoved);
	stop_vf();
	rte_eth_dev_close(id); /* still owned: nobody finds it now */
	closing_ = false;
	forget_vf();
	if (device != nullptr && rte_eth_find_next_of(0, device) == RTE_MAX_ETHPORTS)
		rte_dev_remove(device);
}

void Vf::stop()
{
	std::lock_guard lock(lock_);
	retreat(removed_ ? VfEnd::kRemoved : VfEnd::kOrderly);
	stop_vf();
	for (size_t i = 0; i < rx_.size(); i++)
		drop_backlog(port_.shared.rx[i], rx_[i]);
	if (installed_)
		uninstall();
	retry_at_ = {};
	complained_ = false;
}

void Vf::reconnected()
{
	std::lock_guard lock(lock_);
	path_known_ = false;
}

/*
 * ethdev has the burst functions in two places. The one that lcores use holds others while the port
 * is not started: then it is left alone, for ethdev will copy or has replaced them.
 */
bool Vf::install()
{
	rte_eth_dev* dev = port_.ethdev;
	struct rte_eth_fp_ops& lcores = rte_eth_fp_ops[dev->data->port_id];
	eth_rx_burst_t rx = dev->rx_pkt_burst;
	eth_tx_burst_t tx = dev->tx_pkt_burst;
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		rx_[i].synthetic = rx;
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++)
		tx_[i].synthetic = tx;
	const auto swap = [](auto& place, auto from, auto to) {
		return __atomic_compare_exchange_n(&place, &from, to, false, __ATOMIC_ACQ_REL,
						   __ATOMIC_RELAXED);
	};
	if (!swap(lcores.rx_pkt_burst, rx, vf_rx_burst) ||
	    !swap(lcores.tx_pkt_burst, tx, vf_tx_burst)) {
		swap(lcores.rx_pkt_burst, vf_rx_burst, rx);
		return false;
	}
	dev->rx_pkt_burst = vf_rx_burst;
	dev->tx_pkt_burst = vf_tx_burst;
	installed_ = true;
	return true;
}

void Vf::uninstall()
{
	rte_eth_dev* dev = port_.ethdev;
	struct rte_eth_fp_ops& lcores = rte_eth_fp_ops[dev->data->port_id];
	const auto swap = [](auto& place, auto from, auto to) {
		__atomic_compare_exchange_n(&place, &from, to, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED);
	};
	dev->rx_pkt_burst = rx_[0].synthetic;
	dev->tx_pkt_burst = tx_[0].synthetic;
	swap(lcores.rx_pkt_burst, vf_rx_burst, rx_[0].synthetic);
	swap(lcores.tx_pkt_burst, vf_tx_burst, tx_[0].synthetic);
	installed_ = false;
}

/* Nothing is left that only vf_rx_burst() would deliver. */
bool Vf::quiet()
{
	for (VfRx& v : rx_) {
		v.lock.lock();
		const bool empty = v.end == 0;
		v.lock.unlock();
		if (!empty)
			return false;
	}
	return true;
}

bool Vf::link_up() const
{
	rte_eth_link link{};
	return rte_eth_link_get_nowait(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

/* Drivers may begin anew at any time: what is less than before is new. */
void Vf::count_errors()
{
	rte_eth_stats stats{};
	if (!started_ || rte_eth_stats_get(id_, &stats) != 0)
		return;
	const auto count = [](uint64_t now, uint64_t& seen, uint64_t& total) {
		total += now >= seen ? now - seen : now;
		seen = now;
	};
	count(stats.imissed, seen_.missed, lost_.missed);
	count(stats.ierrors, seen_.rx_errors, lost_.rx_errors);
	count(stats.rx_nombuf, seen_.no_mbuf, lost_.no_mbuf);
	count(stats.oerrors, seen_.tx_errors, lost_.tx_errors);
}

VfCounts Vf::total()
{
	count_errors();
	VfCounts c = lost_;
	for (const RxQueue& q : port_.shared.rx) {
		c.rx_frames += q.vf.frames.load(std::memory_order_relaxed);
		c.rx_bytes += q.vf.bytes.load(std::memory_order_relaxed);
	}
	for (const TxQueue& q : port_.shared.tx) {
		c.tx_frames += q.vf.frames.load(std::memory_order_relaxed);
		c.tx_bytes += q.vf.bytes.load(std::memory_order_relaxed);
	}
	return c;
}

VfCounts Vf::counts()
{
	std::lock_guard lock(lock_);
	VfCounts c = total();
	for (uint64_t VfCounts::*field :
	     {&VfCounts::rx_frames, &VfCounts::rx_bytes, &VfCounts::tx_frames, &VfCounts::tx_bytes,
	      &VfCounts::switches, &VfCounts::missed, &VfCounts::rx_errors, &VfCounts::no_mbuf,
	      &VfCounts::tx_errors})
		c.*field -= base_.*field;
	return c;
}

void Vf::reset_counts()
{
	std::lock_guard lock(lock_);
	base_ = total();
}

void Vf::set_modes(bool promiscuous, bool all_multicast)
{
	std::lock_guard lock(lock_);
	if (started_)
		set_vf_modes(port_, id_, promiscuous, all_multicast);
}

void Vf::set_rss(const std::vector<uint16_t>& table)
{
	std::lock_guard lock(lock_);
	if (started_)
		set_vf_rss(port_, id_, setup_, table);
}

/* A VF that keeps its address is of no use any more; update() sees that. */
void Vf::set_mac(const rte_ether_addr& mac)
{
	std::lock_guard lock(lock_);
	if (id_ == kNone)
		return;
	rte_ether_addr address = mac;
	if (const int rc = rte_eth_dev_default_mac_addr_set(id_, &address))
		NETVSC_LOG(WARNING, "%s: its VF, port %u, keeps its MAC address: %s",
			   port_.name().c_str(), id_.load(), rte_strerror(-rc));
}

void Vf::set_vlan_offload()
{
	std::lock_guard lock(lock_);
	if (!started_)
		return;
	const bool strip =
		(port_.ethdev->data->dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0;
	int mask = rte_eth_dev_get_vlan_offload(id_);
	mask = strip ? mask | RTE_ETH_VLAN_STRIP_OFFLOAD : mask & ~RTE_ETH_VLAN_STRIP_OFFLOAD;
	if (rte_eth_dev_set_vlan_offload(id_, mask) == 0)
		return;
	/* Set up anew, which says why where it cannot be. */
	retreat(VfEnd::kOrderly);
	stop_vf();
	schedule();
}

/* Where the VF's queue cannot be stopped, its frames wait there. */
void Vf::set_rx_queue(uint16_t id, bool on)
{
	std::lock_guard lock(lock_);
	if (!started_ || id >= setup_.rx_queues)
		return;
	const int rc =
		on ? rte_eth_dev_rx_queue_start(id_, id) : rte_eth_dev_rx_queue_stop(id_, id);
	if (rc != 0 && rc != -ENOTSUP)
		NETVSC_LOG(WARNING, "%s: its VF's queue %u does not %s: %s", port_.name().c_str(),
			   id, on ? "start" : "stop", rte_strerror(-rc));
}

} // namespace netvsc
