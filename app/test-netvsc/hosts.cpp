/* SPDX-License-Identifier: BSD-3-Clause */
/* Emulated hosts that a test steers. */
#include <unistd.h>

#include "support.hpp"

namespace scenario {

/* The host's end of a Wire. */
class WireEndpoint final : public netvsp::Endpoint {
      public:
	explicit WireEndpoint(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}

	bool send(const uint8_t* frame, uint32_t length) override
	{
		std::lock_guard lock(wire_->mutex_);
		if (!wire_->open_)
			return false;
		wire_->from_guest_.emplace_back(frame, frame + length);
		stats_.sent_frames++;
		stats_.sent_bytes += length;
		return true;
	}

	uint32_t receive(uint8_t* room, uint32_t capacity) override
	{
		std::lock_guard lock(wire_->mutex_);
		while (!wire_->to_guest_.empty()) {
			const Frame frame = std::move(wire_->to_guest_.front());
			wire_->to_guest_.pop_front();
			if (frame.size() > capacity) {
				stats_.dropped++;
				continue;
			}
			std::copy(frame.begin(), frame.end(), room);
			stats_.received_frames++;
			stats_.received_bytes += frame.size();
			return static_cast<uint32_t>(frame.size());
		}
		return 0;
	}

	bool to_vf(const uint8_t* frame, uint32_t length) override
	{
		std::lock_guard lock(wire_->vf_mutex_);
		return !wire_->vf_ || wire_->vf_(Frame(frame, frame + length));
	}

	/* The test has no descriptor to wake the host with. */
	int64_t wait_ns() const override { return 1000000; }

      private:
	const std::shared_ptr<Wire> wire_;
};

void Wire::inject(Frame frame)
{
	std::lock_guard lock(mutex_);
	to_guest_.push_back(std::move(frame));
}

size_t Wire::injected_left()
{
	std::lock_guard lock(mutex_);
	return to_guest_.size();
}

void Wire::open(bool take)
{
	std::lock_guard lock(mutex_);
	open_ = take;
}

void Wire::arrive(Frame frame)
{
	std::lock_guard lock(mutex_);
	from_guest_.push_back(std::move(frame));
}

void Wire::set_vf(std::function<bool(const Frame&)> vf)
{
	std::lock_guard lock(vf_mutex_);
	vf_ = std::move(vf);
}

std::vector<Frame> Wire::taken()
{
	std::lock_guard lock(mutex_);
	return from_guest_;
}

size_t Wire::taken_count()
{
	std::lock_guard lock(mutex_);
	return from_guest_.size();
}

static std::string fresh_path()
{
	static int number;
	return "/tmp/test-netvsc-" + std::to_string(::getpid()) + "-" + std::to_string(number++);
}

TestHost::TestHost(std::string where)
	: path(std::move(where)), host_(std::make_unique<netvsp::Host>())
{
}

TestHost::TestHost(netvsp::NicConfig config, std::shared_ptr<Wire> wire) : TestHost(fresh_path())
{
	nic = add(config, std::move(wire));
	listen();
}

std::unique_ptr<TestHost> TestHost::at(const std::string& path, const netvsp::NicConfig& config)
{
	std::unique_ptr<TestHost> made(new TestHost(path));
	made->nic = made->add(config);
	made->listen();
	return made;
}

void TestHost::listen()
{
	std::string error;
	if (!host_->listen(path, error))
		ADD_FAILURE() << error;
	host_->start();
}

TestHost::~TestHost() = default;

vmbus::Guid TestHost::add(const netvsp::NicConfig& wanted, std::shared_ptr<Wire> wire)
{
	netvsp::NicConfig config = wanted;
	if (config.profile.empty()) {
		config.profile = profile().name;
		config.queues = std::min(config.queues, profile().max_queues);
		if (config.mtu)
			config.mtu = std::min(*config.mtu, profile().max_mtu);
	}
	config.monitor |= UioDevices::monitored();
	vmbus::Guid guid{};
	std::string error;
	const bool good =
		wire == nullptr
			? host_->add_nic(config, guid, error)
			: host_->add_nic(config, std::make_unique<WireEndpoint>(std::move(wire)),
					 guid, error);
	if (!good)
		ADD_FAILURE() << error;
	return guid;
}

netvsp::NicStats TestHost::stats(const vmbus::Guid& guid)
{
	netvsp::NicStats stats;
	EXPECT_TRUE(host_->stats(guid, stats));
	return stats;
}

std::string TestHost::args(const std::string& more) const
{
	return "socket=" + path + ",timeout=5000" + (more.empty() ? "" : ",") + more;
}

void TestHost::die()
{
	host_.reset();
}

} // namespace scenario
