/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * netvsp: an emulated Hyper-V host as a daemon. The host serves in a thread of its own, this one
 * waits for signals and prints.
 */
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <exception>
#include <sched.h>

#include "options.hpp"
#include "report.hpp"

namespace netvsp::app {

namespace {

constexpr int64_t kSecond = 1'000'000'000;
/* How often --once looks whether a guest is there; one that stays shorter may go unseen. */
constexpr int64_t kLook = 2'000'000;

int64_t now()
{
	timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return int64_t(time.tv_sec) * kSecond + time.tv_nsec;
}

int fail(const std::string& text)
{
	fprintf(stderr, "netvsp: %s\n", text.c_str());
	return 1;
}

/* The signals this daemon knows, blocked in every thread and taken by sigtimedwait(). */
sigset_t block_signals()
{
	sigset_t set;

	sigemptyset(&set);
	for (const int signal : {SIGINT, SIGTERM, SIGUSR1})
		sigaddset(&set, signal);
	pthread_sigmask(SIG_BLOCK, &set, nullptr);
	/* A guest that goes away, or a reader of our output, is an error of a write, not our end.
	 */
	signal(SIGPIPE, SIG_IGN);
	return set;
}

/* Waits for a signal until this time, -1 = for ever. @return the signal, or 0 */
int wait_signal(const sigset_t& set, int64_t until)
{
	for (;;) {
		int signal;

		if (until < 0) {
			signal = sigwaitinfo(&set, nullptr);
		} else {
			const int64_t left = std::max<int64_t>(until - now(), 0);
			const timespec timeout{time_t(left / kSecond), long(left % kSecond)};
			signal = sigtimedwait(&set, nullptr, &timeout);
		}
		if (signal > 0)
			return signal;
		if (errno != EINTR)
			return 0;
	}
}

void serve(Host& host, const Options& options, const sigset_t& signals, Report& report)
{
	const int64_t interval = int64_t(options.stats_seconds * double(kSecond));
	int64_t due = interval ? now() + interval : -1;
	bool had_guest = false;

	for (;;) {
		int64_t until = due;

		if (options.once) {
			const int64_t look = now() + kLook;
			until = due < 0 ? look : std::min(due, look);
		}
		const int signal = wait_signal(signals, until);
		if (signal == SIGINT || signal == SIGTERM)
			return;
		if (signal == SIGUSR1)
			report.totals(false);
		if (due >= 0 && now() >= due) {
			report.interval();
			due = std::max(due + interval, now());
		}
		if (options.once) {
			const bool has_guest = host.guest_connected();

			if (had_guest && !has_guest)
				return;
			had_guest = has_guest;
		}
	}
}

/* @return empty, or which of them this process may not run on */
std::string check_cpus(const std::vector<int>& cpus)
{
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return "";
	for (const int cpu : cpus) {
		if (!CPU_ISSET(cpu, &allowed))
			return "--cpu: CPU " + std::to_string(cpu) +
			       " is not there or not allowed to this process";
	}
	return "";
}

int run(const Options& options)
{
	const sigset_t signals = block_signals();
	std::string error;
	Host host;
	Report report(host, options.json);

	error = check_cpus(options.cpus);
	if (!error.empty())
		return fail(error);
	if (options.verbose) {
		host.set_log([](const std::string& line) {
			fprintf(stderr, "netvsp: %s\n", line.c_str());
		});
	}
	for (const NicConfig& config : options.nics) {
		vmbus::Guid instance;

		if (!host.add_nic(config, instance, error))
			return fail(config.name + ": " + error);
		report.add(config.name, instance);
	}
	if (!host.listen(options.socket, error))
		return fail(error);
	host.start(options.cpus);
	printf("netvsp: listening at %s, %zu NICs\n", options.socket.c_str(), options.nics.size());
	fflush(stdout);

	serve(host, options, signals, report);
	host.stop();
	report.totals(true);
	return 0;
}

} // namespace

} // namespace netvsp::app

int main(int argc, char** argv)
{
	netvsp::app::Options options;

	switch (netvsp::app::parse_options(argc, argv, options)) {
	case netvsp::app::Parsed::kDone:
		return 0;
	case netvsp::app::Parsed::kWrong:
		return 2;
	case netvsp::app::Parsed::kRun:
		break;
	}
	try {
		return netvsp::app::run(options);
	} catch (const std::exception& error) {
		fprintf(stderr, "netvsp: %s\n", error.what());
		return 1;
	}
}
