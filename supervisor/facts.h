/* SPDX-License-Identifier: ISC */
/*
 * What the doctor (supervisor/doctor/doctor.h) cannot see from outside.
 * Supervisor only; never waits for anything.
 */
#ifndef MCRELAY_FACTS_H
#define MCRELAY_FACTS_H

#include <jansson.h>

#include "common/compiler.h"

struct supervisor;

/*
 * An object: "status", as status_json() has it; "queriers", an array of objects
 * with "interface", "protocol", "heard_s" ago (-1: never) and "missing";
 * "hears_queries"; "logs_to_stderr".
 */
json_t	*facts_json(struct supervisor *supervisor) ATTR_NONNULL;

#endif /* MCRELAY_FACTS_H */
