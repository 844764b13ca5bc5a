/* SPDX-License-Identifier: BSD-3-Clause */
/** What a descriptor is. */
#pragma once

namespace os {

/** Whether it is an eventfd: nothing else is sure to neither block nor kill who writes to it. */
bool is_eventfd(int fd);

} // namespace os
