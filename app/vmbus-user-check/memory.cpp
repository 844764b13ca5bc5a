/* SPDX-License-Identifier: BSD-3-Clause */
/** Checks of the memory table and of GPADLs. */
#include "guest.hpp"

namespace check {

namespace {

constexpr const char* kAdd = "MEM_ADD (0x1001)";
constexpr const char* kRemove = "MEM_REMOVE (0x1002)";
constexpr const char* kGpadl = "GPADL_HEADER (8)";
constexpr const char* kTeardown = "GPADL_TEARDOWN (11) and GPADL_TORNDOWN (12)";
constexpr uint64_t kPage = vmbus::kPageSize;
constexpr uint64_t kElsewhere = kGpa + 4 * kMemorySize;

void add(Run& run)
{
	Guest guest(run);
	guest.add_memory();
	Guest::status("MEM_RESULT for MEM_REMOVE", guest.mem_remove(kGpa, kMemorySize),
		      vu::Status::kOk, kRemove);
	guest.add_memory();
	run.said = "MEM_RESULT: added, removed, and added again";
}

void add_refused(Run& run)
{
	Guest guest(run);
	guest.add_memory();
	const File two = make_memory(2 * kPage);
	const int fd = two.fd();
	struct Case {
		const char* what;
		vu::MemAdd m;
		std::initializer_list<int> fds;
	};
	const std::initializer_list<int> one_fd = {fd}, two_fds = {fd, fd};
	const Case cases[] = {
		{"overlapping a region",
		 {{}, kGpa + kMemorySize - kPage, 2 * kPage, 0, 0, 0},
		 one_fd},
		{"within a region", {{}, kGpa + kPage, kPage, 0, 0, 0}, one_fd},
		{"around a region's start", {{}, kGpa - kPage, 2 * kPage, 0, 0, 0}, one_fd},
		{"with an unaligned gpa", {{}, kElsewhere + 8, kPage, 0, 0, 0}, one_fd},
		{"with an unaligned size", {{}, kElsewhere, kPage + 8, 0, 0, 0}, one_fd},
		{"with an unaligned offset", {{}, kElsewhere, kPage, 8, 0, 0}, one_fd},
		{"of size 0", {{}, kElsewhere, 0, 0, 0, 0}, one_fd},
		{"beyond 2^64", {{}, ~uint64_t{0xfff}, 2 * kPage, 0, 0, 0}, one_fd},
		{"beyond the end of the file", {{}, kElsewhere, 2 * kPage, kPage, 0, 0}, one_fd},
		{"without a descriptor", {{}, kElsewhere, kPage, 0, 0, 0}, {}},
		{"with two descriptors", {{}, kElsewhere, kPage, 0, 0, 0}, two_fds},
		{"with an unknown flag", {{}, kElsewhere, kPage, 0, 2, 0}, one_fd},
	};
	for (const Case& c : cases)
		Guest::status(std::string("MEM_RESULT for MEM_ADD ") + c.what,
			      guest.mem_add(c.m.gpa, c.m.size, c.m.offset, c.fds, c.m.flags),
			      vu::Status::kBadArgument, kAdd);
	/* What failed must have changed nothing. */
	Guest::status("MEM_RESULT for MEM_ADD where others failed",
		      guest.mem_add(kElsewhere, 2 * kPage, 0, {fd}), vu::Status::kOk, "Errors");
	run.said = format("MEM_RESULT: %zu wrong MEM_ADD got BAD_ARGUMENT", std::size(cases));
}

void add_address(Run& run)
{
	Guest guest(run);
	alignas(kPage) static uint8_t page[kPage];
	Guest::status("MEM_RESULT for MEM_ADD with SAME_ADDRESS_SPACE of another process",
		      guest.mem_add(kElsewhere, kPage, reinterpret_cast<uint64_t>(page), {},
				    vu::kMemSameAddressSpace),
		      vu::Status::kRefused, kAdd);
	run.said = "MEM_RESULT: SAME_ADDRESS_SPACE of another process got REFUSED";
}

void remove_unknown(Run& run)
{
	Guest guest(run);
	guest.add_memory();
	Guest::status("MEM_RESULT for MEM_REMOVE of what was never added",
		      guest.mem_remove(kElsewhere, kPage), vu::Status::kUnknownId, kRemove);
	Guest::status("MEM_RESULT for MEM_REMOVE of a part", guest.mem_remove(kGpa, kPage),
		      vu::Status::kUnknownId, kRemove);
	Guest::status("MEM_RESULT for MEM_REMOVE", guest.mem_remove(kGpa, kMemorySize),
		      vu::Status::kOk, kRemove);
	Guest::status("MEM_RESULT for a second MEM_REMOVE", guest.mem_remove(kGpa, kMemorySize),
		      vu::Status::kUnknownId, kRemove);
	run.said = "MEM_RESULT: regions that are not there got UNKNOWN_ID";
}

void create(Run& run)
{
	Guest guest(run);
	guest.request_offers();
	const uint32_t relid = guest.nic().relid;
	Guest::status("GPADL_CREATED", guest.gpadl(relid, 1, {{kGpa, 4 * kPage}}), vu::Status::kOk,
		      kGpadl);
	Guest::status("GPADL_CREATED for adjacent runs",
		      guest.gpadl(relid, 2, {{kGpa, kPage}, {kGpa + kPage, 3 * kPage}}),
		      vu::Status::kOk, kGpadl);
	/* Out of order: the host may take them, or have no way to make them contiguous. */
	const vu::Status scattered =
		guest.gpadl(relid, 3, {{kGpa + 4 * kPage, kPage}, {kGpa, kPage}});
	require(scattered == vu::Status::kOk || scattered == vu::Status::kNoResource,
		format("GPADL_CREATED for runs out of order: status %s, must be OK or NO_RESOURCE",
		       status_name(scattered).c_str()));
	Guest::status("MEM_RESULT for MEM_REMOVE while a GPADL is in the region",
		      guest.mem_remove(kGpa, kMemorySize), vu::Status::kBadState, kRemove);
	for (const uint32_t id : {1, 2, 3})
		guest.teardown(relid, id);
	Guest::status("GPADL_CREATED with a number that is free again",
		      guest.gpadl(relid, 1, {{kGpa, kPage}}), vu::Status::kOk, kTeardown);
	guest.teardown(relid, 1);
	Guest::status("MEM_RESULT for MEM_REMOVE after the GPADLs",
		      guest.mem_remove(kGpa, kMemorySize), vu::Status::kOk, kRemove);
	run.said = "GPADL_CREATED, GPADL_TORNDOWN, and their memory removed";
}

void create_refused(Run& run)
{
	Guest guest(run);
	guest.request_offers();
	const uint32_t relid = guest.nic().relid;
	Guest::status("GPADL_CREATED", guest.gpadl(relid, 1, {{kGpa, kPage}}), vu::Status::kOk,
		      kGpadl);
	struct Case {
		const char* what;
		uint32_t relid, id;
		std::vector<vu::GpaRun> runs;
		vu::Status expected;
	};
	using enum vu::Status;
	const Case cases[] = {
		{"of an unknown relid", relid + 0x10000, 2, {{kGpa, kPage}}, kUnknownId},
		{"with number 0", relid, 0, {{kGpa, kPage}}, kBadArgument},
		{"with a number in use", relid, 1, {{kGpa, kPage}}, kBadArgument},
		{"without runs", relid, 2, {}, kBadArgument},
		{"with an unaligned gpa", relid, 2, {{kGpa + 8, kPage}}, kBadArgument},
		{"with an unaligned size", relid, 2, {{kGpa, kPage + 8}}, kBadArgument},
		{"with a run of size 0", relid, 2, {{kGpa, kPage}, {kGpa, 0}}, kBadArgument},
		{"outside of memory", relid, 2, {{kElsewhere, kPage}}, kBadArgument},
		{"beyond a region's end",
		 relid,
		 2,
		 {{kGpa + kMemorySize - kPage, 2 * kPage}},
		 kBadArgument},
		{"with a run beyond 2^64", relid, 2, {{~uint64_t{0xfff}, 2 * kPage}}, kBadArgument},
		{"of a size near 2^64", relid, 2, {{kGpa, ~uint64_t{0xfff}}}, kBadArgument},
	};
	for (const Case& c : cases)
		Guest::status(std::string("GPADL_CREATED ") + c.what,
			      guest.gpadl(c.relid, c.id, c.runs), c.expected, kGpadl);
	Guest::status("GPADL_CREATED with a number that failed before",
		      guest.gpadl(relid, 2, {{kGpa, kPage}}), vu::Status::kOk,
		      "GPADL_CREATED (10)");
	run.said = format("GPADL_CREATED: %zu wrong GPADL_HEADER were refused", std::size(cases));
}

void teardown_unknown(Run& run)
{
	Guest guest(run);
	guest.request_offers();
	const uint32_t relid = guest.nic().relid;
	guest.teardown(relid, 77);
	Guest::status("GPADL_CREATED", guest.gpadl(relid, 1, {{kGpa, kPage}}), vu::Status::kOk,
		      kGpadl);
	guest.wire().send(vu::Type::kGpadlTeardown, vu::GpadlId{{}, relid + 0x10000, 1});
	guest.wire().expect_end("GPADL_TEARDOWN with the relid of another channel");
	run.said = "GPADL_TORNDOWN of an unknown number; another channel's ended the connection";
}

} // namespace

const std::vector<Check> kMemoryChecks = {
	{"memory.add", kAdd, "control.version", "a region comes and goes", add},
	{"memory.add-refused", kAdd, "memory.add", "regions that cannot be", add_refused},
	{"memory.same-address-space", kAdd, "memory.add",
	 "addresses of another process are refused", add_address},
	{"memory.remove-unknown", kRemove, "memory.add", "only whole regions are removed",
	 remove_unknown},
	{"gpadl.create", kGpadl, "memory.add", "GPADLs come and go, and keep their region", create},
	{"gpadl.create-refused", kGpadl, "gpadl.create", "GPADLs that cannot be", create_refused},
	{"gpadl.teardown-unknown", kTeardown, "gpadl.create", "teardown of what is not there",
	 teardown_unknown},
};

} // namespace check
