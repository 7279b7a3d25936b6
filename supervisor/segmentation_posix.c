/* SPDX-License-Identifier: ISC */
/*
 * Nothing sends a run of datagrams at once.  See segmentation.h.  Supervisor.
 */
#include <errno.h>

#include "supervisor/segmentation.h"

int
segmentation_run_through(bool *any)
{
	*any = false;
	errno = ENOTSUP;
	return -1;
}
