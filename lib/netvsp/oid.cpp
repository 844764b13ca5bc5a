/* SPDX-License-Identifier: BSD-3-Clause */
#include "nic.hpp"

#include <algorithm>

#include "config_parameter.hpp"

namespace netvsp {

namespace {

constexpr std::pair<uint32_t, uint32_t> kRssCapOfType[] = {
	{ndis::kHashTcpIpv4, ndis::kRssCapTcpIpv4},
	{ndis::kHashTcpIpv6, ndis::kRssCapTcpIpv6},
	{ndis::kHashUdpIpv4, ndis::kRssCapUdpIpv4},
	{ndis::kHashUdpIpv6, ndis::kRssCapUdpIpv6},
};

void append(std::vector<uint8_t>& out, const void* data, size_t size)
{
	auto bytes = static_cast<const uint8_t*>(data);
	out.insert(out.end(), bytes, bytes + size);
}

void append_u32(std::vector<uint8_t>& out, uint64_t value)
{
	auto limited = uint32_t(std::min<uint64_t>(value, 0xffffffffu));
	append(out, &limited, sizeof(limited));
}

/* The revision that a guest wants, by the header that it may have put into the query. */
uint8_t wanted_revision(uint8_t revision, const uint8_t* input, uint32_t input_length)
{
	ndis::ObjectHeader wanted;
	if (input_length >= sizeof(wanted)) {
		memcpy(&wanted, input, sizeof(wanted));
		if (wanted.type == ndis::kTypeOffload) {
			revision = std::clamp<uint8_t>(wanted.revision, 1, revision);
			while (revision > 1 && ndis_offload_size(revision) > wanted.size)
				revision--;
		}
	}
	return revision;
}

} // namespace

/* What a guest knows by its NDIS version, or what the host has for every guest. */
uint8_t Nic::offload_revision() const
{
	const Profile& profile = *settings_.profile;
	return profile.offload_revision_set
		       ? profile.offload_revision
		       : std::min(ndis_offload_revision(ndis_version_), profile.offload_revision);
}

ndis::Offload Nic::offload_message(const Offloads& offloads, uint8_t revision) const
{
	ndis::Offload out = ndis_offload(offloads, settings_.lso_max);
	out.header.revision = revision;
	out.header.size = ndis_offload_size(revision);
	return out;
}

void Nic::append_offload(std::vector<uint8_t>& out, const Offloads& offloads, const uint8_t* input,
			 uint32_t input_length) const
{
	uint8_t revision = offload_revision();
	if (!settings_.profile->offload_revision_set)
		revision = wanted_revision(revision, input, input_length);
	const ndis::Offload offload = offload_message(offloads, revision);
	append(out, &offload, offload.header.size);
}

/* As RNDIS has it, in units of 100 bit/s. */
uint32_t Nic::link_speed() const
{
	return uint32_t(std::min<uint64_t>(settings_.speed_mbps * 10000, 0xffffffff));
}

/* A guest has to know the info by which parts of a packet are told. */
Offloads Nic::offered() const
{
	Offloads out = offered_;
	if (version_ < nvsp::kVersion61 || !(capabilities_ & nvsp::kCapRsc))
		out.rsc4 = out.rsc6 = false;
	return out;
}

uint32_t Nic::query_oid(uint32_t oid, const uint8_t* input, uint32_t input_length,
			std::vector<uint8_t>& out) const
{
	switch (oid) {
	case rndis::kOidMaximumFrameSize:
		append_u32(out, mtu_ - 14);
		break;
	case rndis::kOidMaximumTotalSize:
		append_u32(out, mtu_);
		break;
	case rndis::kOidLinkSpeed:
		append_u32(out, link_speed());
		break;
	case rndis::kOidMediaConnectStatus:
		append_u32(out, link_up_ ? rndis::kMediaConnected : rndis::kMediaDisconnected);
		break;
	case rndis::kOidCurrentPacketFilter:
		append_u32(out, filter_);
		break;
	case rndis::kOidPermanentAddress:
		append(out, settings_.mac.data(), settings_.mac.size());
		break;
	case rndis::kOidCurrentAddress:
		append(out, mac_.data(), mac_.size());
		break;
	case rndis::kOidVendorDescription: {
		static constexpr char kText[] = "netvsp emulated host";
		append(out, kText, sizeof(kText));
		break;
	}
	case rndis::kOidReceiveScaleCapabilities: {
		if (!has_rss())
			return settings_.profile->unknown_oid;
		ndis::RssCapabilities caps{};
		caps.header = {ndis::kTypeRssCapabilities, ndis::kRssCapabilitiesRev2,
			       ndis::kRssCapabilitiesSizeRev2};
		caps.flags = ndis::kRssCapToeplitz;
		for (auto [type, flag] : kRssCapOfType)
			if (settings_.rss_types & type)
				caps.flags |= flag;
		caps.interrupt_messages = 1;
		caps.receive_queues = settings_.queues;
		caps.table_entries = static_cast<uint16_t>(settings_.rss_table);
		append(out, &caps, ndis::kRssCapabilitiesSizeRev2);
		break;
	}
	case rndis::kOidOffloadCapabilities:
		append_offload(out, offered(), input, input_length);
		break;
	case rndis::kOidOffloadCurrentConfig:
		append_offload(out, enabled_, input, input_length);
		break;
	case rndis::kOidHardwareStatus:
	case rndis::kOidMediaSupported:
	case rndis::kOidMediaInUse:
	case rndis::kOidMaximumListSize:
		append_u32(out, 0); /* ready; rndis::kMedium8023; no multicast list */
		break;
	case rndis::kOidVendorId:
		append_u32(out, 0xffffff); /* the vendor has no IEEE code */
		break;
	case rndis::kOidVendorDriverVersion:
		append_u32(out, 0x10000);
		break;
	case rndis::kOidMaximumSendPackets:
		append_u32(out, 0xffffffff);
		break;
	default:
		return settings_.profile->unknown_oid;
	}
	return rndis::kStatusSuccess;
}

uint32_t Nic::set_oid(uint32_t oid, const uint8_t* data, uint32_t length)
{
	switch (oid) {
	case rndis::kOidCurrentPacketFilter:
		if (length < sizeof(filter_))
			return rndis::kStatusInvalidLength;
		if (filter_ == 0)
			endpoint_->discard_waiting();
		memcpy(&filter_, data, sizeof(filter_));
		return rndis::kStatusSuccess;
	case rndis::kOidReceiveScaleParameters:
		return has_rss() ? set_rss(data, length) : settings_.profile->unknown_oid;
	case rndis::kOidOffloadParameters:
		return set_offloads(data, length);
	case rndis::kOidConfigParameter:
		return set_parameter(data, length);
	case rndis::kOidNetworkLayerAddresses:
		return rndis::kStatusSuccess;
	default:
		return settings_.profile->unknown_oid;
	}
}

/* Hosts take every keyword, and act on those that they know. */
uint32_t Nic::set_parameter(const uint8_t* data, uint32_t length)
{
	ConfigParameter p;
	uint32_t status = read_config_parameter(data, length, p);
	if (status != rndis::kStatusSuccess || p.type != ndis::kParameterString)
		return status;
	if (p.name == "NetworkAddress" && !settings_.ignores_mac) {
		/* Hyper-V lets a guest do so if the NIC may spoof addresses. */
		if (!settings_.set_mac)
			return rndis::kStatusFailure;
		return parse_network_address(p.text, mac_) ? rndis::kStatusSuccess
							   : rndis::kStatusInvalidData;
	}
	if (p.text.empty() || p.text[0] < '0' || p.text[0] > '9')
		return rndis::kStatusInvalidData;
	set_offload_keyword(p.name, uint32_t(p.text[0] - '0'), offered(), enabled_);
	return rndis::kStatusSuccess;
}

uint32_t Nic::set_offloads(const uint8_t* data, uint32_t length)
{
	uint32_t status = set_offload_parameters(data, length, offered(), enabled_);
	if (status == rndis::kStatusSuccess) {
		offload_sets_++;
		offloads_changed_ = true;
	}
	return status;
}

uint32_t Nic::set_rss(const uint8_t* data, uint32_t length)
{
	ndis::RssParameters p{};
	if (length < ndis::kRssParametersSizeRev1)
		return rndis::kStatusInvalidLength;
	memcpy(&p, data, ndis::kRssParametersSizeRev1); /* the rest is of no concern */
	if ((p.flags & ndis::kRssParametersDisable) ||
	    (p.hash_information & ndis::kHashFunctionMask) == 0) {
		rss_.disable();
		return rndis::kStatusSuccess;
	}
	if ((p.hash_information & ndis::kHashFunctionMask) != ndis::kHashFunctionToeplitz ||
	    p.key_size != ndis::kRssKeySize || p.table_size == 0 || p.table_size % 4 != 0)
		return rndis::kStatusInvalidData;
	if (p.key_offset > length || ndis::kRssKeySize > length - p.key_offset ||
	    p.table_offset > length || p.table_size > length - p.table_offset)
		return rndis::kStatusInvalidLength;
	std::vector<uint32_t> table(std::min(p.table_size / 4u, settings_.rss_table));
	memcpy(table.data(), data + p.table_offset, table.size() * 4);
	for (uint32_t channel : table)
		if (channel >= settings_.queues)
			return rndis::kStatusInvalidData;
	/* A type that was not offered is not refused, it is not used. */
	rss_.enable(p.hash_information & (settings_.rss_types | ndis::kHashIpv4 | ndis::kHashIpv6),
		    data + p.key_offset, table);
	return rndis::kStatusSuccess;
}

} // namespace netvsp
