/* SPDX-License-Identifier: ISC */
/*
 * What the running daemon has told (supervisor/facts.h), for the doctor's
 * checks; without one, what a daemon that is started now would have.
 */
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/doctor/doctor_priv.h"
#include "supervisor/sockets.h"

static const json_t *
find(const json_t *array, const char *name)
{
	const char *has;
	const json_t *each;
	size_t i;

	json_array_foreach(array, i, each) {
		has = json_string_value(json_object_get(each, "name"));
		if (has != NULL && strcmp(has, name) == 0)
			return each;
	}
	return NULL;
}

const json_t *
facts_status(const struct doctor *doctor, const char *channel)
{
	return find(json_object_get(json_object_get(doctor->facts, "status"),
	    "channels"), channel);
}

uint64_t
facts_count(const json_t *object, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(object, name));

	return value > 0 ? (uint64_t)value : 0;
}

uint64_t
facts_of(const struct doctor *doctor, const char *channel, const char *part,
    const char *name)
{
	return facts_count(json_object_get(facts_status(doctor, channel),
	    part), name);
}

uint64_t
facts_ledger(const struct doctor *doctor, const char *channel,
    const char *counter)
{
	return facts_of(doctor, channel, "ledger", counter);
}

pid_t
facts_pid(const struct doctor *doctor)
{
	uint64_t pid = facts_count(json_object_get(doctor->facts, "status"),
	    "pid");

	return pid > 0 && pid <= INT32_MAX ? (pid_t)pid : getpid();
}

uint64_t
facts_buffer(const struct doctor *doctor, const struct channel_conf *channel)
{
	uint64_t had = facts_of(doctor, channel->name, "socket",
	    "buffer_bytes");
	const char *what;
	uint64_t wanted = 0;
	size_t i;
	int fd;

	/* Half of it is for the kernel's overhead. */
	if (had != 0)
		return had / 2;
	fd = sockets_input(&(struct listen_config){.address =
	    channel->listen[0].address}, &what);
	if (fd == -1)
		return 0;
	for (i = 0; i < channel->inputs; i++)
		wanted = MAX_OF(wanted, channel->listen[i].receive_buffer);
	had = sockets_receive_buffer(fd, wanted);
	close(fd);
	return had;
}
