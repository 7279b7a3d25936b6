/* SPDX-License-Identifier: ISC */
/*
 * What is known of outputs with `path: kernel', for who is told.  See
 * kernel_path.h.  Supervisor only.
 */
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/kernel_path.h"
#include "supervisor/supervisor.h"

bool
kernel_path_falls_back(const struct channel *channel)
{
	return channel->supervisor->kernel.why[0] != '\0' &&
	    channel->conf != NULL && kernel_path_wanted(channel->conf, false);
}

const char *
kernel_path_why(const struct channel *channel, char *text, size_t size)
{
	const struct kernel_failure *failure = &channel->kernel_failure;
	char name[IF_NAMESIZE];

	if (failure->error == 0)
		return channel->supervisor->kernel.why;
	if (failure->ifindex != 0)
		(void)snprintf(text, size, "interface %s takes no program: %s",
		    if_indextoname(failure->ifindex, name) != NULL ? name :
		    "that is gone", strerror(failure->error));
	else
		(void)snprintf(text, size, "the program in the kernel cannot "
		    "be told what to relay: %s", strerror(failure->error));
	return text;
}

void
kernel_path_counts(const struct channel *channel, struct kernel_counts *sum)
{
	const struct kernel_path *path = &channel->supervisor->kernel;
	const struct kernel_entry *entry;
	size_t i;

	for (i = 0; i < path->count; i++) {
		entry = &path->had[i];
		if (entry->channel == channel && entry->error == 0)
			kernel_program_count(path->program, &entry->key, sum);
	}
}
