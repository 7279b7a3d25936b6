/* SPDX-License-Identifier: ISC */
/*
 * The status document as metrics: what is chosen, in which order.  Any process
 * that prints them.
 */
#include <stdlib.h>
#include <string.h>

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
    const struct label *labels, const json_t *value, uint64_t divisor)
{
	if (json_is_boolean(value))
		exposition_sample(&walk->out, metric, labels,
		    json_is_true(value), 1);
	else if (json_is_integer(value) && json_integer_value(value) >= 0)
		exposition_sample(&walk->out, metric, labels,
		    (uint64_t)json_integer_value(value), divisor);
}

static bool
is_chosen(const json_t *channel, const struct metrics_choice *choice)
{
	const char *name = text_member(channel, "name");
	size_t i;

	if (name == NULL)
		return false;
	for (i = 0; i < choice->channel_count; i++)
		if (strcmp(choice->channels[i], name) == 0)
			return true;
	return choice->channel_count == 0;
}

static void
choose(struct walk *walk, const struct metrics_choice *choice)
{
	const json_t *all = json_object_get(walk->status, "channels"), *channel;
	size_t i;

	walk->all = choice->channel_count == 0;
	walk->channel = xcalloc(json_array_size(all) + 1,
	    sizeof(*walk->channel));
	for (i = 0; i < json_array_size(all); i++) {
		channel = json_array_get(all, i);
		if (is_chosen(channel, choice))
			walk->channel[walk->channels++] = channel;
	}
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
metrics_text(const json_t *status, const struct metrics_choice *choice,
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
	*size = walk.out.size;
	return walk.out.text;
}
