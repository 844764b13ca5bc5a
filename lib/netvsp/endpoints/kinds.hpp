/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The kinds of endpoint, one function each. `args` is what follows "kind:" in the text form; on
 * error they return null and leave the reason, without the kind's name, in `error`.
 */
#pragma once

#include <ctime>
#include <memory>
#include <string>

#include "../inet.hpp"
#include "endpoint.hpp"

namespace netvsp {

std::unique_ptr<Endpoint> make_null();
std::unique_ptr<Endpoint> make_loopback();
std::unique_ptr<Endpoint> make_generator(const std::string& args, std::string& error);
std::unique_ptr<Endpoint> make_tap(const std::string& args, std::string& error);
std::unique_ptr<Endpoint> make_pcap(const std::string& args, std::string& error);
std::unique_ptr<Endpoint> make_switch_port(std::shared_ptr<Switch> vswitch);

/** Largest frame on any link, without FCS (Hyper-V's limit). */
inline constexpr uint32_t kMaxFrame = 9216;

inline uint64_t clock_ns(clockid_t clock)
{
	timespec now;

	clock_gettime(clock, &now);
	return uint64_t(now.tv_sec) * 1000000000u + uint64_t(now.tv_nsec);
}

} // namespace netvsp
