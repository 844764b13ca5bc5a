/* SPDX-License-Identifier: BSD-3-Clause */
#include "offload_guest.hpp"

using namespace test;

namespace {

class OidOffloadTest : public Fixture {
      protected:
	/** Asks for NDIS_OFFLOAD with an input header. */
	ndis::Offload offload(uint32_t oid, const std::vector<uint8_t>& input, uint32_t& length)
	{
		rndis::OidRequest r{};
		r.hdr = {rndis::kQuery, uint32_t(sizeof(r) + input.size())};
		r.oid = oid;
		r.info_length = uint32_t(input.size());
		r.info_offset = 20;
		auto request = bytes_of(r);
		request.insert(request.end(), input.begin(), input.end());
		std::vector<uint8_t> a;
		rndis::QueryComplete c{};
		ndis::Offload out{};
		EXPECT_TRUE(guest->rndis(request, a));
		if (a.size() < sizeof(c))
			return out;
		memcpy(&c, a.data(), sizeof(c));
		EXPECT_EQ(0u, c.status);
		length = c.info_length;
		EXPECT_EQ(sizeof(c) + length, a.size());
		memcpy(&out, a.data() + sizeof(c), std::min<size_t>(length, sizeof(out)));
		EXPECT_EQ(length, out.header.size);
		return out;
	}
	std::vector<uint8_t> header(uint8_t revision, uint16_t size)
	{
		auto b = bytes_of(ndis::ObjectHeader{ndis::kTypeOffload, revision, size});
		b.resize(std::max<size_t>(size, b.size()));
		return b;
	}
};

TEST_F(OidOffloadTest, OffloadRevisionSuitsGuestAndQuery)
{
	start();
	negotiate(*guest);
	EXPECT_EQ(ndis::kVersion630, stats().ndis_version);
	struct {
		std::vector<uint8_t> input;
		uint8_t revision;
	} cases[] = {{{}, 3},
		     {header(3, 156), 3},
		     {header(9, 200), 3},
		     {header(2, 144), 2},
		     {header(1, 112), 1},
		     {header(3, 144), 2},
		     {header(3, 20), 1},
		     {header(0, 4), 1},
		     {{1, 2, 3}, 3},
		     {{1, 2, 3, 4}, 3}};
	for (const auto& c : cases) {
		uint32_t length = 0;
		auto o = offload(rndis::kOidOffloadCapabilities, c.input, length);
		EXPECT_EQ(c.revision, o.header.revision);
		EXPECT_EQ(0x155u, o.checksum.ip4_tx);
		EXPECT_EQ(62780u, o.lso_v2.ip6_max_size);
	}
}

TEST_F(OidOffloadTest, OldGuestsGetOldRevisions)
{
	start();
	Negotiation n;
	n.version = nvsp::kVersion4;
	n.ndis_minor = 1;
	negotiate(*guest, n);
	uint32_t length = 0;
	auto o = offload(rndis::kOidOffloadCapabilities, header(3, 156), length);
	EXPECT_EQ(2, o.header.revision);
	EXPECT_EQ(144u, length);
}

TEST_F(OidOffloadTest, OffloadsAreTurnedOnAndTold)
{
	netvsp::NicConfig config;
	config.tx_csum = netvsp::kChecksumTcp4 | netvsp::kChecksumTcp6;
	config.lso_max = 32768;
	start(config);
	negotiate(*guest);
	EXPECT_EQ(netvsp::Offloads{}, stats().offloads);
	uint32_t length = 0;
	auto o = offload(rndis::kOidOffloadCurrentConfig, {}, length);
	EXPECT_EQ(0u, o.checksum.ip4_tx);
	EXPECT_TRUE(indications(*guest).empty());

	EXPECT_EQ(0u, guest->set(rndis::kOidOffloadParameters, bytes_of(all_offloads())));
	auto now = stats().offloads;
	EXPECT_EQ(config.tx_csum, now.tx_checksum);
	EXPECT_EQ(uint32_t(netvsp::kChecksumAll), now.rx_checksum);
	EXPECT_TRUE(now.lso4 && now.lso6);
	EXPECT_EQ(1u, stats().offload_sets);
	auto told = indications(*guest);
	ASSERT_EQ(1u, told.size());
	EXPECT_EQ(rndis::kStatusOffloadConfig, told[0].first);
	ASSERT_EQ(156u, told[0].second.size());
	memcpy(&o, told[0].second.data(), sizeof(o));
	EXPECT_EQ(0x015u, o.checksum.ip4_tx);
	EXPECT_EQ(32768u, o.lso_v2.ip4_max_size);
	o = offload(rndis::kOidOffloadCurrentConfig, {}, length);
	EXPECT_EQ(0x015u, o.checksum.ip4_tx);

	auto bad = all_offloads();
	bad.header.type = 0;
	EXPECT_EQ(rndis::kStatusInvalidData,
		  guest->set(rndis::kOidOffloadParameters, bytes_of(bad)));
	EXPECT_EQ(1u, stats().offload_sets);
	EXPECT_TRUE(indications(*guest).empty());

	/* who opens the NIC anew finds everything off */
	guest->gpadl_teardown(guest->primary, 50);
	guest->gpadl_teardown(guest->primary, 51);
	guest->close_channel(guest->primary);
	guest->gpadl_teardown(guest->primary, 100);
	negotiate(*guest);
	EXPECT_EQ(netvsp::Offloads{}, stats().offloads);
}

TEST_F(OidOffloadTest, HostWithoutOffloadsOffersNone)
{
	netvsp::NicConfig config;
	config.tx_csum = config.rx_csum = config.lso_max = 0;
	start(config);
	negotiate(*guest);
	uint32_t length = 0;
	auto o = offload(rndis::kOidOffloadCapabilities, {}, length);
	EXPECT_EQ(0u, o.checksum.ip4_tx | o.checksum.ip4_rx | o.checksum.ip6_tx |
			      o.checksum.ip6_rx | o.lso_v2.ip4_max_size | o.lso_v2.ip6_max_size);
	EXPECT_EQ(0u, guest->set(rndis::kOidOffloadParameters, bytes_of(all_offloads())));
	EXPECT_EQ(netvsp::Offloads{}, stats().offloads);
}

} // namespace
