/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-forwarder: archives to NATS JetStream.  Started by mcrelayd.
 */
#include "forwarder/forwarder.h"

int
main(void)
{
	return forwarder_run();
}
