/* SPDX-License-Identifier: ISC */
/*
 * The status document as metrics: what is chosen, in which order.  Any process
 * that prints them.
 */
#include <stdlib.h>
#include <string.h>

#include "common/shard_name.h"
#include "common/util.h"
#include "metrics/metrics_priv.h"

static const struct label no_labels[] = {{NULL, NULL}};

static const struct {
	const char	*name;
	unsigned	 group;
	void		(*print)(struct walk *walk);
} groups[] = {
	{"state",	METRICS_STATE,		metrics_states},
	{"state",	METRICS_STATE,		metrics_times},
	{"ledger",	METRICS_LEDGER,		metrics_ledger},
	{"input",	METRICS_INPUT,		metrics_inputs},
	{"output",	METRICS_OUTPUT,		metrics_outputs},
	{"stream",	METRICS_STREAM,		metrics_streams},
	{"level",	METRICS_LEVEL,		metrics_levels},
	{"process",	METRICS_PROCESS,	metrics_processes},
};

unsigned
metrics_group(const char *name)
{
	size_t i;

	for (i = 0; i < NITEMS(groups); i++)
		if (strcmp(groups[i].name, name) == 0)
			return groups[i].group;
	return 0;
}

void
metrics_sample(struct walk *walk, const struct metric *metric,
    const struct label *labels, const struct node *value, uint64_t divisor)
{
	if (value == NULL || node_number(value) < 0)
		return;
	if (value->type == NODE_TRUTH || value->type == NODE_NUMBER)
		exposition_sample(&walk->out, metric, labels,
		    (uint64_t)value->number,
		    value->type == NODE_TRUTH ? 1 : divisor);
}

bool
metrics_has_channel(const struct node *status, const char *name)
{
	const struct node *all = node_get(status, "channels"), *channel;
	const char *found;

	NODE_FOREACH(channel, all) {
		found = text_member(channel, "name");
		if (found != NULL && shard_name_is_of(found, name))
			return true;
	}
	return false;
}

static bool
is_chosen(const struct node *channel, const struct metrics_choice *choice)
{
	const char *name = text_member(channel, "name");
	size_t i;

	if (name == NULL)
		return false;
	for (i = 0; i < choice->channel_count; i++)
		if (shard_name_is_of(name, choice->channels[i]))
			return true;
	return choice->channel_count == 0;
}

static void
choose(struct walk *walk, const struct metrics_choice *choice)
{
	const struct node *all = node_get(walk->status, "channels"), *channel;

	walk->all = choice->channel_count == 0;
	walk->channel = xcalloc(node_count(all) + 1, sizeof(*walk->channel));
	NODE_FOREACH(channel, all)
		if (is_chosen(channel, choice))
			walk->channel[walk->channels++] = (struct chosen){
			    .node = channel,
			    .name = text_member(channel, "name")};
}

static void
print_up(struct walk *walk)
{
	static const struct metric up = {"", "up", METRIC_GAUGE, NULL,
	    "whether mcrelayd answers"};
	static const struct metric build = {"", "build", METRIC_INFO, NULL,
	    "the version of mcrelayd that runs"};

	exposition_sample(&walk->out, &up, no_labels, walk->status != NULL, 1);
	if (walk->status != NULL)
		exposition_sample(&walk->out, &build, (struct label[]){
		    {"version", text_member(walk->status, "version")},
		    {NULL, NULL}}, 1, 1);
}

char *
metrics_text(const struct node *status, const struct metrics_choice *choice,
    size_t *size)
{
	struct walk walk = {.status = status};
	size_t i;

	exposition_begin(&walk.out, choice->openmetrics);
	print_up(&walk);
	choose(&walk, choice);
	for (i = 0; i < NITEMS(groups); i++)
		if ((choice->groups & groups[i].group) != 0)
			groups[i].print(&walk);
	exposition_end(&walk.out);
	free(walk.channel);
	*size = walk.out.out.size;
	return walk.out.out.text;
}
