/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-forwarder: archives to NATS JetStream.  Started by mcrelayd.
 */
#include "common/help.h"
#include "forwarder/forwarder.h"

int
main(int argc, char **argv)
{
	help_answer_child("mcrelay-forwarder", argc, argv);
	return forwarder_run();
}
