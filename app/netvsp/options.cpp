/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <getopt.h>
#include <sys/un.h>

#ifndef NETVSP_VERSION
#define NETVSP_VERSION "unknown"
#endif

namespace netvsp::app {

namespace {

constexpr const char* kHelp =
	R"(Usage: netvsp --socket PATH [--nic KEY=VALUE[,KEY=VALUE...]]... [OPTION]...
An emulated Hyper-V host: offers synthetic NICs to a guest that connects to a UNIX socket.

  --socket PATH     where to listen; one guest at a time, one after another
  --nic KEY=VALUE[,KEY=VALUE...]
                    adds a NIC; may be repeated. Without it there is one, endpoint=null.
                      endpoint=...     what is behind the NIC, see below
                      name=TEXT        for people, default nicN
                      profile=hyperv2008r2|hyperv2012r2|hyperv2019|hyperv2022|azure|openvmm
                                       which host this is, default hyperv2022, as are the
                                       other defaults here
                      mac=MAC          default 00:15:5d:... by the NIC's number
                      mtu=68..9202     largest MTU the guest may choose, default 9202
                      queues=1..64     channels, default 1
                      nvsp=1|2|4|5|6|6.1  newest version of the protocol, default 6.1
                      csum, tx_csum, rx_csum=all|none|ip4+tcp4+udp4+tcp6+udp6
                                       checksums for guests that ask for them, default all
                      lso_max=0..262144  payload of a large send, 0 = no LSO, default 62780
                      rss=all|none|tcp4+udp4+tcp6+udp6
                                       what RSS may hash beside addresses, default all
                      rss_table=1..128 entries of the indirection table, default 128
                      rsc=0|1          whether received segments may be joined, default 1
                      set_mac=0|1      whether the guest may change its address, default 1
                      section_size, max_packets, alignment, speed, spin, monitor, link, fault
  --cpu LIST        CPUs to run on, like 2 or 2,4-6
  --stats SECONDS   prints the counters at this interval
  --json            prints counters as JSON, one object per line
  --once            exits after the first guest has left
  -v, --verbose     logs events to stderr
  -h, --help        prints this
      --version     prints the version

Endpoints:
  null              takes every frame, gives none
  generator[:size=60..9216][:flows=1..65536][:rate=N][:count=N][:window=N][:dst=MAC][:proto=udp|tcp]
                    gives numbered frames (rate: per second), verifies those that come back
  loopback          what the guest sends comes back to it
  tap:NAME          a TAP interface of this machine, made if it is not there; the kernel's large
                    frames and those without a checksum become ordinary ones, the guest's large
                    sends reach it whole
  pcap:IN:OUT       replays the capture IN, writes what the guest sends to OUT; either may be
                    empty. A ':' in a path is written '\:'; a ',' cannot be in one.
  switch            a port of a learning switch between the NICs of this daemon

Signals: SIGUSR1 prints the counters, SIGINT and SIGTERM print them and end the daemon.
Exit status: 0 = ended as asked, 1 = error at run time, 2 = wrong usage.
)";

Parsed wrong(const std::string& text)
{
	fprintf(stderr, "netvsp: %s\nTry 'netvsp --help'.\n", text.c_str());
	return Parsed::kWrong;
}

/* @return empty, or what is wrong */
std::string parse_nic(const std::string& text, NicConfig& config)
{
	size_t at = 0;

	do {
		const size_t end = std::min(text.find(',', at), text.size());
		const std::string part = text.substr(at, end - at);
		const size_t equals = part.find('=');

		if (equals == std::string::npos || equals == 0)
			return "--nic: \"" + part + "\" is not KEY=VALUE";
		const std::string reason =
			parse_nic_option(part.substr(0, equals), part.substr(equals + 1), config);
		if (!reason.empty())
			return "--nic: " + reason;
		at = end + 1;
	} while (at <= text.size());
	return "";
}

bool parse_cpu(const char*& at, int& cpu)
{
	char* end;

	if (*at < '0' || *at > '9')
		return false;
	errno = 0;
	const long value = strtol(at, &end, 10);
	if (errno != 0 || value >= CHAR_BIT * 128) /* what a cpu_set_t holds */
		return false;
	cpu = int(value);
	at = end;
	return true;
}

bool parse_cpus(const char* at, std::vector<int>& cpus)
{
	for (;;) {
		int first, last;

		if (!parse_cpu(at, first))
			return false;
		last = first;
		if (*at == '-' && (!parse_cpu(++at, last) || last < first))
			return false;
		for (int cpu = first; cpu <= last; cpu++)
			cpus.push_back(cpu);
		if (*at == '\0')
			return true;
		if (*at++ != ',')
			return false;
	}
}

bool parse_seconds(const char* text, double& seconds)
{
	char* end;

	seconds = strtod(text, &end);
	/* Also false where it is no number. */
	return end != text && *end == '\0' && seconds >= 0.01 && seconds <= 1e6;
}

} // namespace

Parsed parse_options(int argc, char** argv, Options& options)
{
	enum { kSocket = 256, kNic, kCpu, kStats, kJson, kOnce, kVersion };
	static const option kLong[] = {
		{"socket", required_argument, nullptr, kSocket},
		{"nic", required_argument, nullptr, kNic},
		{"cpu", required_argument, nullptr, kCpu},
		{"stats", required_argument, nullptr, kStats},
		{"json", no_argument, nullptr, kJson},
		{"once", no_argument, nullptr, kOnce},
		{"verbose", no_argument, nullptr, 'v'},
		{"help", no_argument, nullptr, 'h'},
		{"version", no_argument, nullptr, kVersion},
		{nullptr, 0, nullptr, 0},
	};
	int choice;

	while ((choice = getopt_long(argc, argv, "hv", kLong, nullptr)) != -1) {
		switch (choice) {
		case kSocket:
			options.socket = optarg;
			break;
		case kNic: {
			const std::string reason = parse_nic(optarg, options.nics.emplace_back());
			if (!reason.empty())
				return wrong(reason);
			break;
		}
		case kCpu:
			if (!parse_cpus(optarg, options.cpus))
				return wrong(std::string("--cpu \"") + optarg +
					     "\" is no list of CPUs like 2 or 2,4-6");
			break;
		case kStats:
			if (!parse_seconds(optarg, options.stats_seconds))
				return wrong(std::string("--stats \"") + optarg +
					     "\" is wrong: accepted are 0.01..1000000 seconds");
			break;
		case kJson:
			options.json = true;
			break;
		case kOnce:
			options.once = true;
			break;
		case 'v':
			options.verbose = true;
			break;
		case 'h':
			fputs(kHelp, stdout);
			return Parsed::kDone;
		case kVersion:
			puts("netvsp " NETVSP_VERSION);
			return Parsed::kDone;
		default: /* getopt has said what is wrong */
			fputs("Try 'netvsp --help'.\n", stderr);
			return Parsed::kWrong;
		}
	}
	if (optind < argc)
		return wrong(std::string("\"") + argv[optind] + "\" is no option");
	if (options.socket.empty())
		return wrong("--socket PATH is missing");
	if (options.socket.size() >= sizeof(sockaddr_un::sun_path))
		return wrong("--socket: the path has " + std::to_string(options.socket.size()) +
			     " bytes, a UNIX socket's may have " +
			     std::to_string(sizeof(sockaddr_un::sun_path) - 1));
	if (options.nics.empty())
		options.nics.emplace_back();
	for (size_t i = 0; i < options.nics.size(); i++) {
		if (options.nics[i].name.empty())
			options.nics[i].name = "nic" + std::to_string(i);
	}
	return Parsed::kRun;
}

} // namespace netvsp::app
