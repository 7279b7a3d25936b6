/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-decimator: follows the channels' rings and sends decimated streams.
 * Started by mcrelayd.
 */
#include "decimator/decimator.h"

int
main(void)
{
	return decimator_run();
}
