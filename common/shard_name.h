/* SPDX-License-Identifier: ISC */
/*
 * Names of shards: CHANNEL.NUMBER.  For who knows channels by their names only.
 */
#ifndef MCRELAY_SHARD_NAME_H
#define MCRELAY_SHARD_NAME_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Whether `name' is the channel of that name, or a shard of it. */
static inline bool
shard_name_is_of(const char *name, const char *channel)
{
	size_t length = strlen(channel);
	const char *number;

	if (strncmp(name, channel, length) != 0)
		return false;
	if (name[length] != '.')
		return name[length] == '\0';
	number = name + length + 1;
	return number[0] != '\0' &&
	    number[strspn(number, "0123456789")] == '\0';
}

/* A channel's name as one token of a subject, which has no dots, and so in the
 * name of a stream. */
static inline void
shard_name_token(const char *name, char *token, size_t size)
{
	char *dot;

	(void)snprintf(token, size, "%s", name);
	if ((dot = strchr(token, '.')) != NULL)
		*dot = '~';
}

#endif /* MCRELAY_SHARD_NAME_H */
