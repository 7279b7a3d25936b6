/* SPDX-License-Identifier: ISC */
/*
 * The doctor's check of control groups: that of the daemon, or ours, and those
 * above it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/doctor/doctor_priv.h"
#include "supervisor/needs.h"

/* A process of ours, beside its channel's segment, in bytes. */
#define PROCESS_BYTES	(UINT64_C(8) << 20)
/* The relay's thread, and the archive's. */
#define WORKER_THREADS	6U
/* The supervisor, its launcher, and those that are just being replaced. */
#define OTHER_THREADS	8U

/* The least that a group or one above it allows; -1: there is no limit. */
struct group_limits {
	int64_t	memory;		/* bytes */
	int64_t	threads;
	double	cpus;
	bool	found;		/* any file */
};

static void
lower(int64_t *limit, int64_t value)
{
	if (value >= 0 && (*limit == -1 || value < *limit))
		*limit = value;
}

/* Of version 2, where all controllers have one directory. */
static void
read_v2(struct group_limits *limits, const char *path)
{
	char *text = look_text("/sys/fs/cgroup%s/cpu.max", path);
	double quota, period;
	int64_t value;

	if (look_number(&value, "/sys/fs/cgroup%s/memory.max", path))
		lower(&limits->memory, value);
	if (look_number(&value, "/sys/fs/cgroup%s/pids.max", path))
		lower(&limits->threads, value);
	if (text != NULL) {
		limits->found = true;
		if (sscanf(text, "%lf %lf", &quota, &period) == 2 &&
		    period > 0 && quota >= 0 && (limits->cpus < 0 ||
		    quota / period < limits->cpus))
			limits->cpus = quota / period;
	}
	free(text);
	limits->found |= look_exists("/sys/fs/cgroup%s/memory.max", path);
}

/* Of version 1, where each has its own. */
static void
read_v1(struct group_limits *limits, const char *controller, const char *path)
{
	int64_t value, period;

	if (strstr(controller, "memory") != NULL && look_number(&value,
	    "/sys/fs/cgroup/memory%s/memory.limit_in_bytes", path)) {
		limits->found = true;
		/* It has a huge number for none. */
		if (value < INT64_MAX / 4)
			lower(&limits->memory, value);
	}
	if (strstr(controller, "pids") != NULL && look_number(&value,
	    "/sys/fs/cgroup/pids%s/pids.max", path))
		lower(&limits->threads, value);
	if (strstr(controller, "cpu") != NULL && look_number(&value,
	    "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", path) &&
	    look_number(&period, "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us",
	    path) && value >= 0 && period > 0 && (limits->cpus < 0 ||
	    (double)value / (double)period < limits->cpus))
		limits->cpus = (double)value / (double)period;
}

/* The group and all above it. */
static void
read_all(struct group_limits *limits, const char *controllers, char *path)
{
	char *slash;

	/* As somebody outside of our namespace might see it. */
	if (strstr(path, "..") != NULL)
		return;
	for (;;) {
		if (controllers[0] == '\0')
			read_v2(limits, path);
		else
			read_v1(limits, controllers, path);
		slash = strrchr(path, '/');
		if (slash == NULL)
			break;
		*slash = '\0';
	}
}

static struct group_limits
limits_of(pid_t pid)
{
	char *text = look_text("/proc/%d/cgroup", (int)pid), *line, *save;
	struct group_limits limits = {-1, -1, -1, false};
	char *controllers, *path;

	line = text == NULL ? NULL : strtok_r(text, "\n", &save);
	for (; line != NULL; line = strtok_r(NULL, "\n", &save)) {
		controllers = strchr(line, ':');
		path = controllers == NULL ? NULL : strchr(controllers + 1,
		    ':');
		if (path == NULL)
			continue;
		*path++ = '\0';
		read_all(&limits, controllers + 1, path);
	}
	free(text);
	return limits;
}

/* Segments, and what waits in sockets, is the group's. */
static uint64_t
memory_needed(const struct doctor *doctor)
{
	struct needs needs;
	uint64_t sum;
	size_t i, j;

	needs_of(&needs, doctor->conf);
	sum = needs.memory + PROCESS_BYTES * (doctor->conf->channels +
	    doctor->conf->decimators + 1);
	for (i = 0; i < doctor->conf->channels; i++)
		for (j = 0; j < doctor->conf->channel[i].inputs; j++)
			sum += doctor->conf->channel[i].listen[j].
			    receive_buffer;
	return sum;
}

static void
judge_memory(struct doctor *doctor, const struct group_limits *limits)
{
	uint64_t needed = memory_needed(doctor);
	char needed_text[LOOK_SIZE_TEXT], has[LOOK_SIZE_TEXT];

	look_size(needed, needed_text);
	doctor_mend(doctor, "MemoryMax= in the unit (or the container's "
	    "limit) at %s or more", needed_text);
	if (limits->memory == -1)
		doctor_say(doctor, DOCTOR_OK, "memory", "no limit");
	else
		doctor_say(doctor, needed > (uint64_t)limits->memory ?
		    DOCTOR_FAIL : DOCTOR_OK, "memory", "up to %s needed, %s "
		    "allowed", needed_text, look_size(
		    (uint64_t)limits->memory, has));
}

static void
judge_others(struct doctor *doctor, const struct group_limits *limits)
{
	uint64_t threads = OTHER_THREADS + doctor->conf->decimators +
	    WORKER_THREADS * doctor->conf->channels;

	doctor_mend(doctor, "TasksMax=%" PRIu64 " in the unit (or the "
	    "container's limit)", 2 * threads);
	if (limits->threads == -1)
		doctor_say(doctor, DOCTOR_OK, "pids", "no limit");
	else
		doctor_say(doctor, threads > (uint64_t)limits->threads ?
		    DOCTOR_FAIL : DOCTOR_OK, "pids", "up to %" PRIu64
		    " threads needed, %" PRId64 " allowed", threads,
		    limits->threads);
	doctor_mend(doctor, "CPUQuota= in the unit (or the container's limit) "
	    "away: CPUWeight= shares without making it wait");
	if (limits->cpus < 0)
		doctor_say(doctor, DOCTOR_OK, "cpu", "no limit");
	else
		doctor_say(doctor, DOCTOR_WARN, "cpu", "the time of %.2f "
		    "processors is allowed: when it is used up, all wait for "
		    "the rest of the period", limits->cpus);
}

void
doctor_check_cgroup(struct doctor *doctor)
{
	struct group_limits limits = limits_of(facts_pid(doctor));

	if (!limits.found) {
		doctor_say(doctor, DOCTOR_SKIP, "", "no limits are to be read "
		    "in /sys/fs/cgroup");
		return;
	}
	judge_memory(doctor, &limits);
	judge_others(doctor, &limits);
}
