/* SPDX-License-Identifier: ISC */
/*
 * The doctor's checks: names, functions, explanations.  See doctor_priv.h.
 */
#include "common/util.h"
#include "supervisor/doctor/doctor_priv.h"

#define DOCTOR_ROW(name, patience, why)					\
	{#name, doctor_check_##name, why, patience},

const struct doctor_check doctor_table[] = {
	DOCTOR_CHECKS(DOCTOR_ROW)
};
const size_t doctor_checks = NITEMS(doctor_table);
