/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-decimator: follows the channels' rings and sends decimated streams.
 * Started by mcrelayd.
 */
#include "common/help.h"
#include "decimator/decimator.h"

int
main(int argc, char **argv)
{
	help_answer_child("mcrelay-decimator", argc, argv);
	return decimator_run();
}
