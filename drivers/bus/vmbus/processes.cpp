/* SPDX-License-Identifier: BSD-3-Clause */
#include "processes.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <vector>

#include "bus.hpp"
#include "log.hpp"

namespace vmbus::bus {

namespace {

constexpr char kJoin[] = "vmbus_join";

/* Address space costs nothing: enough for dozens of NICs with rings of the largest size. */
constexpr size_t kMirrorSize = size_t{64} << 30;

constexpr std::chrono::milliseconds kSyncTimeout{3000};
constexpr std::chrono::milliseconds kJoinTimeout{5000};

struct JoinReply {
	int32_t error; /* errno */
	uint32_t id;
	uint64_t base;
	uint64_t size;
};

/* A descriptor that EAL's interrupt thread watches. */
struct Watch {
	Watch(int fd, rte_intr_callback_fn f) : function(f)
	{
		handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
		if (handle == nullptr)
			return;
		rte_intr_fd_set(handle, fd);
		rte_intr_type_set(handle, RTE_INTR_HANDLE_EXT);
		on = rte_intr_callback_register(handle, function, this) == 0;
	}
	/* Also from within the callback, which then is the last. */
	void end()
	{
		/* EAL hands in a copy of the handle, which is its own. */
		const auto free_it = [](rte_intr_handle*, void* watch) {
			rte_intr_instance_free(static_cast<Watch*>(watch)->handle);
			delete static_cast<Watch*>(watch);
		};
		if (!on ||
		    rte_intr_callback_unregister_pending(handle, function, this, free_it) < 0) {
			if (on)
				rte_intr_callback_unregister_sync(handle, function, this);
			free_it(handle, this);
		}
	}
	rte_intr_handle* handle;
	const rte_intr_callback_fn function;
	bool on = false;
};

/* The end of EAL's memory, behind which nothing else is sought a place for: drivers of other
 * buses put what all processes must have at the same address there, too. */
uintptr_t behind_memory()
{
	uintptr_t end = 0;
	rte_memseg_list_walk(
		[](const rte_memseg_list* list, void* arg) {
			auto& e = *static_cast<uintptr_t*>(arg);
			if (list->external == 0)
				e = std::max(e, reinterpret_cast<uintptr_t>(list->base_va) +
							list->len);
			return 0;
		},
		&end);
	static constexpr uintptr_t kAlign = uintptr_t{1} << 30;
	/* A gap for those. */
	return end == 0 ? 0 : (end + kAlign - 1) / kAlign * kAlign + 4 * kAlign;
}

/* The primary's side */

std::mutex watches_mutex;
std::map<int, Watch*>& watches()
{
	static auto* map = new std::map<int, Watch*>;
	return *map;
}

void on_answer(void*)
{
	mirror().dispatch();
}

void on_left(uint32_t id, int socket)
{
	Watch* watch = nullptr;
	{
		std::lock_guard lock(watches_mutex);
		const auto it = watches().find(socket);
		if (it != watches().end()) {
			watch = it->second;
			watches().erase(it);
		}
	}
	if (watch != nullptr)
		watch->end();
	VMBUS_LOG(NOTICE, "secondary process %u left", id);
	for_each_driver([id](const Driver& driver) { driver.process_left(id); });
}

int on_join(const rte_mp_msg* message, const void* peer)
{
	rte_mp_msg answer{};
	std::snprintf(answer.name, sizeof(answer.name), "%s", kJoin);
	answer.len_param = sizeof(JoinReply);
	JoinReply reply{};
	if (message->num_fds != 1) {
		reply.error = EINVAL;
	} else {
		const int socket = message->fds[0];
		::fcntl(socket, F_SETFD, FD_CLOEXEC);
		{
			/* Before anybody can find that the process left, and close it. */
			std::lock_guard lock(watches_mutex);
			watches()[socket] = new Watch(socket, on_answer);
		}
		reply.id = mirror().join(socket);
		reply.base = mirror().base();
		reply.size = mirror().size();
	}
	std::memcpy(answer.param, &reply, sizeof(reply));
	const int rc = rte_mp_reply(&answer, static_cast<const char*>(peer));
	mirror().dispatch();
	return rc;
}

/* A secondary's side */

struct Joined {
	std::mutex mutex; /* one thread at a time takes over what comes */
	MirrorClient client;
	Watch* watch = nullptr;
	uint32_t id = 0;
	bool ending = false; /* of this process */
};

Joined& joined()
{
	static auto* j = new Joined;
	return *j;
}

void refresh()
{
	for_each_driver([](const Driver& driver) { driver.refresh(); });
}

void join_again(void*);

void on_news(void*)
{
	Joined& j = joined();
	std::lock_guard lock(j.mutex);
	if (j.ending || j.watch == nullptr)
		return;
	Error error = j.client.dispatch(refresh);
	if (!error)
		return;
	std::exchange(j.watch, nullptr)->end();
	VMBUS_LOG(NOTICE, "%s", error.what.c_str());
	for_each_driver([](const Driver& driver) { driver.lose(); });
	/* This process may just have been stopped for too long. */
	rte_eal_alarm_set(1, join_again, nullptr);
}

Error join_locked(Joined& j)
{
	int ends[2];
	if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return Error::system("socketpair");
	rte_mp_msg request{};
	std::snprintf(request.name, sizeof(request.name), "%s", kJoin);
	request.len_param = 0;
	request.num_fds = 1;
	request.fds[0] = ends[1];
	struct rte_mp_reply replies {}; /* also the name of a function */
	const timespec timeout{
		std::chrono::duration_cast<std::chrono::seconds>(kJoinTimeout).count(), 0};
	const int rc = rte_mp_request_sync(&request, &replies, &timeout);
	const int why = rte_errno;
	::close(ends[1]);
	JoinReply reply{};
	reply.error = rc != 0 ? why : ECONNREFUSED;
	if (rc == 0 && replies.nb_received == 1)
		std::memcpy(&reply, replies.msgs[0].param, sizeof(reply));
	std::free(replies.msgs);
	if (reply.error != 0) {
		::close(ends[0]);
		return {reply.error,
			std::string("the primary process does not let this one join: ") +
				std::strerror(reply.error)};
	}
	j.client.connect(ends[0]);
	if (Error error = j.client.reserve(reply.base, reply.size)) {
		j.client.disconnect();
		error.what += "; try another --base-virtaddr in the primary";
		return error;
	}
	j.id = reply.id;
	const uint64_t before = j.client.answered();
	const auto deadline = std::chrono::steady_clock::now() + kJoinTimeout;
	while (j.client.answered() == before) {
		if (Error error = j.client.dispatch([] {}))
			return error;
		if (std::chrono::steady_clock::now() >= deadline) {
			j.client.disconnect();
			return {ETIMEDOUT, "the primary process does not say what it shares"};
		}
		pollfd p{j.client.socket(), POLLIN, 0};
		::poll(&p, 1, 10);
	}
	j.watch = new Watch(j.client.socket(), on_news);
	return {};
}

void join_again(void*)
{
	Joined& j = joined();
	std::lock_guard lock(j.mutex);
	if (j.watch != nullptr || j.ending)
		return;
	if (Error error = join_locked(j))
		VMBUS_LOG(NOTICE, "%s", error.what.c_str());
	else
		for_each_driver([&j](const Driver& driver) {
			driver.joined(j.id);
			driver.refresh();
		});
}

} // namespace

Mirror& mirror()
{
	static auto* m = new Mirror;
	return *m;
}

Error open_to_processes()
{
	if (mirror().base() != 0)
		return {};
	if (Error error = mirror().reserve(behind_memory(), kMirrorSize))
		return error;
	mirror().set_on_left(on_left);
	if (rte_mp_action_register(kJoin, on_join) != 0 && rte_errno != ENOTSUP)
		VMBUS_LOG(WARNING, "secondary processes cannot join: %s", rte_strerror(rte_errno));
	return {};
}

Error join_primary(uint32_t& id)
{
	Joined& j = joined();
	std::lock_guard lock(j.mutex);
	Error error;
	if (j.watch == nullptr)
		error = join_locked(j);
	id = j.id;
	return error;
}

/* EAL takes its memory out of the address space next, and its interrupt thread goes on for a while.
 */
void leave_primary()
{
	Joined& j = joined();
	{
		std::lock_guard lock(j.mutex); /* whoever is at it comes to an end first */
		j.ending = true;
	}
	rte_eal_alarm_cancel(join_again, nullptr);
}

void sync_processes()
{
	mirror().sync(kSyncTimeout);
}

} // namespace vmbus::bus
