/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-gen: a source and a sink of datagrams.
 */
#include "tools/gen/gen.h"

int
main(int argc, char **argv)
{
	return gen_main(argc, argv);
}
