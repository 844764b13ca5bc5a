/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A device that the Linux kernel's uio_hv_generic driver gave to user space.
 *
 * The kernel makes buffers and rings when the device is bound, opens the primary channel when the
 * first process opens the device node, and closes all channels when the last one lets go of it: of
 * the descriptor and of every mapping.
 */
#pragma once

#include "kernel_device.hpp"
#include "sysfs.hpp"

namespace vmbus::uio {

class UioDevice final : public KernelDevice {
      public:
	/**
	 * @param control memory for control messages, at the guest-physical address `control_gpa`
	 * @param dev where device nodes are
	 */
	UioDevice(const SysfsDevice& info, Region control, uint64_t control_gpa,
		  Os& os = Os::system(), std::string dev = "/dev");

      private:
	Error connect(Milliseconds timeout) override;
	Error try_subchannel(uint16_t index) override;
	bool vanished() const override;

	Error open_node();
	Error read_map(uint32_t index, UioMap& info) const;
	Error map_buffer(uint32_t index, Buffer& out) const;
	Error map_page(uint32_t index, uint8_t*& page);
	Error open_primary();
	Error open_subchannel_now(const SysfsChannel& info);
	Doorbell doorbell(const SysfsChannel& info) const;

	const SysfsDevice info_;
	const std::string dev_;
	uint8_t* interrupt_page_ = nullptr;
	uint8_t* monitor_page_ = nullptr;
};

} // namespace vmbus::uio
