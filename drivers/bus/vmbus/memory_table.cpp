/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory_table.hpp"

#include "compat.hpp"
#include "log.hpp"

namespace vmbus::bus {

/* One region per page EAL may unmap alone; all of a list that it never unmaps (--no-huge). */
static Error share(user::Connection& connection, const rte_memseg_list* list,
		   const rte_memseg* segment, size_t length)
{
	int fd = -1;
	size_t offset = 0;
	if (list->external != 0)
		return {};
	if (segment->iova == RTE_BAD_IOVA)
		return {EFAULT, "DPDK's memory has no IOVA"};
	if (!connection.same_address_space()) {
		fd = rte_memseg_get_fd_thread_unsafe(segment);
		if (fd < 0 || rte_memseg_get_fd_offset_thread_unsafe(segment, &offset) < 0)
			return {ENOTSUP,
				"DPDK's memory has no file descriptor that the host could "
				"map: on Linux do not use --legacy-mem or "
				"--single-file-segments with --in-memory; on FreeBSD it never "
				"has, and the host must be in this process (endpoint=)"};
	}
	return connection.add_memory(segment->iova, segment->addr, length, fd, offset);
}

bool memory_has_files()
{
	bool has = false;
	rte_memseg_walk(
		[](const rte_memseg_list* list, const rte_memseg* segment, void* arg) {
			if (list->external != 0)
				return 0;
			*static_cast<bool*>(arg) = rte_memseg_get_fd_thread_unsafe(segment) >= 0;
			return 1;
		},
		&has);
	return has;
}

Error share_memory(user::Connection& connection)
{
	struct Walk {
		user::Connection& connection;
		Error error;
	} walk{connection, {}};

	int rc;
	if (rte_eal_has_hugepages() != 0) {
		rc = rte_memseg_walk(
			[](const rte_memseg_list* list, const rte_memseg* segment, void* arg) {
				auto* w = static_cast<Walk*>(arg);
				w->error = share(w->connection, list, segment, segment->len);
				return w->error ? -1 : 0;
			},
			&walk);
	} else {
		rc = rte_memseg_contig_walk(
			[](const rte_memseg_list* list, const rte_memseg* segment, size_t length,
			   void* arg) {
				auto* w = static_cast<Walk*>(arg);
				w->error = share(w->connection, list, segment, length);
				return w->error ? -1 : 0;
			},
			&walk);
	}
	if (rc != 0 && !walk.error)
		walk.error = {EFAULT, "DPDK's memory cannot be walked"};
	return std::move(walk.error);
}

/* EAL holds its memory lock here: nothing below may allocate from it. */
static void changed(rte_mem_event event, const void* address, size_t length, void* arg)
{
	auto& connection = *static_cast<user::Connection*>(arg);
	const rte_memseg_list* list = rte_mem_virt2memseg_list(address);
	if (list == nullptr || list->external != 0 || connection.disconnected())
		return;
	for (size_t done = 0; done < length; done += list->page_sz) {
		const auto* page = static_cast<const uint8_t*>(address) + done;
		const rte_memseg* segment = rte_mem_virt2memseg(page, list);
		if (segment == nullptr)
			continue;
		Error error = event == RTE_MEM_EVENT_ALLOC
				      ? share(connection, list, segment, list->page_sz)
				      : connection.remove_memory(segment->iova, list->page_sz);
		if (error)
			VMBUS_LOG(WARNING, "memory at %p: %s", page, error.what.c_str());
	}
}

static std::string callback_name(const user::Connection& connection)
{
	return "vmbus-user-" + std::to_string(connection.fd());
}

void follow_memory(user::Connection& connection)
{
	/* Where memory is never mapped later (--no-huge, --legacy-mem), EAL refuses, rightly. */
	if (rte_mem_event_callback_register(callback_name(connection).c_str(), changed,
					    &connection) != 0)
		VMBUS_LOG(DEBUG, "no memory events: %s", rte_strerror(rte_errno));
}

void unfollow_memory(user::Connection& connection)
{
	rte_mem_event_callback_unregister(callback_name(connection).c_str(), &connection);
}

} // namespace vmbus::bus
