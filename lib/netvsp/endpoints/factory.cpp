/* SPDX-License-Identifier: BSD-3-Clause */
#include "kinds.hpp"

namespace netvsp {

namespace {

constexpr const char* kForms =
	"accepted: null | generator[:size=N][:flows=N][:rate=N][:count=N][:window=N][:dst=MAC]"
	"[:proto=udp|tcp] | loopback | tap:NAME | pcap:IN:OUT | switch";

} // namespace

std::unique_ptr<Endpoint> make_endpoint(const std::string& spec, std::shared_ptr<Switch> vswitch,
					std::string& error)
{
	const size_t colon = spec.find(':');
	const bool has_args = colon != std::string::npos;
	const std::string kind = spec.substr(0, colon);
	const std::string args = has_args ? spec.substr(colon + 1) : "";
	std::unique_ptr<Endpoint> endpoint;
	std::string reason;

	if (kind == "generator") {
		endpoint = make_generator(args, reason);
	} else if (kind == "tap") {
		endpoint = make_tap(args, reason);
	} else if (kind == "pcap") {
		endpoint = make_pcap(args, reason);
	} else if (kind == "null" || kind == "loopback" || kind == "switch") {
		if (has_args)
			reason = "takes no arguments, but was given \"" + args + "\"";
		else if (kind == "null")
			endpoint = make_null();
		else if (kind == "loopback")
			endpoint = make_loopback();
		else if (vswitch)
			endpoint = make_switch_port(std::move(vswitch));
		else
			reason = "this host has no switch";
	} else {
		error = "endpoint \"" + kind + "\" is unknown; " + kForms;
		return nullptr;
	}
	if (!endpoint)
		error = "endpoint " + kind + ": " + reason + "; " + kForms;
	return endpoint;
}

} // namespace netvsp
