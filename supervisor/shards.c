/* SPDX-License-Identifier: ISC */
/*
 * Shards that are named as one.  See shards.h.  Supervisor only.
 */
#include <string.h>

#include "common/ledger.h"
#include "common/log.h"
#include "common/util.h"
#include "supervisor/commands.h"
#include "supervisor/json_text.h"
#include "supervisor/shards.h"
#include "supervisor/status_priv.h"
#include "supervisor/supervisor.h"

static bool
is_shard_of(const struct channel *channel, const char *name)
{
	char parent[CHANNEL_NAME_MAX + 1];

	if (channel->conf->shards == 0)
		return false;
	conf_parent_name(parent, channel->name);
	return strcmp(parent, name) == 0;
}

bool
shards_named(const struct channel *channel, const char *name)
{
	return strcmp(channel->name, name) == 0 || is_shard_of(channel, name);
}

bool
shards_exist(const struct supervisor *supervisor, const char *name)
{
	const struct channel *channel;

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (shards_named(channel, name))
			return true;
	return false;
}

json_t *
shards_answer(const struct supervisor *supervisor, const char *name)
{
	json_t *names = json_array(), *answer;
	const struct channel *channel;

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (is_shard_of(channel, name))
			json_array_append_new(names,
			    json_string(channel->name));
	if (json_array_size(names) == 0) {
		json_decref(names);
		return NULL;
	}
	answer = command_error("channel %s has %zu shards, %s to %s: name one "
	    "of them", name, json_array_size(names),
	    json_string_value(json_array_get(names, 0)),
	    json_string_value(json_array_get(names,
	    json_array_size(names) - 1)));
	json_object_set_new(answer, "shards", names);
	return answer;
}

void
shards_tell(const struct conf *old, const struct conf *new)
{
	const struct channel_conf *channel, *before;
	char name[CHANNEL_NAME_MAX + 1];
	size_t i;

	for (i = 0; i < new->channels; i++) {
		channel = &new->channel[i];
		before = channel->shards > 0 && channel->shard == 0 ?
		    conf_channel(old, channel->name) : NULL;
		if (before == NULL || before->shards == channel->shards)
			continue;
		conf_parent_name(name, channel->name);
		log_info("channel %s: shards: %u, and no more %u: senders "
		    "change between them, and what is new may overtake what "
		    "waits in the shard before", name, channel->shards,
		    before->shards);
	}
}

/* Counts are added; of levels in bytes, each buffer has its own. */
static void
add(struct ledger *sum, const struct ledger *ledger)
{
	const struct ledger_entry *entry;
	uint64_t *to, value;

	for (entry = ledger_table; entry->name != NULL; entry++) {
		to = (void *)((uint8_t *)sum + entry->offset);
		value = ledger_value(ledger, entry);
		if (entry->kind == LEDGER_GAUGE &&
		    entry->unit == LEDGER_BYTES)
			*to = MAX_OF(*to, value);
		else
			*to += value;
	}
}

/* Shards of one channel follow each other. */
static const struct channel *
print_one(struct growing *out, const struct channel *first)
{
	const struct channel *channel = first;
	char parent[CHANNEL_NAME_MAX + 1];
	struct ledger sum;
	uint64_t shards = 0;

	memset(&sum, 0, sizeof(sum));
	conf_parent_name(parent, first->name);
	for (; channel != NULL && is_shard_of(channel, parent);
	    channel = TAILQ_NEXT(channel, link), shards++)
		add(&sum, &channel->counts.ledger);
	json_text_open(out, NULL, '{');
	json_text_string(out, "name", parent);
	json_text_number(out, "shards", shards);
	json_text_open(out, "ledger", '{');
	status_print_counts(out, ledger_table, &sum);
	json_text_close(out, '}');
	json_text_close(out, '}');
	return channel;
}

void
shards_print(struct growing *out, const struct supervisor *supervisor,
    const char *name)
{
	const struct channel *channel = TAILQ_FIRST(&supervisor->channels);
	bool any = false;

	while (channel != NULL) {
		if (channel->conf->shards == 0 || (name != NULL &&
		    !is_shard_of(channel, name))) {
			channel = TAILQ_NEXT(channel, link);
			continue;
		}
		if (!any)
			json_text_open(out, "sharded", '[');
		any = true;
		channel = print_one(out, channel);
	}
	if (any)
		json_text_close(out, ']');
}
