# SPDX-License-Identifier: BSD-3-Clause
"""What each part of our wire headers is called by others. test/system/test_wire.py compares them.

A new constant, structure or field has to be added here; or to CITED, with a file and a commit beside its definition.
"""
from .wire import Layout, Source

# No header that can be installed has these.
CITED = """
vmbus::kFooterSize vmbus::kMonitorIdNone
nvsp::kVersionNone nvsp::kOidQueryEx nvsp::kOidQueryExComplete
nvsp::kStatusNone nvsp::kStatusInvalidRndisPacket nvsp::kStatusBusy
nvsp::kMaxFramesPerReceive nvsp::kMaxChannels nvsp::kSendTableEntries
nvsp::kCapVmq nvsp::kCapChimney nvsp::kCapCorrelationId nvsp::kCapTeaming nvsp::kCapVirtualSubnetId nvsp::kCapRsc
nvsp::SendIndirectionTable nvsp::Message.indirection_table
rndis::kOidOffloadCurrentConfig rndis::kPpiInternal rndis::kPpiPacketId
ndis::kHashUdpIpv4 ndis::kHashUdpIpv6 ndis::kHashUdpIpv6Ex
ndis::kRssCapUdpIpv4 ndis::kRssCapUdpIpv6 ndis::kRssCapUdpIpv6Ex
ndis::PacketId ndis::kPacketIdVersion1 ndis::kPacketIdPart ndis::kPacketIdFirst ndis::kPacketIdLast
""".split()

# Not on the wire as such: words of ours for bits and bytes that are compared where they are used.
ALONE = ["ndis::Bits", "vmbus::Guid"]

AFTER_DESCRIPTOR = "sizeof(vmbus::PacketDescriptor)"

DPDK_BUS = Source("DPDK's rte_vmbus_reg.h", ["rte_vmbus_reg.h"], """
vmbus::kPageSize                     sizeof(struct vmbus_mon_page)
vmbus::kFeaturePendingSendSize       [] { vmbus_bufring r{}; r.feature_bits.feat_pending_send_sz = 1; return r.feature_bits.value; }()
vmbus::PacketType::kInband           VMBUS_CHANPKT_TYPE_INBAND
vmbus::PacketType::kTransferPages    VMBUS_CHANPKT_TYPE_RXBUF
vmbus::PacketType::kGpaDirect        VMBUS_CHANPKT_TYPE_GPA
vmbus::PacketType::kCompletion       VMBUS_CHANPKT_TYPE_COMP
vmbus::kFlagCompletionRequested      VMBUS_CHANPKT_FLAG_RC
vmbus::kMonitorIdMax                 VMBUS_MONTRIGS_MAX * VMBUS_MONTRIG_LEN - 1
""", [
    # It ends before what fills the page.
    Layout("vmbus::RingControl", "vmbus_bufring", "in=windex out=rindex interrupt_mask=imask pending_send_size=pending_send "
           "reserved1 feature_bits", end=None),
    Layout("vmbus::PacketDescriptor", "vmbus_chanpkt_hdr", "type data_offset8=hlen length8=tlen flags transaction_id=xactid"),
    Layout("vmbus::TransferPageRange", "vmbus_rxbuf_desc", "byte_count=len byte_offset=ofs"),
    Layout("vmbus::TransferPageHeader", "vmbus_chanpkt_rxbuf", "transfer_page_set_id=rxbuf_id range_count=rxbuf_cnt",
           AFTER_DESCRIPTOR, "rxbuf"),
    Layout("vmbus::GpaDirectHeader", "vmbus_chanpkt_sglist", "reserved=rsvd range_count=gpa_cnt", AFTER_DESCRIPTOR, "gpa"),
    Layout("vmbus::GpaRange", "vmbus_gpa_range", "byte_count=len byte_offset=ofs", end="page"),
    Layout("vmbus::MonitorPage", "vmbus_mon_page", "trigger_state=state reserved1=rsvd1 trigger_group=trigs "
           "trigger_group[0].pending=trigs[0].pending trigger_group[0].armed=trigs[0].armed reserved2=rsvd2 latency=lat "
           "reserved3=rsvd3..rsvd4"),
])

# The names that DPDK and the kernel share, less a prefix.
OIDS = """
rndis::kOidHardwareStatus            {}OID_GEN_HARDWARE_STATUS
rndis::kOidMediaSupported            {}OID_GEN_MEDIA_SUPPORTED
rndis::kOidMediaInUse                {}OID_GEN_MEDIA_IN_USE
rndis::kOidMaximumFrameSize          {}OID_GEN_MAXIMUM_FRAME_SIZE
rndis::kOidLinkSpeed                 {}OID_GEN_LINK_SPEED
rndis::kOidVendorId                  {}OID_GEN_VENDOR_ID
rndis::kOidVendorDescription         {}OID_GEN_VENDOR_DESCRIPTION
rndis::kOidCurrentPacketFilter       {}OID_GEN_CURRENT_PACKET_FILTER
rndis::kOidMaximumTotalSize          {}OID_GEN_MAXIMUM_TOTAL_SIZE
rndis::kOidMediaConnectStatus        {}OID_GEN_MEDIA_CONNECT_STATUS
rndis::kOidMaximumSendPackets        {}OID_GEN_MAXIMUM_SEND_PACKETS
rndis::kOidVendorDriverVersion       {}OID_GEN_VENDOR_DRIVER_VERSION
rndis::kOidNetworkLayerAddresses     {}OID_GEN_NETWORK_LAYER_ADDRESSES
rndis::kOidConfigParameter           {}OID_GEN_RNDIS_CONFIG_PARAMETER
rndis::kOidPermanentAddress          {}OID_802_3_PERMANENT_ADDRESS
rndis::kOidCurrentAddress            {}OID_802_3_CURRENT_ADDRESS
rndis::kOidMaximumListSize           {}OID_802_3_MAXIMUM_LIST_SIZE
"""

STATUSES = """
rndis::kStatusSuccess                RNDIS_STATUS_SUCCESS
rndis::kStatusMediaConnect           RNDIS_STATUS_MEDIA_CONNECT
rndis::kStatusMediaDisconnect        RNDIS_STATUS_MEDIA_DISCONNECT
rndis::kStatusLinkSpeedChange        RNDIS_STATUS_LINK_SPEED_CHANGE
rndis::kStatusNetworkChange          RNDIS_STATUS_NETWORK_CHANGE
rndis::kStatusFailure                RNDIS_STATUS_FAILURE
rndis::kStatusNotSupported           RNDIS_STATUS_NOT_SUPPORTED
rndis::kStatusInvalidLength          RNDIS_STATUS_INVALID_LENGTH
rndis::kStatusInvalidData            RNDIS_STATUS_INVALID_DATA
rndis::kStatusInvalidOid             RNDIS_STATUS_INVALID_OID
"""

LINUX = Source("Linux's hyperv.h and rndis.h", ["hyperv.h", "rndis.h"], OIDS.format(*["RNDIS_"] * 17) + STATUSES + """
vmbus::kFeaturePendingSendSize       [] { hv_ring_buffer r{}; r.feature_bits.feat_pending_send_sz = 1; return r.feature_bits.value; }()
vmbus::PacketType::kInband           VM_PKT_DATA_INBAND
vmbus::PacketType::kTransferPages    VM_PKT_DATA_USING_XFER_PAGES
vmbus::PacketType::kGpaDirect        VM_PKT_DATA_USING_GPA_DIRECT
vmbus::PacketType::kCompletion       VM_PKT_COMP
vmbus::kFlagCompletionRequested      VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED
vmbus::kMaxGpaRanges                 MAX_PAGE_BUFFER_COUNT
vmbus::kNetvscClass                  [] { struct { guid_t guid; } id = { HV_NIC_GUID }; return id.guid; }()
rndis::kPacket                       RNDIS_MSG_PACKET
rndis::kInitialize                   RNDIS_MSG_INIT
rndis::kHalt                         RNDIS_MSG_HALT
rndis::kQuery                        RNDIS_MSG_QUERY
rndis::kSet                          RNDIS_MSG_SET
rndis::kReset                        RNDIS_MSG_RESET
rndis::kIndicateStatus               RNDIS_MSG_INDICATE
rndis::kKeepalive                    RNDIS_MSG_KEEPALIVE
rndis::kComplete                     RNDIS_MSG_COMPLETION
rndis::kFilterDirected               RNDIS_PACKET_TYPE_DIRECTED
rndis::kFilterMulticast              RNDIS_PACKET_TYPE_MULTICAST
rndis::kFilterAllMulticast           RNDIS_PACKET_TYPE_ALL_MULTICAST
rndis::kFilterBroadcast              RNDIS_PACKET_TYPE_BROADCAST
rndis::kFilterPromiscuous            RNDIS_PACKET_TYPE_PROMISCUOUS
rndis::kMediaConnected               RNDIS_MEDIA_STATE_CONNECTED
rndis::kMediaDisconnected            RNDIS_MEDIA_STATE_DISCONNECTED
rndis::kVersionMajor                 RNDIS_MAJOR_VERSION
rndis::kVersionMinor                 RNDIS_MINOR_VERSION
rndis::kDeviceConnectionless         RNDIS_DF_CONNECTIONLESS
rndis::kMedium8023                   RNDIS_MEDIUM_802_3
""", [
    Layout("vmbus::RingControl", "hv_ring_buffer", "in=write_index out=read_index interrupt_mask "
           "pending_send_size=pending_send_sz reserved1 feature_bits reserved2", end="buffer"),
    Layout("vmbus::PacketDescriptor", "vmpacket_descriptor", "type data_offset8=offset8 length8=len8 flags "
           "transaction_id=trans_id"),
    Layout("vmbus::TransferPageRange", "vmtransfer_page_range", "byte_count byte_offset"),
    Layout("vmbus::TransferPageHeader", "vmtransfer_page_packet_header", "transfer_page_set_id=xfer_pageset_id "
           "sender_owns_set reserved range_count=range_cnt", AFTER_DESCRIPTOR, "ranges"),
    Layout("vmbus::GpaDirectHeader", "vmdata_gpa_direct", "reserved range_count=range_cnt", AFTER_DESCRIPTOR, "range"),
    Layout("vmbus::GpaRange", "gpa_range", "byte_count byte_offset", end="pfn_array"),
])


def message(member: str, ours: str, theirs: str, fields: str, end: str | None = "rsvd") -> Layout:
    """Theirs begins with the message's type, and most are filled up to the size of the longest message."""
    return Layout(f"nvsp::{ours}", theirs, fields, f"offsetof(nvsp::Message, {member})", end)


DPDK_NETVSC = Source("DPDK's netvsc driver", ["hn_nvs.h", "rndis.h", "ndis.h"], OIDS.format(*[""] * 17) + STATUSES + """
nvsp::kVersion1                      NVS_VERSION_1
nvsp::kVersion2                      NVS_VERSION_2
nvsp::kVersion4                      NVS_VERSION_4
nvsp::kVersion5                      NVS_VERSION_5
nvsp::kVersion6                      NVS_VERSION_6
nvsp::kVersion61                     NVS_VERSION_61
nvsp::kInit                          NVS_TYPE_INIT
nvsp::kInitComplete                  NVS_TYPE_INIT_RESP
nvsp::kSendNdisVersion               NVS_TYPE_NDIS_INIT
nvsp::kSendReceiveBuffer             NVS_TYPE_RXBUF_CONN
nvsp::kSendReceiveBufferComplete     NVS_TYPE_RXBUF_CONNRESP
nvsp::kRevokeReceiveBuffer           NVS_TYPE_RXBUF_DISCONN
nvsp::kSendSendBuffer                NVS_TYPE_CHIM_CONN
nvsp::kSendSendBufferComplete        NVS_TYPE_CHIM_CONNRESP
nvsp::kRevokeSendBuffer              NVS_TYPE_CHIM_DISCONN
nvsp::kSendRndisPacket               NVS_TYPE_RNDIS
nvsp::kSendRndisPacketComplete       NVS_TYPE_RNDIS_ACK
nvsp::kSendNdisConfig                NVS_TYPE_NDIS_CONF
nvsp::kSendVfAssociation             NVS_TYPE_VFASSOC_NOTE
nvsp::kSwitchDataPath                NVS_TYPE_SET_DATAPATH
nvsp::kSubchannel                    NVS_TYPE_SUBCH_REQ
nvsp::kSubchannel                    NVS_TYPE_SUBCH_RESP
nvsp::kSendIndirectionTable          NVS_TYPE_TXTBL_NOTE
nvsp::kStatusSuccess                 NVS_STATUS_OK
nvsp::kStatusFailure                 NVS_STATUS_FAILED
nvsp::kChannelData                   NVS_RNDIS_MTYPE_DATA
nvsp::kChannelControl                NVS_RNDIS_MTYPE_CTRL
nvsp::kReceiveBufferId               NVS_RXBUF_SIG
nvsp::kSendBufferId                  NVS_CHIM_SIG
nvsp::kNoSection                     NVS_CHIM_IDX_INVALID
nvsp::kCapSriov                      NVS_NDIS_CONF_SRIOV
nvsp::kCap8021q                      NVS_NDIS_CONF_VLAN
nvsp::kDataPathSynthetic             NVS_DATAPATH_SYNTHETIC
nvsp::kDataPathVf                    NVS_DATAPATH_VF
nvsp::kSubchannelAllocate            NVS_SUBCH_OP_ALLOC
nvsp::kSizeLegacy                    sizeof(struct hn_nvs_rxbuf_connresp)
nvsp::kSize61                        sizeof(struct hn_nvs_init)
rndis::kStatusOffloadConfig          RNDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG
rndis::kOidReceiveScaleCapabilities  OID_GEN_RECEIVE_SCALE_CAPABILITIES
rndis::kOidReceiveScaleParameters    OID_GEN_RECEIVE_SCALE_PARAMETERS
rndis::kOidOffloadParameters         OID_TCP_OFFLOAD_PARAMETERS
rndis::kOidOffloadCapabilities       OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES
rndis::kPacket                       RNDIS_PACKET_MSG
rndis::kInitialize                   RNDIS_INITIALIZE_MSG
rndis::kHalt                         RNDIS_HALT_MSG
rndis::kQuery                        RNDIS_QUERY_MSG
rndis::kSet                          RNDIS_SET_MSG
rndis::kReset                        RNDIS_RESET_MSG
rndis::kIndicateStatus               RNDIS_INDICATE_STATUS_MSG
rndis::kKeepalive                    RNDIS_KEEPALIVE_MSG
rndis::kComplete                     RNDIS_QUERY_CMPLT - RNDIS_QUERY_MSG
rndis::kFilterDirected               NDIS_PACKET_TYPE_DIRECTED
rndis::kFilterMulticast              NDIS_PACKET_TYPE_MULTICAST
rndis::kFilterAllMulticast           NDIS_PACKET_TYPE_ALL_MULTICAST
rndis::kFilterBroadcast              NDIS_PACKET_TYPE_BROADCAST
rndis::kFilterPromiscuous            NDIS_PACKET_TYPE_PROMISCUOUS
rndis::kMediaConnected               NDIS_MEDIA_STATE_CONNECTED
rndis::kMediaDisconnected            NDIS_MEDIA_STATE_DISCONNECTED
rndis::kVersionMajor                 RNDIS_VERSION_MAJOR
rndis::kVersionMinor                 RNDIS_VERSION_MINOR
rndis::kDeviceConnectionless         RNDIS_DF_CONNECTIONLESS
rndis::kMedium8023                   RNDIS_MEDIUM_802_3
rndis::kOffsetBase                   offsetof(struct rndis_packet_msg, dataoffset)
rndis::kPpiChecksum                  NDIS_PKTINFO_TYPE_CSUM
rndis::kPpiLso                       NDIS_PKTINFO_TYPE_LSO
rndis::kPpiVlan                      NDIS_PKTINFO_TYPE_VLAN
rndis::kPpiHashValue                 NDIS_PKTINFO_TYPE_HASHVAL
rndis::kPpiHashInfo                  NDIS_PKTINFO_TYPE_HASHINF
ndis::kTypeDefault                   NDIS_OBJTYPE_DEFAULT
ndis::kTypeRssCapabilities           NDIS_OBJTYPE_RSS_CAPS
ndis::kTypeRssParameters             NDIS_OBJTYPE_RSS_PARAMS
ndis::kTypeOffload                   NDIS_OBJTYPE_OFFLOAD
ndis::kVersion61                     NDIS_VERSION_6_1
ndis::kVersion630                    NDIS_VERSION_6_30
ndis::kEncapsulation8023             NDIS_OFFLOAD_ENCAP_8023
ndis::kCapIpOptions                  NDIS_TXCSUM_CAP_IP4OPT
ndis::kCapIpOptions                  NDIS_RXCSUM_CAP_IP4OPT
ndis::kCapIpOptions                  NDIS_TXCSUM_CAP_IP6EXT
ndis::kCapIpOptions                  NDIS_RXCSUM_CAP_IP6EXT
ndis::kCapIpOptions                  NDIS_LSOV2_CAP_IP6EXT
ndis::kCapTcpOptions                 NDIS_TXCSUM_CAP_TCP4OPT
ndis::kCapTcpOptions                 NDIS_RXCSUM_CAP_TCP4OPT
ndis::kCapTcpOptions                 NDIS_TXCSUM_CAP_TCP6OPT
ndis::kCapTcpOptions                 NDIS_RXCSUM_CAP_TCP6OPT
ndis::kCapTcpOptions                 NDIS_LSOV2_CAP_TCP6OPT
ndis::kCapTcp                        NDIS_TXCSUM_CAP_TCP4
ndis::kCapTcp                        NDIS_RXCSUM_CAP_TCP4
ndis::kCapTcp                        NDIS_TXCSUM_CAP_TCP6
ndis::kCapTcp                        NDIS_RXCSUM_CAP_TCP6
ndis::kCapUdp                        NDIS_TXCSUM_CAP_UDP4
ndis::kCapUdp                        NDIS_RXCSUM_CAP_UDP4
ndis::kCapUdp                        NDIS_TXCSUM_CAP_UDP6
ndis::kCapUdp                        NDIS_RXCSUM_CAP_UDP6
ndis::kCapIp                         NDIS_TXCSUM_CAP_IP4
ndis::kCapIp                         NDIS_RXCSUM_CAP_IP4
ndis::kOffloadSizeRev1               NDIS_OFFLOAD_SIZE_6_0
ndis::kOffloadSizeRev2               NDIS_OFFLOAD_SIZE_6_1
ndis::kOffloadSizeRev3               NDIS_OFFLOAD_SIZE
ndis::kHashIpv4                      NDIS_HASH_IPV4
ndis::kHashTcpIpv4                   NDIS_HASH_TCP_IPV4
ndis::kHashIpv6                      NDIS_HASH_IPV6
ndis::kHashIpv6Ex                    NDIS_HASH_IPV6_EX
ndis::kHashTcpIpv6                   NDIS_HASH_TCP_IPV6
ndis::kHashTcpIpv6Ex                 NDIS_HASH_TCP_IPV6_EX
ndis::kHashFunctionToeplitz          NDIS_HASH_FUNCTION_TOEPLITZ
ndis::kHashFunctionMask              NDIS_HASH_FUNCTION_MASK
ndis::kRssKeySize                    NDIS_HASH_KEYSIZE_TOEPLITZ
ndis::kRssMaxTable                   NDIS_HASH_INDCNT
ndis::kRssCapToeplitz                NDIS_RSS_CAP_HASH_TOEPLITZ
ndis::kRssCapTcpIpv4                 NDIS_RSS_CAP_IPV4
ndis::kRssCapTcpIpv6                 NDIS_RSS_CAP_IPV6
ndis::kRssCapTcpIpv6Ex               NDIS_RSS_CAP_IPV6_EX
ndis::kRssCapabilitiesRev2           NDIS_RSS_CAPS_REV_2
ndis::kRssCapabilitiesSizeRev1       NDIS_RSS_CAPS_SIZE_6_0
ndis::kRssCapabilitiesSizeRev2       NDIS_RSS_CAPS_SIZE
ndis::kRssParametersRev2             NDIS_RSS_PARAMS_REV_2
ndis::kRssParametersSizeRev1         NDIS_RSS_PARAMS_SIZE_6_0
ndis::kRssParametersDisable          NDIS_RSS_FLAG_DISABLE
ndis::kChecksumNoChange              NDIS_OFFLOAD_PARAM_NOCHG
ndis::kChecksumOff                   NDIS_OFFLOAD_PARAM_OFF
ndis::kChecksumTx                    NDIS_OFFLOAD_PARAM_TX
ndis::kChecksumRx                    NDIS_OFFLOAD_PARAM_RX
ndis::kChecksumTxRx                  NDIS_OFFLOAD_PARAM_TXRX
ndis::kSwitchNoChange                NDIS_OFFLOAD_PARAM_NOCHG
ndis::kSwitchOff                     NDIS_OFFLOAD_LSOV1_OFF
ndis::kSwitchOff                     NDIS_OFFLOAD_LSOV2_OFF
ndis::kSwitchOff                     NDIS_OFFLOAD_RSC_OFF
ndis::kSwitchOn                      NDIS_OFFLOAD_LSOV1_ON
ndis::kSwitchOn                      NDIS_OFFLOAD_LSOV2_ON
ndis::kSwitchOn                      NDIS_OFFLOAD_RSC_ON
ndis::kOffloadParametersSizeRev1     offsetof(struct ndis_offload_params, ndis_ipsecv2)
ndis::kTxChecksumIp4                 NDIS_TXCSUM_INFO_IPV4
ndis::kTxChecksumIp6                 NDIS_TXCSUM_INFO_IPV6
ndis::kTxChecksumTcp                 NDIS_TXCSUM_INFO_TCPCS
ndis::kTxChecksumUdp                 NDIS_TXCSUM_INFO_UDPCS
ndis::kTxChecksumIpHeader            NDIS_TXCSUM_INFO_IPCS
ndis::kTxChecksumL4Offset            NDIS_TXCSUM_INFO_THOFF
ndis::kRxChecksumTcpFailed           NDIS_RXCSUM_INFO_TCPCS_FAILED
ndis::kRxChecksumUdpFailed           NDIS_RXCSUM_INFO_UDPCS_FAILED
ndis::kRxChecksumIpFailed            NDIS_RXCSUM_INFO_IPCS_FAILED
ndis::kRxChecksumTcpOk               NDIS_RXCSUM_INFO_TCPCS_OK
ndis::kRxChecksumUdpOk               NDIS_RXCSUM_INFO_UDPCS_OK
ndis::kRxChecksumIpOk                NDIS_RXCSUM_INFO_IPCS_OK
ndis::kRxChecksumTcpValueInvalid     NDIS_RXCSUM_INFO_TCPCS_INVAL
ndis::kRxChecksumIpValueInvalid      NDIS_RXCSUM_INFO_IPCS_INVAL
ndis::kLsoMss                        NDIS_LSO2_INFO_MSS_MASK
ndis::kLsoTcpOffset                  NDIS_LSO2_INFO_THOFF_MASK
ndis::kLsoV2                         NDIS_LSO2_INFO_ISLSO2
ndis::kLsoIp6                        NDIS_LSO2_INFO_ISIPV6
ndis::kVlanPriority                  NDIS_VLAN_INFO_PRI_MASK
ndis::kVlanCfi                       NDIS_VLAN_INFO_CFI_MASK
ndis::kVlanId                        NDIS_VLAN_INFO_ID_MASK
ndis::kParameterInteger              RNDIS_SET_PARAM_NUMERIC
ndis::kParameterString               RNDIS_SET_PARAM_STRING
""", [
    Layout("nvsp::Message", "hn_nvs_init", "type raw=ver_min..rsvd"),
    message("init", "Init", "hn_nvs_init", "min_version=ver_min max_version=ver_max"),
    message("init_complete", "InitComplete", "hn_nvs_init_resp", "version=ver max_mdl_chain_length=rsvd status", "sizeof"),
    message("ndis_version", "SendNdisVersion", "hn_nvs_ndis_init", "major=ndis_major minor=ndis_minor"),
    # Theirs do not name the reserved half of the last word.
    message("buffer", "SendBuffer", "hn_nvs_rxbuf_conn", "gpadl id=sig", None),
    message("buffer", "SendBuffer", "hn_nvs_chim_conn", "gpadl id=sig", None),
    message("revoke", "RevokeBuffer", "hn_nvs_rxbuf_disconn", "id=sig", None),
    message("revoke", "RevokeBuffer", "hn_nvs_chim_disconn", "id=sig", None),
    Layout("nvsp::ReceiveSection", "hn_nvs_rxbuf_sect", "offset=start suballocation_size=slotsz suballocation_count=slotcnt "
           "end_offset=end"),
    message("receive_buffer_complete", "ReceiveBufferComplete", "hn_nvs_rxbuf_connresp", "status section_count=nsect "
            "section=nvs_sect", "sizeof"),
    message("send_buffer_complete", "SendBufferComplete", "hn_nvs_chim_connresp", "status section_size=sectsz", "sizeof"),
    message("rndis", "SendRndisPacket", "hn_nvs_rndis", "channel_type=rndis_mtype section_index=chim_idx "
            "section_size=chim_sz"),
    message("rndis_complete", "SendRndisPacketComplete", "hn_nvs_rndis_ack", "status"),
    message("ndis_config", "SendNdisConfig", "hn_nvs_ndis_conf", "mtu reserved=rsvd capabilities=caps", "rsvd1"),
    message("vf_association", "SendVfAssociation", "hn_nvs_vf_association", "allocated serial", "sizeof"),
    message("data_path", "SwitchDataPath", "hn_nvs_datapath", "active=active_path"),
    message("subchannel_request", "SubchannelRequest", "hn_nvs_subch_req", "operation=op count=nsubch"),
    message("subchannel_complete", "SubchannelComplete", "hn_nvs_subch_resp", "status count=nsubch"),
    Layout("rndis::Header", "rndis_msghdr", "type length=len"),
    Layout("rndis::PacketMessage", "rndis_packet_msg", "hdr=type..len data_offset=dataoffset data_length=datalen "
           "oob_offset=oobdataoffset oob_length=oobdatalen oob_count=oobdataelements ppi_offset=pktinfooffset "
           "ppi_length=pktinfolen vc_handle=vchandle reserved"),
    Layout("rndis::PacketInfo", "rndis_pktinfo", "size type offset", end="data"),
    Layout("rndis::InitializeRequest", "rndis_init_req", "hdr=type..len request_id=rid major=ver_major minor=ver_minor "
           "max_transfer_size=max_xfersz"),
    Layout("rndis::InitializeComplete", "rndis_init_comp", "hdr=type..len request_id=rid status major=ver_major "
           "minor=ver_minor device_flags=devflags medium max_packets_per_message=pktmaxcnt max_transfer_size=pktmaxsz "
           "packet_alignment_factor=align af_list_offset=aflistoffset af_list_size=aflistsz"),
    Layout("rndis::HaltRequest", "rndis_halt_req", "hdr=type..len request_id=rid"),
    Layout("rndis::OidRequest", "rndis_query_req", "hdr=type..len request_id=rid oid info_length=infobuflen "
           "info_offset=infobufoffset vc_handle=devicevchdl"),
    Layout("rndis::OidRequest", "rndis_set_req", "hdr=type..len request_id=rid oid info_length=infobuflen "
           "info_offset=infobufoffset vc_handle=devicevchdl"),
    Layout("rndis::QueryComplete", "rndis_query_comp", "hdr=type..len request_id=rid status info_length=infobuflen "
           "info_offset=infobufoffset"),
    Layout("rndis::StatusComplete", "rndis_set_comp", "hdr=type..len request_id=rid status"),
    Layout("rndis::StatusComplete", "rndis_keepalive_comp", "hdr=type..len request_id=rid status"),
    Layout("rndis::IndicateStatus", "rndis_status_msg", "hdr=type..len status buffer_length=stbuflen "
           "buffer_offset=stbufoffset"),
    Layout("rndis::KeepaliveRequest", "rndis_keepalive_req", "hdr=type..len request_id=rid"),
    Layout("ndis::ConfigParameter", "rndis_set_parameter", "name_offset=nameoffset name_length=namelen type "
           "value_offset=valueoffset value_length=valuelen"),
    Layout("ndis::ObjectHeader", "ndis_object_hdr", "type=ndis_type revision=ndis_rev size=ndis_size"),
    Layout("ndis::ChecksumOffload", "ndis_csum_offload", "ip4_tx_encapsulation=ndis_ip4_txenc ip4_tx=ndis_ip4_txcsum "
           "ip4_rx_encapsulation=ndis_ip4_rxenc ip4_rx=ndis_ip4_rxcsum ip6_tx_encapsulation=ndis_ip6_txenc "
           "ip6_tx=ndis_ip6_txcsum ip6_rx_encapsulation=ndis_ip6_rxenc ip6_rx=ndis_ip6_rxcsum"),
    Layout("ndis::LsoV2Offload", "ndis_lsov2_offload", "ip4_encapsulation=ndis_ip4_encap ip4_max_size=ndis_ip4_maxsz "
           "ip4_min_segments=ndis_ip4_minsg ip6_encapsulation=ndis_ip6_encap ip6_max_size=ndis_ip6_maxsz "
           "ip6_min_segments=ndis_ip6_minsg ip6_options=ndis_ip6_opts"),
    Layout("ndis::Offload", "ndis_offload", "header=ndis_hdr checksum=ndis_csum lso_v1=ndis_lsov1 ipsec_v1=ndis_ipsecv1 "
           "lso_v2=ndis_lsov2 flags=ndis_flags ipsec_v2=ndis_ipsecv2 rsc_ip4=ndis_rsc.ndis_ip4 rsc_ip6=ndis_rsc.ndis_ip6 "
           "encapsulated_gre=ndis_encap_gre"),
    Layout("ndis::RssCapabilities", "ndis_rss_caps", "header=ndis_hdr flags=ndis_caps interrupt_messages=ndis_nmsi "
           "receive_queues=ndis_nrxr table_entries=ndis_nind padding=ndis_pad"),
    Layout("ndis::RssParameters", "ndis_rss_params", "header=ndis_hdr flags=ndis_flags base_cpu=ndis_bcpu "
           "hash_information=ndis_hash table_size=ndis_indsize table_offset=ndis_indoffset key_size=ndis_keysize "
           "key_offset=ndis_keyoffset masks_offset=ndis_cpumaskoffset mask_count=ndis_cpumaskcnt "
           "mask_size=ndis_cpumaskentsz"),
    Layout("ndis::OffloadParameters", "ndis_offload_params", "header=ndis_hdr ip4_checksum=ndis_ip4csum "
           "tcp4_checksum=ndis_tcp4csum udp4_checksum=ndis_udp4csum tcp6_checksum=ndis_tcp6csum udp6_checksum=ndis_udp6csum "
           "lso_v1=ndis_lsov1 ipsec_v1=ndis_ipsecv1 lso_v2_ip4=ndis_lsov2_ip4 lso_v2_ip6=ndis_lsov2_ip6 "
           "tcp_connection_ip4=ndis_tcp4conn tcp_connection_ip6=ndis_tcp6conn flags=ndis_flags ipsec_v2=ndis_ipsecv2 "
           "ipsec_v2_ip4=ndis_ipsecv2_ip4 rsc_ip4=ndis_rsc_ip4 rsc_ip6=ndis_rsc_ip6 encapsulated_offload=ndis_encap "
           "encapsulation_types=ndis_encap_types"),
])

SOURCES = [DPDK_BUS, DPDK_NETVSC, LINUX]
