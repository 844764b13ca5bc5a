/* SPDX-License-Identifier: BSD-3-Clause */
#include "offload_guest.hpp"

using namespace test;

namespace {

class VfTest : public Fixture {
      protected:
	/** What the host sent of its own accord, as {type, first word, second word}. */
	using News = std::vector<std::array<uint32_t, 3>>;
	News news()
	{
		guest->frames(guest->ch());
		News out;
		for (const auto& p : guest->other) {
			nvsp::Message m = p.message();
			if (!p.is(vmbus::PacketType::kInband))
				continue;
			bool association = m.type == nvsp::kSendVfAssociation;
			EXPECT_EQ(vmbus::kFlagCompletionRequested, p.d.flags);
			EXPECT_EQ(association ? 0x8000000000000000 : 0x8000000000000001,
				  p.d.transaction_id);
			out.push_back({m.type, m.vf_association.allocated,
				       association ? m.vf_association.serial : 0});
		}
		guest->other.clear();
		return out;
	}
	void choose(uint32_t path)
	{
		nvsp::Message m{}, a{};
		m.type = nvsp::kSwitchDataPath;
		m.data_path.active = path;
		ASSERT_TRUE(guest->transact(m, a));
	}
	void close()
	{
		guest->close_channel(guest->primary);
		for (uint32_t gpadl : {50u, 51u, 100u})
			guest->gpadl_teardown(guest->primary, gpadl);
	}
	static constexpr uint32_t kAssociation = nvsp::kSendVfAssociation;
	static constexpr uint32_t kPath = nvsp::kSwitchDataPath;
};

TEST_F(VfTest, ToldWhenItComesAndWhenItGoes)
{
	start();
	negotiate(*guest);
	EXPECT_TRUE(news().empty());
	ASSERT_TRUE(host.set_vf(nic, true, 7));
	EXPECT_EQ((News{{kAssociation, 1, 7}}), news());
	EXPECT_TRUE(stats().vf_told);
	ASSERT_TRUE(host.set_vf(nic, true, 7)); /* no news */
	EXPECT_TRUE(news().empty());
	ASSERT_TRUE(host.set_vf(nic, true, 8)); /* another one */
	EXPECT_EQ((News{{kAssociation, 0, 7}, {kAssociation, 1, 8}}), news());
	ASSERT_TRUE(host.set_vf(nic, false, 0));
	EXPECT_EQ((News{{kAssociation, 0, 8}}), news());
	EXPECT_FALSE(stats().vf_told);
	ASSERT_TRUE(host.set_vf(nic, false, 0));
	EXPECT_TRUE(news().empty());
	EXPECT_FALSE(host.set_vf({}, true, 1));
}

TEST_F(VfTest, ToldBehindTheAnswerToInitialize)
{
	start();
	ASSERT_TRUE(host.set_vf(nic, true, 7));
	ASSERT_EQ(vu::Status::kOk, guest->open(guest->offers[0]));
	ASSERT_TRUE(guest->init(nvsp::kVersion61));
	nvsp::Message m{};
	m.type = nvsp::kSendNdisConfig;
	m.ndis_config = {1514, 0, nvsp::kCapSriov};
	ASSERT_TRUE(guest->send_nvsp(m, false));
	ASSERT_TRUE(guest->buffers());
	EXPECT_TRUE(news().empty());
	ASSERT_TRUE(guest->rndis_init());
	Received p;
	ASSERT_TRUE(guest->receive(guest->ch(), p, 0) || guest->receive(guest->ch(), p));
	EXPECT_EQ(nvsp::kSendVfAssociation, p.message().type);
	EXPECT_EQ(7u, p.message().vf_association.serial);
	EXPECT_EQ(16 + 40, p.d.length8 * 8);
}

TEST_F(VfTest, NotToldToGuestsWithoutSriov)
{
	start();
	ASSERT_TRUE(host.set_vf(nic, true, 7));
	Negotiation n;
	n.capabilities = nvsp::kCap8021q;
	negotiate(*guest, n);
	EXPECT_TRUE(news().empty());
	close();
	n.capabilities = nvsp::kCapSriov;
	n.version = nvsp::kVersion2;
	negotiate(*guest, n);
	EXPECT_TRUE(news().empty());
	EXPECT_FALSE(stats().vf_told);
	close();
	n.version = nvsp::kVersion4;
	negotiate(*guest, n);
	EXPECT_EQ((News{{kAssociation, 1, 7}}), news());
}

TEST_F(VfTest, FramesTakeTheChosenPath)
{
	start();
	negotiate(*guest);
	std::string f(60, 'f');
	choose(nvsp::kDataPathVf); /* there is none yet: answered, without effect */
	EXPECT_FALSE(stats().data_path_vf);
	ASSERT_TRUE(host.set_vf(nic, true, 7));
	news();
	endpoint->incoming.push_back(f);
	EXPECT_EQ(1u, guest->frames(guest->ch(), 1).size());
	choose(nvsp::kDataPathVf);
	EXPECT_TRUE(stats().data_path_vf);
	for (int i = 0; i < 5; i++)
		endpoint->incoming.push_back(f);
	EXPECT_TRUE(guest->frames(guest->ch()).empty());
	EXPECT_EQ(5u, stats().rx_to_vf);
	EXPECT_EQ(0u, stats().suballocations_in_use);
	/* the NIC can still be sent over */
	EXPECT_EQ(nvsp::kStatusSuccess, guest->transmit(message_with(f, {})));
	EXPECT_EQ(1u, endpoint->sent.size());
	choose(nvsp::kDataPathSynthetic);
	EXPECT_FALSE(stats().data_path_vf);
	endpoint->incoming.push_back(f);
	EXPECT_EQ(1u, guest->frames(guest->ch(), 1).size());
	EXPECT_TRUE(news().empty());
}

TEST_F(VfTest, EndpointSaysWhatTheVfGets)
{
	start();
	negotiate(*guest);
	endpoint->not_by_vf = 'b';
	ASSERT_TRUE(host.set_vf(nic, true, 7));
	std::string f(60, 'f'), b(60, 'b');
	endpoint->incoming = {f, b};
	EXPECT_EQ(2u, guest->frames(guest->ch(), 2).size());
	EXPECT_TRUE(endpoint->to_vf_frames.empty());
	choose(nvsp::kDataPathVf);
	endpoint->incoming = {f, b, f};
	EXPECT_EQ(1u, guest->frames(guest->ch(), 1).size());
	EXPECT_TRUE(guest->frames(guest->ch()).empty());
	EXPECT_EQ((std::vector<std::string>{f, f}), endpoint->to_vf_frames);
	EXPECT_EQ(2u, stats().rx_to_vf);
}

TEST_F(VfTest, RemovalTakesTheDataPathBackFirst)
{
	start();
	negotiate(*guest);
	ASSERT_TRUE(host.set_vf(nic, true, 7));
	news();
	choose(nvsp::kDataPathVf);
	ASSERT_TRUE(host.set_vf(nic, false, 0));
	EXPECT_EQ((News{{kPath, nvsp::kDataPathSynthetic, 0}, {kAssociation, 0, 7}}), news());
	EXPECT_FALSE(stats().data_path_vf);
	endpoint->incoming.push_back(std::string(60, 'f'));
	EXPECT_EQ(1u, guest->frames(guest->ch(), 1).size());
}

TEST_F(VfTest, DataPathOutlivesTheChannelButNotTheGuest)
{
	start();
	negotiate(*guest);
	ASSERT_TRUE(host.set_vf(nic, true, 7));
	news();
	choose(nvsp::kDataPathVf);
	close();
	negotiate(*guest);
	EXPECT_EQ((News{{kAssociation, 1, 7}}), news());
	EXPECT_TRUE(stats().data_path_vf);
	guest->disconnect();
	host.poll();
	EXPECT_FALSE(stats().data_path_vf);
}

TEST_F(VfTest, CompletionsAreTakenAndNotMissed)
{
	start();
	negotiate(*guest);
	for (uint64_t id : {0x8000000000000000, 0x8000000000000001})
		ASSERT_TRUE(guest->ch().send(0xb, 0, id, {}, bytes_of(nvsp::Message{})));
	host.poll();
	EXPECT_EQ(0u, stats().protocol_errors);
	ASSERT_TRUE(guest->ch().send(0xb, 0, 0x8000000000000002, {}, bytes_of(nvsp::Message{})));
	host.poll();
	EXPECT_EQ(1u, stats().protocol_errors);
}

TEST_F(VfTest, NewsWaitForRoomInTheRing)
{
	start();
	negotiate(*guest);
	ASSERT_TRUE(host.set_vf(nic, true, 7));
	news();
	choose(nvsp::kDataPathVf);
	choose(nvsp::kDataPathSynthetic);
	/* frames fill the ring, of which the guest reads nothing */
	for (int i = 0; i < 4000; i++) {
		endpoint->incoming.push_back(std::string(60, 'f'));
		host.poll();
	}
	while (guest->ch().rx->pending_send_size == 0)
		host.poll();
	ASSERT_TRUE(host.set_vf(nic, false, 0));
	ASSERT_TRUE(host.set_vf(nic, true, 9));
	EXPECT_EQ((News{{kAssociation, 0, 7}, {kAssociation, 1, 9}}), news());
	EXPECT_EQ(0u, stats().protocol_errors);
}

} // namespace
