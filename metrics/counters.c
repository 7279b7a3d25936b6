/* SPDX-License-Identifier: ISC */
/*
 * The tables of counters as metrics.  Any process that prints them.
 */
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"
#include "common/ledger.h"
#include "common/util.h"
#include "metrics/metrics_priv.h"

static struct metric
metric_of(const char *scope, const struct ledger_entry *entry)
{
	return (struct metric){scope, entry->name,
	    entry->kind == LEDGER_COUNTER ? METRIC_COUNTER : METRIC_GAUGE,
	    entry->unit == LEDGER_BYTES ? "bytes" : NULL, entry->meaning};
}

void
metrics_ledger(struct walk *walk)
{
	static const struct metric rejected = {"", "rejected_by_cause",
	    METRIC_GAUGE, NULL, "rejected, by cause"};
	const struct ledger_entry *entry;
	struct metric metric;
	const struct node *by;
	unsigned cause;
	size_t i;

	for (entry = ledger_table; entry->name != NULL; entry++) {
		metric = metric_of("", entry);
		exposition_family(&walk->out);
		for (i = 0; i < walk->channels; i++)
			metrics_sample(walk, &metric, (struct label[]){
			    {"channel", walk->channel[i].name}, {NULL, NULL}},
			    chosen_member(&walk->channel[i], "ledger",
			    entry->name), 1);
	}
	/* The status has those alone that are not 0. */
	for (i = 0; i < walk->channels; i++) {
		by = node_get(walk->channel[i].node, "rejected_by");
		for (cause = 0; cause < DATUM_ERRORS; cause++)
			exposition_sample(&walk->out, &rejected,
			    (struct label[]){
			    {"channel", walk->channel[i].name},
			    {"cause", datum_error_name(cause)}, {NULL, NULL}},
			    (uint64_t)node_number(node_get(by,
			    datum_error_name(cause))), 1);
	}
}

/* "address:port", IPv6 in brackets; the caller's. */
static char *
end_text(const struct node *output)
{
	const char *address = text_member(output, "address");
	long long port = node_number(node_get(output, "port"));

	if (address == NULL)
		address = "";
	return strchr(address, ':') != NULL ?
	    xasprintf("[%s]:%lld", address, port) :
	    xasprintf("%s:%lld", address, port);
}

/* Of a list of inputs or outputs, by the label `what'. */
static void
print_ends(struct walk *walk, const struct metric *metric,
    const struct chosen *channel, const struct node *list, const char *what)
{
	const struct node *each;
	char *end;

	NODE_FOREACH(each, list) {
		end = end_text(each);
		metrics_sample(walk, metric, (struct label[]){
		    {"channel", channel->name}, {what, end},
		    {"interface", text_member(each, "interface")},
		    {NULL, NULL}}, node_get(each, metric->name), 1);
		free(end);
	}
}

/* What the only input has counted is in the ledger. */
void
metrics_inputs(struct walk *walk)
{
	const struct ledger_entry *entry;
	const struct node *inputs;
	struct metric metric;
	size_t i;

	for (entry = input_table; entry->name != NULL; entry++) {
		metric = metric_of("input_", entry);
		exposition_family(&walk->out);
		for (i = 0; i < walk->channels; i++) {
			inputs = node_get(walk->channel[i].node, "inputs");
			if (node_count(inputs) > 1)
				print_ends(walk, &metric, &walk->channel[i],
				    inputs, "input");
		}
	}
}

void
metrics_outputs(struct walk *walk)
{
	const struct ledger_entry *entry;
	struct metric metric;
	size_t i;

	for (entry = output_table; entry->name != NULL; entry++) {
		metric = metric_of("output_", entry);
		exposition_family(&walk->out);
		for (i = 0; i < walk->channels; i++)
			print_ends(walk, &metric, &walk->channel[i],
			    node_get(walk->channel[i].node, "outputs"),
			    "output");
	}
}

static void
print_streams(struct walk *walk, const struct metric *metric,
    const struct chosen *channel)
{
	const struct node *streams = node_get(channel->node, "decimate");
	const struct node *stream;

	NODE_FOREACH(stream, streams)
		metrics_sample(walk, metric, (struct label[]){
		    {"channel", channel->name}, {"stream", stream->name},
		    {NULL, NULL}}, node_get(stream, metric->name), 1);
}

void
metrics_streams(struct walk *walk)
{
	const struct ledger_entry *entry;
	struct metric metric;
	size_t i;

	for (entry = stream_table; entry->name != NULL; entry++) {
		metric = metric_of("stream_", entry);
		exposition_family(&walk->out);
		for (i = 0; i < walk->channels; i++)
			print_streams(walk, &metric, &walk->channel[i]);
	}
}
