/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loaded before dpdk-testpmd in tests of DPDK's own netvsc driver.
 *
 * testpmd of 22.11.2 and later does not poll queues that are not marked as started, and DPDK's
 * netvsc driver does not mark them before 23.11: as Debian packages the two, no frame is forwarded.
 * Here its queues are told to be started, as later drivers do by themselves.
 *
 * It also insists on a VF that tells of its removal by an interrupt, which no driver of DPDK does
 * for a device that is none of PCI. Here that wish is dropped.
 */
#include <dlfcn.h>
#include <rte_ethdev.h>

#include <cstring>

#define EXPORT extern "C" __attribute__((visibility("default")))

template <class Function> static Function next(const char* name)
{
	return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

template <class Info>
static int ask(const char* function, uint16_t port, uint16_t queue, Info* info)
{
	const int rc = next<int (*)(uint16_t, uint16_t, Info*)>(function)(port, queue, info);
	rte_eth_dev_info device{};
	if (rc == 0 && rte_eth_dev_info_get(port, &device) == 0 &&
	    std::strcmp(device.driver_name, "net_netvsc") == 0)
		info->queue_state = RTE_ETH_QUEUE_STATE_STARTED;
	return rc;
}

EXPORT int rte_eth_rx_queue_info_get(uint16_t port, uint16_t queue, rte_eth_rxq_info* info)
{
	return ask("rte_eth_rx_queue_info_get", port, queue, info);
}

EXPORT int rte_eth_tx_queue_info_get(uint16_t port, uint16_t queue, rte_eth_txq_info* info)
{
	return ask("rte_eth_tx_queue_info_get", port, queue, info);
}

EXPORT int rte_eth_dev_configure(uint16_t port, uint16_t rx_queues, uint16_t tx_queues,
				 const rte_eth_conf* wanted)
{
	const auto real = next<int (*)(uint16_t, uint16_t, uint16_t, const rte_eth_conf*)>(
		"rte_eth_dev_configure");
	rte_eth_dev_info device{};
	rte_eth_conf conf = *wanted;
	if (rte_eth_dev_info_get(port, &device) == 0 &&
	    (*device.dev_flags & RTE_ETH_DEV_INTR_RMV) == 0)
		conf.intr_conf.rmv = 0;
	return real(port, rx_queues, tx_queues, &conf);
}
