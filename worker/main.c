/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-worker: a thin main over the library.
 */
#include "common/help.h"
#include "worker/worker.h"

int
main(int argc, char **argv)
{
	help_answer_child("mcrelay-worker", argc, argv);
	return worker_main(argc, argv);
}
