/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loaded before dpdk-testpmd in tests of DPDK's own netvsc driver.
 *
 * testpmd of 22.11.2 and later does not poll queues that are not marked as started, and DPDK's
 * netvsc driver does not mark them before 23.11: as Debian packages the two, no frame is forwarded.
 * Here its queues are told to be started, as later drivers do by themselves.
 */
#include <dlfcn.h>
#include <rte_ethdev.h>

#include <cstring>

template <class Info>
static int ask(const char* function, uint16_t port, uint16_t queue, Info* info)
{
	using Function = int (*)(uint16_t, uint16_t, Info*);
	const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, function));
	const int rc = real(port, queue, info);
	rte_eth_dev_info device{};
	if (rc == 0 && rte_eth_dev_info_get(port, &device) == 0 &&
	    std::strcmp(device.driver_name, "net_netvsc") == 0)
		info->queue_state = RTE_ETH_QUEUE_STATE_STARTED;
	return rc;
}

extern "C" __attribute__((visibility("default"))) int
rte_eth_rx_queue_info_get(uint16_t port, uint16_t queue, rte_eth_rxq_info* info)
{
	return ask("rte_eth_rx_queue_info_get", port, queue, info);
}

extern "C" __attribute__((visibility("default"))) int
rte_eth_tx_queue_info_get(uint16_t port, uint16_t queue, rte_eth_txq_info* info)
{
	return ask("rte_eth_tx_queue_info_get", port, queue, info);
}
