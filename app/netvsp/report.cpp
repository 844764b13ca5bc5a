/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.hpp"

#include <cinttypes>
#include <cstdio>
#include <ctime>

namespace netvsp::app {

namespace {

double seconds_now()
{
	timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return double(now.tv_sec) + double(now.tv_nsec) * 1e-9;
}

struct Counter {
	const char* name;
	uint64_t value;
	bool hex = false;
};

/* Every number of a NIC, in the order in which people look for them. */
std::vector<Counter> counters(const NicStats& stats)
{
	return {
		{"tx_packets", stats.tx_packets},
		{"tx_frames", stats.tx_frames},
		{"tx_errors", stats.tx_errors},
		{"tx_csum", stats.tx_csum},
		{"tx_csum_undone", stats.tx_csum_undone},
		{"tx_lso", stats.tx_lso},
		{"tx_lso_oversize", stats.tx_lso_oversize},
		{"tx_segments", stats.tx_segments},
		{"tx_vlan", stats.tx_vlan},
		{"tx_not_enabled", stats.tx_not_enabled},
		{"tx_unseeded", stats.tx_unseeded},
		{"rx_packets", stats.rx_packets},
		{"rx_frames", stats.rx_frames},
		{"rx_filtered", stats.rx_filtered},
		{"rx_csum_bad", stats.rx_csum_bad},
		{"rx_vlan", stats.rx_vlan},
		{"rx_rsc", stats.rx_rsc},
		{"rx_rsc_frames", stats.rx_rsc_frames},
		{"rx_to_vf", stats.rx_to_vf},
		{"busy_ns", stats.busy_ns},
		{"idle_ns", stats.idle_ns},
		{"rx_no_buffer", stats.rx_no_buffer},
		{"rx_dropped", stats.rx_dropped},
		{"interrupts", stats.interrupts},
		{"protocol_errors", stats.protocol_errors},
		{"suballocations_in_use", stats.suballocations_in_use},
		{"channels_open", stats.channels_open},
		{"nvsp_version", stats.nvsp_version, true},
		{"ndis_version", stats.ndis_version, true},
		{"capabilities", stats.capabilities, true},
		{"packet_filter", stats.packet_filter, true},
		{"mtu", stats.mtu},
		{"endpoint_sent_frames", stats.endpoint.sent_frames},
		{"endpoint_sent_bytes", stats.endpoint.sent_bytes},
		{"endpoint_received_frames", stats.endpoint.received_frames},
		{"endpoint_received_bytes", stats.endpoint.received_bytes},
		{"endpoint_sent_large", stats.endpoint.sent_large},
		{"endpoint_received_large", stats.endpoint.received_large},
		{"endpoint_dropped", stats.endpoint.dropped},
		{"endpoint_errors", stats.endpoint.errors},
		{"endpoint_rtt_count", stats.endpoint.round_trips},
		{"endpoint_rtt_p50_ns", stats.endpoint.rtt_p50_ns},
		{"endpoint_rtt_p99_ns", stats.endpoint.rtt_p99_ns},
		{"endpoint_rtt_p999_ns", stats.endpoint.rtt_p999_ns},
		{"verified", stats.endpoint.verified},
		{"lost", stats.endpoint.lost},
		{"reordered", stats.endpoint.reordered},
		{"corrupted", stats.endpoint.corrupted},
		{"foreign", stats.endpoint.foreign},
	};
}

std::string quoted(const std::string& text)
{
	std::string result = "\"";

	for (const char c : text) {
		if (c == '"' || c == '\\') {
			result += '\\';
			result += c;
		} else if (static_cast<unsigned char>(c) < ' ') {
			char escape[8];

			snprintf(escape, sizeof(escape), "\\u%04x", unsigned(c));
			result += escape;
		} else {
			result += c;
		}
	}
	return result + '"';
}

} // namespace

Report::Report(Host& host, bool json, FILE* out)
	: host_(host), json_(json), out_(out), start_(seconds_now()), last_(start_)
{
}

void Report::add(const std::string& name, const vmbus::Guid& instance)
{
	nics_.push_back({name, instance, {}, {}});
}

double Report::collect()
{
	for (Nic& nic : nics_)
		host_.stats(nic.instance, nic.stats);
	return seconds_now();
}

void Report::print_json(const char* event, double seconds) const
{
	const char* separator = "";

	fprintf(out_, "{\"event\":\"%s\",\"seconds\":%.6f,\"nics\":[", event, seconds);
	for (const Nic& nic : nics_) {
		fprintf(out_, "%s{\"name\":%s", separator, quoted(nic.name).c_str());
		for (const Counter& counter : counters(nic.stats))
			fprintf(out_, ",\"%s\":%" PRIu64, counter.name, counter.value);
		fprintf(out_, ",\"last_error\":%s}", quoted(nic.stats.last_error).c_str());
		separator = ",";
	}
	fputs("]}\n", out_);
	fflush(out_);
}

void Report::interval()
{
	const double now = collect();
	const double passed = now - last_;

	if (json_) {
		print_json("stats", now - start_);
	} else {
		for (const Nic& nic : nics_) {
			const EndpointStats& end = nic.stats.endpoint;
			const EndpointStats& before = nic.last.endpoint;
			/* Bytes become Gbit/s, frames become millions per second. */
			fprintf(out_,
				"netvsp: %.1f s %s: tx %.3f Mpps %.3f Gbit/s, rx %.3f Mpps %.3f "
				"Gbit/s, "
				"dropped %" PRIu64 ", errors %" PRIu64 ", channels %u\n",
				now - start_, nic.name.c_str(),
				double(end.sent_frames - before.sent_frames) / passed * 1e-6,
				double(end.sent_bytes - before.sent_bytes) / passed * 8e-9,
				double(end.received_frames - before.received_frames) / passed *
					1e-6,
				double(end.received_bytes - before.received_bytes) / passed * 8e-9,
				end.dropped,
				end.errors + nic.stats.tx_errors + nic.stats.protocol_errors,
				nic.stats.channels_open);
		}
		fflush(out_);
	}
	for (Nic& nic : nics_)
		nic.last = nic.stats;
	last_ = now;
}

void Report::totals(bool final)
{
	const double now = collect();

	if (json_) {
		print_json(final ? "final" : "stats", now - start_);
		return;
	}
	fprintf(out_, "netvsp: counters after %.1f s\n%-26s", now - start_, "");
	for (const Nic& nic : nics_)
		fprintf(out_, " %20s", nic.name.c_str());
	fputs("\n", out_);
	const std::vector<Counter> names = counters({});
	for (size_t row = 0; row < names.size(); row++) {
		fprintf(out_, "  %-24s", names[row].name);
		for (const Nic& nic : nics_) {
			const Counter counter = counters(nic.stats)[row];

			if (counter.hex)
				fprintf(out_, " %#20" PRIx64, counter.value);
			else
				fprintf(out_, " %20" PRIu64, counter.value);
		}
		fputs("\n", out_);
	}
	for (const Nic& nic : nics_) {
		if (!nic.stats.last_error.empty())
			fprintf(out_, "  %s: newest error: %s\n", nic.name.c_str(),
				nic.stats.last_error.c_str());
	}
	fflush(out_);
}

} // namespace netvsp::app
