/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The virtual function that belongs to a NIC: the guest is told that there is one, and says which
 * of the two its frames are to take.
 *
 * The order of messages is OpenVMM's. A VF that is there is told behind the answer to RNDIS
 * INITIALIZE; one that goes takes the data path along first. Where the data path is outlives the
 * guest's closing the NIC, because the VF does.
 */
#include "nic.hpp"

namespace netvsp {

namespace {

/* A host asks for a completion of what it tells; Linux sends none, Windows does. */
constexpr uint64_t kVfAssociationId = 0x8000000000000000;
constexpr uint64_t kSwitchDataPathId = 0x8000000000000001;

constexpr uint32_t kInterfaceSerial = 1; /* it is no PCI device */

constexpr uint32_t kMessageSpace = OutRing::space(nvsp::kSize61);

} // namespace

bool Nic::completes_vf_message(uint64_t transaction) const
{
	return transaction == kVfAssociationId || transaction == kSwitchDataPathId;
}

void Nic::set_vf(bool present, uint32_t serial)
{
	vf_present_ = present;
	vf_serial_ = serial;
	if (data_path_vf_ && !(present && serial == vf_told_serial_)) {
		data_path_vf_ = false;
		data_path_lost_ = true;
	}
	tell_vf();
	finish(*channels_[0]);
}

/* Tells the guest what it does not know yet; what finds no room is told in a later pass. */
void Nic::tell_vf()
{
	Channel& primary = *channels_[0];
	if (!primary.open || primary.silent || !rndis_ready_ || version_ < nvsp::kVersion4 ||
	    !(capabilities_ & nvsp::kCapSriov)) {
		data_path_lost_ = false;
		return;
	}
	nvsp::Message message{};
	if (data_path_lost_ && primary.out.fits(kMessageSpace)) {
		message.type = nvsp::kSwitchDataPath;
		message.data_path.active = nvsp::kDataPathSynthetic;
		ask_nvsp(primary, message, kSwitchDataPathId);
		data_path_lost_ = false;
	}
	auto associate = [&](bool allocated, uint32_t serial) {
		message = {};
		message.type = nvsp::kSendVfAssociation;
		message.vf_association = {allocated, serial};
		ask_nvsp(primary, message, kVfAssociationId);
		vf_told_ = allocated;
		vf_told_serial_ = serial;
	};
	if (vf_told_ && !data_path_lost_ && !(vf_present_ && vf_serial_ == vf_told_serial_) &&
	    primary.out.fits(kMessageSpace))
		associate(false, vf_told_serial_);
	if (vf_present_ && !vf_told_ && primary.out.fits(kMessageSpace))
		associate(true, vf_serial_);
}

void Nic::use_vf_interface(std::unique_ptr<VfInterface> interface)
{
	vf_interface_ = std::move(interface);
	pump_vf();
}

/* While the data path is there. */
bool Nic::to_vf(const uint8_t* frame, uint32_t length)
{
	return vf_interface_ ? vf_interface_->send(frame, length)
			     : endpoint_->to_vf(frame, length);
}

/* The VF is there as long as its interface, and sends by itself. */
bool Nic::pump_vf()
{
	const bool work = vf_interface_->pump(*endpoint_);
	if (vf_interface_->present() != vf_present_)
		set_vf(vf_interface_->present(), kInterfaceSerial);
	return work;
}

/* A guest can only choose a VF that it was told of; it gets no other answer if it cannot. */
void Nic::switch_data_path(bool to_vf)
{
	if (to_vf && !vf_told_)
		return note("the guest chose a VF that is not there");
	data_path_vf_ = to_vf;
}

} // namespace netvsp
