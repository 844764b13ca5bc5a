/* SPDX-License-Identifier: BSD-3-Clause */
#include "cases.hpp"

#include <rte_config.h>

namespace bench {

namespace {

constexpr uint32_t kSizes[] = {64, 128, 256, 512, 1024, 1518};
constexpr uint32_t kLargeSend = 32000;
constexpr uint32_t kJumbo = 9000;

constexpr struct {
	const char* name;
	Direction direction;
} kDirections[] = {{"rx", Direction::kRx}, {"tx", Direction::kTx}, {"io", Direction::kIo}};

std::string text(uint32_t number)
{
	return std::to_string(number);
}

Group copies()
{
	Group group{"copy", "", 1, {}};
	auto add = [&](Case c) { group.cases.push_back(std::move(c)); };
	for (const auto& [name, direction] : kDirections) {
		const std::string way = std::string(name) + "/";
		for (uint32_t size : kSizes)
			add({.name = way + text(size), .direction = direction, .size = size});
		add({.name = way + "imix", .direction = direction, .size = kImix});
		add({.name = way + text(kJumbo),
		     .direction = direction,
		     .size = kJumbo,
		     .segments = 5,
		     .chained = true});
		for (uint32_t burst : {1u, 4u, 64u})
			add({.name = way + "64/burst" + text(burst),
			     .direction = direction,
			     .size = 64,
			     .burst = burst});
		for (uint32_t size : {64u, 1514u})
			if (direction != Direction::kIo) /* a forwarder would have to ask anew */
				add({.name = way + text(size) + "/checksum+vlan",
				     .direction = direction,
				     .size = size,
				     .offload = Offload::kChecksumVlan});
	}
	for (uint32_t size : {64u, 1518u})
		add({.name = "tx/" + text(size) + "/chain",
		     .direction = Direction::kTx,
		     .size = size,
		     .segments = 3});
	add({.name = "tx/" + text(kLargeSend) + "/tso",
	     .direction = Direction::kTx,
	     .size = kLargeSend,
	     .offload = Offload::kTso,
	     .segments = 16});
	for (uint32_t lcores : {1u, 2u})
		add({.name = "both/64/lcores" + text(lcores),
		     .direction = Direction::kBoth,
		     .size = 64,
		     .lcores = lcores});
	return group;
}

Group externals()
{
	Group group{"external", "rx_extmbuf_enable=1,rx_copybreak=0,tx_copybreak=0", 1, {}};
	for (uint32_t size : {64u, 512u, 1518u}) {
		group.cases.push_back({.name = "rx/" + text(size) + "/external",
				       .direction = Direction::kRx,
				       .size = size,
				       .external = true});
		group.cases.push_back({.name = "tx/" + text(size) + "/external",
				       .direction = Direction::kTx,
				       .size = size,
				       .external = true});
	}
	return group;
}

/* Whether many cost more than one: a queue has as many frames waiting, however many there are. */
constexpr uint32_t kEach = 32;

Group queues(uint32_t count)
{
	Group group{"queues" + text(count), "", 1, {}};
	for (const auto& [name, direction] : kDirections)
		group.cases.push_back({.name = std::string(name) + "/64/queues" + text(count),
				       .direction = direction,
				       .size = 64,
				       .queues = count,
				       .rss = true,
				       .each = kEach});
	return group;
}

/* Without cases where DPDK was built for fewer. */
Group ports(uint32_t count)
{
	Group group{"ports" + text(count), "", count, {}};
	if (count > RTE_MAX_ETHPORTS)
		return group;
	group.cases.push_back({.name = "io/64/ports" + text(count),
			       .direction = Direction::kIo,
			       .size = 64,
			       .ports = count,
			       .each = kEach});
	return group;
}

} // namespace

const std::vector<Group>& groups()
{
	static const std::vector<Group> all = {copies(),  externals(), queues(1),
					       queues(4), queues(16),  ports(1),
					       ports(8),  ports(32),   ports(64)};
	return all;
}

} // namespace bench
