/*-
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Stands in for hn(4): has the network adapters, as a kernel's own driver has,
 * until devctl(8) gives them to another.  It does nothing with them.
 */
#include "mock_var.h"

#include "vmbus_if.h"

static const struct hyperv_guid mock_hn_guid = {
	.hv_guid = { 0x63, 0x51, 0x61, 0xf8, 0x3e, 0xdf, 0xc5, 0x46,
	    0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e }
};

static int
mock_hn_probe(device_t dev)
{

	if (VMBUS_PROBE_GUID(device_get_parent(dev), dev, &mock_hn_guid) != 0)
		return (ENXIO);
	device_set_desc(dev, "Hyper-V Network Interface that nobody uses");
	return (BUS_PROBE_DEFAULT);
}

static int
mock_hn_attach(device_t dev __unused)
{

	return (0);
}

static int
mock_hn_detach(device_t dev __unused)
{

	return (0);
}

static device_method_t mock_hn_methods[] = {
	DEVMETHOD(device_probe,		mock_hn_probe),
	DEVMETHOD(device_attach,	mock_hn_attach),
	DEVMETHOD(device_detach,	mock_hn_detach),
	DEVMETHOD_END
};

static driver_t mock_hn_driver = {
	"hn",
	mock_hn_methods,
	0
};

DRIVER_MODULE(hn, vmbus, mock_hn_driver, NULL, NULL);
MODULE_VERSION(hn, 1);
MODULE_DEPEND(hn, vmbus, 1, 1, 1);
