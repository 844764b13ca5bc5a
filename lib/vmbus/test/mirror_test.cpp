/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory and descriptors that a second process gets: real processes. */
#include "vmbus/mirror.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <thread>

#include "os/socket.hpp"
#include "os/test/descriptors.hpp"
#include "vmbus/descriptor_table.hpp"
#include "vmbus/shared_memory.hpp"

namespace vmbus::test {
namespace {

using namespace std::chrono_literals;
using os::test::open_descriptors;

constexpr size_t kSize = 1 << 20;
#ifdef __SANITIZE_ADDRESS__
constexpr uintptr_t kHint = uintptr_t{0x2000} << 32; /* its shadow lies below */
#else
constexpr uintptr_t kHint = uintptr_t{3} << 32;
#endif

/* A child that joins and does what the owner says until it is told to stop, or is killed. */
struct Child {
	/** @param refresh called in the child; false makes it end with an error */
	Child(Mirror& owner, std::function<bool(MirrorClient&)> refresh)
	{
		int ends[2];
		if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
			return;
		const uintptr_t base = owner.base();
		const size_t size = owner.size();
		pid = ::fork();
		if (pid == 0) {
			::close(ends[0]);
			/* What a process that was not forked does not have. */
			::munmap(reinterpret_cast<void*>(base), size);
			::_exit(run(base, size, ends[1], refresh));
		}
		::close(ends[1]);
		id = owner.join(ends[0]);
	}
	~Child()
	{
		if (pid > 0) {
			::kill(pid, SIGKILL);
			::kill(pid, SIGCONT);
			::waitpid(pid, nullptr, 0);
		}
	}
	static int run(uintptr_t base, size_t size, int socket,
		       const std::function<bool(MirrorClient&)>& refresh)
	{
		MirrorClient client;
		if (client.reserve(base, size))
			return 2;
		client.connect(socket);
		bool good = true;
		for (;;) {
			pollfd p{client.socket(), POLLIN, 0};
			::poll(&p, 1, 10000);
			if (client.dispatch([&] { good = good && refresh(client); }))
				return good ? 0 : 3;
		}
	}
	/** The child ends because the owner is gone. @return its exit code */
	int end()
	{
		int status = -1;
		::waitpid(std::exchange(pid, -1), &status, 0);
		return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	pid_t pid = -1;
	uint32_t id = 0;
};

TEST(Mirror, AddressesAreUsedAgain)
{
	Mirror mirror;
	ASSERT_FALSE(mirror.reserve(kHint, kSize));
	std::vector<std::shared_ptr<SharedMemory>> all(4);
	for (auto& memory : all)
		ASSERT_FALSE(SharedMemory::create("test", kSize / 4, memory, &mirror));
	for (auto& memory : all) {
		const auto at = reinterpret_cast<uintptr_t>(memory->data());
		EXPECT_GE(at, mirror.base());
		EXPECT_LE(at + memory->size(), mirror.base() + mirror.size());
		memory->data()[memory->size() - 1] = 1;
	}
	std::shared_ptr<SharedMemory> more;
	EXPECT_EQ(SharedMemory::create("test", 4096, more, &mirror).code, ENOMEM);
	/* Whatever the order in which they go, one piece of addresses is left. */
	for (const size_t i : {size_t{2}, size_t{0}, size_t{3}, size_t{1}})
		all[i].reset();
	ASSERT_FALSE(SharedMemory::create("test", kSize, more, &mirror));
	EXPECT_EQ(more->data()[kSize / 4 - 1], 0) << "new memory, not the old";
}

TEST(Mirror, TakenAddressesAreLeftAlone)
{
	void* taken = ::mmap(reinterpret_cast<void*>(kHint), 4096, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ASSERT_NE(taken, MAP_FAILED);
	std::memset(taken, 0x5a, 4096);
	Mirror mirror;
	ASSERT_FALSE(mirror.reserve(kHint, kSize));
	EXPECT_NE(mirror.base(), kHint);
	MirrorClient client;
	EXPECT_EQ(client.reserve(kHint, kSize).code, EADDRINUSE);
	EXPECT_EQ(static_cast<uint8_t*>(taken)[0], 0x5a);
	::munmap(taken, 4096);
}

TEST(Mirror, ProcessHasWhatWasThereAndWhatComes)
{
	Mirror mirror;
	ASSERT_FALSE(mirror.reserve(kHint, kSize));
	std::shared_ptr<SharedMemory> before, after;
	ASSERT_FALSE(SharedMemory::create("test", 4096, before, &mirror));
	const int event = ::eventfd(0, EFD_NONBLOCK);
	DescriptorSlot slot;
	ASSERT_FALSE(slot.take(event));
	mirror.add(slot.number(), event);
	auto* first = reinterpret_cast<volatile uint32_t*>(before->data());
	first[0] = 1;
	/* In the child: adds one to each word that it is shown, and signals. */
	Child child(mirror, [&](MirrorClient&) {
		auto* words = reinterpret_cast<volatile uint32_t*>(mirror.base());
		words[0]++;
		if (words[0] == 3)
			words[1024]++; /* the second page is there by now */
		const uint64_t one = 1;
		return ::write(descriptor_table.at(slot.number()), &one, 8) == 8;
	});
	EXPECT_GE(child.id, 2u);
	mirror.sync(10s);
	EXPECT_EQ(first[0], 2u);
	uint64_t signals = 0;
	EXPECT_EQ(::read(event, &signals, 8), 8);
	EXPECT_EQ(signals, 1u);

	ASSERT_FALSE(SharedMemory::create("test", 4096, after, &mirror));
	ASSERT_EQ(after->data(), before->data() + 4096);
	mirror.sync(10s);
	EXPECT_EQ(reinterpret_cast<volatile uint32_t*>(after->data())[0], 1u);
	EXPECT_EQ(mirror.count(), 1u);
	::close(event);
}

TEST(Mirror, MemoryOfAnotherGenerationReplacesTheOld)
{
	Mirror mirror;
	ASSERT_FALSE(mirror.reserve(kHint, kSize));
	std::shared_ptr<SharedMemory> memory;
	ASSERT_FALSE(SharedMemory::create("test", 4096, memory, &mirror));
	Child child(mirror, [&](MirrorClient&) {
		(*reinterpret_cast<volatile uint32_t*>(mirror.base()))++;
		return true;
	});
	mirror.sync(10s);
	for (uint32_t i = 0; i < 100; i++) {
		memory.reset();
		ASSERT_FALSE(SharedMemory::create("test", 4096, memory, &mirror));
		mirror.sync(10s);
		ASSERT_EQ(*reinterpret_cast<volatile uint32_t*>(memory->data()), 1u);
	}
	EXPECT_EQ(mirror.count(), 1u);
}

TEST(Mirror, HundredsOfDescriptorsArrive)
{
	static constexpr uint32_t kCount = 300;
	const size_t open = open_descriptors();
	{
		Mirror mirror;
		ASSERT_FALSE(mirror.reserve(kHint, kCount * 4096));
		std::vector<std::shared_ptr<SharedMemory>> all(kCount);
		for (auto& memory : all)
			ASSERT_FALSE(SharedMemory::create("test", 4096, memory, &mirror));
		Child child(mirror, [&](MirrorClient&) {
			for (uint32_t i = 0; i < kCount; i++)
				*reinterpret_cast<volatile uint32_t*>(mirror.base() + i * 4096) =
					i + 1;
			return true;
		});
		mirror.sync(10s);
		for (uint32_t i = 0; i < kCount; i++)
			ASSERT_EQ(*reinterpret_cast<volatile uint32_t*>(all[i]->data()), i + 1);
	}
	EXPECT_EQ(open_descriptors(), open);
}

TEST(Mirror, KilledProcessIsNoticedAndHoldsNobodyUp)
{
	Mirror mirror;
	ASSERT_FALSE(mirror.reserve(kHint, kSize));
	std::vector<uint32_t> left;
	mirror.set_on_left([&](uint32_t id, int) { left.push_back(id); });
	Child one(mirror, [](MirrorClient&) { return true; });
	Child two(mirror, [](MirrorClient&) { return true; });
	EXPECT_NE(one.id, two.id);
	mirror.sync(10s);
	ASSERT_EQ(::kill(one.pid, SIGKILL), 0);
	const auto deadline = std::chrono::steady_clock::now() + 10s;
	while (left.empty() && std::chrono::steady_clock::now() < deadline) {
		mirror.dispatch();
		std::this_thread::sleep_for(1ms);
	}
	EXPECT_EQ(left, std::vector<uint32_t>{one.id});
	mirror.sync(10s);
	EXPECT_EQ(mirror.count(), 1u);
	Child three(mirror, [](MirrorClient&) { return true; });
	EXPECT_EQ(three.id, one.id) << "the number is free again";
}

TEST(Mirror, StoppedProcessIsGivenUpAndToldWhenItWakes)
{
	Mirror mirror;
	ASSERT_FALSE(mirror.reserve(kHint, kSize));
	uint32_t left = 0;
	mirror.set_on_left([&](uint32_t, int) { left++; });
	Child child(mirror, [](MirrorClient&) { return true; });
	mirror.sync(10s);
	ASSERT_EQ(::kill(child.pid, SIGSTOP), 0);
	/* However much there is to be told: nothing of it waits for the process. */
	for (uint32_t i = 0; i < 2000; i++) {
		std::shared_ptr<SharedMemory> memory;
		ASSERT_FALSE(SharedMemory::create("test", 4096, memory, &mirror));
		mirror.notify();
	}
	EXPECT_EQ(left, 0u);
	mirror.sync(50ms);
	EXPECT_EQ(left, 1u);
	EXPECT_EQ(mirror.count(), 0u);
	ASSERT_EQ(::kill(child.pid, SIGCONT), 0);
	EXPECT_EQ(child.end(), 0);
}

TEST(Mirror, OwnersEndIsAnErrorOfTheClient)
{
	auto mirror = std::make_unique<Mirror>();
	ASSERT_FALSE(mirror->reserve(kHint, kSize));
	Child child(*mirror, [](MirrorClient&) { return true; });
	mirror->sync(10s);
	mirror.reset();
	EXPECT_EQ(child.end(), 0);
}

TEST(MirrorClient, NonsenseIsRefused)
{
	struct Change {
		uint32_t kind, slot;
		uint64_t address, size;
	};
	struct Message {
		uint64_t sync, count;
		Change change;
	};
	for (const Message& m :
	     {Message{1, 1, {1, 0, kHint - 4096, 4096}}, /* outside of the addresses */
	      Message{1, 1, {1, 0, kHint, 2 * kSize}},
	      Message{1, 1, {1, 0, kHint + kSize - 4096, 8192}},
	      Message{1, 1, {1, 0, kHint + 4096, ~uint64_t{0}}}, Message{1, 1, {2, 0, kHint, 0}},
	      Message{1, 1, {1, 0, kHint, 4096}},			/* without a descriptor */
	      Message{1, 1, {3, 1, 0, 0}}, Message{1, 1, {4, 0, 0, 0}}, /* impossible slots */
	      Message{1, 1, {4, kDescriptorSlots, 0, 0}},
	      Message{1, 2, {4, 1, 0, 0}}, /* counts that are not the length's */
	      Message{1, ~uint64_t{0}, {4, 1, 0, 0}}}) {
		int ends[2];
		ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
		MirrorClient client;
		ASSERT_FALSE(client.reserve(kHint, kSize));
		client.connect(ends[0]);
		ASSERT_EQ(os::send_message(ends[1], &m, sizeof(m), 0),
			  static_cast<ssize_t>(sizeof(m)));
		bool refreshed = false;
		EXPECT_EQ(client.dispatch([&] { refreshed = true; }).code, EPROTO)
			<< m.change.kind << " " << m.change.address << " " << m.change.size;
		EXPECT_FALSE(refreshed);
		EXPECT_EQ(client.socket(), -1);
		::close(ends[1]);
	}
}

} // namespace
} // namespace vmbus::test
