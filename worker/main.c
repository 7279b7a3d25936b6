/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-worker: a thin main over the library.
 */
#include "worker/worker.h"

int
main(int argc, char **argv)
{
	return worker_main(argc, argv);
}
