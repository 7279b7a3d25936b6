/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-verify: checks and repairs archives.
 */
#include "tools/verify/verify.h"

int
main(int argc, char **argv)
{
	return verify_main(argc, argv);
}
