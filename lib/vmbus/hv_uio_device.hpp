/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A device that FreeBSD's hv_uio(4) gave to user space: the module of this project, whose interface
 * is kernel/freebsd/hv_uio/hv_uio.h.
 */
#pragma once

#include "hv_uio_scan.hpp"
#include "kernel_device.hpp"

namespace vmbus::uio {

class HvUioDevice final : public KernelDevice {
      public:
	/**
	 * @param control memory for control messages, at the guest-physical address `control_gpa`;
	 *        may be none
	 * @param dev where device nodes are
	 */
	HvUioDevice(const HvUioInfo& info, Region control, uint64_t control_gpa,
		    Os& os = Os::system(), const std::string& dev = "/dev");

      private:
	Error connect(Milliseconds timeout) override;
	Error try_subchannel(uint16_t index) override;
	bool vanished() const override;

	Error open_node(Milliseconds timeout);
	Error map_rings(uint32_t relid, uint64_t size, std::shared_ptr<Mapping>& out) const;
	Doorbell doorbell(uint32_t relid, uint32_t monitor_id) const;

	const std::string node_;
	bool had_subchannels_ = false;
	uint8_t* monitor_page_ = nullptr; /* null: the module signals */
};

} // namespace vmbus::uio
