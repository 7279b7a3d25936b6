/* SPDX-License-Identifier: ISC */
/*
 * What is missing between consecutive files of a channel.  mcrelay-verify.
 *
 * Files are consecutive when they are given one after the other, in one
 * directory, and their names differ only in time and sequence.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tools/verify/verify.h"

/* `directory/channel' of `directory/channel_TIME_SEQUENCE.avro', or NULL. */
static char *
channel_of(const char *path)
{
	char *channel = xstrdup(path), *bar = NULL;

	for (unsigned i = 0; i < 2; i++) {
		bar = strrchr(channel, '_');
		if (bar == NULL || strchr(bar, '/') != NULL) {
			free(channel);
			return NULL;
		}
		*bar = '\0';
	}
	return channel;
}

void
gaps_file(struct gaps *gaps, const char *path, const struct summary *summary)
{
	char *channel = channel_of(path);
	int64_t from;

	if (summary->sequence_known && channel != NULL &&
	    gaps->channel != NULL && strcmp(channel, gaps->channel) == 0 &&
	    !__builtin_add_overflow(gaps->last, 1, &from) &&
	    summary->first_sequence > from)
		/* A lower number is that of another run of mcrelayd. */
		printf("%s: sequence %" PRId64 " to %" PRId64 " is neither "
		    "in it nor in the file before\n", path, from,
		    summary->first_sequence - 1);
	gaps_end(gaps);
	if (!summary->sequence_known) {
		free(channel);
		return;
	}
	gaps->channel = channel;
	gaps->last = summary->last_sequence;
}

void
gaps_end(struct gaps *gaps)
{
	free(gaps->channel);
	gaps->channel = NULL;
}
