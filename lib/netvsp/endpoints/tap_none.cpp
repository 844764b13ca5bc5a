/* SPDX-License-Identifier: BSD-3-Clause */
/* Systems whose TAP interfaces do not take frames with Linux's virtio-net header. */
#include "kinds.hpp"

namespace netvsp {

std::unique_ptr<Endpoint> make_tap(const std::string&, std::string& error)
{
	error = "needs Linux";
	return nullptr;
}

} // namespace netvsp
