/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What dpdk-telemetry.py shows of a port: what was agreed with the host, and each channel's rings.
 * Called on a thread of the telemetry library's, at any moment of what the application does.
 */
#include <algorithm>
#include <charconv>

#include "netvsc.hpp"
#include "os/numa.hpp"

namespace netvsc {

namespace {

std::mutex list_lock; /* held while a port is looked at: it stays for so long */
std::vector<Port*>& ports()
{
	static auto* list = new std::vector<Port*>;
	return *list;
}

void add(rte_tel_data* d, const char* name, uint64_t value)
{
	rte_tel_data_add_dict_unsigned(d, name, value);
}

void add(rte_tel_data* d, const char* name, const std::string& value)
{
	rte_tel_data_add_dict_string(d, name, value.c_str());
}

/* NUMA node of the page at this address, where the kernel tells. */
void add_node(rte_tel_data* d, const char* name, const void* address)
{
	const int node = os::numa_node_of(address);
	if (node >= 0)
		rte_tel_data_add_dict_int(d, name, node);
}

/* @return the numbers in "1" or "1,2"; false: there are not just as many */
template <size_t kCount> bool parse(const char* text, std::array<uint32_t, kCount>& out)
{
	if (text == nullptr)
		return false;
	const char* const end = text + std::strlen(text);
	for (size_t i = 0; i < kCount; i++) {
		const auto [at, rc] = std::from_chars(text, end, out[i]);
		if (rc != std::errc() || (i + 1 < kCount ? *at != ',' : at != end))
			return false;
		text = at + 1;
	}
	return true;
}

template <class Show> int show(uint32_t id, Show&& f)
{
	std::lock_guard lock(list_lock);
	for (Port* port : ports())
		if (port->ethdev->data->port_id == id)
			return f(*port);
	return -ENODEV;
}

int list(const char*, const char*, rte_tel_data* d)
{
	rte_tel_data_start_array(d, RTE_TEL_INT_VAL);
	std::lock_guard lock(list_lock);
	for (const Port* port : ports())
		rte_tel_data_add_array_int(d, port->ethdev->data->port_id);
	return 0;
}

void describe(rte_tel_data* d, const HostInfo& info)
{
	add(d, "version", version_text(info));
	add(d, "mtu", info.mtu);
	add(d, "receive_begin", info.receive_begin);
	add(d, "receive_end", info.receive_end);
	add(d, "receive_suballocations", info.receive_suballocations);
	add(d, "send_sections", info.section_count);
	add(d, "send_section_size", info.section_size);
	add(d, "max_frames_per_packet", info.max_frames_per_packet);
	add(d, "alignment", info.alignment);
	add(d, "rss_queues", info.rss.queues);
	add(d, "rss_table_size", info.rss.table_size);
	add(d, "rss_hash_types", info.rss.hash_types);
	add(d, "rx_checksum", info.offload.rx_checksum);
	add(d, "tx_checksum", info.offload.tx_checksum);
	add(d, "lso4_max", info.offload.lso4_max);
	add(d, "lso6_max", info.offload.lso6_max);
	add(d, "rsc", info.offload.rsc4 && info.offload.rsc6);
}

int port_info(const char*, const char* parameters, rte_tel_data* d)
{
	std::array<uint32_t, 1> id;
	if (!parse(parameters, id))
		return -EINVAL;
	return show(id[0], [d](Port& port) {
		rte_tel_data_start_dict(d);
		add(d, "name", port.name());
		add(d, "device", port.bus_device.device->name());
		add(d, "gone", port.gone);
		add(d, "running", port.running);
		rte_tel_data_add_dict_int(d, "numa_node", port.bus_device.device->numa_node());
		const bool seen = port.session.inspect([&] {
			describe(d, port.session.info());
			add(d, "channels", port.session.queue_count());
			add(d, "link_up", port.session.link_up());
			add(d, "link_bps", port.session.speed_bps());
			const vmbus::Device& device = port.session.device();
			add_node(d, "receive_buffer_node", device.receive_buffer().data);
			add_node(d, "send_buffer_node", device.send_buffer().data);
		});
		add(d, "connected", seen);
		return 0;
	});
}

void describe(rte_tel_data* d, const std::string& which, const vmbus::RingState& ring)
{
	add(d, (which + "_bytes").c_str(), ring.size);
	add(d, (which + "_in").c_str(), ring.in);
	add(d, (which + "_out").c_str(), ring.out);
	add(d, (which + "_mask").c_str(), ring.interrupt_mask);
	add(d, (which + "_pending_send").c_str(), ring.pending_send_size);
	add(d, (which + "_broken").c_str(), ring.broken);
	add_node(d, (which + "_node").c_str(), ring.data);
}

int channel_info(const char*, const char* parameters, rte_tel_data* d)
{
	std::array<uint32_t, 2> ids;
	if (!parse(parameters, ids))
		return -EINVAL;
	return show(ids[0], [d, index = ids[1]](Port& port) {
		int rc = -ENODEV;
		port.session.inspect([&] {
			if (index >= port.session.queue_count())
				return;
			const Queue& queue = port.session.queue(index);
			rte_tel_data_start_dict(d);
			add(d, "relid", queue.channel->relid);
			add(d, "subchannel", queue.channel->subchannel_index);
			add(d, "armed", queue.channel->armed);
			describe(d, "rx", queue.channel->rx.state());
			describe(d, "tx", queue.channel->tx.state());
			if (queue.tx.slots() != 0) {
				add(d, "tx_in_flight", queue.tx.in_flight());
				add(d, "tx_free_sections", queue.tx.free_sections());
				add(d, "tx_free_direct", queue.tx.free_direct());
			}
			rc = 0;
		});
		return rc;
	});
}

} // namespace

void telemetry_add(Port& port)
{
	std::lock_guard lock(list_lock);
	ports().push_back(&port);
}

void telemetry_remove(Port& port)
{
	std::lock_guard lock(list_lock);
	std::erase(ports(), &port);
}

RTE_INIT(register_telemetry)
{
	rte_telemetry_register_cmd("/netvsc/list", list, "Ports of this driver. No parameters");
	rte_telemetry_register_cmd("/netvsc/port", port_info,
				   "What a port agreed on with its host. Parameters: port id");
	rte_telemetry_register_cmd("/netvsc/channel", channel_info,
				   "A channel's rings. Parameters: port id, channel");
}

} // namespace netvsc
