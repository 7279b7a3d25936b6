/* SPDX-License-Identifier: ISC */
/*
 * States, reasons and how processes have ended, as metrics.  Any process that
 * prints them.
 */
#include <stdio.h>
#include <string.h>

#include "common/reason_table.h"
#include "common/util.h"
#include "metrics/metrics_priv.h"

/* Those of supervisor/status.c. */
static const char *const states[] = {"starting", "running", "waiting",
    "degraded", "stale", "paused", "backoff", "stopped", "failed"};

static const char *const reasons[] = {
#define REASON_NAME(constant, name, ...)	#name,
	REASON_TABLE(REASON_NAME)
#undef REASON_NAME
};

static const struct metric state_metric = {"channel_", "state", METRIC_GAUGE,
    NULL, "whether the channel is in this state"};
static const struct metric reason_metric = {"channel_", "reason", METRIC_GAUGE,
    NULL, "whether this reason for the channel's state holds"};

static void
print_state(struct walk *walk, const struct chosen *channel)
{
	const char *name = channel->name;
	const char *state = text_member(channel->node, "state");
	bool known = state == NULL, is;
	size_t i;

	for (i = 0; i < NITEMS(states); i++) {
		is = state != NULL && strcmp(state, states[i]) == 0;
		known = known || is;
		exposition_sample(&walk->out, &state_metric, (struct label[]){
		    {"channel", name}, {"state", states[i]}, {NULL, NULL}},
		    is, 1);
	}
	/* Of a daemon that knows more of them. */
	if (!known)
		exposition_sample(&walk->out, &state_metric, (struct label[]){
		    {"channel", name}, {"state", state}, {NULL, NULL}}, 1, 1);
}

static bool
is_listed(const char *what)
{
	size_t i;

	for (i = 0; i < NITEMS(reasons); i++)
		if (strcmp(reasons[i], what) == 0)
			return true;
	return false;
}

static bool
has_reason(const struct node *all, const char *what)
{
	const struct node *reason;
	const char *found;

	NODE_FOREACH(reason, all) {
		found = text_member(reason, "what");
		if (found != NULL && strcmp(found, what) == 0)
			return true;
	}
	return false;
}

static void
print_reason(struct walk *walk, const char *channel, const char *what,
    bool holds)
{
	exposition_sample(&walk->out, &reason_metric, (struct label[]){
	    {"channel", channel}, {"reason", what}, {NULL, NULL}}, holds, 1);
}

static void
print_reasons(struct walk *walk, const struct chosen *channel)
{
	const struct node *all = node_get(channel->node, "reasons"), *reason;
	const char *what;
	size_t i;

	for (i = 0; i < NITEMS(reasons); i++)
		print_reason(walk, channel->name, reasons[i],
		    has_reason(all, reasons[i]));
	NODE_FOREACH(reason, all) {
		what = text_member(reason, "what");
		if (what != NULL && !is_listed(what))
			print_reason(walk, channel->name, what, true);
	}
}

/* Processes of one kind: how often they were replaced, and why. */
static void
print_deaths(struct walk *walk, const struct metric *metric,
    const char *label, const char *name, const struct node *process)
{
	static const char *const ways[] = {"exited", "signalled", "hung"};
	const struct node *deaths = node_get(process, "deaths");
	size_t i;

	for (i = 0; i < NITEMS(ways); i++)
		metrics_sample(walk, metric, (struct label[]){{label, name},
		    {"how", ways[i]}, {NULL, NULL}},
		    node_get(deaths, ways[i]), 1);
}

static void
print_decimators(struct walk *walk)
{
	static const struct metric restarts = {"decimator_", "restarts",
	    METRIC_COUNTER, NULL, "decimators that have followed another"};
	static const struct metric deaths = {"decimator_", "deaths",
	    METRIC_COUNTER, NULL, "decimators that ended and should not have"};
	const struct node *all = node_get(walk->status, "decimators"), *one;
	char number[LABEL_SIZE];
	int64_t place = 0;

	NODE_FOREACH(one, all) {
		decimator_label(one, place++, number);
		metrics_sample(walk, &restarts, (struct label[]){
		    {"decimator", number}, {NULL, NULL}},
		    node_get(one, "restarts"), 1);
	}
	place = 0;
	NODE_FOREACH(one, all) {
		decimator_label(one, place++, number);
		print_deaths(walk, &deaths, "decimator", number, one);
	}
}

static void
print_web(struct walk *walk)
{
	static const struct metric expiry = {"web_",
	    "certificate_expiry_timestamp_seconds", METRIC_GAUGE, "seconds",
	    "when mcrelay-web's certificate expires, since 1970"};

	metrics_sample(walk, &expiry, (struct label[]){{NULL, NULL}},
	    node_get(node_get(walk->status, "web"),
	    "certificate_expires"), 1);
}

static void
print_host(struct walk *walk)
{
	static const struct metric drained = {"", "drained", METRIC_GAUGE,
	    NULL, "whether the host is drained: it takes no channel that "
	    "another could have"};
	static const struct metric checksums = {"", "udp_bad_checksums",
	    METRIC_COUNTER, NULL, "datagrams that the kernel has thrown away "
	    "for a bad checksum, whoever they were for"};

	metrics_sample(walk, &drained, (struct label[]){{NULL, NULL}},
	    node_get(node_get(walk->status, "fleet"), "drained"), 1);
	metrics_sample(walk, &checksums, (struct label[]){{NULL, NULL}},
	    node_get(walk->status, "udp_bad_checksums"), 1);
}

void
metrics_states(struct walk *walk)
{
	static const struct metric deaths = {"channel_", "deaths",
	    METRIC_COUNTER, NULL, "workers that ended and should not have"};
	size_t i;

	for (i = 0; i < walk->channels; i++)
		print_state(walk, &walk->channel[i]);
	for (i = 0; i < walk->channels; i++)
		print_reasons(walk, &walk->channel[i]);
	for (i = 0; i < walk->channels; i++)
		print_deaths(walk, &deaths, "channel", walk->channel[i].name,
		    walk->channel[i].node);
	if (walk->all) {
		print_decimators(walk);
		print_web(walk);
		print_host(walk);
	}
}
