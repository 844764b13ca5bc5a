/* SPDX-License-Identifier: BSD-3-Clause */
/** vmbus-user-check: asks a vmbus-user host everything that docs/vmbus-user.md says. */
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <getopt.h>
#include <map>
#include <set>
#include <sstream>

#include "check.hpp"
#include "wire.hpp"

namespace check {

namespace {

constexpr const char* kHelp =
	R"(Usage: vmbus-user-check [--json] [--timeout MS] [--only NAME]... SOCKET
       vmbus-user-check --list
Connects to a vmbus-user host as a guest, again and again, and says where it does otherwise than
docs/vmbus-user.md: first the control messages, then NVSP and RNDIS with its first network adapter.
The host must have no other guest meanwhile.

  --json          a JSON array, with an object for each check: name, ok, messages, section, result
                  ("ok", "FAIL", "n/a" = the host has nothing to be checked here, and need not;
                  "none" = not run, as a check that it builds upon failed)
  --timeout MS    how long to wait for each answer, default 2000
  --only NAME     only this check, or all whose name begins so; may be repeated
  --list          prints the checks and the sections of docs/vmbus-user.md that they are about
  -h, --help      prints this
      --version   prints the version

Exit status: 0 = all conform, 1 = deviations, 2 = wrong usage, or no connection.
)";

struct Options {
	bool json = false;
	bool list = false;
	std::vector<std::string> only;
	Run run{{}, 2000, {}};
};

struct Outcome {
	const Check* check;
	const char* result;
	std::string message;
	const char* section;

	bool ok() const { return result[0] == 'o' || result[1] == '/'; }
};

constexpr const char* kOk = "ok";
constexpr const char* kFail = "FAIL";
constexpr const char* kNotApplicable = "n/a";
constexpr const char* kNotRun = "none";

int wrong(const std::string& text)
{
	fprintf(stderr, "vmbus-user-check: %s\nTry 'vmbus-user-check --help'.\n", text.c_str());
	return 2;
}

std::vector<Check> all_checks()
{
	std::vector<Check> all;
	for (const auto* some : {&kControlChecks, &kMemoryChecks, &kChannelChecks, &kNvspChecks,
				 &kRndisChecks, &kSubchannelChecks, &kRingChecks})
		all.insert(all.end(), some->begin(), some->end());
	return all;
}

/* A whole name is that check alone, another one all checks that begin so. @return empty = wrong */
std::set<std::string> choose(const std::string& name, const std::vector<Check>& checks)
{
	std::set<std::string> out;
	for (const Check& check : checks) {
		if (check.name == name)
			return {name};
		if (std::string(check.name).compare(0, name.size(), name) == 0)
			out.insert(check.name);
	}
	return out;
}

Outcome perform(const Check& check, Run run)
{
	try {
		check.run(run);
		return {&check, kOk, run.said, check.section};
	} catch (const Deviation& d) {
		return {&check, kFail, d.text, d.section ? d.section : check.section};
	} catch (const NotApplicable& n) {
		return {&check, kNotApplicable, n.why, check.section};
	} catch (const std::exception& e) { /* such as a host that is not there any more */
		return {&check, kFail, e.what(), check.section};
	}
}

using Results = std::map<std::string, const char*>;

/* The first check that this one needs and that was not ok. What was not chosen is taken for good:
 * the check itself says if it is not. */
std::pair<std::string, const char*> failed_base(const Check& check, const Results& results)
{
	std::istringstream names(check.needs ? check.needs : "");
	for (std::string name; names >> name;) {
		const auto found = results.find(name);
		if (found != results.end() && found->second != kOk)
			return {name, found->second};
	}
	return {};
}

/* A check whose base found nothing to be checked has nothing either. */
Outcome without_base(const Check& check, const std::string& base, const char* result)
{
	if (result == kNotApplicable)
		return {&check, result, "as " + base, check.section};
	return {&check, kNotRun, "not run: needs " + base, check.section};
}

std::string quoted(const std::string& text)
{
	std::string out = "\"";
	for (const char c : text) {
		if (c == '"' || c == '\\')
			out += std::string("\\") + c;
		else if (static_cast<unsigned char>(c) < 0x20)
			out += format("\\u%04x", c);
		else
			out += c;
	}
	return out + "\"";
}

void print(const Outcome& outcome)
{
	printf("%-4s %-28s %s", outcome.result, outcome.check->name, outcome.message.c_str());
	if (outcome.result == kFail)
		printf(" (docs/vmbus-user.md, \"%s\")", outcome.section);
	putchar('\n');
	fflush(stdout);
}

void print_json(const Outcome& outcome, bool first)
{
	printf("%s{\"name\": %s, \"ok\": %s, \"messages\": [%s], \"section\": %s, \"result\": "
	       "\"%s\"}",
	       first ? "[\n" : ",\n", quoted(outcome.check->name).c_str(),
	       outcome.ok() ? "true" : "false", quoted(outcome.message).c_str(),
	       quoted(outcome.section).c_str(), outcome.result);
}

int run_checks(const Options& options, const std::vector<Check>& checks)
{
	Results results;
	size_t deviations = 0, performed = 0;

	for (const Check& check : checks) {
		const auto [base, result] = failed_base(check, results);
		const Outcome outcome = base.empty() ? perform(check, options.run)
						     : without_base(check, base, result);
		results[check.name] = outcome.result;
		deviations += outcome.result == kFail;
		if (options.json)
			print_json(outcome, performed == 0);
		else
			print(outcome);
		performed++;
	}
	if (options.json)
		puts("\n]");
	else
		printf("%zu checks, %zu deviations\n", performed, deviations);
	return deviations == 0 ? 0 : 1;
}

int parse(int argc, char** argv, Options& options)
{
	enum { kJson = 256, kTimeout, kOnly, kList, kVersion };
	static const option kLong[] = {
		{"json", no_argument, nullptr, kJson},
		{"timeout", required_argument, nullptr, kTimeout},
		{"only", required_argument, nullptr, kOnly},
		{"list", no_argument, nullptr, kList},
		{"help", no_argument, nullptr, 'h'},
		{"version", no_argument, nullptr, kVersion},
		{nullptr, 0, nullptr, 0},
	};
	int choice;

	while ((choice = getopt_long(argc, argv, "h", kLong, nullptr)) != -1) {
		switch (choice) {
		case kJson:
			options.json = true;
			break;
		case kTimeout: {
			char* end;
			errno = 0;
			const long value = strtol(optarg, &end, 10);
			if (errno != 0 || end == optarg || *end != '\0' || value < 10 ||
			    value > 600'000)
				return wrong(std::string("--timeout \"") + optarg +
					     "\" is wrong: accepted are 10..600000 ms");
			options.run.timeout_ms = int(value);
			break;
		}
		case kOnly:
			options.only.emplace_back(optarg);
			break;
		case kList:
			options.list = true;
			break;
		case 'h':
			fputs(kHelp, stdout);
			return 0;
		case kVersion:
			puts("vmbus-user-check " CHECK_VERSION);
			return 0;
		default: /* getopt has said what is wrong */
			fputs("Try 'vmbus-user-check --help'.\n", stderr);
			return 2;
		}
	}
	if (options.list)
		return -1;
	if (optind != argc - 1)
		return wrong(optind < argc ? "more than one SOCKET" : "SOCKET is missing");
	options.run.path = argv[optind];
	return -1;
}

int run(const Options& options)
{
	std::vector<Check> checks = all_checks();
	std::set<std::string> chosen;

	for (const std::string& only : options.only) {
		const auto some = choose(only, checks);
		if (some.empty())
			return wrong("--only " + only + ": there is no such check, see --list");
		chosen.insert(some.begin(), some.end());
	}
	if (!chosen.empty())
		std::erase_if(checks, [&](const Check& c) { return chosen.count(c.name) == 0; });
	if (options.list) {
		for (const Check& check : checks)
			printf("%-28s %s (\"%s\")\n", check.name, check.what, check.section);
		return 0;
	}
	{
		const Wire reachable(options.run.path, options.run.timeout_ms);
	}
	return run_checks(options, checks);
}

} // namespace

} // namespace check

int main(int argc, char** argv)
{
	check::Options options;

	const int code = check::parse(argc, argv, options);
	if (code >= 0)
		return code;
	signal(SIGPIPE, SIG_IGN); /* a host that is gone is found out by reading */
	try {
		return check::run(options);
	} catch (const std::exception& error) {
		fflush(stdout);
		fprintf(stderr, "vmbus-user-check: %s\n", error.what());
		return 2;
	}
}
