/* SPDX-License-Identifier: ISC */
/*
 * Channels that are shared out by who sends (conf/shards.c), where somebody
 * names all shards as one.  Supervisor only.
 */
#ifndef MCRELAY_SHARDS_H
#define MCRELAY_SHARDS_H

#include <jansson.h>
#include <stdbool.h>

#include "common/compiler.h"
#include "common/growing.h"

struct channel;
struct conf;
struct supervisor;

/* Whether it is the channel of this name, or a shard of it. */
bool	shards_named(const struct channel *channel, const char *name)
	    ATTR_NONNULL;
/* Whether there is one of this name, or there are shards of it. */
bool	shards_exist(const struct supervisor *supervisor, const char *name)
	    ATTR_NONNULL;
/* The answer to who asks for something that is done to one at a time: their
 * names.  NULL: there is no channel of this name that has shards. */
json_t	*shards_answer(const struct supervisor *supervisor, const char *name)
	    ATTR_NONNULL;
/* Says where senders change their shards, as there are more or fewer. */
void	shards_tell(const struct conf *old, const struct conf *new)
	    ATTR_NONNULL;
/* The array "sharded": what the shards of each channel have together, as they
 * were read last; `name' NULL: of all.  Nothing if there is none. */
void	shards_print(struct growing *out, const struct supervisor *supervisor,
	    const char *name);

#endif /* MCRELAY_SHARDS_H */
