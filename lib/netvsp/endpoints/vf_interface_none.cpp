/* SPDX-License-Identifier: BSD-3-Clause */
/* Systems without the TAP interfaces that a virtual function is made of. */
#include "vf_interface.hpp"

namespace netvsp {

std::unique_ptr<VfInterface> VfInterface::create(const std::string&, const std::array<uint8_t, 6>&,
						 std::string& error)
{
	error = "a virtual function needs Linux";
	return nullptr;
}

/* There is none of which these could be asked. */
VfInterface::~VfInterface() = default;

bool VfInterface::send(const uint8_t*, uint32_t)
{
	return false;
}

bool VfInterface::pump(Endpoint&)
{
	return false;
}

} // namespace netvsp
