/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-replay: archives back to UDP.
 */
#include "tools/replay/replay.h"

int
main(int argc, char **argv)
{
	return replay_main(argc, argv);
}
