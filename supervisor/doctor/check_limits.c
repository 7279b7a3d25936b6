/* SPDX-License-Identifier: ISC */
/*
 * The doctor's checks of memory, descriptors, and what limits them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/doctor/doctor_priv.h"
#include "supervisor/needs.h"

void
doctor_check_memory(struct doctor *doctor)
{
	char needs_text[LOOK_SIZE_TEXT], has[LOOK_SIZE_TEXT];
	struct needs_limits limits;
	struct needs needs;

	needs_of(&needs, doctor->conf);
	/* A daemon that runs has its memory already. */
	needs_limits(&limits, doctor->facts != NULL ? NEEDS_MEMORY_TOTAL :
	    NEEDS_MEMORY_AVAILABLE);
	doctor_mend(doctor, "a smaller ring_size, or fewer channels");
	doctor_say(doctor, needs.memory > limits.memory ? DOCTOR_FAIL :
	    DOCTOR_OK, "", "all channels need %s, the host has %s%s",
	    look_size(needs.memory, needs_text), look_size(limits.memory,
	    has), doctor->facts != NULL ? "" : " available");
}

/*** Limits of the process. ***/

/* The hard limit in /proc/PID/limits; UINT64_MAX: none, or not known. */
static uint64_t
limit_of(pid_t pid, const char *name)
{
	char *text = look_text("/proc/%d/limits", (int)pid), *line;
	uint64_t limit = UINT64_MAX;

	line = text == NULL ? NULL : strstr(text, name);
	if (line != NULL && sscanf(line + strlen(name), " %*s %" SCNu64,
	    &limit) != 1)
		limit = UINT64_MAX;
	free(text);
	return limit;
}

/* Whether a channel of the daemon says that its memory is not locked. */
static bool
is_unlocked(const struct doctor *doctor)
{
	const json_t *reasons, *reason;
	const char *what;
	size_t i, j;

	for (i = 0; i < doctor->conf->channels; i++) {
		reasons = json_object_get(facts_status(doctor,
		    doctor->conf->channel[i].name), "reasons");
		json_array_foreach(reasons, j, reason) {
			what = json_string_value(json_object_get(reason,
			    "what"));
			if (what != NULL && strcmp(what, "memory_unlocked") ==
			    0)
				return true;
		}
	}
	return false;
}

void
doctor_check_memlock(struct doctor *doctor)
{
	char needs_text[LOOK_SIZE_TEXT], has[LOOK_SIZE_TEXT];
	struct needs_limits limits;
	struct needs needs;
	bool low;

	needs_of(&needs, doctor->conf);
	needs_limits(&limits, NEEDS_MEMORY_TOTAL);
	low = doctor->facts != NULL ? is_unlocked(doctor) :
	    needs.memory > limits.locked;
	look_size(needs.memory, needs_text);
	doctor_mend(doctor, "LimitMEMLOCK=infinity in the unit, or ulimit -l "
	    "%" PRIu64, needs.memory / 1024 + 1);
	if (doctor->facts != NULL)
		doctor_say(doctor, low ? DOCTOR_WARN : DOCTOR_OK, "", "%s to "
		    "be locked: %s", needs_text, low ? "not all of it is" :
		    "it is");
	else
		doctor_say(doctor, low ? DOCTOR_WARN : DOCTOR_OK, "", "%s to "
		    "be locked, %s may be", needs_text, limits.locked ==
		    UINT64_MAX ? "all" : look_size(limits.locked, has));
}

void
doctor_check_descriptors(struct doctor *doctor)
{
	uint64_t limit = limit_of(facts_pid(doctor), "Max open files");
	struct needs needs;

	needs_of(&needs, doctor->conf);
	doctor_mend(doctor, "LimitNOFILE=%" PRIu64 " in the unit, or ulimit "
	    "-n %" PRIu64, 2 * needs.descriptors, 2 * needs.descriptors);
	if (limit == UINT64_MAX)
		doctor_say(doctor, DOCTOR_OK, "", "%" PRIu64 " needed, no "
		    "limit", needs.descriptors);
	else
		doctor_say(doctor, needs.descriptors > limit ? DOCTOR_FAIL :
		    DOCTOR_OK, "", "%" PRIu64 " needed, %" PRIu64 " may be "
		    "open", needs.descriptors, limit);
}
