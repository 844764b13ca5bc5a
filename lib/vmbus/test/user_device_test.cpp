/* SPDX-License-Identifier: BSD-3-Clause */
#include "vmbus/user_device.hpp"

#include <poll.h>

#include <stdexcept>

#include "os/test/descriptors.hpp"
#include "user_host.hpp"

namespace vmbus::test {
namespace {

using namespace std::chrono_literals;
using os::test::open_descriptors;
using user::BufferSizes;
using user::Connection;
using user::Event;
using user::UserDevice;
using Request = UserHost::Request;

constexpr BufferSizes kSizes = {16384, 65536, 32768};
constexpr uint32_t kRegions = 4; /* control, receive, send, rings */

/* A host, a connection and the device that it offers first; offers of subchannels reach it. */
struct Fixture {
	explicit Fixture(UserHost::Script script = nullptr, Milliseconds timeout = 5000ms,
			 uint8_t monitor = 0xff)
		: host(std::move(script))
	{
		host.first_offers = {offer(1, 0, monitor)};
		const Error error = Connection::adopt(host.guest_fd(), false, timeout, connection);
		if (error)
			throw std::runtime_error(error.what);
		const auto events = connection->take_events();
		device = std::make_unique<UserDevice>(connection, events.at(0).offer, kSizes);
		connection->set_notify([this] {
			for (const Event& e : connection->take_events())
				if (e.kind == Event::kOffer && e.offer.subchannel_index != 0)
					device->add_subchannel(e.offer);
				else if (e.kind == Event::kRescind && e.relid == device->relid())
					device->mark_rescinded();
				else if (e.kind == Event::kRescind &&
					 !device->drop_subchannel(e.relid))
					connection->release_relid(e.relid);
		});
	}
	~Fixture() { connection->set_notify(nullptr); }
	/* Descriptors of this process, when the host has closed what it was only lent. */
	size_t descriptors()
	{
		host.settle();
		return open_descriptors();
	}
	/* Whether the host has nothing of the device, and this process nothing but the connection.
	 */
	void expect_nothing_left(size_t before)
	{
		EXPECT_EQ(descriptors(), before);
		EXPECT_EQ(host.memory_count(), 1u); /* the monitor page */
		EXPECT_EQ(host.gpadl_count(), 0u);
		EXPECT_EQ(host.open_count(), 0u);
	}
	UserHost host;
	std::shared_ptr<Connection> connection;
	std::unique_ptr<UserDevice> device;
};

bool readable(int fd)
{
	pollfd p{fd, POLLIN, 0};
	return ::poll(&p, 1, 0) == 1;
}

TEST(UserDevice, KnowsWhatTheOfferSaid)
{
	Fixture t;
	EXPECT_EQ(t.device->name(), "nic0");
	EXPECT_EQ(t.device->class_id().bytes[0], 0xc0);
	EXPECT_EQ(t.device->instance_id().bytes[0], 0x10);
	EXPECT_EQ(t.device->relid(), 1u);
	EXPECT_FALSE(t.device->is_open());
	EXPECT_FALSE(t.device->gone());
}

TEST(UserDevice, SharesLessOfTheReceiveBuffer)
{
	Fixture t;
	const size_t before = t.descriptors();
	ASSERT_FALSE(t.device->open(1000ms));
	Region whole = t.device->receive_buffer();
	whole.keep = nullptr;
	EXPECT_FALSE(t.device->limit_receive_buffer(whole.size));
	EXPECT_EQ(t.device->receive_buffer().gpadl, whole.gpadl);
	const Error error = t.device->limit_receive_buffer(32768);
	EXPECT_FALSE(error) << error.what;
	EXPECT_EQ(t.device->receive_buffer().size, 32768u);
	EXPECT_EQ(t.device->receive_buffer().data, whole.data);
	EXPECT_NE(t.device->receive_buffer().gpadl, whole.gpadl);
	EXPECT_EQ(t.device->gpa(whole.data + 32768), kGpaUnknown);
	EXPECT_EQ(t.host.gpadl_count(), 3u); /* receive, send, rings */
	t.device->close();
	t.expect_nothing_left(before);
}

TEST(UserDevice, OpenSharesBuffersAndRings)
{
	std::vector<std::pair<uint32_t, uint64_t>> gpadls; /* relid, size */
	uint32_t offset_pages = 0;
	std::vector<uint32_t> numbers;
	Fixture t([&](UserHost&, const Request& r) {
		if (r.type == kMsgGpadl) {
			gpadls.emplace_back(get32(r.bytes, 8), get64(r.bytes, 32));
			numbers.push_back(get32(r.bytes, 12));
		} else if (r.type == kMsgOpen) {
			offset_pages = get32(r.bytes, 20);
		}
		return false;
	});
	const size_t before = t.descriptors();
	const size_t offered = t.host.log().size();
	const Error error = t.device->open(1000ms);
	ASSERT_FALSE(error) << error.what;
	EXPECT_TRUE(t.device->is_open());
	EXPECT_EQ(gpadls, (std::vector<std::pair<uint32_t, uint64_t>>{
				  {1, 65536}, {1, 32768}, {1, 2 * 16384}}));
	EXPECT_EQ(offset_pages, 4u);
	EXPECT_EQ(t.host.memory_count(), 1 + kRegions);
	EXPECT_EQ(t.host.log().back(), uint32_t{kMsgOpen}); /* all else comes first */
	EXPECT_GT(t.host.log().size(), offered);
	EXPECT_EQ(t.device->receive_buffer().size, 65536u);
	EXPECT_EQ(t.device->receive_buffer().gpadl, numbers.at(0));
	EXPECT_EQ(t.device->send_buffer().size, 32768u);
	EXPECT_EQ(t.device->send_buffer().gpadl, numbers.at(1));
	EXPECT_GE(t.device->control_memory().size, 8192u);
	EXPECT_EQ(t.device->control_memory().gpadl, 0u);
	EXPECT_EQ(t.device->open(1000ms).code, EBUSY);
	EXPECT_TRUE(t.device->is_open());
	t.device->close();
	EXPECT_FALSE(t.device->is_open());
	t.expect_nothing_left(before);
	t.device->close(); /* harmless */
}

TEST(UserDevice, GuestPhysicalAddressesAreThoseTheHostWasTold)
{
	std::map<uint64_t, uint64_t> regions; /* gpa, size */
	Fixture t([&](UserHost&, const Request& r) {
		if (r.type == kMsgMemAdd)
			regions[get64(r.bytes, 8)] = get64(r.bytes, 16);
		return false;
	});
	ASSERT_FALSE(t.device->open(1000ms));
	uint64_t end = 0;
	for (const auto& [gpa, size] : regions) {
		EXPECT_GE(gpa, end); /* no two overlap */
		EXPECT_EQ(gpa % 4096, 0u);
		end = gpa + size;
	}
	for (const Region* r :
	     {&t.device->receive_buffer(), &t.device->send_buffer(), &t.device->control_memory()}) {
		const uint64_t gpa = t.device->gpa(r->data);
		ASSERT_TRUE(regions.count(gpa));
		EXPECT_EQ(regions[gpa], r->size);
		EXPECT_EQ(t.device->gpa(r->data + r->size - 1), gpa + r->size - 1);
	}
	int elsewhere = 0;
	EXPECT_EQ(t.device->gpa(&elsewhere), kGpaUnknown);
	const uint8_t* data = t.device->send_buffer().data;
	t.device->close();
	EXPECT_EQ(t.device->gpa(data), kGpaUnknown);
}

TEST(UserDevice, RingsAndSignalsReachTheHost)
{
	int guest = -1, other = -1;
	Fixture t([&](UserHost&, const Request& r) {
		if (r.type == kMsgOpen) {
			guest = ::dup(r.fds.at(0));
			other = ::dup(r.fds.at(1));
		}
		return false;
	});
	ASSERT_FALSE(t.device->open(1000ms));
	Channel& c = t.device->primary();
	EXPECT_EQ(c.relid, 1u);
	EXPECT_EQ(c.subchannel_index, 0);
	EXPECT_EQ(c.tx.size(), 16384u - 4096);
	EXPECT_EQ(c.rx.size(), 16384u - 4096);
	EXPECT_FALSE(readable(guest));
	c.doorbell.ring();
	EXPECT_TRUE(readable(guest));
	EXPECT_FALSE(readable(c.event_fd));
	const uint64_t one = 1;
	ASSERT_EQ(::write(other, &one, 8), 8);
	EXPECT_TRUE(readable(c.event_fd));
	::close(guest);
	::close(other);
}

TEST(UserDevice, MonitorIdIsUsedIfPossible)
{
	for (const int id : {0, 127, 128, 254, 255}) {
		int guest = -1;
		Fixture t(
			[&](UserHost&, const Request& r) {
				if (r.type == kMsgOpen)
					guest = ::dup(r.fds.at(0));
				return false;
			},
			5000ms, static_cast<uint8_t>(id));
		ASSERT_FALSE(t.device->open(1000ms));
		t.device->primary().doorbell.ring();
		const MonitorPage* page = t.connection->monitor_page();
		EXPECT_EQ(readable(guest), id > 127) << id;
		for (int group = 0; group < 4; group++)
			EXPECT_EQ(page->trigger_group[group].pending,
				  id <= 127 && id / 32 == group ? 1u << id % 32 : 0u);
		::close(guest);
	}
}

/* The Nth request of a type fails, by status or by silence: all that was made before goes. */
TEST(UserDevice, FailureAtAnyStepLeavesNothing)
{
	struct Step {
		uint32_t type;
		int number;
	};
	static constexpr Step kSteps[] = {{kMsgMemAdd, 1}, {kMsgMemAdd, 2}, {kMsgMemAdd, 3},
					  {kMsgMemAdd, 4}, {kMsgGpadl, 1},  {kMsgGpadl, 2},
					  {kMsgGpadl, 3},  {kMsgOpen, 1}};
	for (const Step& step : kSteps) {
		for (const bool silent : {false, true}) {
			std::atomic<int> count = -1000; /* the handshake's do not count */
			Fixture t(
				[&](UserHost& h, const Request& r) {
					if (r.type != step.type || ++count != step.number)
						return false;
					const Bytes& b = r.bytes;
					if (silent)
						return true;
					if (r.type == kMsgMemAdd)
						h.send(mem_result(get64(b, 8), 4));
					else
						h.send(message(r.type == kMsgGpadl
								       ? kMsgGpadlCreated
								       : kMsgOpenResult,
							       {get32(b, 8), get32(b, 12), 4, 0}));
					return true;
				},
				silent ? 400ms : 5000ms);
			const size_t before = t.descriptors();
			count = 0;
			const Error error = t.device->open(1000ms);
			EXPECT_EQ(error.code, silent ? ETIMEDOUT : EPROTO)
				<< step.type << " " << step.number << " " << error.what;
			EXPECT_FALSE(t.device->is_open());
			(void)t.host.saw(kMsgClose, step.type == kMsgOpen ? 1 : 0);
			t.expect_nothing_left(before);
			count = -1000;
			EXPECT_FALSE(t.device->open(1000ms)); /* and it can be tried again */
			t.device->close();
			t.expect_nothing_left(before);
		}
	}
}

TEST(UserDevice, ReopenWorksAndMemoryMayOutliveTheDevice)
{
	Fixture t;
	std::shared_ptr<void> keep;
	uint8_t* data = nullptr;
	for (int i = 0; i < 3; i++) {
		ASSERT_FALSE(t.device->open(1000ms));
		EXPECT_EQ(t.device->receive_buffer().data[0], 0);
		keep = t.device->receive_buffer().keep;
		data = t.device->receive_buffer().data;
		data[0] = 7;
		t.device->close();
		EXPECT_EQ(t.host.memory_count(), 1u);
	}
	t.device.reset();
	EXPECT_EQ(data[0], 7); /* an application still looks at a frame */
}

TEST(UserDevice, RescindedDeviceIsGoneAndCloses)
{
	Fixture t;
	const size_t before = t.descriptors();
	ASSERT_FALSE(t.device->open(1000ms));
	t.host.send(message(kMsgRescind, {1, 0}));
	t.connection->dispatch();
	EXPECT_TRUE(t.device->gone());
	t.device->close();
	t.device->release();
	EXPECT_TRUE(t.host.saw(kMsgReleased));
	EXPECT_EQ(t.host.released(), (std::set<uint32_t>{1}));
	t.expect_nothing_left(before);
	EXPECT_EQ(t.device->open(1000ms).code, ENODEV);
}

TEST(UserDevice, HostThatIsGoneIsNotWaitedFor)
{
	Fixture t;
	ASSERT_FALSE(t.device->open(1000ms));
	t.host.stop();
	t.connection->dispatch();
	EXPECT_TRUE(t.device->gone());
	const auto began = std::chrono::steady_clock::now();
	t.device->close();
	t.device->release();
	EXPECT_LT(std::chrono::steady_clock::now() - began, 4s);
	EXPECT_FALSE(t.device->is_open());
	EXPECT_EQ(t.device->open(1000ms).code, ENODEV);
}

TEST(UserDevice, SubchannelsWaitForTheirOffer)
{
	Fixture t;
	const size_t before = t.descriptors();
	ASSERT_FALSE(t.device->open(1000ms));
	std::thread late([&] {
		std::this_thread::sleep_for(30ms);
		t.host.send(offer(12, 2));
		t.host.send(offer(11, 1));
	});
	Channel* first = nullptr;
	Channel* second = nullptr;
	Error error = t.device->open_subchannel(1, 5000ms, first);
	late.join();
	ASSERT_FALSE(error) << error.what;
	error = t.device->open_subchannel(2, 5000ms, second);
	ASSERT_FALSE(error) << error.what;
	EXPECT_EQ(first->relid, 11u);
	EXPECT_EQ(first->subchannel_index, 1);
	EXPECT_EQ(second->relid, 12u);
	EXPECT_NE(first->event_fd, second->event_fd);
	EXPECT_EQ(t.device->primary().relid, 1u);
	EXPECT_EQ(t.host.open_count(), 3u);
	t.device->close();
	t.expect_nothing_left(before);
}

TEST(UserDevice, SubchannelsCloseBeforeThePrimary)
{
	std::vector<uint32_t> closed;
	std::atomic<bool> torn_first = false;
	Fixture t([&](UserHost&, const Request& r) {
		if (r.type == kMsgClose)
			closed.push_back(get32(r.bytes, 8));
		if (r.type == kMsgTeardown && closed.empty())
			torn_first = true; /* the ring's memory must not go before the channel */
		return false;
	});
	ASSERT_FALSE(t.device->open(1000ms));
	t.host.send(offer(11, 1));
	Channel* channel = nullptr;
	ASSERT_FALSE(t.device->open_subchannel(1, 5000ms, channel));
	t.device->close();
	EXPECT_EQ(closed, (std::vector<uint32_t>{11, 1}));
	EXPECT_FALSE(torn_first);
}

TEST(UserDevice, SubchannelThatIsNotOfferedTimesOut)
{
	Fixture t;
	ASSERT_FALSE(t.device->open(1000ms));
	const size_t before = t.descriptors();
	t.host.send(offer(12, 2));
	Channel* channel = reinterpret_cast<Channel*>(&t);
	const auto began = std::chrono::steady_clock::now();
	const Error error = t.device->open_subchannel(1, 60ms, channel);
	const auto took = std::chrono::steady_clock::now() - began;
	EXPECT_EQ(error.code, ETIMEDOUT);
	EXPECT_EQ(channel, nullptr);
	EXPECT_GE(took, 60ms);
	EXPECT_LT(took, 10s);
	EXPECT_EQ(t.descriptors(), before);
	EXPECT_TRUE(t.device->is_open());
}

TEST(UserDevice, SubchannelOfADeviceThatGoesIsNotWaitedFor)
{
	Fixture t;
	ASSERT_FALSE(t.device->open(1000ms));
	t.host.send(offer(11, 1));
	t.host.send(message(kMsgRescind, {11, 0})); /* taken back before it was used */
	t.host.send(message(kMsgRescind, {1, 0}));
	Channel* channel = nullptr;
	EXPECT_EQ(t.device->open_subchannel(2, 10000ms, channel).code, ENODEV);
	EXPECT_EQ(channel, nullptr);
}

/* A host forgets a channel when it is released: closing it afterwards breaks the protocol. */
TEST(UserDevice, RescindedSubchannelsAreClosedBeforeTheyAreReleased)
{
	Fixture t;
	ASSERT_FALSE(t.device->open(1000ms));
	t.host.send(offer(11, 1));
	t.host.send(offer(12, 2));
	Channel* channel = nullptr;
	ASSERT_FALSE(t.device->open_subchannel(1, 5000ms, channel));
	t.host.send(message(kMsgRescind, {1, 0}));
	t.host.send(message(kMsgRescind, {11, 0}));
	t.host.send(message(kMsgRescind, {12, 0}));
	t.connection->dispatch();
	EXPECT_TRUE(t.host.saw(kMsgReleased, 1));
	EXPECT_EQ(t.host.released(), (std::set<uint32_t>{12})) << "the one that is not open";
	t.device->close();
	EXPECT_EQ(t.host.open_count(), 0u);
	t.device->release();
	EXPECT_TRUE(t.host.saw(kMsgReleased, 3));
	EXPECT_EQ(t.host.released(), (std::set<uint32_t>{1, 11, 12}));
}

TEST(UserDevice, SubchannelThatFailsToOpenLeavesThePrimary)
{
	Fixture t([](UserHost& h, const Request& r) {
		if (r.type != kMsgOpen || get32(r.bytes, 8) == 1)
			return false;
		h.send(message(kMsgOpenResult, {get32(r.bytes, 8), get32(r.bytes, 12), 5, 0}));
		return true;
	});
	ASSERT_FALSE(t.device->open(1000ms));
	const size_t before = t.descriptors();
	t.host.send(offer(11, 1));
	Channel* channel = nullptr;
	EXPECT_EQ(t.device->open_subchannel(1, 5000ms, channel).code, EPROTO);
	EXPECT_EQ(channel, nullptr);
	EXPECT_EQ(t.host.memory_count(), 1 + kRegions);
	EXPECT_EQ(t.host.gpadl_count(), 3u);
	EXPECT_EQ(t.descriptors(), before);
	EXPECT_TRUE(t.device->is_open());
	EXPECT_EQ(t.device->primary().relid, 1u);
}

TEST(UserDevice, ReleaseCoversSubchannelsThatWereNeverOpened)
{
	Fixture t;
	t.host.send(offer(11, 1));
	t.host.send(offer(12, 2));
	t.host.send(message(kMsgRescind, {1, 0}));
	t.connection->dispatch();
	t.device->close();
	t.device->release();
	EXPECT_TRUE(t.host.saw(kMsgReleased, 3));
	EXPECT_EQ(t.host.released(), (std::set<uint32_t>{1, 11, 12}));
}

} // namespace
} // namespace vmbus::test
