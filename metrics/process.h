/* SPDX-License-Identifier: ISC */
/*
 * What a process uses, from /proc.  Any process that prints metrics.
 *
 * Processor time and memory everybody may read, unless /proc is mounted with
 * `hidepid'.  The descriptors of mcrelay's processes, which let nobody look
 * into them, only root can count before Linux 6.2.
 */
#ifndef MCRELAY_PROCESS_USE_H
#define MCRELAY_PROCESS_USE_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"

struct process_use {
	uint64_t	cpu_ms;
	uint64_t	resident_bytes;		/* with shared memory */
	uint64_t	started_ms;		/* since 1970 */
	uint64_t	descriptors;
	bool		descriptors_known;
};

/* A descriptor of /proc, which stays open, for who enters a sandbox; -1 with
 * errno. */
int	process_root(void);

/* Of `pid', if it is a child of `parent'; 0: of anybody.  False: it is not, or
 * it is not seen. */
bool	process_use(pid_t pid, pid_t parent, struct process_use *use)
	    ATTR_NONNULL ATTR_UNUSED_RESULT;

#endif /* MCRELAY_PROCESS_USE_H */
