/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Forwards frames between ports 0 and 1, 2 and 3, and so on; a port without a partner sends its
 * frames back. An application sees a netvsc NIC as an ordinary ethdev:
 *
 *   l2fwd -d build/librte_net_netvsc.so --no-pci --vdev=netvsp0,endpoint=tap:a
 *         --vdev=netvsp1,endpoint=tap:b -- [SECONDS]
 */
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

static constexpr uint16_t kBurst = 32;
static constexpr uint16_t kDescriptors = 1024;
static volatile sig_atomic_t stopped;

static void start_port(uint16_t port, rte_mempool* pool)
{
	rte_eth_conf conf{};
	/* Frames longer than an mbuf arrive as chains of them, and leave as such. */
	conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_SCATTER;
	conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	const int socket = rte_eth_dev_socket_id(port);
	int rc = rte_eth_dev_configure(port, 1, 1, &conf);
	if (rc == 0)
		rc = rte_eth_rx_queue_setup(port, 0, kDescriptors, socket, nullptr, pool);
	if (rc == 0)
		rc = rte_eth_tx_queue_setup(port, 0, kDescriptors, socket, nullptr);
	/* Here the driver builds its queues, and opens the host's packet filter. */
	if (rc == 0)
		rc = rte_eth_dev_start(port);
	/* A forwarder takes frames whatever their destination. */
	if (rc == 0)
		rc = rte_eth_promiscuous_enable(port);
	if (rc != 0)
		rte_exit(EXIT_FAILURE, "port %u does not start: %s\n", port, rte_strerror(-rc));
}

static void forward(uint16_t from, uint16_t to, uint64_t& dropped)
{
	rte_mbuf* mbufs[kBurst];
	const uint16_t n = rte_eth_rx_burst(from, 0, mbufs, kBurst);
	const uint16_t sent = rte_eth_tx_burst(to, 0, mbufs, n);
	/* What the host has no room for is still ours. */
	rte_pktmbuf_free_bulk(mbufs + sent, n - sent);
	dropped += n - sent;
}

int main(int argc, char** argv)
{
	const int used = rte_eal_init(argc, argv);
	if (used < 0)
		rte_exit(EXIT_FAILURE, "EAL does not start\n");
	const uint16_t ports = rte_eth_dev_count_avail();
	if (ports == 0)
		rte_exit(EXIT_FAILURE, "no port: give --vdev=netvsp0,endpoint=...\n");
	const double seconds = argc - used > 1 ? std::atof(argv[used + 1]) : 0;
	rte_mempool* pool = rte_pktmbuf_pool_create("mbufs", 8191u * ports, 256, 0,
						    RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == nullptr)
		rte_exit(EXIT_FAILURE, "no memory for mbufs: %s\n", rte_strerror(rte_errno));
	for (uint16_t port = 0; port < ports; port++)
		start_port(port, pool);
	std::signal(SIGINT, [](int) { stopped = 1; });
	std::signal(SIGTERM, [](int) { stopped = 1; });
	std::puts("forwarding");
	std::fflush(stdout);

	uint64_t dropped = 0;
	const uint64_t begin = rte_get_timer_cycles();
	const auto limit = static_cast<uint64_t>(seconds * static_cast<double>(rte_get_timer_hz()));
	while (stopped == 0 && (limit == 0 || rte_get_timer_cycles() - begin < limit))
		for (uint16_t port = 0; port < ports; port++) {
			const uint16_t partner = port ^ 1;
			forward(port, partner < ports ? partner : port, dropped);
		}

	for (uint16_t port = 0; port < ports; port++) {
		rte_eth_stats stats;
		rte_eth_stats_get(port, &stats);
		std::printf("port %u: received %lu, sent %lu\n", port, stats.ipackets,
			    stats.opackets);
		rte_eth_dev_stop(port);
		rte_eth_dev_close(port);
	}
	std::printf("dropped %lu\n", dropped);
	return rte_eal_cleanup() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
