/* SPDX-License-Identifier: ISC */
/*
 * What can go wrong on this host for a configuration: looks, measures, and
 * prints what it finds.  A program of its own (mcrelayd --doctor), never part
 * of a supervisor that runs: what it asks may take its time.  Changes
 * nothing; to measure a disk it writes there, when that is asked for.
 */
#ifndef MCRELAY_DOCTOR_H
#define MCRELAY_DOCTOR_H

#include <stdbool.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"

struct doctor_options {
	const char *check;	/* only this one; NULL: all */
	bool	json;
	bool	disk;	/* measure the archives' disks, by writing to them */
	int	facts;	/* to read supervisor/facts.h's JSON from; -1: none */
};

/* Runs the checks and prints what they say; the exit status: 1 when something
 * failed, or there is no such check. */
int	doctor_run(const struct conf *conf,
	    const struct doctor_options *options) ATTR_NONNULL;

#endif /* MCRELAY_DOCTOR_H */
