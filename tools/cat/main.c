/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-cat: shows archives and live data.
 */
#include "tools/cat/cat.h"

int
main(int argc, char **argv)
{
	return cat_main(argc, argv);
}
