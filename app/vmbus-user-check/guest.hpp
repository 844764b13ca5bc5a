/* SPDX-License-Identifier: BSD-3-Clause */
/** A guest's end of the control plane: one request at a time, answers returned as they are. */
#pragma once

#include <memory>

#include "check.hpp"
#include "wire.hpp"

namespace check {

/** Where things lie in the guest's memory, by offset. */
inline constexpr uint64_t kGpa = 0x40000000;
inline constexpr uint64_t kRingsAt = 0;
inline constexpr uint64_t kSendAt = 1u << 20, kSendSize = 1u << 20;
inline constexpr uint64_t kReceiveAt = 2u << 20, kReceiveSize = 4u << 20;
inline constexpr uint64_t kScratchAt = 6u << 20;
inline constexpr uint64_t kMonitorAt = 7u << 20;
inline constexpr uint64_t kMemorySize = 8u << 20;

/** A memfd of some pages. */
File make_memory(uint64_t size);
File make_eventfd();

/** Connects and asks for a version. A host that closes, as it still has the guest of the check
 *  before, is tried again until the time limit. */
vu::VersionResponse first_contact(Run& run, uint32_t version, std::unique_ptr<Wire>& wire);

class Guest {
      public:
	/** Connects and agrees on version 1. */
	explicit Guest(Run& run);
	~Guest();
	Guest(const Guest&) = delete;
	Guest& operator=(const Guest&) = delete;

	void contact();
	/** Adds memory of kMemorySize at kGpa, and has it mapped here. */
	void add_memory();
	/** Adds memory if that was not done, and asks for the offers. */
	void request_offers(bool monitor = false);
	/** The same after UNLOAD, which took the memory away. */
	void request_offers_again();
	/** The first network adapter's primary channel. @throw NotApplicable there is none */
	const vu::OfferChannel& nic() const;

	/** MEM_ADD, and the status of its answer. */
	vu::Status mem_add(uint64_t gpa, uint64_t size, uint64_t offset,
			   std::initializer_list<int> fds, uint32_t flags = 0);
	vu::Status mem_remove(uint64_t gpa, uint64_t size);
	vu::Status gpadl(uint32_t relid, uint32_t id, const std::vector<vu::GpaRun>& runs);
	vu::Status open(uint32_t relid, uint32_t gpadl, uint32_t offset_pages,
			std::initializer_list<int> fds);
	void close(uint32_t relid);
	void teardown(uint32_t relid, uint32_t id);
	void unload();

	uint8_t* memory() const { return memory_; }
	int memory_fd() const { return file_.fd(); }
	Wire& wire() { return *wire_; }

	/** A failure that a status tells. */
	static void status(const std::string& what, vu::Status seen, vu::Status expected,
			   const char* section);

      private:
	vu::Status mem_result(uint64_t gpa);

	std::unique_ptr<Wire> wire_;
	File file_;
	uint8_t* memory_ = nullptr;
	uint32_t open_id_ = 100;
};

} // namespace check
