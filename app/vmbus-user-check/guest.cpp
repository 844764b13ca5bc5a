/* SPDX-License-Identifier: BSD-3-Clause */
#include "guest.hpp"

#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

namespace check {

namespace {

constexpr const char* kMemResult = "MEM_RESULT (0x1003)";

void accepted(const vu::VersionResponse& answer)
{
	require(answer.accepted == 1,
		format("VERSION_RESPONSE: accepted %u for version 1, must be 1", answer.accepted),
		"VERSION_RESPONSE (15)");
	require(answer.version == 1,
		format("VERSION_RESPONSE: version %u, must be the 1 asked for", answer.version),
		"VERSION_RESPONSE (15)");
}

} // namespace

File make_memory(uint64_t size)
{
	File file(memfd_create("vmbus-user-check", MFD_CLOEXEC));
	if (file.fd() < 0 || ftruncate(file.fd(), off_t(size)) != 0)
		throw std::runtime_error(std::string("memfd: ") + strerror(errno));
	return file;
}

File make_eventfd()
{
	File file(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (file.fd() < 0)
		throw std::runtime_error(std::string("eventfd: ") + strerror(errno));
	return file;
}

vu::VersionResponse first_contact(Run& run, uint32_t version, std::unique_ptr<Wire>& wire)
{
	const auto until =
		std::chrono::steady_clock::now() + std::chrono::milliseconds(run.timeout_ms);
	for (;;) {
		wire = std::make_unique<Wire>(run.path, run.timeout_ms);
		wire->send(vu::Type::kInitiateContact,
			   vu::InitiateContact{{}, vu::kMagic, version});
		vu::VersionResponse answer;
		if (wire->answered(answer))
			return answer;
		require(std::chrono::steady_clock::now() < until,
			format("VERSION_RESPONSE: did not come, the host closes every connection "
			       "for %d ms",
			       run.timeout_ms),
			"VERSION_RESPONSE (15)");
		std::this_thread::sleep_for(std::chrono::milliseconds(2));
	}
}

Guest::Guest(Run& run)
{
	accepted(first_contact(run, vu::kVersion, wire_));
}

Guest::~Guest()
{
	if (memory_)
		munmap(memory_, kMemorySize);
}

void Guest::contact()
{
	wire_->send(vu::Type::kInitiateContact, vu::InitiateContact{{}, vu::kMagic, vu::kVersion});
	accepted(wire_->expect<vu::VersionResponse>(vu::Type::kVersionResponse));
}

void Guest::add_memory()
{
	if (!memory_) {
		file_ = make_memory(kMemorySize);
		void* at = mmap(nullptr, kMemorySize, PROT_READ | PROT_WRITE, MAP_SHARED,
				file_.fd(), 0);
		if (at == MAP_FAILED)
			throw std::runtime_error(std::string("mmap: ") + strerror(errno));
		memory_ = static_cast<uint8_t*>(at);
	}
	status("MEM_RESULT", mem_add(kGpa, kMemorySize, 0, {file_.fd()}), vu::Status::kOk,
	       "MEM_ADD (0x1001)");
}

void Guest::request_offers(bool monitor)
{
	if (!memory_)
		add_memory();
	wire_->send(vu::Type::kRequestOffers,
		    vu::RequestOffers{{}, monitor ? kGpa + kMonitorAt : 0});
	wire_->expect<vu::Bare>(vu::Type::kAllOffersDelivered);
}

void Guest::request_offers_again()
{
	add_memory();
	request_offers();
}

const vu::OfferChannel& Guest::nic() const
{
	for (const vu::OfferChannel& offer : wire_->offers)
		if (offer.class_id == vmbus::kNetvscClass && offer.subchannel_index == 0)
			return offer;
	throw NotApplicable{"the host offers no network adapter"};
}

vu::Status Guest::mem_result(uint64_t gpa)
{
	const auto answer = wire_->expect<vu::MemResult>(vu::Type::kMemResult);
	require(answer.gpa == gpa,
		format("MEM_RESULT: gpa %#llx, must be the request's %#llx",
		       static_cast<unsigned long long>(answer.gpa),
		       static_cast<unsigned long long>(gpa)),
		kMemResult);
	return answer.status;
}

vu::Status Guest::mem_add(uint64_t gpa, uint64_t size, uint64_t offset,
			  std::initializer_list<int> fds, uint32_t flags)
{
	wire_->send(vu::Type::kMemAdd, vu::MemAdd{{}, gpa, size, offset, flags, 0}, fds);
	return mem_result(gpa);
}

vu::Status Guest::mem_remove(uint64_t gpa, uint64_t size)
{
	wire_->send(vu::Type::kMemRemove, vu::MemRemove{{}, gpa, size});
	return mem_result(gpa);
}

vu::Status Guest::gpadl(uint32_t relid, uint32_t id, const std::vector<vu::GpaRun>& runs)
{
	vu::GpadlHeader header{};
	header.hdr = {vu::Type::kGpadlHeader,
		      uint32_t(sizeof(header) + runs.size() * sizeof(vu::GpaRun))};
	header.relid = relid;
	header.gpadl = id;
	header.run_count = uint32_t(runs.size());
	std::vector<uint8_t> message(header.hdr.size);
	memcpy(message.data(), &header, sizeof(header));
	if (!runs.empty())
		memcpy(message.data() + sizeof(header), runs.data(),
		       runs.size() * sizeof(vu::GpaRun));
	wire_->send_raw(message.data(), message.size());
	const auto answer = wire_->expect<vu::GpadlCreated>(vu::Type::kGpadlCreated);
	require(answer.relid == relid && answer.gpadl == id,
		format("GPADL_CREATED: relid %u, gpadl %u, must be the request's %u and %u",
		       answer.relid, answer.gpadl, relid, id),
		"GPADL_CREATED (10)");
	return answer.status;
}

vu::Status Guest::open(uint32_t relid, uint32_t gpadl, uint32_t offset_pages,
		       std::initializer_list<int> fds)
{
	const uint32_t id = open_id_++;
	wire_->send(vu::Type::kOpenChannel,
		    vu::OpenChannel{{}, relid, id, gpadl, offset_pages, 0, 0}, fds);
	const auto answer = wire_->expect<vu::OpenResult>(vu::Type::kOpenResult);
	require(answer.relid == relid && answer.open_id == id,
		format("OPEN_RESULT: relid %u, open_id %u, must be the request's %u and %u",
		       answer.relid, answer.open_id, relid, id),
		"OPEN_RESULT (6)");
	return answer.status;
}

void Guest::close(uint32_t relid)
{
	wire_->send(vu::Type::kCloseChannel, vu::ChannelId{{}, relid, 0});
}

void Guest::teardown(uint32_t relid, uint32_t id)
{
	wire_->send(vu::Type::kGpadlTeardown, vu::GpadlId{{}, relid, id});
	const auto answer = wire_->expect<vu::GpadlId>(vu::Type::kGpadlTorndown);
	require(answer.relid == relid && answer.gpadl == id,
		format("GPADL_TORNDOWN: relid %u, gpadl %u, must be the request's %u and %u",
		       answer.relid, answer.gpadl, relid, id),
		"GPADL_TEARDOWN (11) and GPADL_TORNDOWN (12)");
}

void Guest::unload()
{
	wire_->send(vu::Type::kUnload, vu::Bare{});
	wire_->expect<vu::Bare>(vu::Type::kUnloadResponse);
	wire_->offers.clear();
}

void Guest::status(const std::string& what, vu::Status seen, vu::Status expected,
		   const char* section)
{
	require(seen == expected,
		format("%s: status %s, must be %s", what.c_str(), status_name(seen).c_str(),
		       status_name(expected).c_str()),
		section);
}

} // namespace check
