/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receive interrupts: a queue's channel has an eventfd, which ethdev puts into the application's
 * epoll. EAL reads it when it wakes, as it does for other virtual devices.
 */
#include "netvsc.hpp"

namespace netvsc {

using vmbus::Error;

Error open_interrupts(Port& port)
{
	rte_eth_dev* dev = port.ethdev;
	if (dev->data->dev_conf.intr_conf.rxq == 0)
		return {};
	const uint16_t count = dev->data->nb_rx_queues;
	if (port.interrupts == nullptr) {
		port.interrupts = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
		if (port.interrupts == nullptr)
			return {ENOMEM, "no memory for an interrupt handle"};
		rte_intr_type_set(port.interrupts, RTE_INTR_HANDLE_VDEV);
		rte_intr_efd_counter_size_set(port.interrupts, sizeof(uint64_t));
		dev->intr_handle = port.interrupts;
	}
	if (rte_intr_vec_list_alloc(port.interrupts, "netvsc", count) != 0)
		return {ENOMEM, "no memory for the interrupts' vectors"};
	for (uint16_t i = 0; i < count; i++) {
		const int fd = port.session.queue(i).channel->event_fd;
		if (rte_intr_vec_list_index_set(port.interrupts, i, RTE_INTR_VEC_RXTX_OFFSET + i) ||
		    rte_intr_efds_index_set(port.interrupts, i, fd))
			return {ENOTSUP,
				"EAL takes no interrupts for " + std::to_string(count) + " queues"};
	}
	rte_intr_nb_efd_set(port.interrupts, count);
	rte_intr_max_intr_set(port.interrupts, count + 1);
	if (rte_intr_dp_is_en(port.interrupts) == 0)
		return {ENOTSUP, "EAL has no receive interrupts on this system"};
	return {};
}

void close_interrupts(Port& port)
{
	if (port.interrupts == nullptr)
		return;
	std::lock_guard lock(port.link_lock);
	for (uint32_t i = 0; i < port.session.queue_count(); i++)
		port.session.queue(i).channel->disarm();
	rte_intr_free_epoll_fd(port.interrupts);
	rte_intr_nb_efd_set(port.interrupts, 0);
	rte_intr_vec_list_free(port.interrupts);
}

void wake_sleepers(Port& port)
{
	if (port.interrupts == nullptr)
		return;
	std::lock_guard lock(port.link_lock);
	for (int i = 0; i < rte_intr_nb_efd_get(port.interrupts); i++) {
		const uint64_t one = 1;
		[[maybe_unused]] const ssize_t n =
			::write(rte_intr_efds_index_get(port.interrupts, i), &one, sizeof(one));
	}
}

int rx_interrupt_enable(rte_eth_dev* dev, uint16_t id)
{
	Port& port = port_of(dev);
	RxQueue& q = *rx_queue(*dev->data, id);
	if (dev->data->dev_conf.intr_conf.rxq == 0)
		return failed(port, "enable a receive interrupt",
			      {ENOTSUP, "the port was configured without (intr_conf.rxq)"});
	if (vmbus::load_once(&q.generation) == 0)
		return -ENODEV;
	if (!q.rx->arm())
		port.session.queue(id).channel->wake();
	return 0;
}

int rx_interrupt_disable(rte_eth_dev* dev, uint16_t id)
{
	Port& port = port_of(dev);
	if (vmbus::load_once(&rx_queue(*dev->data, id)->generation) == 0)
		return -ENODEV;
	port.session.queue(id).channel->disarm();
	return 0;
}

} // namespace netvsc
