/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scenarios of the netvsc driver: an application's view by ethdev's public interface, and the
 * emulated host's own counts to compare it with.
 *
 * EAL is initialised once; every test plugs and removes its own devices. The environment may say
 * NETVSC_PLUGIN, another build of the driver, TEST_PROFILE, which host is emulated, TEST_EAL, other
 * EAL arguments than --no-huge, and TEST_LOG, e.g. "pmd.net.netvsc:debug".
 */
#include <cstdlib>
#include <sstream>

#include <rte_eal.h>
#include <rte_log.h>

#include "support.hpp"

static std::string from_environment(const char* name, const char* otherwise)
{
	const char* value = std::getenv(name);
	return value != nullptr ? value : otherwise;
}

int main(int argc, char** argv)
{
	testing::InitGoogleTest(&argc, argv);
	std::vector<std::string> words = {argv[0],
					  "-d",
					  from_environment("NETVSC_PLUGIN", NETVSC_PLUGIN),
					  "-l",
					  "0",
					  "--no-pci",
					  "--no-telemetry",
					  "--no-shconf",
					  "--log-level",
					  from_environment("TEST_LOG", "*:error")};
	std::istringstream more(from_environment("TEST_EAL", "--no-huge -m 512"));
	for (std::string word; more >> word;)
		words.push_back(word);
	std::vector<char*> args;
	for (std::string& word : words)
		args.push_back(word.data());
	args.push_back(nullptr);
	if (rte_eal_init(static_cast<int>(words.size()), args.data()) < 0) {
		std::fprintf(stderr, "EAL does not start: %s\n", rte_strerror(rte_errno));
		return EXIT_FAILURE;
	}
	if (scenario::UioDevices::there())
		rte_dev_hotplug_handle_enable(); /* for the rings that a rescind takes away */
	{
		/* What EAL makes at its first use is no leak of the first test's. */
		scenario::pools();
		scenario::announced();
	}
	/*
	 * Without rte_eal_cleanup(): DPDK's net_memif leaves its listener with the interrupt thread,
	 * which would look into memory that is gone then.
	 */
	return RUN_ALL_TESTS();
}
