/* SPDX-License-Identifier: BSD-3-Clause */
/* Cycles per frame of a netvsc driver: one process, one driver, the host stepped in lockstep. */
#include <fnmatch.h>
#include <getopt.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "loops.hpp"
#include "measure.hpp"

namespace {

const char kUsage[] =
	R"(usage: pmd [options]
Times rte_eth_rx_burst() and rte_eth_tx_burst() of a driver against the emulated host, which works
only in between. Under tools/uio-host the devices are those of uio_hv_generic, else vdevs.

  --plugin FILE     the driver; without it the one that DPDK has loaded by itself
  --group NAME      which cases: copy (default), external, queues1, queues4, queues16,
                    ports1, ports8, ports32, ports64
  --case PATTERN    only those, e.g. 'rx/64*'; may be repeated
  --list            name the cases of the group and end
  --samples N       of each case (30)
  --steps N         of each sample, 256 frames each (64)
  --eal ARGS        more arguments of EAL (--in-memory -m 1024); valgrind needs
                    '--huge-unlink --huge-dir DIR' instead of --in-memory
  --handicap N      N more instructions for each frame, as if the driver were slower
  --paced           before each sample: say 'pmd: ready', and wait for a line on standard input
  --help
One JSON object per case on standard output. exit: 0 done, 1 a case failed, 2 wrong usage
)";

void print_numbers(const char* name, const std::vector<double>& numbers)
{
	std::printf(", \"%s\": [", name);
	for (size_t i = 0; i < numbers.size(); i++)
		std::printf("%s%.2f", i == 0 ? "" : ", ", numbers[i]);
	std::printf("]");
}

void print_text(const char* name, const std::string& text)
{
	std::printf(", \"%s\": \"", name);
	for (char c : text)
		std::printf(c == '"' || c == '\\' ? "\\%c" : "%c", c);
	std::printf("\"");
}

void print(const bench::Case& c, const bench::Result& result)
{
	std::printf("{\"case\": \"%s\"", c.name.c_str());
	if (!result.unsupported.empty()) {
		print_text("unsupported", result.unsupported);
	} else if (!result.error.empty()) {
		print_text("error", result.error);
	} else {
		print_numbers("cycles", result.cycles);
		if (!result.floor.empty())
			print_numbers("floor", result.floor);
		std::printf(", \"frames\": %llu, \"frames_per_packet\": %.1f",
			    static_cast<unsigned long long>(result.frames),
			    result.frames_per_packet);
		if (result.queue_bytes != 0)
			std::printf(", \"queue_bytes\": %llu",
				    static_cast<unsigned long long>(result.queue_bytes));
	}
	std::printf("}\n");
	std::fflush(stdout);
}

[[noreturn]] void wrong_usage(const std::string& what)
{
	std::fprintf(stderr, "pmd: %s; see --help\n", what.c_str());
	std::exit(2);
}

uint32_t number(const char* option, const char* text)
{
	char* end;
	const unsigned long value = std::strtoul(text, &end, 10);
	if (*end != '\0' || value == 0 || value > 1000000)
		wrong_usage(std::string(option) + " " + text + ": want 1..1000000");
	return static_cast<uint32_t>(value);
}

} // namespace

int main(int argc, char** argv)
{
	static const option kOptions[] = {{"plugin", required_argument, nullptr, 'p'},
					  {"group", required_argument, nullptr, 'g'},
					  {"case", required_argument, nullptr, 'c'},
					  {"list", no_argument, nullptr, 'l'},
					  {"samples", required_argument, nullptr, 's'},
					  {"steps", required_argument, nullptr, 't'},
					  {"eal", required_argument, nullptr, 'e'},
					  {"paced", no_argument, nullptr, 'w'},
					  {"handicap", required_argument, nullptr, 'a'},
					  {"help", no_argument, nullptr, 'h'},
					  {nullptr, 0, nullptr, 0}};
	bench::RigOptions rig_options;
	bench::MeasureOptions options;
	std::string wanted = "copy";
	std::vector<std::string> patterns;
	bool list = false;
	for (int o; (o = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
		switch (o) {
		case 'p':
			rig_options.plugin = optarg;
			break;
		case 'g':
			wanted = optarg;
			break;
		case 'c':
			patterns.push_back(optarg);
			break;
		case 'l':
			list = true;
			break;
		case 's':
			options.samples = number("--samples", optarg);
			break;
		case 't':
			options.steps = number("--steps", optarg);
			break;
		case 'e':
			rig_options.eal = optarg;
			break;
		case 'w':
			options.paced = true;
			break;
		case 'a':
			bench::set_handicap(number("--handicap", optarg));
			break;
		case 'h':
			std::fputs(kUsage, stdout);
			return 0;
		default:
			return 2;
		}
	}
	if (optind != argc)
		wrong_usage(std::string("what is '") + argv[optind] + "'?");
	const bench::Group* group = nullptr;
	for (const bench::Group& g : bench::groups())
		if (g.name == wanted)
			group = &g;
	if (group == nullptr)
		wrong_usage("there is no group '" + wanted + "'");
	std::vector<bench::Case> cases;
	for (const bench::Case& c : group->cases) {
		bool chosen = patterns.empty();
		for (const std::string& pattern : patterns)
			chosen |= fnmatch(pattern.c_str(), c.name.c_str(), 0) == 0;
		if (chosen)
			cases.push_back(c);
	}
	if (list) {
		for (const bench::Case& c : cases)
			std::puts(c.name.c_str());
		return 0;
	}
	rig_options.driver_args = group->driver_args;
	rig_options.ports = group->ports;
	bool failed = false;
	try {
		bench::Rig rig(rig_options);
		std::fprintf(stderr, "pmd: driver %s\n", rig.driver_name().c_str());
		for (const bench::Case& c : cases) {
			std::fprintf(stderr, "pmd: %s\n", c.name.c_str());
			const bench::Result result = bench::measure(rig, c, options);
			print(c, result);
			failed |= !result.error.empty();
		}
	} catch (const std::exception& e) {
		std::fprintf(stderr, "pmd: %s\n", e.what());
		return 1;
	}
	/* Without closing the ports: a driver's end is not what is measured. */
	std::fflush(stdout);
	std::_Exit(failed ? 1 : 0);
}
